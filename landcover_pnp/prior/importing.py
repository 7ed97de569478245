"""Priors from elsewhere, and priors for elsewhere."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING
from landcover_pnp.prior.conversion_settings import ExportPriorSettings, ImportPriorSettings
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.diffusers_folder import SCHEDULER, read_model, scheduler_config
from landcover_pnp.prior.folder import CARD, KIND, Prediction, kind_of
from landcover_pnp.prior.guided_diffusion import convert
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.owned_folder import make_owned

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel


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
        PriorError: If the prior cannot be read, or is a masked or a conditional one.
    """
    if settings.prior is not None and kind_of(settings.prior) == "masked":
        raise PriorError(
            found=f"{settings.prior} is a masked prior: its network is none of diffusers'",
            expected="a Gaussian prior, which is a UNet2DModel with a DDPMScheduler",
            fix="copy the folder as it is; MaskedPrior.load opens it, and its weights are "
            "safetensors of landcover_pnp.prior.masked_network.MaskedUNet",
        )
    prior = Prior.load(settings.prior)
    if prior.condition is not None:
        raise PriorError(
            found=f"{settings.prior} is a prior with the condition {prior.condition.kind}",
            expected="an unconditional prior: pipelines of diffusers tell a UNet2DModel nothing",
            fix="copy the folder as it is; Prior.load opens it, and its weights are safetensors",
        )
    prior.save(settings.out, torch.float32)
    make_owned(settings.out, KIND, SCHEDULER)
    scheduler = scheduler_config(prior.schedule.settings, prior.prediction)
    write_text(settings.out / SCHEDULER, json.dumps(scheduler, indent=2) + "\n")
    return _summary(settings.out, prior)


def _from_pth(path: Path, settings: ImportPriorSettings) -> Prior:
    """A guided-diffusion checkpoint."""
    network = convert(
        _read_pth(path), settings.num_heads, settings.crop_px, settings.num_head_channels
    )
    return _prior(network, NoiseSchedule(settings.noise), settings.prediction, 0, path, settings)


def _read_pth(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint; nothing in it is executed."""
    if not path.is_file():
        raise PriorError(
            found=f"no file or folder {path}",
            expected="a .pth checkpoint of a guided-diffusion U-Net, or a folder of diffusers",
            fix="correct the path",
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PriorError(
            found=f"{path} holds more than tensors, or is damaged: {_without_advice(error)}",
            expected="a state dict: names and tensors only",
            fix="nothing in it was executed; fetch it again, or save the state dict alone "
            "with torch.save(model.state_dict(), ...) where you trust the file",
        ) from error
    except Exception as error:  # damaged bytes make torch raise almost anything
        raise PriorError(
            found=f"{path} is truncated or no checkpoint: {_first_line(error)}",
            expected="a checkpoint that torch.save wrote",
            fix="fetch it again",
        ) from error
    if not isinstance(weights, Mapping) or not all(map(_is_weight, weights.values())):
        raise PriorError(
            found=f"{path} holds {type(weights).__name__}, not names and tensors of real numbers",
            expected="the state dict of a guided-diffusion U-Net",
            fix="save model.state_dict() alone",
        )
    return weights


def _is_weight(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.layout == torch.strided


def _from_diffusers(folder: Path, settings: ImportPriorSettings) -> Prior:
    """A folder of ``UNet2DModel`` and ``DDPMScheduler``, or of a pipeline with both."""
    if (folder / CARD).is_file():
        raise PriorError(
            found=f"{folder} is a prior already: it has {CARD}",
            expected="a folder of diffusers without it",
            fix="use the folder as it is",
        )
    model = read_model(folder)
    told = settings if model.crop_px is None else replace(settings, crop_px=model.crop_px)
    # diffusers counts noise levels from 0.
    return _prior(model.network, NoiseSchedule(model.noise), model.prediction, -1, folder, told)


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
            fix="correct classes",
        )
    if sides != (len(order), len(order)):
        raise PriorError(
            found=f"{source} has {sides[0]} channels in and {sides[1]} out",
            expected=f"{len(order)} both ways: no data, {', '.join(WORKING.names)}",
            fix="only a network over these classes can be a prior of this legend",
        )
    weights = network.state_dict()
    for name, value in weights.items():
        if not value.isfinite().all():
            raise PriorError(
                found=f"{source}: tensor {name} has values that are not finite",
                expected="the weights of a training that went well",
                fix="take an earlier checkpoint",
            )
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


def _without_advice(error: pickle.UnpicklingError) -> str:
    """What torch says is wrong, without its advice to open the file in spite of that."""
    said = re.search(r"(Trying to load|Unsupported|Can only) [^\n]*", str(error))
    return said[0] if said else "torch does not open it"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
