"""Legends: class codes, names and colours, and the remaps between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import LegendError, nearest

NO_DATA = 0
"""Code of no data in every legend (y, x uint8)."""


@dataclass(frozen=True)
class LandClass:
    """One class of a legend.

    Attributes:
        code: Pixel value, 1 to 255 (0 is no data in every legend).
        name: Name as a map reader sees it.
        colour: Red, green, blue, each 0 to 255.
    """

    code: int
    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Legend:
    """Codes, names and colours of the values in a label raster.

    Attributes:
        name: Short identifier, used in configurations.
        classes: The classes in the order of their codes; no data (0) is not among them.
    """

    name: str
    classes: tuple[LandClass, ...]

    @property
    def codes(self) -> tuple[int, ...]:
        """Class codes in order, without no data."""
        return tuple(c.code for c in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of the codes."""
        return tuple(c.name for c in self.classes)

    def index(self, name: str) -> int:
        """Position of a class on the class axis, from 0.

        Raises:
            LegendError: If there is none of this name; names the nearest.
        """
        if name not in self.names:
            raise LegendError(
                found=f"no class {name!r} in the legend {self.name!r}",
                expected="one of " + ", ".join(self.names),
                fix=nearest(name, self.names),
            )
        return self.names.index(name)

    def code(self, name: str) -> int:
        """Pixel value of a class.

        Raises:
            LegendError: If there is none of this name; names the nearest.
        """
        return self.codes[self.index(name)]

    @property
    def colormap(self) -> dict[int, tuple[int, int, int, int]]:
        """RGBA by code for GDAL colour tables; no data is transparent."""
        table = {c.code: (*c.colour, 255) for c in self.classes}
        return {NO_DATA: (0, 0, 0, 0), **table}

    def numbers(self, codes: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Numbers of the classes from 1 in the order of their codes; 0 what is none of them.

        Args:
            codes: (...) uint8 pixel values.
        """
        table = np.zeros(256, np.uint8)
        table[list(self.codes)] = np.arange(1, len(self.codes) + 1)
        return np.asarray(table[codes])

    def coded(self, numbers: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Codes of ``numbers``, which it turns back; 0 stays 0."""
        return np.asarray(np.array([NO_DATA, *self.codes], np.uint8)[numbers])

    def require_known(self, counts: Mapping[int, int], where: str) -> None:
        """Refuses codes this legend does not have.

        Args:
            counts: Pixel count by value, see ``count_values``.
            where: File or layer named in the message.

        Raises:
            LegendError: If a value is neither 0 nor a class code; lists them with their counts.
        """
        unknown = {v: n for v, n in counts.items() if v not in (NO_DATA, *self.codes)}
        if unknown:
            raise LegendError(
                found=f"unknown class codes in {where}: {listed_counts(unknown)}",
                expected=f"codes of the legend {self.name!r}: 0, "
                + ", ".join(map(str, self.codes)),
                fix="name the legend the file really has, or remap its codes before use; "
                "declare one that means no data, for example with gdal_edit.py -a_nodata 250",
            )


def require_labels(counts: Mapping[int, int], where: str) -> None:
    """Refuses truth in which nothing is labelled.

    Args:
        counts: Pixel count by value, see ``count_values``.
        where: File or layer named in the message.

    Raises:
        LegendError: If every pixel is no data.
    """
    if not any(count for value, count in counts.items() if value != NO_DATA):
        raise LegendError(
            found=f"{where} has no labelled pixel: all {sum(counts.values())} are no data",
            expected="truth with at least one pixel of a class",
            fix="name the labels of this ground, or map without truth; a value that is wrongly "
            "declared as no data is taken back by gdal_edit.py -unsetnodata",
        )


def listed_counts(counts: Mapping[int, int], most: int = 20) -> str:
    """Values and their pixel counts as a message shows them.

    Args:
        counts: Pixel count by value.
        most: How many values are shown, the most frequent ones.

    Returns:
        The values in their order; how many are left out, where they are more.
    """
    frequent = Counter(counts).most_common(most)
    text = ", ".join(f"{value} ({count} px)" for value, count in sorted(frequent))
    return text + (f" and {len(counts) - most} other values" if len(counts) > most else "")


def count_values(labels: NDArray[np.integer]) -> Counter[int]:
    """Pixel count by value."""
    values, counts = np.unique(labels, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


WORKING = Legend(
    "working",
    (
        LandClass(1, "water", (0, 197, 255)),
        LandClass(2, "impervious", (156, 156, 156)),
        LandClass(3, "soil and barren", (255, 170, 0)),
        LandClass(4, "trees and forest", (38, 115, 0)),
        LandClass(5, "grass and herbaceous", (163, 255, 115)),
    ),
)
"""The five classes of the map, the prior and the evaluation."""

CLASS_COUNT = len(WORKING.classes)
"""Number of map classes; the prior has one channel more, channel 0 for no data."""

ENVIROATLAS = Legend(
    "enviroatlas",
    (
        LandClass(10, "water", (0, 197, 255)),
        LandClass(20, "impervious", (156, 156, 156)),
        LandClass(30, "soil and barren", (255, 170, 0)),
        LandClass(40, "trees and forest", (38, 115, 0)),
        LandClass(52, "shrubs", (204, 184, 121)),
        LandClass(70, "grass and herbaceous", (163, 255, 115)),
        LandClass(80, "agriculture", (220, 217, 57)),
        LandClass(82, "orchards", (171, 108, 40)),
        LandClass(91, "woody wetlands", (184, 217, 235)),
        LandClass(92, "emergent wetlands", (108, 159, 184)),
    ),
)
"""US EPA EnviroAtlas one-metre land cover of communities; with 0 unclassified, 11 values."""

LEGENDS: dict[str, Legend] = {x.name: x for x in (WORKING, ENVIROATLAS)}
"""The legends of truth that a configuration can name; for those of coarse maps see
``coarse_legend``."""

_TO_WORKING: dict[str, dict[int, int]] = {
    "working": {code: code for code in WORKING.codes},
    "enviroatlas": {10: 1, 20: 2, 30: 3, 40: 4, 52: 4, 70: 5, 80: 5, 82: 5, 91: 4, 92: 4},
}


def to_working(
    labels: NDArray[np.integer], legend: Legend, where: str = "labels"
) -> NDArray[np.uint8]:
    """Translates truth labels to the five working classes.

    Shrubs and wetlands (52, 91, 92) count as trees, agriculture and orchards (80, 82) as
    grass, as in Graikos et al. 2022, section 4. The released program's table stops at 91 and
    fails on 92.

    Args:
        labels: (y, x) integers in the codes of ``legend``, 0 = no data.
        legend: ``WORKING`` or ``ENVIROATLAS``.
        where: File or layer named in messages.

    Returns:
        (y, x) uint8 in 0..5, 0 = no data.

    Raises:
        LegendError: On a code that the legend does not have, or a legend without a remap.
    """
    if legend.name not in _TO_WORKING:
        raise LegendError(
            found=f"{where} has the legend {legend.name!r}",
            expected="a legend that maps to the working classes: " + ", ".join(_TO_WORKING),
            fix="set the legend of the truth layer to one of these",
        )
    return remap(labels, legend, _TO_WORKING[legend.name], where)


def recoded(codes: NDArray[np.integer], table: Mapping[int, int]) -> NDArray[np.uint8]:
    """Codes (...) uint8 replaced by a table; what stands not in it becomes 0."""
    lookup = np.zeros(256, np.uint8)
    lookup[list(table)] = list(table.values())
    return np.asarray(lookup[codes])


def remap(
    labels: NDArray[np.integer], legend: Legend, table: Mapping[int, int], where: str
) -> NDArray[np.uint8]:
    """Replaces codes by a table; 0 stays 0.

    Args:
        labels: (y, x) integers in the codes of ``legend``.
        legend: The legend the labels must fit.
        table: New value (0..255) for each code of the legend.
        where: File or layer named in messages.

    Returns:
        (y, x) uint8.

    Raises:
        LegendError: On a code that the legend does not have.
    """
    legend.require_known(count_values(labels), where)
    return recoded(labels, table)
