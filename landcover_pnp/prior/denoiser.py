"""The Gaussian prior: a U-Net that tells the noise in label maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from landcover_pnp.errors import SettingsError
from landcover_pnp.legend import WORKING, Legend
from landcover_pnp.prior.condition import (
    ClassShares,
    Condition,
    Value,
    condition_in,
    condition_of,
    network_output,
    told_by,
)
from landcover_pnp.prior.folder import Prediction, PriorKind, legend_facts
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings, NoiseSettings
from landcover_pnp.prior.stored_prior import StoredPrior

if TYPE_CHECKING:
    # Importing diffusers takes seconds: engines without a prior do not wait for it.
    from diffusers.models.unets.unet_2d import UNet2DModel


def build_network(settings: DenoiserSettings, seed: int) -> UNet2DModel:
    """An untrained U-Net of the paper's kind: attention at the lowest level only.

    Args:
        settings: Architecture, and what it is told beside the noisy maps.
        seed: Seed of the weights; the global generator is left as it was.

    Returns:
        The network, (batch, channel, y, x) to the same shape, one channel a class and
        channel 0 for no data; those of a condition come behind them.

    Raises:
        SettingsError: If there is no such network, above all where the channels do not fit the
            group normalisation.
    """
    from diffusers.models.unets.unet_2d import UNet2DModel

    levels, classes = len(settings.channels), len(WORKING.classes) + 1
    condition = condition_of(settings.condition, settings.coarse_factor, NoiseSchedule())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network: UNet2DModel = UNet2DModel(
                sample_size=settings.crop_px,
                in_channels=classes + (condition.channels if condition else 0),
                out_channels=classes,
                class_embed_type=condition.embedding if condition else None,
                layers_per_block=settings.layers_per_block,
                block_out_channels=tuple(settings.channels),
                down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
                up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
                attention_head_dim=settings.head_channels,
                norm_num_groups=settings.norm_groups,
                flip_sin_to_cos=True,
                freq_shift=0,
                downsample_padding=1,
            )
            if condition:
                condition.attach(network)
        except Exception as error:  # diffusers raises whatever a wrong value leads to
            raise SettingsError(
                found=f"channels {settings.channels} with norm_groups {settings.norm_groups}: "
                f"{error}",
                expected="one or more levels of channels that norm_groups divides",
                fix="change denoiser.channels or denoiser.norm_groups",
            ) from error
    return network


@dataclass(frozen=True, eq=False)
class Prior(StoredPrior):
    """A Gaussian diffusion model over one-hot label maps, and what it was trained for.

    Attributes:
        kind: How it corrupts maps, always ``gaussian``; ``MaskedPrior`` is the other kind.
        network: The U-Net. It is taken over: weights frozen, evaluation mode.
        schedule: Forward process; the network is given t as 1..T.
        resolution_m: Ground resolution of the label maps, metres.
        crop_px: Side of the training crops, pixels.
        prediction: What the network puts out.
        legend: Classes of the channels 1, 2, ...; channel 0 is no data.
        training: How it was trained and how well, as JSON; for people, read by nothing.
        time_offset: What is added to t = 1..T before the network sees it: 0 for the paper's
            convention, -1 for that of diffusers, which counts 0..T-1.
        licence: Licence of the weights.
        condition: What it can be told beside noisy maps; None of an unconditional prior. One
            that is told nothing is an unconditional prior too.
    """

    kind: ClassVar[PriorKind] = "gaussian"

    network: UNet2DModel
    schedule: NoiseSchedule
    resolution_m: float
    crop_px: int
    prediction: Prediction = "epsilon"
    legend: Legend = WORKING
    training: Mapping[str, Any] = field(default_factory=dict)
    time_offset: int = 0
    licence: str = "Apache-2.0"
    condition: Condition | None = None

    def given(self, value: Value) -> Given:
        """The prior with a condition, as a model for samplers; see ``predict_noise``."""
        return Given(self, value)

    def predict_noise(self, x_t: Tensor, t: int | Tensor, condition: Value | None = None) -> Tensor:
        """eps_theta(x_t, t), differentiable in ``x_t``.

        Args:
            x_t: Noisy maps (batch, channel, y, x) float32 of any height and width; padded
                inside by reflection to what the levels of the U-Net need.
            t: Noise level in 1..T, or one a map as a (batch,) integer tensor.
            condition: Class shares (class,) or (batch, class) float32 that sum to 1, or a coarse
                map, of a prior that takes them; None tells nothing.

        Returns:
            Predicted noise, the shape of ``x_t``.

        Raises:
            PriorError: If the condition does not fit the prior or the maps.
        """
        told = told_by(self.condition, condition, x_t)
        height, width = x_t.shape[-2:]
        unit = 2 ** (len(self.network.down_blocks) - 1)
        down, right = -height % unit, -width % unit
        # A map narrower than its padding cannot be reflected.
        mode = "reflect" if down < height and right < width else "replicate"
        padding = (0, right, 0, down)
        if told is not None and told.channels is not None:
            told = told._replace(channels=functional.pad(told.channels, padding, mode=mode))
        padded = functional.pad(x_t, padding, mode=mode)
        output = network_output(self.network, padded, t + self.time_offset, told, self.schedule)
        output = output[..., :height, :width]
        if self.prediction == "velocity":
            return self.schedule.noise_of_velocity(x_t, output, t)
        if self.prediction == "residual":
            return self.schedule.noise_of_clean(x_t, output, t)
        return output

    @classmethod
    def _network(cls, config: Mapping[str, Any]) -> nn.Module:
        from diffusers.models.unets.unet_2d import UNet2DModel

        network: UNet2DModel = UNet2DModel.from_config(config)
        if config.get("class_embed_type") == ClassShares.embedding:
            ClassShares().attach(network)
        return network

    @classmethod
    def _of(cls, network: UNet2DModel, card: Mapping[str, Any]) -> Self:
        schedule = NoiseSchedule(NoiseSettings(**card["noise"]))
        return cls(
            network,
            schedule,
            resolution_m=float(card["resolution_m"]),
            crop_px=int(card["crop_px"]),
            prediction=card["prediction"],
            training=card["training"],
            time_offset=int(card.get("time_offset", 0)),
            licence=str(card["licence"]),
            condition=condition_in(card, schedule),
        )

    def _architecture(self) -> str:
        """The network's ``config.json``, whatever version of diffusers writes it."""
        config = json.loads(self.network.to_json_string())
        config.pop("_diffusers_version")
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    def _facts(self) -> dict[str, Any]:
        return {
            "legend": legend_facts(),
            "resolution_m": self.resolution_m,
            "crop_px": self.crop_px,
            "prediction": self.prediction,
            "noise": asdict(self.schedule.settings),
            "time": "the network is given t + time_offset for t = 1..T; t = 0 is the clean map",
            "time_offset": self.time_offset,
        } | ({"condition": self.condition.facts} if self.condition else {})


@dataclass(frozen=True)
class Given:
    """A conditional prior with its condition: a model for any sampler.

    Attributes:
        prior: The prior.
        value: The condition.
    """

    prior: Prior
    value: Value

    @property
    def schedule(self) -> NoiseSchedule:
        """The prior's."""
        return self.prior.schedule

    @property
    def channels(self) -> int:
        """The prior's."""
        return self.prior.channels

    def predict_noise(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """eps_theta(x_t, t, condition)."""
        return self.prior.predict_noise(x_t, t, self.value)
