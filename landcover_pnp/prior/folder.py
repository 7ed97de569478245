"""The folder of a prior: its files, and what is checked before one is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from landcover_pnp.errors import PriorError
from landcover_pnp.legend import WORKING, Legend
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.owned_folder import make_owned

WEIGHTS, CONFIG, CARD = "diffusion_pytorch_model.safetensors", "config.json", "prior.json"
"""The files of a prior: weights and architecture as diffusers names them, and the rest."""

FILES = (WEIGHTS, CONFIG, CARD)
"""All of them."""

KIND = "prior"
"""What the marker of a prior's folder says."""

Prediction = Literal["epsilon", "velocity", "residual"]
"""What a network puts out: the noise (Ho et al. 2020), v (Salimans & Ho 2022), or what the clean
map has beside the coarse one that is told."""

PriorKind = Literal["gaussian", "masked"]
"""How a prior corrupts a map: by Gaussian noise on its channels (Ho et al. 2020), or by hiding
pixels (absorbing-state diffusion, Austin et al. 2021). A card without ``kind`` is Gaussian."""

_SHIPPED: dict[PriorKind, str] = {"gaussian": "shipped", "masked": "shipped_masked"}


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


@contextmanager
def shipped(kind: PriorKind) -> Iterator[Path]:
    """The folder of the prior of a kind that is part of the package.

    Raises:
        PriorError: If this package has none of that kind.
    """
    found = resources.files("landcover_pnp.prior").joinpath(_SHIPPED[kind])
    if not found.joinpath(CARD).is_file():
        raise PriorError(
            found=f"no {kind} prior in this installation of landcover_pnp",
            expected=f"one that is shipped, or the folder of a {kind} prior",
            fix="train one with `landcover train-prior` and name its folder as the prior",
        )
    with resources.as_file(found) as path:
        yield path


def kind_of(folder: Path) -> PriorKind:
    """The kind of the prior in a folder, by its card.

    Raises:
        PriorError: If the folder is no prior's, or its card damaged or of a kind not known.
    """
    _require_files(folder)
    return _kind(folder, _read_json(folder / CARD))


def require_serves(own: Legend, legend: ResultLegend) -> None:
    """Refuses a legend of the map that does not follow from the classes of a prior.

    Args:
        own: The prior's classes.
        legend: Legend of the map.

    Raises:
        PriorError: Names the classes of both.
    """
    if legend.follows_from(own):
        return
    raise PriorError(
        found=f"a prior of the legend {own.name!r}: {', '.join(own.names)}",
        expected=f"one that serves the legend {legend.name!r}, each class of which holds some of "
        "the prior's, or buildings",
        fix="take an engine without a prior, such as evidence, or a prior of the working classes",
    )


def read_folder(folder: Path, kind: PriorKind) -> PriorFiles:
    """Reads a folder; nothing in it is executed.

    Args:
        folder: Folder that ``save`` of a prior wrote.
        kind: The kind that is wanted.

    Returns:
        Its three files.

    Raises:
        PriorError: If a file is missing or damaged, if the folder holds another kind of
            checkpoint or of prior, or if legend, channels or prediction are not this package's.
    """
    _require_files(folder)
    card, config = _read_json(folder / CARD), _read_json(folder / CONFIG)
    if (there := _kind(folder, card)) != kind:
        raise PriorError(
            found=f"{folder} is a {there} prior",
            expected=f"a {kind} one",
            fix=f"name the folder of a {kind} prior; landcover_pnp.load_prior opens either kind",
        )
    weights = (folder / WEIGHTS).read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != card.get("sha256"):
        raise PriorError(
            found=f"{folder / WEIGHTS} is damaged: {len(weights)} bytes, sha256 {found}",
            expected=f"sha256 {card.get('sha256')}, as {CARD} says",
            fix="copy or fetch the whole folder again",
        )
    _require_legend(folder, card)
    if kind == "gaussian":
        _require_fit(folder, card, config)
    return PriorFiles(card, config, weights)


