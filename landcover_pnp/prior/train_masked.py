"""Trains a masked prior on a file of crops: ``python -m landcover_pnp.prior.train_masked``.

For a bare machine, with a GPU or without: it needs torch, numpy and safetensors, nothing else.
``landcover train-prior`` takes the same steps under Lightning.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landcover_pnp.errors import LandcoverError, RunError, SettingsError
from landcover_pnp.prior.crop_file import CropFile
from landcover_pnp.prior.folder import CARD, FILES, KIND
from landcover_pnp.prior.masked_network import MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior, load_start
from landcover_pnp.prior.masked_settings import MaskedNetworkSettings, OptimiserSettings
from landcover_pnp.prior.masked_training import MaskedTraining
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.owned_folder import held

CHECKPOINT, LOG = "unfinished.ckpt", "training.csv"
"""Files beside the prior: where a training goes on, and loss by step and time."""

_HEADER = "step,loss,held_out_loss,learning_rate,seconds"


@dataclass
class _Run:
    """A training at a point of it."""

    training: MaskedTraining
    crops: CropFile
    made_of: dict[str, Any]
    out: Path
    log: list[str]
    seconds: float = 0.0


def train_masked(
    crops: Path,
    out: Path,
    network: MaskedNetworkSettings | None = None,
    optimiser: OptimiserSettings | None = None,
    *,
    start: Path | None = None,
    save_every: int = 500,
    device: str = "cpu",
    until: int | None = None,
) -> MaskedPrior:
    """Trains a prior on a file of crops, or goes on with a training that was stopped.

    Every ``save_every`` steps the prior, its log and a checkpoint are written.

    Args:
        crops: File that ``landcover cut-crops`` wrote.
        out: Folder of the prior.
        network: Architecture; crop size and resolution are those of the crops.
        optimiser: Steps, batch, learning rate, seed.
        start: Prior whose weights the training starts from; None starts from random ones.
        save_every: Steps between saves.
        device: ``cpu``, ``cuda``, ...
        until: Step at which to stop, to be gone on with later; None is the last.

    Returns:
        The prior, as it was written last.

    Raises:
        LandcoverError: If the crops do not do, or the folder holds something else or a training
            with other settings or crops, or the loss is not finite, or torch cannot compute on
            the device.
    """
    require_device(device)
    given = CropFile.read(crops)
    shape = {"crop_px": given.crop_px, "resolution_m": given.resolution_m}
    architecture = MaskedNetworkSettings(**{**asdict(network or MaskedNetworkSettings()), **shape})
    settings = optimiser or OptimiserSettings()
    first = MaskedUNet(architecture, seed=settings.seed)
    made_of = {
        "start": None if start is None else load_start(first, start),
        "network": asdict(architecture),
        "optimiser": asdict(settings),
        "crops": hashlib.sha256(given.codes.tobytes() + given.held_out.tobytes()).hexdigest(),
    }
    with held(out, KIND, (CARD,), (*FILES, CHECKPOINT, LOG)) as owned:
        training = MaskedTraining(first, settings, given.resolution_m, device)
        run = _Run(training, given, made_of, out, [_HEADER])
        _resume(run)
        owned.kept = True
        _go_on(run, min(until or settings.steps, settings.steps), save_every)
        return MaskedPrior.load(out)


def require_device(name: str) -> None:
    """Refuses a device that torch cannot compute on here.

    Raises:
        SettingsError: Says what torch says.
    """
    try:
        torch.zeros(1, device=name).add(1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise SettingsError(
            found=f"torch cannot compute on the device {name!r}: {said}",
            expected="a device of this machine: cpu, or cuda where torch.cuda.is_available()",
            fix="train on cpu, or install torch and the driver for this GPU",
        ) from error


def batch_of(codes: np.ndarray, settings: OptimiserSettings, step: int) -> np.ndarray:
    """The crops of a step: an epoch is a permutation of all of them.

    Args:
        codes: (crop, y, x) uint8.
        settings: Batch size and seed.
        step: Step, counted from 0.

    Returns:
        (batch, y, x) uint8.
    """
    first = step * settings.batch_size
    picked = []
    for number in range(first, first + settings.batch_size):
        epoch, place = divmod(number, len(codes))
        picked.append(_order(len(codes), settings.seed, epoch)[place])
    return np.asarray(codes[picked])


_ORDERS: dict[tuple[int, int, int], np.ndarray] = {}


def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """(crop,) order of the crops in an epoch."""
    key = (count, seed, epoch)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng((seed, 2, epoch)).permutation(count)
    return _ORDERS[key]


def _go_on(run: _Run, last: int, save_every: int) -> None:
    """Steps to the last one, saving as it goes."""
    training, start, losses = run.training, time.monotonic() - run.seconds, []
    while training.step < last:
        loss = training.train(batch_of(run.crops.codes, training.settings, training.step))
        if not np.isfinite(loss):
            raise RunError(
                found=f"the loss is {loss} at step {training.step}",
                expected="a finite loss",
                fix="lower the learning rate or lengthen the warm-up; the prior of the last "
                "save, if there was one, is kept",
            )
        losses.append(loss)
        if training.step % save_every == 0 or training.step == last:
            run.seconds = time.monotonic() - start
            held_out = training.validate(run.crops.held_out)
            rate = training.optimiser.param_groups[0]["lr"]
            mean = float(np.mean(losses))
            run.log.append(
                f"{training.step},{mean:.5f},{held_out:.5f},{rate:.6f},{run.seconds:.0f}"
            )
            sys.stdout.write(f"{_HEADER}: {run.log[-1]}\n")
            sys.stdout.flush()
            _save(run)
            losses.clear()


def _save(run: _Run) -> None:
    """Writes log, prior and checkpoint."""
    training = run.training
    MaskedPrior(
        copy.deepcopy(training.average),
        resolution_m=run.crops.resolution_m,
        crop_px=run.crops.crop_px,
        training={**run.made_of, "step": training.step, "curve": run.log, **run.crops.origin},
        licence=str(run.crops.origin.get("licence", "Apache-2.0")),
    ).save(run.out)
    with completed(run.out / LOG) as partial:
        partial.write_text("\n".join([*run.log, ""]))
    state = {
        "network": training.network.state_dict(),
        "average": training.average.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "step": training.step,
        "seconds": run.seconds,
        "log": run.log,
        "made_of": run.made_of,
    }
    with completed(run.out / CHECKPOINT) as partial:
        torch.save(state, partial)


def _resume(run: _Run) -> None:
    """Goes on at the checkpoint, if there is one.

    Raises:
        LandcoverError: If it is damaged, or of a training with other settings or crops.
    """
    path = run.out / CHECKPOINT
    if not path.is_file():
        return
    try:
        state = torch.load(path, weights_only=True, map_location=run.training.device)
        found = state["made_of"]
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise RunError(
            found=f"{path} is damaged: {' '.join(str(error).split())}",
            expected="the checkpoint of a training that was stopped",
            fix="delete it to start from the first step",
        ) from error
    differing = sorted(key for key in run.made_of if found.get(key) != run.made_of[key])
    if differing:
        raise SettingsError(
            found=f"{run.out} holds a training with other values of {', '.join(differing)}",
            expected="the same settings and crops, to go on with it",
            fix=f"restore them, choose another folder, or delete {path} to train anew",
        )
    training = run.training
    training.network.load_state_dict(state["network"])
    training.average.load_state_dict(state["average"])
    training.optimiser.load_state_dict(state["optimiser"])
    training.step, run.seconds, run.log = state["step"], state["seconds"], state["log"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 done, 2 a bad request, 1 a training that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crops", type=Path, help="file that `landcover cut-crops` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the prior")
    parser.add_argument("--start", type=Path, help="prior whose weights it starts from")
    parser.add_argument("--save-every", type=int, default=500, help="steps between saves")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ...")
    parser.add_argument("--threads", type=int, help="threads that torch computes with")
    parser.add_argument("--channels", type=int, nargs="+", help="feature channels per level")
    parser.add_argument("--blocks", type=int, nargs="+", help="residual blocks per level")
    for each in fields(OptimiserSettings):
        name = "--" + each.name.replace("_", "-")
        if isinstance(each.default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=each.default)
        else:
            parser.add_argument(name, type=type(each.default), default=each.default)
    told = vars(parser.parse_args(arguments))
    network = {name: told[name] for name in ("channels", "blocks") if told[name]}
    if told["threads"]:
        torch.set_num_threads(told["threads"])
    try:
        train_masked(
            told["crops"],
            told["out"],
            MaskedNetworkSettings(**network),
            OptimiserSettings(**{each.name: told[each.name] for each in fields(OptimiserSettings)}),
            start=told["start"],
            save_every=told["save_every"],
            device=told["device"],
        )
    except LandcoverError as error:
        sys.stderr.write(f"{error}\n")
        return 1 if isinstance(error, RunError) else 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
