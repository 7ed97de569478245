"""Which band of an aerial image is red, green, blue and near infrared, and how that is known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from landcover_pnp.errors import RasterError

BandName = Literal["red", "green", "blue", "nir", "alpha", "other"]
"""What a band is; ``other`` is none that is used here, such as red edge."""

ORDER: tuple[BandName, ...] = ("red", "green", "blue", "nir")
"""The documented order, and the one in which bands are used."""

NAMES = {"red": "red", "green": "green", "blue": "blue", "nir": "near infrared"}
"""The bands that are used as texts call them."""

_SPELLED: dict[BandName, tuple[str, ...]] = {
    "red": ("red", "rot", "rouge", "rojo", "rosso", "rood", "vermelho"),
    "green": ("green", "grün", "gruen", "vert", "verde", "groen"),
    "blue": ("blue", "blau", "bleu", "azul", "blu", "blauw"),
    "nir": ("nir", "ir", "infrared", "infrarot", "infrarouge", "infrarrojo", "infrarood"),
    "alpha": ("alpha", "transparency", "opacity"),
    "other": (
        *("rededge", "swir", "mwir", "lwir", "tir", "thermal", "pan", "panchromatic", "coastal"),
        *("aerosol", "cyan", "magenta", "yellow", "orange", "purple", "violet", "gray", "grey"),
        *("ndvi", "mask", "dsm", "dtm", "dem", "height", "elevation", "cirrus"),
    ),
}
_WORDS = {word: name for name, words in _SPELLED.items() for word in words}
_LETTERS: dict[str, BandName] = {"r": "red", "g": "green", "b": "blue", "n": "nir"}
_SAYING_NOTHING = frozenset(
    ["band", "bande", "banda", "channel", "kanal", "layer", "color", "colour"]
)
_JOINED = {
    r"\bnear ?infra ?red\b|\bnear ?ir\b|\binfra red\b": "nir",
    r"\b(?:red edge|far red|deep red)\b": "rededge",
    r"\b(?:short|mid|middle|thermal|far|long) ?(?:wave)? ?(?:infrared|nir|ir)\b": "swir",
}
"""Words that mean one thing together, and a word for it."""


@dataclass(frozen=True)
class Bands:
    """Bands of an image that are used.

    Attributes:
        names: ``red``, ``green``, then ``blue`` and ``nir`` where there are.
        indexes: Their numbers in the file, from 1.
        reason: How that is known.
    """

    names: tuple[BandName, ...]
    indexes: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        """Each band as it is read, in the order of the file, and how that is known."""
        pairs = sorted(zip(self.indexes, self.names, strict=True))
        listed = ", ".join(f"{index} {NAMES[name]}" for index, name in pairs)
        return f"bands read as {listed} ({self.reason})"


def shown(names: Sequence[str]) -> tuple[int, int, int]:
    """Positions of the bands that a picture shows as red, green and blue.

    Args:
        names: Bands of an image, in the order of ``Bands.names``.

    Returns:
        Those bands; of an image without blue its near infrared, red and green, as usual.
    """
    return (0, 1, 2) if "blue" in names else (2, 0, 1)


def described(text: str | None) -> BandName | None:
    """What a band is by its description.

    Args:
        text: Such as ``Red``, ``Band 4 (near-infrared)``, ``NIR_1``, ``R``. A number says nothing:
            band 4 is red of one satellite and near infrared of another.

    Returns:
        None where the text does not say it, or says more than one thing.
    """
    split = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", text or "")  # NearInfrared
    said = " ".join(re.findall(r"[^\W\d_]+|\d+", split.casefold()))
    for several, one in _JOINED.items():
        said = re.sub(several, one, said)
    words = [word for word in said.split() if word not in _SAYING_NOTHING]
    if len(words) == 1 and words[0] in _LETTERS:
        return _LETTERS[words[0]]
    found = {_WORDS[word] for word in words if word in _WORDS}
    return "other" if "other" in found else found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class BandNames:
    """What the bands of a file are, as far as something says it.

    Attributes:
        names: A name a band, None where nothing says it.
        reason: What says it.
        listed: Each band as messages show it.
    """

    names: tuple[BandName | None, ...]
    reason: str
    listed: tuple[str, ...]


def name_bands(
    path: str,
    tags: Sequence[str],
    descriptions: Sequence[str | None],
    given: Sequence[BandName] | None = None,
) -> BandNames:
    """Names the bands of a file by what the user says, else by tags and descriptions.

    Where they differ a description counts more than the tags red, green, blue of the first bands
    and alpha of another, which GDAL sets of itself where a writer said nothing.

    Args:
        path: The file as messages name it.
        tags: Colour interpretation of each band, as GDAL calls it.
        descriptions: Description of each band.
        given: ``scene.rasters.bands``.

    Returns:
        The names.

    Raises:
        RasterError: If ``given`` has another length, or tags and descriptions contradict each
            other.
    """
    listed = tuple(
        f"{i} {tag}" + (f" {text!r}" if text else "")
        for i, (tag, text) in enumerate(zip(tags, descriptions, strict=True), start=1)
    )
    if given is not None:
        if len(given) != len(tags):
            raise RasterError(
                found=f"scene.rasters.bands names {len(given)} bands, and {path} has {len(tags)}",
                expected="a name for each band of the file, in its order",
                fix="name bands that are not to be used `other`, and a mask `alpha`",
            )
        return BandNames(tuple(given), "as scene.rasters.bands says", listed)
    tagged = [_tagged(tag) for tag in tags]
    texts = [described(text) for text in descriptions]
    both = list(zip(tagged, texts, strict=True))
    of_itself = tagged[:3] == list(ORDER[:3]) and set(tagged[3:]) <= {None, "alpha"}
    differ = [i for i, (tag, text) in enumerate(both) if tag and text and text != tag != "alpha"]
    if differ and not of_itself:
        i = differ[0]
        raise RasterError(
            found=f"{path}: band {i + 1} is tagged {tags[i]} and described {descriptions[i]!r}",
            expected="an image whose tags and descriptions agree",
            fix="say what its bands are by scene.rasters.bands, in the order of the file",
        )
    if differ:
        names = tuple(text or ("alpha" if tag == "alpha" else None) for tag, text in both)
        return BandNames(names, "by their descriptions", listed)
    sources = [("as tagged", tagged), ("by their descriptions", texts)]
    reason = " and ".join(word for word, told in sources if set(told) - {None, "alpha"})
    return BandNames(tuple(text or tag for tag, text in both), reason, listed)


def _tagged(tag: str) -> BandName | None:
    if tag in ("undefined", "gray", "palette"):  # what a writer who says nothing leaves
        return None
    known: tuple[BandName, ...] = (*ORDER, "alpha")
    return next((name for name in known if name == tag), "other")


def choose_bands(path: str, told: BandNames) -> Bands:
    """Bands to use among those of a file.

    Args:
        path: The file as messages name it.
        told: From ``name_bands``.

    Returns:
        The bands. What nothing names is what the documented order says at its place, where all
        others are too; and near infrared where it is the one band besides red, green and blue.

    Raises:
        RasterError: If a band stays unknown, one name is there twice, or red, green and one of
            blue and near infrared are not all there.
    """
    places = [i for i, name in enumerate(told.names) if name != "alpha"]
    known = {i: told.names[i] for i in places}
    unknown = [i for i, name in known.items() if name is None]
    used = {i: name for i, name in known.items() if name in ORDER}
    rest = "in the documented order"
    if unknown and not set(ORDER) <= set(used.values()):
        ordered = {i: ORDER[i] for i in unknown if i < len(ORDER)}
        if len(places) == len(ORDER) and len(unknown) == 1 and "nir" not in used.values():
            ordered = {unknown[0]: "nir"}
        elif len(ordered) < len(unknown) or not all(_in_order(i, n) for i, n in known.items()):
            raise _unknown(path, told, f"nothing says what band {unknown[0] + 1} is")
        reason = f"{told.reason}, the others {rest}" if used else rest
        used |= ordered
    else:
        reason = told.reason
    twice = [name for name, times in Counter(used.values()).items() if times > 1]
    if twice:
        raise _unknown(path, told, f"{twice[0]} is there twice")
    if not {"red", "green"} <= set(used.values()) or len(used) < 3:
        missing = ", ".join(NAMES[name] for name in ORDER if name not in used.values())
        raise _unknown(path, told, f"there is no {missing}")
    pairs = [(name, i + 1) for name in ORDER for i, own in used.items() if own == name]
    names, indexes = zip(*pairs, strict=True)
    return Bands(names, indexes, reason)


def _in_order(place: int, name: BandName | None) -> bool:
    """Whether a band is where the documented order has it; others come behind blue."""
    if name == "other":
        return place >= len(ORDER) - 1
    return name is None or (place < len(ORDER) and ORDER[place] == name)


def _unknown(path: str, told: BandNames, what: str) -> RasterError:
    return RasterError(
        found=f"{path}: {what}; its bands are {', '.join(told.listed)}",
        expected="red, green and blue, and perhaps near infrared, each once; or red, green and "
        "near infrared",
        fix="say what its bands are by scene.rasters.bands, such as [nir, red, green, other]: a "
        "name for each band in the order of the file",
    )
