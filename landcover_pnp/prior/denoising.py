"""What a prior is trained to do: denoise label maps, with a moving average of the weights."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from landcover_pnp.errors import PriorError, RunError
from landcover_pnp.prior.condition import Told, condition_of, network_output
from landcover_pnp.prior.crops import Crop
from landcover_pnp.prior.datamodule import VALIDATION_CROPS
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import TrainPriorSettings

LEVELS = 10
"""Number of ranges of t that the validation loss is told apart by."""

LEVEL_SPREAD = 1.2
"""Standard deviation of the logit of t / T where ``level_median`` is set."""


class DenoiserTraining(pl.LightningModule):
    """Denoising with a moving average of the weights.

    The loss is the mean squared error of what the network predicts, each drawn level counting
    the same: of the noise (Ho et al. 2020, eq. 14), of the velocity (Salimans & Ho 2022) or of the
    residual, which is that of the clean map, weighed by how much the coarse one tells.
    Unlabelled pixels do not count. A conditional prior is told of each crop what its condition
    asks for, and of a random share of them nothing, which is validated with nothing withheld.

    Randomness comes from (seed, step, device), so that it neither depends on nor disturbs the
    global generator, and a resumed training goes on as if it had not stopped.

    Args:
        settings: Network, forward process, optimiser and seed.

    Attributes:
        average: Moving average of the network, the one that is kept.
        loss_by_level: Its validation loss by tenth of the noise levels, t rising; empty before
            the first validation.

    Raises:
        PriorError: If the prior to start from is damaged or has another architecture.
    """

    def __init__(self, settings: TrainPriorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.schedule = NoiseSchedule(settings.noise)
        d = settings.denoiser
        self.condition = condition_of(d.condition, d.coarse_factor, self.schedule)
        self.network = build_network(d, settings.seed)
        if settings.start is not None:
            _load_start(self.network, settings)
        decay = settings.ema_decay
        self.average = AveragedModel(
            self.network,
            # The average must not remember the first steps: its memory grows with n.
            avg_fn=lambda old, new, n: torch.lerp(new, old, min(decay, float((1 + n) / (10 + n)))),
        ).requires_grad_(False)
        self.loss_by_level: list[float] = []
        self._val_errors: list[Tensor] = []

    def training_step(self, crop: Crop) -> Tensor:
        """Loss of one batch of clean crops."""
        draw = self._generator(0, self.global_step)
        t = self._levels(len(crop.x0), draw)
        drop = self.settings.drop_condition
        loss = self._errors(self.network, crop, t, draw, drop).mean()
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
        self.average.update_parameters(self.network)

    def validation_step(self, crop: Crop, batch_idx: int) -> None:
        """Errors of the average's noise; crop k of n always has the level t = 1 + k T / n.

        Of a residual those of the clean map: in terms of noise they would have no bound as t falls.
        """
        k = batch_idx * self.settings.batch_size + torch.arange(len(crop.x0))
        t = 1 + k * self.schedule.steps // VALIDATION_CROPS
        errors = self._errors(self.average, crop, t, self._generator(1, batch_idx)).double().cpu()
        if self.settings.denoiser.prediction == "velocity":
            errors *= self.schedule.alpha_bar(t)
        self._val_errors.append(errors)

    def on_validation_epoch_end(self) -> None:
        """Means by noise level and over all."""
        errors = torch.cat(self._val_errors)
        self._val_errors.clear()
        self.loss_by_level = [float(e.mean()) for e in errors.tensor_split(LEVELS)]
        # Every device validates on the same crops: there is nothing to gather.
        self.log("val_loss", errors.mean(), prog_bar=True, rank_zero_only=True)

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
                **told_of(s),
                "steps_done": self.global_step,
                "val_loss_by_level": [round(loss, 5) for loss in self.loss_by_level],
            },
            licence=s.licence,
            condition=self.condition,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what the last validation found."""
        checkpoint["loss_by_level"] = self.loss_by_level

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the last validation's losses."""
        self.loss_by_level = checkpoint["loss_by_level"]

    def configure_optimizers(self) -> pl.utilities.types.OptimizerLRScheduler:
        """Adam; the learning rate rises linearly and then falls linearly."""
        steps, warmup = self.settings.steps, self.settings.warmup_steps
        end = self.settings.learning_rate_end
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.settings.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda i: min(
                (i + 1) / (warmup + 1), end + (1 - end) * (steps - i) / max(1, steps - warmup)
            ),
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _levels(self, count: int, draw: torch.Generator) -> Tensor:
        """Noise levels in 1..T: (batch,) int64."""
        T, median = self.schedule.steps, self.settings.level_median
        if median is None:
            return torch.randint(1, T + 1, (count,), generator=draw)
        normal = torch.randn(count, generator=draw)
        share = torch.sigmoid(math.log(median / (1 - median)) + LEVEL_SPREAD * normal)
        return (share * T).ceil().long().clamp(1, T)

    def _errors(
        self,
        network: torch.nn.Module,
        crop: Crop,
        t: Tensor,
        draw: torch.Generator,
        drop: float = 0.0,
    ) -> Tensor:
        """Mean squared error over the labelled pixels, one a crop: (batch,) float32."""
        eps = torch.randn(crop.x0.shape, generator=draw).to(crop.x0)
        x_t = self.schedule.add_noise(crop.x0, eps, t)
        target = {
            "epsilon": lambda: eps,
            "velocity": lambda: self.schedule.velocity(crop.x0, eps, t),
            "residual": lambda: crop.x0,  # as ``network_output`` adds it to what is told
        }[self.settings.denoiser.prediction]()
        told = self._told(crop, draw, drop)
        output = network_output(network, x_t, t.to(x_t.device), told, self.schedule).float()
        squares = (output - target).square().mean(1)
        if told is not None:
            squares = squares * told.weights()[:, None, None]
        # A crop without any label counts nothing: labels can be sparser than its pixels.
        return (squares * crop.labelled).sum((1, 2)) / crop.labelled.sum((1, 2)).clamp(min=1)

    def _told(self, crop: Crop, draw: torch.Generator, drop: float) -> Told | None:
        """What the network is told of the crops, of a share of them nothing."""
        if self.condition is None:
            return None
        dropped = (torch.rand(len(crop.x0), generator=draw) < drop).to(crop.x0.device)
        return self.condition.learned(crop.x0, crop.labelled, dropped, draw)

    def _generator(self, purpose: int, index: int) -> torch.Generator:
        """Random numbers of a training step (purpose 0) or of a validation batch (1)."""
        words = (self.settings.seed, purpose, index, self.global_rank if purpose == 0 else 0)
        [seed] = np.random.SeedSequence(words).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(seed) >> 1)


