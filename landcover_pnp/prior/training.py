"""The training of a prior as a stage: label maps in, a prior and its records out."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException

from landcover_pnp.errors import RunError, SettingsError
from landcover_pnp.interruption import undone_by_lightning
from landcover_pnp.prior.callbacks import (
    CHECKPOINT,
    LOG,
    MADE_OF,
    VALIDATION_LOG,
    AnyTraining,
    Keeper,
    sheet_name,
)
from landcover_pnp.prior.crop_cutting import drawn_source, folder_sources
from landcover_pnp.prior.crops import LabelSource
from landcover_pnp.prior.datamodule import LabelMapsModule
from landcover_pnp.prior.denoising import LEVELS, DenoiserTraining
from landcover_pnp.prior.folder import CARD, FILES, KIND
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.masked_lightning import MaskedLightning
from landcover_pnp.prior.settings import TrainPriorSettings
from landcover_pnp.storage.owned_folder import OwnedFolder, held
from landcover_pnp.storage.records import (
    RECORD,
    Ingredients,
    Record,
    changed,
    file_hashes,
    ingredients,
)


@dataclass(frozen=True)
class TrainPriorSummary:
    """What a training came to.

    Attributes:
        state: Whether this call trained it, or found it finished and did nothing.
        out: Folder of the prior.
        fingerprint: Its fingerprint.
        parameters: Number of weights.
        train_maps: Label maps it learned from.
        val_maps: Label maps held out.
        steps: Optimiser steps.
        seconds: Wall time, label maps included; of its last call, where it was resumed.
        loss: On held-out maps, mean over t: the squared error of the noise (of a residual, of
            the clean map), or, of a masked prior, the cross entropy of hidden pixels.
        loss_by_level: The same for each tenth of the noise levels, t or the share hidden rising.
    """

    state: Literal["trained", "finished before, nothing done"]
    out: Path
    fingerprint: str
    parameters: int
    train_maps: int
    val_maps: int
    steps: int
    seconds: float
    loss: float
    loss_by_level: tuple[float, ...]


def train_prior(settings: TrainPriorSettings) -> TrainPriorSummary:
    """Trains a prior and writes it to its folder, for the first time after ``save_every`` steps.

    A training that was stopped is resumed at its last validation, one that is finished is left
    as it is; both only where settings and label maps are the same.

    Args:
        settings: Label maps, network and training.

    Returns:
        What it came to.

    Raises:
        LandcoverError: If label maps or settings do not fit, the loss is not finite, or the
            folder holds a training of other settings or label maps (names them), or another
            process trains in it.
        KeyboardInterrupt: After a signal; the same settings resume at the last validation.
    """
    start = time.monotonic()
    sources = folder_sources(settings)
    made_of = _made_of(settings, sources)
    with _quiet():
        trainer = _trainer(settings, made_of)
        with _held(settings, trainer) as owned:
            finished = _finished(settings.out, made_of)
            if finished is not None:
                return finished
            training = _training(settings)
            checkpoint = _checkpoint(settings.out, made_of)
            data = LabelMapsModule([*sources, drawn_source(settings)], settings)
            if owned is not None:
                owned.claim(*_sheets(settings))
                owned.kept = True
            _fit(trainer, training, data, checkpoint)
            prior = training.prior()
            summary = TrainPriorSummary(
                state="trained",
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
            if trainer.is_global_zero:
                prior.save(settings.out)
                # As it is read again: saving rounds the weights.
                fingerprint = load_prior(settings.out).fingerprint
                summary = replace(summary, fingerprint=fingerprint)
                _record(summary, made_of)
                (settings.out / CHECKPOINT).unlink(missing_ok=True)
    return summary


def _training(settings: TrainPriorSettings) -> AnyTraining:
    return MaskedLightning(settings) if settings.kind == "masked" else DenoiserTraining(settings)


@contextmanager
def _held(settings: TrainPriorSettings, trainer: pl.Trainer) -> Iterator[OwnedFolder | None]:
    """Holds the folder for this training; processes it starts for further devices do not."""
    if not trainer.is_global_zero or os.environ.get("LOCAL_RANK", "0") != "0":
        yield None
        return
    names = (*FILES, RECORD, LOG, VALIDATION_LOG, CHECKPOINT)
    with held(settings.out, KIND, (CARD,), names) as owned:
        yield owned


def _sheets(settings: TrainPriorSettings) -> list[str]:
    """Names of the sheets of samples, one a validation."""
    steps = {*range(settings.save_every, settings.steps, settings.save_every), settings.steps}
    return [sheet_name(step) for step in sorted(steps)]


def _made_of(settings: TrainPriorSettings, sources: Sequence[LabelSource]) -> Ingredients:
    """What a training depends on; where its files lie is not among it."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(repr(len(source.maps)).encode())  # which source a map belongs to counts
        for label_map in source.maps:
            digest.update(repr((label_map.labels.shape, label_map.resolution_m)).encode())
            digest.update(label_map.labels.tobytes())
    apart = ("out", "labels", "start", "workers", "save_every")
    return ingredients(
        **{f.name: getattr(settings, f.name) for f in fields(settings) if f.name not in apart},
        label_maps=digest.hexdigest(),
        label_weights=[source.weight for source in sources],
        start=None if settings.start is None else load_prior(settings.start).fingerprint,
    )


