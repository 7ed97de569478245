"""What a training leaves behind as it goes: logs, the prior, sheets of samples, a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from landcover_pnp.prior.denoising import LEVELS, DenoiserTraining
from landcover_pnp.prior.masked_lightning import MaskedLightning
from landcover_pnp.prior.sampling import sample_maps, samples_picture
from landcover_pnp.storage.atomic import completed, write_text
from landcover_pnp.storage.failpoints import failpoint
from landcover_pnp.storage.records import Ingredients

LOG, VALIDATION_LOG, CHECKPOINT = "log.csv", "validation.csv", "unfinished.ckpt"
"""Files beside the prior; the checkpoint goes when the training is finished."""

MADE_OF = "landcover_pnp_made_of"
"""Key of a checkpoint for what its training depends on."""

AnyTraining = DenoiserTraining | MaskedLightning
"""A training of either kind."""

SHEET_STEPS = 50
"""Steps of the samples drawn during a training."""


class Keeper(pl.Callback):
    """Keeps what a training has come to: a log of every step and, at validations, the prior.

    Args:
        out: Folder of the prior; ``log.csv`` (step, loss, learning rate), ``validation.csv``
            (step, loss, loss by tenth of the noise levels) and ``samples/`` lie in it.
        made_of: What the training depends on, told by its checkpoints.
    """

    def __init__(self, out: Path, made_of: Ingredients) -> None:
        self.out = out
        self.made_of = made_of
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
        if trainer.is_global_zero and isinstance(pl_module, AnyTraining):
            self._keep(trainer.global_step, pl_module)
            with completed(self.out / CHECKPOINT) as partial:
                written.replace(partial)

    def on_save_checkpoint(
        self, _trainer: pl.Trainer, _module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds what the training depends on."""
        checkpoint[MADE_OF] = self.made_of

    def _keep(self, step: int, pl_module: AnyTraining) -> None:
        losses = [sum(pl_module.loss_by_level) / LEVELS, *pl_module.loss_by_level]
        with (self.out / VALIDATION_LOG).open("a") as file:
            file.write(f"{step}," + ",".join(f"{x:.6g}" for x in losses) + "\n")
        prior = pl_module.prior()
        prior.save(self.out)
        sheet = self.out / sheet_name(step)
        seed = pl_module.settings.seed
        with completed(sheet) as partial:
            picture = samples_picture({"samples": sample_maps(prior, 16, SHEET_STEPS, seed)})
            picture.savefig(partial, format="png")

    def _flush(self, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero:
            with (self.out / LOG).open("a") as file:
                file.writelines(self._rows)
        self._rows.clear()


def sheet_name(step: int) -> str:
    """Name of the sheet of samples drawn at a step, relative to the prior's folder."""
    return f"samples/{step:06d}.png"


def _cut_log(path: Path, header: str, step: int) -> None:
    """Keeps the lines of a log up to a step, or starts it; what is no line of it goes too."""
    text = path.read_text(encoding="utf-8", errors="replace") if step and path.is_file() else ""
    whole = [line for line in text.splitlines()[1:] if line.count(",") == header.count(",")]
    steps = [(line, line.partition(",")[0]) for line in whole]
    kept = [line for line, n in steps if n.isdecimal() and len(n) < 19 and int(n) <= step]
    write_text(path, "\n".join([header, *kept, ""]))
