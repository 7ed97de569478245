"""Legends of coarse land-cover maps as data: codes, names, colours and p(class | code)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config import require_positive, require_within
from landcover_pnp.errors import SettingsError, nearest
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING, LandClass, Legend
from landcover_pnp.legends.checks import read_legend, require_colour, require_once

CoarseName = Literal["nlcd", "worldcover", "esri", "dynamic_world", "corine", "ccap"]
"""Names of the legends that come with the package."""

COARSE_NAMES: tuple[CoarseName, ...] = get_args(CoarseName)
"""The same, to be listed."""

SHIPPED = Path(__file__).parent
"""Folder of their files, ``<name>.yaml``."""

Role = Literal[
    "water", "wetland", "developed", "barren", "forest", "shrub", "grass", "cultivated", "none"
]
"""What kind of ground a class is, whatever its legend; ``none`` has no counterpart in the working
classes (ice, clouds) and says nothing."""

WET: tuple[Role, ...] = ("water", "wetland")
"""Roles of ground on which water is expected."""

MOST_CLASSES = 255
"""Most classes of a legend: their numbers, from 1, are stored as uint8."""

LARGEST_CODE = 65535
"""Largest code: rasters of classes have up to 16 bits."""

CoarseValues = Literal["codes", "indices"]
"""How a raster stores its classes, in the words of ``scene.rasters.coarse_values``."""

_KERNEL = 3.3
"""Width of a blur's kernel, in its standard deviations."""

_EXACT = 1e-6
"""By how much a sum of shares may differ from 1, for shares with six decimals."""


class Blur(NamedTuple):
    """A Gaussian blur.

    Attributes:
        sigma_m: Its standard deviation, metres.
        kernel_m: Width of its kernel, metres.
    """

    sigma_m: float
    kernel_m: float


