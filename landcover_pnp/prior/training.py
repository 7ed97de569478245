"""The training of a prior as a stage: label maps in, a prior and its records out."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from rich.progress import track

from landcover_pnp.errors import RunError, SettingsError
from landcover_pnp.failpoints import failpoint
from landcover_pnp.geotiff import completed, remove_partials, write_text
from landcover_pnp.prior.crops import LabelSource
from landcover_pnp.prior.datamodule import LabelMapsModule
from landcover_pnp.prior.denoising import LEVELS, SETTINGS, DenoiserTraining, resumable
from landcover_pnp.prior.label_maps import draw_label_maps, read_label_maps
from landcover_pnp.prior.sampling import sample_maps, samples_picture
from landcover_pnp.settings import TrainPriorSettings

LOG, VALIDATION_LOG, CHECKPOINT = "log.csv", "validation.csv", "unfinished.ckpt"
"""Files beside the prior; the checkpoint goes when the training is finished."""

SHEET_STEPS = 50
"""Denoising steps of the samples drawn during a training."""


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


class Keeper(pl.Callback):
    """Keeps what a training has come to: a log of every step and, at validations, the prior.

    Args:
        out: Folder of the prior; ``log.csv`` (step, loss, learning rate), ``validation.csv``
            (step, loss, loss by tenth of the noise levels) and ``samples/`` lie in it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._rows: list[str] = []

    def on_train_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Starts the logs, or cuts them where a resumed training goes on."""
        if trainer.is_global_zero:
            levels = ",".join(f"level_{k}" for k in range(1, LEVELS + 1))
            _cut_log(self.out / LOG, "step,loss,learning_rate", trainer.global_step)
            _cut_log(self.out / VALIDATION_LOG, f"step,loss,{levels}", trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Notes the step; a hundred are written at once."""
        loss = float(trainer.callback_metrics["loss"])
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._rows.append(f"{trainer.global_step},{loss:.9g},{rate:.6g}\n")
        if len(self._rows) == 100:
            self._flush(trainer)
        failpoint("step", str(trainer.global_step))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes logs, prior and a sheet of samples; the checkpoint follows."""
        self._flush(trainer)
        # Every process takes part in a checkpoint; the first one writes it.
        written = self.out / f".partial-{CHECKPOINT}"
        trainer.save_checkpoint(written)
        if trainer.is_global_zero and isinstance(pl_module, DenoiserTraining):
            self._keep(trainer.global_step, pl_module)
            with completed(self.out / CHECKPOINT) as partial:
                written.replace(partial)

    def _keep(self, step: int, pl_module: DenoiserTraining) -> None:
        losses = [sum(pl_module.loss_by_level) / LEVELS, *pl_module.loss_by_level]
        with (self.out / VALIDATION_LOG).open("a") as file:
            file.write(f"{step}," + ",".join(f"{x:.6g}" for x in losses) + "\n")
        prior = pl_module.prior()
        prior.save(self.out)
        sheet = self.out / "samples" / f"{step:06d}.png"
        seed = pl_module.settings.seed
        with completed(sheet) as partial:
            picture = samples_picture({"samples": sample_maps(prior, 16, SHEET_STEPS, seed)})
            picture.savefig(partial, format="png")

    def _flush(self, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero:
            with (self.out / LOG).open("a") as file:
                file.writelines(self._rows)
        self._rows.clear()


def train_prior(settings: TrainPriorSettings) -> TrainPriorSummary:
    """Trains a prior and writes it to its folder, for the first time after ``save_every`` steps.

    Args:
        settings: Label maps, network and training.

    Returns:
        What it came to.

    Raises:
        LandcoverError: If label maps or settings do not fit, or the loss is not finite.
        KeyboardInterrupt: After Ctrl-C; the same settings resume at the last validation.
    """
    start = time.monotonic()
    resolution_m = settings.denoiser.resolution_m
    sources = [
        LabelSource(read_label_maps(folder, resolution_m), folder.weight)
        for folder in settings.labels
    ]
    training = DenoiserTraining(settings)
    checkpoint = _checkpoint(settings)
    drawn = draw_label_maps(settings.synthetic_maps, settings.synthetic_width_m, settings.seed)
    maps = list(track(drawn, "drawing label maps", settings.synthetic_maps))
    data = LabelMapsModule([*sources, LabelSource(maps, settings.synthetic_weight)], settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    remove_partials(settings.out)
    trainer = pl.Trainer(
        max_steps=settings.steps,
        val_check_interval=min(settings.save_every, settings.steps),
        num_sanity_val_steps=0,
        gradient_clip_val=settings.gradient_clip,
        precision=settings.precision,
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=settings.strategy,
        use_distributed_sampler=False,
        callbacks=[Keeper(settings.out)],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    _fit(trainer, training, data, checkpoint)
    prior = training.prior()
    if trainer.is_global_zero:
        prior.save(settings.out)
        (settings.out / CHECKPOINT).unlink(missing_ok=True)
    return TrainPriorSummary(
        out=settings.out,
        fingerprint=prior.fingerprint,
        parameters=sum(p.numel() for p in prior.network.parameters()),
        train_maps=sum(len(source.maps) for source in data.train),
        val_maps=sum(len(source.maps) for source in data.held_out),
        steps=training.global_step,
        seconds=time.monotonic() - start,
        loss=sum(training.loss_by_level) / LEVELS,
        loss_by_level=tuple(training.loss_by_level),
    )


def _fit(
    trainer: pl.Trainer, training: DenoiserTraining, data: LabelMapsModule, checkpoint: Path | None
) -> None:
    """Trains to the last step, and validates what came after the last validation."""
    with warnings.catch_warnings():
        # Lightning's own business with its dependencies, its advice on loader processes (making
        # crops takes a hundredth of a step) and on resuming, which ``datamodule`` sees to.
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
        warnings.filterwarnings("ignore", ".*does not have many workers")
        warnings.filterwarnings("ignore", ".*your dataloader is not resumable")
        try:
            trainer.fit(training, data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
        if training.settings.steps % training.settings.save_every:
            trainer.validate(training, data, verbose=False)


def _checkpoint(settings: TrainPriorSettings) -> Path | None:
    """The checkpoint to resume from, if there is one and it is of the same settings."""
    path = settings.out / CHECKPOINT
    if not path.is_file():
        return None
    try:
        found = torch.load(path, weights_only=True, map_location="cpu").get(SETTINGS, {})
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise RunError(
            found=f"{path} is damaged: {' '.join(str(error).split())}",
            expected="the checkpoint of a training that was stopped",
            way_out="delete it to start from the first step",
        ) from error
    wanted = resumable(settings)
    changed = [key for key in wanted if found.get(key) != wanted[key]]
    if changed:
        raise SettingsError(
            found=f"{settings.out} holds an unfinished training with other values of "
            + ", ".join(f"{key} ({found.get(key)})" for key in changed),
            expected="the same settings, to resume it",
            way_out=f"restore them, choose another out, or delete {path} to start anew",
        )
    return path


def _cut_log(path: Path, header: str, step: int) -> None:
    """Keeps the lines of a log up to a step, or starts it; a line cut short by a kill goes too."""
    lines = path.read_text().splitlines()[1:] if step and path.is_file() else []
    whole = [line for line in lines if line.count(",") == header.count(",")]
    kept = [line for line in whole if int(line.partition(",")[0]) <= step]
    write_text(path, "\n".join([header, *kept, ""]))