def write_folder(folder: Path, card: Mapping[str, Any], config: str, weights: bytes) -> None:
    """Writes the files of a prior; ``prior.json`` comes last and makes the rest valid.

    Args:
        folder: Made where it does not exist; an older prior in it is replaced.
        card: All of ``prior.json`` but the checksum of the weights.
        config: ``config.json``.
        weights: Safetensors.

    Raises:
        RequestError: If the folder holds something else than a prior.
    """
    make_owned(folder, KIND, *FILES, signs=FILES)
    told = {**card, "sha256": hashlib.sha256(weights).hexdigest()}
    for name, content in (
        (WEIGHTS, weights),
        (CONFIG, config.encode()),
        (CARD, (json.dumps(told, indent=2) + "\n").encode()),
    ):
        with completed(folder / name) as partial:
            partial.write_bytes(content)


def legend_facts() -> dict[str, Any]:
    """What a card says of the legend."""
    return {"name": WORKING.name, "classes": ["no data", *WORKING.names]}


def _kind(folder: Path, card: Mapping[str, Any]) -> PriorKind:
    """The kind that a card tells."""
    told = card.get("kind", "gaussian")
    for kind in get_args(PriorKind):
        if told == kind:
            known: PriorKind = kind
            return known
    raise PriorError(
        found=f"{folder / CARD} is of a prior of the kind {told!r}",
        expected="one of " + ", ".join(get_args(PriorKind)),
        fix="use a prior that `landcover train-prior` wrote, or a newer version of this package",
    )


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


def _require_legend(folder: Path, card: Mapping[str, Any]) -> None:
    """Refuses a prior of another legend."""
    legend = card.get("legend")
    if legend != legend_facts():
        raise PriorError(
            found=f"{folder} is a prior of the legend {legend}",
            expected=f"the legend {WORKING.name!r}: {legend_facts()['classes']}",
            fix="train a prior for this legend with `landcover train-prior`",
        )


def _require_fit(folder: Path, card: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuses a Gaussian prior of another number of channels, condition or kind of output."""
    # Other folders are told apart without waiting for torch.
    from landcover_pnp.prior.condition import condition_in
    from landcover_pnp.prior.noise import NoiseSchedule

    classes, condition = legend_facts()["classes"], condition_in(card, NoiseSchedule())
    sides = (config.get("in_channels"), config.get("out_channels"))
    wanted = (len(classes) + (condition.channels if condition else 0), len(classes))
    if sides != wanted:
        both = "{} in and {} out".format(*wanted) if condition else f"{len(classes)} both ways"
        raise PriorError(
            found=f"{folder / CONFIG} has {sides[0]} channels in and {sides[1]} out",
            expected=f"{both}: {', '.join(classes)}",
            fix="train a prior for this legend with `landcover train-prior`",
        )
    embedding = config.get("class_embed_type")
    if embedding != (condition.embedding if condition else None):
        raise PriorError(
            found=f"{folder / CONFIG} has class_embed_type {embedding!r}, while {CARD} has the "
            f"condition {condition.kind if condition else None}",
            expected="both of one prior",
            fix="copy the whole folder again",
        )
    if card.get("prediction") not in get_args(Prediction):
        raise PriorError(
            found=f"{folder / CARD}: the network predicts {card.get('prediction')!r}",
            expected=" or ".join(map(repr, get_args(Prediction))),
            fix="use a prior that `landcover train-prior` wrote",
        )
    if (card["prediction"] == "residual") != (embedding == "timestep"):
        raise PriorError(
            found=f"{folder / CARD}: the network predicts {card['prediction']!r} and has the "
            f"condition {condition.kind if condition else None}",
            expected="the residual of a network that is told coarse maps, and of no other",
            fix="train it again with this version's `landcover train-prior`",
        )
