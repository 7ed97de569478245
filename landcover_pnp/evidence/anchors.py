"""Anchors: pixels of a city whose class is all but certain, by maps of objects and a coarse map.

They teach what classes look like here, so that little has to be known of how they look elsewhere.
What kind of ground the classes of a coarse map stand for, their legend says (``roles``); how much
of it is paved, the given p(class | code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.box_filter import box_mean
from landcover_pnp.evidence.spectral_indices import greenness
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.legends.coarse_legend import Role

OBJECTS = ("roads", "buildings", "water")
"""The weak layers of objects, in the order in which they override the coarse map as places; the
first places are theirs, those of the coarse map's classes follow."""

ROADS, BUILDINGS, WATER = range(len(OBJECTS))
"""Places of pixels on mapped roads, buildings and water."""

NOWHERE = -1
"""Place of pixels without a coarse class or without data."""

OBJECT_ROWS: NDArray[np.float64] = np.array(
    [  # water, impervious, soil, trees, grass: what lies where a map shows objects
        (0.02, 0.80, 0.03, 0.10, 0.05),  # roads, under some canopy
        (0.01, 0.93, 0.01, 0.04, 0.01),  # buildings
        (0.93, 0.02, 0.02, 0.02, 0.01),  # water
    ]
)
"""(object, class) class shares of pixels on ``OBJECTS``."""

LABEL_ROWS: NDArray[np.float64] = 0.95 * np.eye(CLASS_COUNT) + 0.05 / CLASS_COUNT
"""(label, class) class shares of pixels that the user has labelled."""

_RADIUS_PX = 2


@dataclass(frozen=True)
class GroundRows:
    """Rows of matrices (code class, class) by the kind of ground that the classes stand for.

    Attributes:
        developed: Paved in part; the rest is the city's unpaved ground.
        shrub: Shrubland, in dry climates mostly bare.
        grass: Grassland that nobody waters.
        forest: Closed canopy, an anchor of trees.
        barren: An anchor of soil.
        cultivated: Pasture and crops.
        wetland: Wetlands.
    """

    developed: tuple[int, ...]
    shrub: tuple[int, ...]
    grass: tuple[int, ...]
    forest: tuple[int, ...]
    barren: tuple[int, ...]
    cultivated: tuple[int, ...]
    wetland: tuple[int, ...]

    @classmethod
    def of(cls, roles: Sequence[Role]) -> Self:
        """The rows of a legend whose classes have these roles, in its order."""
        kinds = [f.name for f in fields(cls)]
        return cls(**{k: tuple(n for n, role in enumerate(roles) if role == k) for k in kinds})


@dataclass(frozen=True, eq=False)
class CityPixels:
    """Pixels of a city with data, of which a coarse map or a map of objects says something.

    Attributes:
        place: (n,) of ``places``.
        row: (n,) row of the coarse class, under objects too; ``NOWHERE`` without one.
        features: (feature, n) float32 of ``colours``.
        indices: (3, n) float32 of ``spectral_indices.index_values``.
        paved: (n,) float32 share that mapped roads or buildings cover.
        covered: (n,) float32 share that any mapped object covers.
        block: (n,) number of the block of ground that the pixel lies in.
        label: (n,) uint8 code of the class that the user has labelled it as, 0 = none.
    """

    place: NDArray[np.intp]
    row: NDArray[np.intp]
    features: NDArray[np.float32]
    indices: NDArray[np.float32]
    paved: NDArray[np.float32]
    covered: NDArray[np.float32]
    block: NDArray[np.intp]
    label: NDArray[np.uint8]

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """Some of the pixels."""
        found = {f.name: getattr(self, f.name)[..., chosen] for f in fields(self)}
        return type(self)(**found)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All pixels of several parts, at least one."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts], axis=-1) for n in names})


def colours(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What a pixel looks like: brightness, colour ratios and texture, here and around.

    Args:
        image: (band, y, x) in 0..1: R,G,B or R,G,B,NIR, or R,G,NIR, at the working resolution.
        valid: (y, x) pixels with data.

    Returns:
        (feature, y, x) float32, each of a similar range.
    """
    brightness = image.mean(axis=0)
    parts = [brightness, 4 * greenness(image), 2 * (image[2] - image[0])]
    if len(image) == 4:
        parts.append(2 * greenness(image[[0, 3]]))  # near infrared against red
    here = np.stack(parts)
    mean = box_mean(brightness, _RADIUS_PX, valid)
    variance = box_mean(np.square(brightness), _RADIUS_PX, valid) - np.square(mean)
    rough = 2 * np.sqrt(np.maximum(variance, 0))
    return np.concatenate([here, box_mean(here, _RADIUS_PX, valid), rough[None]])


def rows_of(numbers: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Row of each coarse class (y, x) in matrices (code class, class); ``NOWHERE`` for no data."""
    return np.where(numbers > 0, numbers.astype(np.intp) - 1, NOWHERE)


def places(
    numbers: NDArray[np.uint8],
    objects: dict[str, NDArray[np.float32] | None],
    valid: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Number of the kind of place of each pixel: a coarse class, or an object that covers it.

    Args:
        numbers: (y, x) numbers of the coarse map's classes from 1, 0 = no data.
        objects: (y, x) covered shares of ``OBJECTS``, None where there is no such layer.
        valid: (y, x) pixels with data.

    Returns:
        (y, x) position of the object, or the number of ``OBJECTS`` plus the row of the coarse
        class; ``NOWHERE`` without data.
    """
    place = np.where(numbers > 0, len(OBJECTS) + rows_of(numbers), NOWHERE)
    for number, name in enumerate(OBJECTS):
        share = objects.get(name)
        if share is not None:
            place[share > 0.5] = number
    return np.where(valid, place, NOWHERE)
