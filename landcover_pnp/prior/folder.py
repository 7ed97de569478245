"""The folder of a prior: its files, and what is checked before one is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import WORKING

WEIGHTS, CONFIG, CARD = "diffusion_pytorch_model.safetensors", "config.json", "prior.json"
"""The files of a prior: weights and architecture as diffusers names them, and the rest."""

FILES = (WEIGHTS, CONFIG, CARD)
"""All of them."""

KIND = "prior"
"""What the marker of a prior's folder says."""

Prediction = Literal["epsilon", "velocity"]
"""What a network puts out: the noise (Ho et al. 2020) or v (Salimans & Ho 2022)."""


class PriorFiles(NamedTuple):
    """What a folder holds.

    Attributes:
        card: How the network is to be used, and how it was trained.
        config: Architecture, as diffusers' ``UNet2DModel`` takes it.
        weights: Safetensors, of the checksum that the card names.
    """

    card: dict[str, Any]
    config: dict[str, Any]
    weights: bytes


def read_folder(folder: Path) -> PriorFiles:
    """Reads a folder; nothing in it is executed.

    Args:
        folder: Folder that ``Prior.save`` wrote.

    Returns:
        Its three files.

    Raises:
        PriorError: If a file is missing or damaged, if the folder holds another kind of
            checkpoint, or if legend, channels or prediction are not this package's.
    """
    _require_files(folder)
    card, config = _read_json(folder / CARD), _read_json(folder / CONFIG)
    weights = (folder / WEIGHTS).read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != card.get("sha256"):
        raise PriorError(
            found=f"{folder / WEIGHTS} is damaged: {len(weights)} bytes, sha256 {found}",
            expected=f"sha256 {card.get('sha256')}, as {CARD} says",
            fix="copy or fetch the whole folder again",
        )
    _require_fit(folder, card, config)
    return PriorFiles(card, config, weights)


def _require_files(folder: Path) -> None:
    """Refuses a path that is not a folder with the three files of a prior."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*"))
    missing = [name for name in (CONFIG, CARD, WEIGHTS) if not (folder / name).is_file()]
    if not missing:
        return
    pickles = [f.name for f in files if f.suffix in (".ckpt", ".pth", ".pt", ".bin", ".pkl")]
    if pickles:
        raise PriorError(
            found=f"{folder} is no safetensors model: {', '.join(pickles)}",
            expected=f"a folder with {CONFIG}, {CARD} and {WEIGHTS}",
            fix="such files can run code when they are opened and are never opened here; "
            "use a prior that `landcover train-prior` wrote",
        )
    raise PriorError(
        found=f"{folder} has no {', '.join(missing)}" if files else f"no prior in {folder}",
        expected=f"a folder with {CONFIG}, {CARD} and {WEIGHTS}",
        fix="name the folder that `landcover train-prior` wrote, or none for the shipped one",
    )


def _read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise PriorError(
            found=f"{path} is damaged: {error}",
            expected="JSON as `landcover train-prior` writes it",
            fix="copy or fetch the whole folder again",
        ) from error
    return content if isinstance(content, dict) else {}


def _require_fit(folder: Path, card: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuses a prior of another legend, number of channels or kind of output."""
    classes = ["no data", *WORKING.names]
    legend = card.get("legend")
    if legend != {"name": WORKING.name, "classes": classes}:
        raise PriorError(
            found=f"{folder} is a prior of the legend {legend}",
            expected=f"the legend {WORKING.name!r}: {classes}",
            fix="train a prior for this legend with `landcover train-prior`",
        )
    sides = (config.get("in_channels"), config.get("out_channels"))
    if sides != (len(classes), len(classes)):
        raise PriorError(
            found=f"{folder / CONFIG} has {sides[0]} channels in and {sides[1]} out",
            expected=f"{len(classes)} both ways: {', '.join(classes)}",
            fix="train a prior for this legend with `landcover train-prior`",
        )
    if card.get("prediction") not in get_args(Prediction):
        raise PriorError(
            found=f"{folder / CARD}: the network predicts {card.get('prediction')!r}",
            expected=" or ".join(map(repr, get_args(Prediction))),
            fix="use a prior that `landcover train-prior` wrote",
        )