def told_of(settings: TrainPriorSettings) -> dict[str, Any]:
    """What the card of a prior tells of its training; no paths, nothing of the machine."""
    told = asdict(settings)
    for name in ("out", "denoiser", "noise", "workers", "accelerator", "devices", "strategy"):
        told.pop(name)
    for name in ("kind", "masked", "licence"):  # the card has them of its own
        told.pop(name)
    told["labels"] = [
        {"folder": folder.path.name, "files": folder.pattern, "weight": folder.weight}
        for folder in settings.labels
    ]
    told["start"] = settings.start and settings.start.name
    return told


def _load_start(network: torch.nn.Module, settings: TrainPriorSettings) -> None:
    """Copies the weights of the prior to start from."""
    start = Prior.load(settings.start)
    weights = start.network.state_dict()
    if settings.denoiser.condition == "class_shares" and start.condition is None:
        # What is new adds nothing yet: the training goes on from the unconditional prior.
        own = network.state_dict().items()
        weights |= {name: value for name, value in own if name.startswith("class_embedding.")}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise PriorError(
            found=f"{settings.start} has another architecture: {error}",
            expected="a prior of the same denoiser settings",
            fix="correct denoiser, or leave start out",
        ) from error
    if start.prediction != settings.denoiser.prediction:
        raise PriorError(
            found=f"{settings.start} predicts the {start.prediction}",
            expected=f"a prior that predicts the {settings.denoiser.prediction}",
            fix="correct denoiser.prediction, or leave start out",
        )
