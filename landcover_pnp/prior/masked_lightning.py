"""The training of a masked prior under Lightning: the very step of ``masked_training``."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.errors import RunError, SettingsError
from landcover_pnp.legend import WORKING
from landcover_pnp.prior.crops import Crop
from landcover_pnp.prior.datamodule import VALIDATION_CROPS
from landcover_pnp.prior.denoising import LEVELS, told_of
from landcover_pnp.prior.masked_network import MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior, load_start
from landcover_pnp.prior.masked_settings import OptimiserSettings
from landcover_pnp.prior.masked_training import (
    corrupt,
    hide_pixels,
    learning_rate,
    make_optimiser,
    masked_cross_entropy,
    move_average,
)
from landcover_pnp.prior.settings import TrainPriorSettings


class MaskedLightning(pl.LightningModule):
    """Filling of hidden pixels with a moving average of the weights.

    Randomness comes from (seed, step, device), so that a resumed training goes on as if it had
    not stopped.

    Args:
        settings: Network, optimiser and seed.

    Attributes:
        average: Moving average of the network, the one that is kept.
        loss_by_level: Its cross entropy on held-out crops by tenth of the share of single hidden
            pixels, rising; their mean is a bound of the negative log likelihood of a pixel
            (Sahoo et al. 2024, arXiv 2406.07524, eq. 10). Empty before the first validation.

    Raises:
        SettingsError: If there is no such network, or unlabelled ground is to be a class.
        PriorError: If the prior to start from is damaged or has another architecture.
    """

    def __init__(self, settings: TrainPriorSettings) -> None:
        super().__init__()
        if settings.crops.learn_unlabelled:
            raise SettingsError(
                found="crops.learn_unlabelled with a masked prior",
                expected="unlabelled ground that is hidden and does not count: 0 means hidden",
                fix="leave crops.learn_unlabelled out, or train a Gaussian prior",
            )
        self.settings = settings
        self.optimiser = OptimiserSettings(
            steps=settings.steps,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            learning_rate_end=min(1.0, settings.learning_rate_end),
            warmup_steps=settings.warmup_steps,
            ema_decay=settings.ema_decay,
            seed=settings.seed,
        )
        self.network = MaskedUNet(settings.masked, len(WORKING.classes), settings.seed)
        if settings.start is not None:
            load_start(self.network, settings.start)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.loss_by_level: list[float] = []
        self._val_losses: list[Tensor] = []

    def training_step(self, crop: Crop) -> Tensor:
        """Loss of one batch of clean crops."""
        # One device hides what the plain loop hides; each further one something of its own.
        ranks = (self.global_rank,) if self.global_rank else ()
        seed = (self.settings.seed, 0, self.global_step, *ranks)
        loss = self._losses(self.network, *corrupt(_codes(crop), self.resolution_m, seed)).mean()
        if not torch.isfinite(loss):
            names = self.trainer.datamodule.names(crop)  # type: ignore[attr-defined]
            raise RunError(
                found=f"the loss is {loss.item()} at step {self.global_step}, in a batch from "
                + ", ".join(names),
                expected="a finite loss",
                fix="lower learning_rate or lengthen warmup_steps; the prior of the last "
                "validation, if there was one, is kept",
            )
        self.log("loss", loss, prog_bar=True)
        return loss

    def optimizer_step(self, *args: object, **kwargs: object) -> None:
        """Steps, then moves the average."""
        super().optimizer_step(*args, **kwargs)  # type: ignore[arg-type]
        move_average(self.average, self.network, self.settings.ema_decay, self.global_step + 1)

    def validation_step(self, crop: Crop, batch_idx: int) -> None:
        """Losses of the average; of crop k of n, a share of (k + 1/2) / n is hidden."""
        first = batch_idx * self.settings.batch_size
        shares = (first + np.arange(len(crop.x0)) + 0.5) / VALIDATION_CROPS
        rng = np.random.default_rng((self.settings.seed, 1, batch_idx))
        losses = self._losses(self.average, *hide_pixels(_codes(crop), shares, rng))
        self._val_losses.append(losses.double().cpu())

    def on_validation_epoch_end(self) -> None:
        """Means by share hidden and over all."""
        losses = torch.cat(self._val_losses)
        self._val_losses.clear()
        self.loss_by_level = [float(part.mean()) for part in losses.tensor_split(LEVELS)]
        # Every device validates on the same crops: there is nothing to gather.
        self.log("val_loss", losses.mean(), prog_bar=True, rank_zero_only=True)

    @property
    def resolution_m(self) -> float:
        """Pixel side of the crops, metres."""
        return self.settings.resolution_m

    def prior(self) -> MaskedPrior:
        """The average as it stands, with what can be told about its training."""
        return MaskedPrior(
            copy.deepcopy(self.average),
            resolution_m=self.settings.resolution_m,
            crop_px=self.settings.crop_px,
            training={
                **told_of(self.settings),
                "steps_done": self.global_step,
                "val_loss_by_level": [round(loss, 5) for loss in self.loss_by_level],
            },
            licence=self.settings.licence,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what the last validation found."""
        checkpoint["loss_by_level"] = self.loss_by_level

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the last validation's losses."""
        self.loss_by_level = checkpoint["loss_by_level"]

    def configure_optimizers(self) -> pl.utilities.types.OptimizerLRScheduler:
        """The optimiser of the plain loop; Lightning is told the factor of the learning rate."""
        rate = self.optimiser.learning_rate
        optimiser = make_optimiser(self.network, self.optimiser)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate(self.optimiser, step) / rate
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _losses(
        self, network: MaskedUNet, seen: NDArray[np.int64], target: NDArray[np.int64]
    ) -> Tensor:
        """(crop,) loss of each."""
        logits = network(torch.from_numpy(seen).to(self.device))
        return masked_cross_entropy(logits, torch.from_numpy(target).to(self.device))


def _codes(crop: Crop) -> NDArray[np.uint8]:
    """(batch, y, x) uint8 codes of a batch, 0 = unlabelled."""
    codes: NDArray[np.uint8] = (crop.x0.argmax(1) * (crop.labelled > 0)).byte().cpu().numpy()
    return codes