@dataclass(frozen=True)
class CoarseClass:
    """A class of a coarse legend.

    Attributes:
        code: Pixel value, 0 to 65535.
        name: Name as a map reader sees it.
        colour: Red, green, blue, each 0 to 255.
        role: What kind of ground it is.
        cover: p(class | code), the share of its ground by the names of the working classes, from
            what the legend's text says; a class that is not named has none; together 1.
    """

    code: int
    name: str
    colour: list[int]
    role: Role
    cover: dict[str, float]

    def __post_init__(self) -> None:
        """Refuses shares that are none, and colours and codes that cannot be."""
        require_within(self, 0, LARGEST_CODE, "code")
        require_colour(self.colour, self.code)
        for name in self.cover:
            if name not in WORKING.names:
                raise SettingsError(
                    found=f"cover is {self.cover} of code {self.code}: there is no class {name!r}",
                    expected="shares of " + ", ".join(WORKING.names),
                    fix=nearest(name, WORKING.names),
                )
        total = sum(self.cover.values())
        if not all(0 <= v <= 1 for v in self.cover.values()) or not _is_one(total):
            raise SettingsError(
                found=f"cover is {self.cover} of code {self.code} ({self.name}): "
                f"together {total:g}",
                expected="shares from 0 to 1 that sum to 1",
                fix="correct the shares of this class",
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """p(class | code) in the order of the working classes."""
        return tuple(self.cover.get(name, 0.0) for name in WORKING.names)


@dataclass(frozen=True)
class CoarseLegend:
    """The legend of a coarse land-cover map, read from a YAML file.

    Attributes:
        name: Short name, as in configurations.
        title: Name of the map in messages.
        product: Name of the product in full.
        source: Where the legend's texts stand, an address or a citation.
        classes: The classes; those of rasters that hold indices are counted 1, 2, ... in this
            order.
        resolution_m: Pixel side of the product, metres.
        blur_m: Standard deviation of the Gaussian by which its classes are blurred, metres: an
            edge lies somewhere within a pixel. Null is the side of a pixel.
        kernel_m: Width of that blur's kernel, metres; null is 3.3 times the blur.
        indices: Whether rasters may hold the numbers 1, 2, ... of the classes in this order
            instead of their codes.
        doubt: A text is no measurement: this share of every row is spread evenly.
    """

    name: str
    title: str
    product: str
    source: str
    classes: list[CoarseClass]
    resolution_m: float
    blur_m: float | None = None
    kernel_m: float | None = None
    indices: bool = False
    doubt: float = 0.05

    def __post_init__(self) -> None:
        """Refuses numbers that nothing can be blurred by, and codes or names that stand twice."""
        require_positive(self, "resolution_m", "blur_m", "kernel_m")
        require_within(self, 0, 1, "doubt")
        if not 0 < len(self.classes) <= MOST_CLASSES:
            raise SettingsError(
                found=f"{len(self.classes)} classes",
                expected=f"1 to {MOST_CLASSES} classes",
                fix="list them below `classes:`",
            )
        require_once(self.name, "code", (str(c.code) for c in self.classes))
        require_once(self.name, "name", (c.name for c in self.classes))

    @property
    def codes(self) -> tuple[int, ...]:
        """Codes in the order of the classes."""
        return tuple(c.code for c in self.classes)

    @property
    def roles(self) -> tuple[Role, ...]:
        """What kind of ground each class is."""
        return tuple(c.role for c in self.classes)

    @property
    def has_zero(self) -> bool:
        """Whether the value 0 is a class; else it is no data."""
        return NO_DATA in self.codes

    @property
    def blur(self) -> Blur:
        """By how much its classes are blurred."""
        return blur_of(self.resolution_m, self.blur_m, self.kernel_m)

    @property
    def definitions(self) -> NDArray[np.float64]:
        """p(class | code) by the legend's own texts: (code class, class), rows sum to 1."""
        texts = np.array([c.shares for c in self.classes])
        return (1 - self.doubt) * texts + self.doubt / CLASS_COUNT

    @property
    def numbered(self) -> Legend:
        """Its classes by their number from 1, as prepared scenes store them; 0 is no data."""
        return Legend(
            self.name,
            tuple(
                LandClass(number, c.name, (c.colour[0], c.colour[1], c.colour[2]))
                for number, c in enumerate(self.classes, start=1)
            ),
        )

    @classmethod
    def load(cls, which: str | Path) -> CoarseLegend:
        """Reads a legend.

        Args:
            which: Name of one that comes with the package, or a YAML file with the keys of this
                class.

        Raises:
            SettingsError: If there is neither a legend nor a file of this name, the nearest is
                named; if the file is no YAML, or a key or value is wrong, which is said with the
                line.
        """
        if str(which) in COARSE_NAMES:
            return _loaded(SHIPPED / f"{which}.yaml")
        path = Path(which)
        if not path.exists():
            raise SettingsError(
                found=f"no legend {path.name!r} of coarse maps, and no file {path}",
                expected="one of " + ", ".join(COARSE_NAMES) + ", or a YAML file",
                fix=nearest(path.name.lower(), COARSE_NAMES),
            )
        return read_legend(cls, path)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CoarseLegend:
        """A legend of its values as JSON, as ``plain`` gives them."""
        classes = [CoarseClass(**given) for given in values["classes"]]
        return cls(**{**values, "classes": classes})


@cache
def _loaded(path: Path) -> CoarseLegend:
    """A legend of the package, which stays the same."""
    return read_legend(CoarseLegend, path)


def blur_of(
    resolution_m: float, blur_m: float | None = None, kernel_m: float | None = None
) -> Blur:
    """The blur of a map of some resolution, where it is not told otherwise."""
    sigma_m = resolution_m if blur_m is None else blur_m
    return Blur(sigma_m, _KERNEL * sigma_m if kernel_m is None else kernel_m)


def _is_one(total: float) -> bool:
    return math.isclose(total, 1, abs_tol=_EXACT)
