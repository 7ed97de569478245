"""Any unconditional pipeline of diffusers, as samplers want a model: of images, faces, anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landcover_pnp.errors import PriorError
from landcover_pnp.prior.diffusers_folder import read_model
from landcover_pnp.prior.folder import Prediction
from landcover_pnp.prior.noise import NoiseSchedule

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel


@dataclass(frozen=True, eq=False)
class DiffusersModel:
    """A ``UNet2DModel`` of x (batch, channel, y, x), in the range that it was trained in: -1 to 1.

    It is no prior of maps: nothing is known of its channels but their number.

    Attributes:
        network: The network, frozen; it counts noise levels from 0.
        schedule: Its forward process.
        prediction: What it puts out.
        size_px: Side of its training images; None where its folder does not say.
    """

    network: UNet2DModel
    schedule: NoiseSchedule
    prediction: Prediction
    size_px: int | None

    @classmethod
    def open(cls, folder: str | Path) -> DiffusersModel:
        """Opens what diffusers has saved by ``save_pretrained``; nothing is downloaded.

        Args:
            folder: The folder of a pipeline, with ``unet/`` and ``scheduler/``, or one that holds
                the files of both, such as a copy of google/ddpm-celebahq-256.

        Raises:
            PriorError: If it is no unconditional ``UNet2DModel`` with a ``DDPMScheduler``, or
                predicts variances too.
        """
        found = read_model(Path(folder))
        config = found.network.config
        taken, given = config["in_channels"], config["out_channels"]
        if taken != given:
            raise PriorError(
                found=f"the network of {folder} takes {taken} channels and puts out {given}",
                expected="one predicted value for each of x",
                fix="take a model without learned variances",
            )
        network = found.network.eval().requires_grad_(False)
        return cls(network, NoiseSchedule(found.noise), found.prediction, found.crop_px)

    @property
    def channels(self) -> int:
        """Channels of x, such as 3 of red, green and blue."""
        return int(self.network.config["in_channels"])

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """eps_theta(x_t, t): (batch, channel, y, x), differentiable in ``x_t``."""
        times = torch.full((len(x_t),), t - 1, device=x_t.device)
        predicted: Tensor = self.network(x_t, times, return_dict=False)[0]
        if self.prediction == "velocity":
            return self.schedule.noise_of_velocity(x_t, predicted, t)
        return predicted
