"""Priors from elsewhere, and priors for elsewhere."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.geotiff import completed
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING
from landcover_pnp.prior.denoiser import CARD, CONFIG, WEIGHTS, Prediction, Prior
from landcover_pnp.prior.guided_diffusion import convert
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.settings import ExportPriorSettings, ImportPriorSettings, NoiseSettings

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel

SCHEDULER = "scheduler_config.json"
"""A forward process as diffusers writes it."""

_PREDICTIONS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "velocity"}
_SCHEDULES: dict[str, Literal["linear", "cosine"]] = {
    "linear": "linear",
    "squaredcos_cap_v2": "cosine",
}


@dataclass(frozen=True)
class ImportPriorSummary:
    """What was imported or exported.

    Attributes:
        out: Folder that was written.
        fingerprint: Fingerprint of the prior.
        parameters: Number of weights.
        channels: Feature channels a level, joined by hyphens.
    """

    out: Path
    fingerprint: str
    parameters: int
    channels: str


def import_prior(source: Path, settings: ImportPriorSettings) -> ImportPriorSummary:
    """Converts a foreign diffusion model over label maps into the package's format.

    Args:
        source: Checkpoint (``.pth``) of an OpenAI guided-diffusion U-Net, opened without running
            any code in it; or a folder of diffusers with an unconditional ``UNet2DModel`` and a
            ``DDPMScheduler``.
        settings: Folder to write, and what the source cannot tell.

    Returns:
        What was imported.

    Raises:
        PriorError: If the source is missing, damaged, could run code, or is no such network.
        SettingsError: If the settings do not fit the network.
    """
    prior = _from_diffusers(source, settings) if source.is_dir() else _from_pth(source, settings)
    prior.save(settings.out, torch.float32)
    return _summary(settings.out, prior)


def export_prior(settings: ExportPriorSettings) -> ImportPriorSummary:
    """Writes a prior for diffusers: ``UNet2DModel`` and ``DDPMScheduler`` open the folder.

    Args:
        settings: Prior and folder.

    Returns:
        What was exported.

    Raises:
        PriorError: If the prior cannot be read.
    """
    prior = Prior.load(settings.prior)
    noise = prior.schedule.settings
    names = {v: k for k, v in _SCHEDULES.items()}
    scheduler = {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": noise.steps,
        "beta_start": noise.beta_start,
        "beta_end": noise.beta_end,
        "beta_schedule": names[noise.schedule],
        "prediction_type": {v: k for k, v in _PREDICTIONS.items()}[prior.prediction],
        "clip_sample": False,
        "variance_type": "fixed_small",
    }
    prior.save(settings.out, torch.float32)
    with completed(settings.out / SCHEDULER) as partial:
        partial.write_text(json.dumps(scheduler, indent=2) + "\n")
    return _summary(settings.out, prior)


def _from_pth(path: Path, settings: ImportPriorSettings) -> Prior:
    """A guided-diffusion checkpoint."""
    network = convert(_read_pth(path), settings.num_heads, settings.crop_px)
    return _prior(network, NoiseSchedule(settings.noise), settings.prediction, 0, path, settings)


def _read_pth(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint; nothing in it is executed."""
    if not path.is_file():
        raise PriorError(
            found=f"no file or folder {path}",
            expected="a .pth checkpoint of a guided-diffusion U-Net, or a folder of diffusers",
            way_out="correct the path",
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PriorError(
            found=f"{path} holds more than tensors, or is damaged: {_first_line(error)}",
            expected="a state dict: names and tensors only",
            way_out="nothing in it was executed; fetch it again, or save the state dict alone "
            "with torch.save(model.state_dict(), ...) where you trust the file",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise PriorError(
            found=f"{path} is truncated or no checkpoint: {_first_line(error)}",
            expected="a checkpoint that torch.save wrote",
            way_out="fetch it again",
        ) from error
    if not isinstance(weights, Mapping) or not all(
        isinstance(value, Tensor) for value in weights.values()
    ):
        raise PriorError(
            found=f"{path} holds {type(weights).__name__}, not names and tensors",
            expected="the state dict of a guided-diffusion U-Net",
            way_out="save model.state_dict() alone",
        )
    return weights


def _from_diffusers(folder: Path, settings: ImportPriorSettings) -> Prior:
    """A folder of ``UNet2DModel`` and ``DDPMScheduler``, or of a pipeline with both."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    if (folder / CARD).is_file():
        raise PriorError(
            found=f"{folder} is a prior already: it has {CARD}",
            expected="a folder of diffusers without it",
            way_out="use the folder as it is",
        )
    unet = folder / "unet" if (folder / "unet").is_dir() else folder
    scheduler = folder / "scheduler" if (folder / "scheduler").is_dir() else folder
    for path in (unet / CONFIG, unet / WEIGHTS, scheduler / SCHEDULER):
        if not path.is_file():
            raise PriorError(
                found=f"no {path}",
                expected=f"{CONFIG} and {WEIGHTS} of a UNet2DModel and {SCHEDULER} of a "
                "DDPMScheduler, in one folder or in unet/ and scheduler/",
                way_out="save the model with diffusers' save_pretrained as safetensors",
            )
    try:
        config, noise = (json.loads(p.read_bytes()) for p in (unet / CONFIG, scheduler / SCHEDULER))
        weights = safetensors.torch.load_file(unet / WEIGHTS)
    except (ValueError, safetensors.SafetensorError) as error:
        raise PriorError(
            found=f"{folder} is damaged: {_first_line(error)}",
            expected="JSON and safetensors as diffusers writes them",
            way_out="copy or fetch the whole folder again",
        ) from error
    kinds = (config.get("_class_name"), noise.get("_class_name"))
    if kinds != ("UNet2DModel", "DDPMScheduler") or config.get("num_class_embeds"):
        raise PriorError(
            found=f"{folder} holds {kinds[0]} and {kinds[1]}",
            expected="an unconditional UNet2DModel and a DDPMScheduler",
            way_out="only these can be a prior",
        )
    schedule, prediction = noise.get("beta_schedule"), noise.get("prediction_type", "epsilon")
    if schedule not in _SCHEDULES or prediction not in _PREDICTIONS or noise.get("trained_betas"):
        raise PriorError(
            found=f"{scheduler / SCHEDULER}: beta_schedule {schedule!r}, prediction {prediction!r}",
            expected=f"{' or '.join(_SCHEDULES)}, and {' or '.join(_PREDICTIONS)}",
            way_out="only such forward processes can be used",
        )
    with torch.device("meta"):
        network: UNet2DModel = UNet2DModel.from_config(config)
    for key, wanted in network.state_dict().items():
        found = tuple(weights[key].shape) if key in weights else None
        if found != tuple(wanted.shape):
            raise PriorError(
                found=f"{unet / WEIGHTS}: tensor {key} of shape {found}",
                expected=f"shape {tuple(wanted.shape)}, as {CONFIG} says",
                way_out="copy or fetch the whole folder again",
            )
    network.load_state_dict({k: v.float() for k, v in weights.items()}, assign=True)
    process = NoiseSettings(
        noise["num_train_timesteps"], noise["beta_start"], noise["beta_end"], _SCHEDULES[schedule]
    )
    crop_px = config.get("sample_size") or settings.crop_px
    told = ImportPriorSettings(
        settings.out, crop_px=crop_px, **{k: getattr(settings, k) for k in _UNTOLD}
    )
    # diffusers counts noise levels from 0.
    return _prior(network, NoiseSchedule(process), _PREDICTIONS[prediction], -1, folder, told)


_UNTOLD = ("resolution_m", "classes", "licence")


def _prior(
    network: UNet2DModel,
    schedule: NoiseSchedule,
    prediction: Prediction,
    time_offset: int,
    source: Path,
    settings: ImportPriorSettings,
) -> Prior:
    """The prior of a network, its channels brought into the order of the working legend."""
    order = [settings.classes.index(c) for c in (NO_DATA, *WORKING.codes) if c in settings.classes]
    sides = (network.config["in_channels"], network.config["out_channels"])
    if len(order) != CLASS_COUNT + 1 or len(settings.classes) != len(order):
        raise SettingsError(
            found=f"classes {settings.classes}",
            expected=f"each of 0 (no data) to {CLASS_COUNT} once, in the order of the channels",
            way_out="correct classes",
        )
    if sides != (len(order), len(order)):
        raise PriorError(
            found=f"{source} has {sides[0]} channels in and {sides[1]} out",
            expected=f"{len(order)} both ways: no data, {', '.join(WORKING.names)}",
            way_out="only a network over these classes can be a prior of this legend",
        )
    weights = network.state_dict()
    weights["conv_in.weight"] = weights["conv_in.weight"][:, order].contiguous()
    for name in ("conv_out.weight", "conv_out.bias"):
        weights[name] = weights[name][order].contiguous()
    network.load_state_dict(weights, assign=True)
    return Prior(
        network,
        schedule,
        settings.resolution_m,
        settings.crop_px,
        prediction,
        time_offset=time_offset,
        licence=settings.licence,
        training={"imported_from": source.name},
    )


def _summary(out: Path, prior: Prior) -> ImportPriorSummary:
    parameters = sum(p.numel() for p in prior.network.parameters())
    channels = "-".join(map(str, prior.network.config["block_out_channels"]))
    return ImportPriorSummary(out, prior.fingerprint, parameters, channels)


def _first_line(error: Exception) -> Any:
    return (str(error).splitlines() or [type(error).__name__])[0]
