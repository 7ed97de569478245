"""Training of a prior on label maps."""

from __future__ import annotations

import copy
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from rich.progress import track
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from landcover_pnp.errors import RunError
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.label_maps import (
    VALIDATION_CROPS,
    LabelMapsModule,
    draw_label_maps,
    read_label_maps,
)
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.settings import TrainPriorSettings

LEVELS = 10
"""Number of ranges of t that the validation loss is told apart by."""


@dataclass(frozen=True)
class TrainPriorSummary:
    """What a training came to.

    Attributes:
        out: Folder of the prior.
        fingerprint: Its fingerprint.
        parameters: Number of weights.
        train_maps: Label maps it learned from.
        val_maps: Label maps held out.
        steps: Optimiser steps.
        seconds: Wall time, label maps included.
        loss: Mean squared error of the noise on held-out maps, mean over t.
        loss_by_level: The same for each tenth of the noise levels, t rising.
    """

    out: Path
    fingerprint: str
    parameters: int
    train_maps: int
    val_maps: int
    steps: int
    seconds: float
    loss: float
    loss_by_level: tuple[float, ...]


class DenoiserTraining(pl.LightningModule):
    """Denoising with a moving average of the weights.

    The loss is the mean squared error of what the network predicts, every level counting the
    same: of the noise (Ho et al. 2020, eq. 14) or of the velocity (Salimans & Ho 2022).

    Randomness comes from (seed, step), so that it neither depends on nor disturbs the global
    generator.

    Args:
        settings: Network, forward process, optimiser and seed.

    Attributes:
        average: Moving average of the network, the one that is kept.
        loss_by_level: Its validation loss by tenth of the noise levels, t rising; empty before
            the first validation.
    """

    def __init__(self, settings: TrainPriorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.schedule = NoiseSchedule(settings.noise)
        self.network = build_network(settings.denoiser, settings.seed)
        decay = settings.ema_decay
        self.average = AveragedModel(
            self.network,
            # The average must not remember the first steps: its memory grows with n.
            avg_fn=lambda old, new, n: torch.lerp(new, old, min(decay, float((1 + n) / (10 + n)))),
        )
        self.loss_by_level: list[float] = []
        self._val_errors: list[Tensor] = []

    def training_step(self, x0: Tensor, batch_idx: int) -> Tensor:
        """Loss of one batch of clean crops (batch, channel, y, x), t uniform in 1..T."""
        draw = self._generator(0, self.global_step)
        t = torch.randint(1, self.schedule.steps + 1, (len(x0),), generator=draw)
        loss = self._errors(self.network, x0, t, draw).mean()
        if not torch.isfinite(loss):
            raise RunError(
                found=f"the loss is {loss.item()} at step {self.global_step} (batch {batch_idx})",
                expected="a finite loss",
                way_out="lower learning_rate or lengthen warmup_steps; the prior of the last "
                "validation, if there was one, is kept",
            )
        self.log("loss", loss, prog_bar=True)
        return loss

    def optimizer_step(self, *args: object, **kwargs: object) -> None:
        """Steps, then moves the average."""
        super().optimizer_step(*args, **kwargs)  # type: ignore[arg-type]
        self.average.update_parameters(self.network)

    def validation_step(self, x0: Tensor, batch_idx: int) -> None:
        """Errors of the average's noise; crop k of n always has the level t = 1 + k T / n."""
        k = batch_idx * self.settings.batch_size + torch.arange(len(x0))
        t = 1 + k * self.schedule.steps // VALIDATION_CROPS
        errors = self._errors(self.average, x0, t, self._generator(1, batch_idx)).double().cpu()
        if self.settings.denoiser.prediction == "velocity":
            errors *= self.schedule.alpha_bar(t)
        self._val_errors.append(errors)

    def on_validation_epoch_end(self) -> None:
        """Means by noise level and over all; a training that is stopped leaves its prior."""
        errors = torch.cat(self._val_errors)
        self._val_errors.clear()
        self.loss_by_level = [float(e.mean()) for e in errors.tensor_split(LEVELS)]
        self.log("val_loss", errors.mean(), prog_bar=True)
        self.prior().save(self.settings.out)

    def prior(self) -> Prior:
        """The average as it stands, with what can be told about its training."""
        s = self.settings
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average.module.state_dict())
        return Prior(
            network,
            self.schedule,
            s.denoiser.resolution_m,
            s.denoiser.crop_px,
            s.denoiser.prediction,
            training={
                "labels": [folder.path.name for folder in s.labels],
                "synthetic_maps": s.synthetic_maps,
                "synthetic_width_m": s.synthetic_width_m,
                "steps": self.global_step,
                "steps_planned": s.steps,
                "batch_size": s.batch_size,
                "learning_rate": s.learning_rate,
                "warmup_steps": s.warmup_steps,
                "ema_decay": s.ema_decay,
                "precision": s.precision,
                "seed": s.seed,
                "val_loss_by_level": [round(loss, 5) for loss in self.loss_by_level],
            },
        )

    def configure_optimizers(self) -> pl.utilities.types.OptimizerLRScheduler:
        """Adam; the learning rate rises linearly and then falls linearly to 0."""
        steps, warmup = self.settings.steps, self.settings.warmup_steps
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda i: min((i + 1) / (warmup + 1), (steps - i) / max(1, steps - warmup)),
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _errors(
        self, network: torch.nn.Module, x0: Tensor, t: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Mean squared error of the network's output, one a crop: (batch,) float32."""
        eps = torch.randn(x0.shape, generator=draw).to(x0)
        x_t = self.schedule.add_noise(x0, eps, t)
        velocity = self.settings.denoiser.prediction == "velocity"
        target = self.schedule.velocity(x0, eps, t) if velocity else eps
        output: Tensor = network(x_t, t.to(x0.device)).sample.float()
        return (output - target).square().mean((1, 2, 3))

    def _generator(self, purpose: int, index: int) -> torch.Generator:
        """Random numbers of a training step (purpose 0) or of a validation batch (1)."""
        return torch.Generator().manual_seed((self.settings.seed * 2 + purpose) * 2**32 + index)


def train_prior(settings: TrainPriorSettings) -> TrainPriorSummary:
    """Trains a prior and writes it to its folder, for the first time after a tenth of the steps.

    Args:
        settings: Label maps, network and training.

    Returns:
        What it came to.

    Raises:
        LandcoverError: If label maps or settings do not fit, or the loss is not finite.
    """
    start = time.monotonic()
    resolution_m = settings.denoiser.resolution_m
    maps = [m for folder in settings.labels for m in read_label_maps(folder, resolution_m)]
    drawn = draw_label_maps(
        settings.synthetic_maps, settings.synthetic_width_m, resolution_m, settings.seed
    )
    maps.extend(track(drawn, "drawing label maps", settings.synthetic_maps))
    data = LabelMapsModule(maps, settings)
    training = DenoiserTraining(settings)
    trainer = pl.Trainer(
        max_steps=settings.steps,
        val_check_interval=max(1, settings.steps // 10),
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        precision=settings.precision,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        # Lightning's own business with its dependencies, and its advice on loader processes:
        # making crops takes a hundredth of a step.
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
        warnings.filterwarnings("ignore", ".*does not have many workers")
        trainer.fit(training, data)
    prior = training.prior()
    prior.save(settings.out)
    return TrainPriorSummary(
        out=settings.out,
        fingerprint=prior.fingerprint,
        parameters=sum(p.numel() for p in prior.network.parameters()),
        train_maps=len(data.train_maps),
        val_maps=len(data.val_maps),
        steps=training.global_step,
        seconds=time.monotonic() - start,
        loss=sum(training.loss_by_level) / LEVELS,
        loss_by_level=tuple(training.loss_by_level),
    )