def _record(summary: TrainPriorSummary, made_of: Ingredients) -> None:
    """Writes that a training is finished, and what it came to."""
    told = asdict(summary)
    figures = {name: told[name] for name in ("parameters", "train_maps", "val_maps", "steps")}
    levels = {f"loss_{k}": loss for k, loss in enumerate(summary.loss_by_level)}
    files = file_hashes(summary.out, [summary.out / name for name in FILES])
    record = Record("done", made_of, summary.seconds, figures={**figures, **levels}, files=files)
    record.write(summary.out / RECORD)


def _finished(out: Path, made_of: Ingredients) -> TrainPriorSummary | None:
    """What a finished training of the same settings and label maps came to; None without one."""
    record, differing = Record.standing(out / RECORD, made_of)
    if differing:
        raise _other_training(out, "a finished", differing, out / RECORD)
    if record is None:
        return None
    levels = tuple(record.figures[f"loss_{k}"] for k in range(LEVELS))
    return TrainPriorSummary(
        state="finished before, nothing done",
        out=out,
        fingerprint=load_prior(out).fingerprint,
        **{name: int(n) for name, n in record.figures.items() if not name.startswith("loss_")},
        seconds=record.seconds,
        loss=sum(levels) / LEVELS,
        loss_by_level=levels,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what Lightning tells of itself from the user."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Its own business with its dependencies, its advice on loader processes (making crops
            # takes a hundredth of a step) and on resuming, which ``datamodule`` sees to.
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            warnings.filterwarnings("ignore", ".*does not have many workers")
            warnings.filterwarnings("ignore", ".*your dataloader is not resumable")
            yield
    finally:
        logger.setLevel(level)


def _trainer(settings: TrainPriorSettings, made_of: Ingredients) -> pl.Trainer:
    """Lightning's trainer.

    Raises:
        SettingsError: If this machine has no such devices.
    """
    try:
        return pl.Trainer(
            max_steps=settings.steps,
            max_epochs=1,  # of all steps
            val_check_interval=min(settings.save_every, settings.steps),
            num_sanity_val_steps=0,
            gradient_clip_val=settings.gradient_clip,
            precision=settings.precision,
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=settings.strategy,
            # One device is one process, also inside a Slurm job of several tasks, which Lightning
            # would take for processes that train together.
            plugins=LightningEnvironment() if settings.devices == 1 else None,
            use_distributed_sampler=False,
            callbacks=[Keeper(settings.out, made_of)],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise SettingsError(
            found=f"accelerator {settings.accelerator}, devices {settings.devices}, strategy "
            f"{settings.strategy}: {error}",
            expected="what Lightning finds on this machine",
            fix="correct them, or leave them out: one device is then chosen",
        ) from error


def _fit(
    trainer: pl.Trainer, training: AnyTraining, data: LabelMapsModule, checkpoint: Path | None
) -> None:
    """Trains to the last step, and validates what came after the last validation."""
    with undone_by_lightning():
        trainer.fit(training, data, ckpt_path=checkpoint, weights_only=True)
        if training.settings.steps % training.settings.save_every:
            trainer.validate(training, data, verbose=False)


def _checkpoint(out: Path, made_of: Ingredients) -> Path | None:
    """The checkpoint to resume from, if there is one and it is of the same training."""
    path = out / CHECKPOINT
    if not path.is_file():
        return None
    try:
        found = torch.load(path, weights_only=True, map_location="cpu").get(MADE_OF, {})
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise RunError(
            found=f"{path} is damaged: {' '.join(str(error).split())}",
            expected="the checkpoint of a training that was stopped",
            fix="delete it to start from the first step",
        ) from error
    differing = [f"{key} ({found.get(key)})" for key in changed(found, made_of)]
    if differing:
        raise _other_training(out, "an unfinished", differing, path)
    return path


def _other_training(out: Path, what: str, differing: Sequence[str], path: Path) -> SettingsError:
    return SettingsError(
        found=f"{out} holds {what} training with other values of {', '.join(differing)}",
        expected="the same settings and label maps, to go on with it",
        fix=f"restore them, choose another out, or delete {path} to train anew",
    )
