"""Folders as diffusers writes them: an unconditional ``UNet2DModel`` and its ``DDPMScheduler``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors
import safetensors.torch
import torch

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.prior.folder import CONFIG, WEIGHTS, Prediction
from landcover_pnp.prior.settings import NoiseSettings

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel

SCHEDULER = "scheduler_config.json"
"""A forward process as diffusers writes it."""

_PREDICTIONS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "velocity"}
_SCHEDULES: dict[str, Literal["linear", "cosine"]] = {
    "linear": "linear",
    "squaredcos_cap_v2": "cosine",
}


@dataclass(frozen=True, eq=False)
class Model:
    """What such a folder holds.

    Attributes:
        network: The U-Net, float32; it counts noise levels from 0.
        noise: Its forward process.
        prediction: What it puts out.
        crop_px: Side of its training crops, where the folder says so.
    """

    network: UNet2DModel
    noise: NoiseSettings
    prediction: Prediction
    crop_px: int | None


def read_model(folder: Path) -> Model:
    """Reads a folder, or that of a pipeline with ``unet/`` and ``scheduler/``.

    Args:
        folder: The folder; its weights must be safetensors.

    Returns:
        The model.

    Raises:
        PriorError: If a file is missing or damaged, the network is conditional or does not fit
            its weights (names the first tensor), or no forward process of this package is its.
    """
    unet, scheduler = (
        folder / part if (folder / part).is_dir() else folder for part in ("unet", "scheduler")
    )
    for path in (unet / CONFIG, unet / WEIGHTS, scheduler / SCHEDULER):
        if not path.is_file():
            raise PriorError(
                found=f"no {path}",
                expected=f"{CONFIG} and {WEIGHTS} of a UNet2DModel and {SCHEDULER} of a "
                "DDPMScheduler, in one folder or in unet/ and scheduler/",
                fix="save the model with diffusers' save_pretrained as safetensors",
            )
    config = _read_json(unet / CONFIG, "UNet2DModel")
    noise, prediction = _process(scheduler / SCHEDULER)
    for key in ("num_class_embeds", "class_embed_type"):
        if config.get(key):
            raise PriorError(
                found=f"{unet / CONFIG} has {key} {config[key]!r}: the network wants to be told "
                "a class",
                expected="an unconditional UNet2DModel",
                fix="only these can be a prior",
            )
    return Model(_network(unet, config), noise, prediction, _side(unet / CONFIG, config))


def scheduler_config(noise: NoiseSettings, prediction: Prediction) -> dict[str, Any]:
    """What diffusers' ``DDPMScheduler`` is made from, for the same forward process."""
    schedules = {ours: theirs for theirs, ours in _SCHEDULES.items()}
    predictions = {ours: theirs for theirs, ours in _PREDICTIONS.items()}
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": noise.steps,
        "beta_start": noise.beta_start,
        "beta_end": noise.beta_end,
        "beta_schedule": schedules[noise.schedule],
        "prediction_type": predictions[prediction],
        "clip_sample": False,
        "variance_type": "fixed_small",
    }


def _read_json(path: Path, kind: str) -> dict[str, Any]:
    """A JSON object that says it is of a class of diffusers."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise _damaged(path, error) from error
    name = content.get("_class_name") if isinstance(content, dict) else None
    if name != kind:
        raise PriorError(
            found=f"{path} is of {name or 'nothing that diffusers writes'}",
            expected=f"an unconditional UNet2DModel and a DDPMScheduler: here a {kind}",
            fix="only these can be a prior",
        )
    return dict(content)


def _process(path: Path) -> tuple[NoiseSettings, Prediction]:
    """Forward process and prediction that a scheduler's file tells."""
    told = _read_json(path, "DDPMScheduler")
    schedule, prediction = told.get("beta_schedule"), told.get("prediction_type", "epsilon")
    changed = [key for key in ("trained_betas", "rescale_betas_zero_snr") if told.get(key)]
    if schedule not in _SCHEDULES or prediction not in _PREDICTIONS or changed:
        raise PriorError(
            found=f"{path}: beta_schedule {schedule!r}, prediction {prediction!r}"
            + "".join(f", {key}" for key in changed),
            expected=f"{' or '.join(_SCHEDULES)}, {' or '.join(_PREDICTIONS)}, betas unchanged",
            fix="only such forward processes can be used",
        )
    try:
        noise = NoiseSettings(
            int(told["num_train_timesteps"]),
            float(told["beta_start"]),
            float(told["beta_end"]),
            _SCHEDULES[schedule],
        )
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise _damaged(path, error) from error
    return noise, _PREDICTIONS[prediction]


def _network(folder: Path, config: dict[str, Any]) -> UNet2DModel:
    """The network with its weights."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    try:
        with torch.device("meta"):
            network: UNet2DModel = UNet2DModel.from_config(config)
    except Exception as error:  # diffusers raises whatever a wrong value leads to
        raise _damaged(folder / CONFIG, error) from error
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise _damaged(folder / WEIGHTS, error) from error
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            raise PriorError(
                found=f"{folder / WEIGHTS}: "
                + (f"tensor {key} of shape {found[key]}" if key in found else f"no tensor {key}"),
                expected=(f"shape {wanted[key]}" if key in wanted else "no such tensor")
                + f", as {CONFIG} says",
                fix="copy or fetch the whole folder again",
            )
    network.load_state_dict({k: v.float() for k, v in weights.items()}, assign=True)
    return network


def _side(path: Path, config: dict[str, Any]) -> int | None:
    """Side of the training crops; diffusers writes one number, or height and width."""
    size = config.get("sample_size")
    sides = set(size) if isinstance(size, list) else {size}
    if len(sides) != 1 or not all(s is None or (isinstance(s, int) and s > 0) for s in sides):
        raise PriorError(
            found=f"{path} has the sample_size {size}",
            expected="square crops: one number, or twice the same",
            fix="only networks of square crops can be a prior",
        )
    return sides.pop()


def _damaged(path: Path, error: Exception) -> PriorError:
    return PriorError(
        found=f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}",
        expected="JSON and safetensors as diffusers writes them",
        fix="copy or fetch the whole folder again",
    )
