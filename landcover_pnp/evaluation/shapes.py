"""What smoothing a map loses: streets that connect, roofs that stand alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, WORKING

CROP_M = 256.0
"""Side of the crops in which streets cross and parts are counted, metres."""

ROOF_M2 = (40.0, 1000.0)
"""Area of an impervious part of the size of a roof, square metres: from a garage to a block."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """Shapes in a set of crops of label maps.

    A part is a connected piece of one class, by sides; parts end where a crop ends.

    Attributes:
        area_km2: (crop,) labelled ground.
        impervious: (crop,) share of impervious ground in it.
        crosses: (crop,) whether one impervious part reaches two opposite sides of the crop.
        parts: (crop, class 5) number of parts.
        roofs: (crop,) number of impervious parts of the size of roofs, ``ROOF_M2``.
        roof_m2: (roof,) their areas.
    """

    area_km2: NDArray[np.float64]
    impervious: NDArray[np.float64]
    crosses: NDArray[np.bool_]
    parts: NDArray[np.int64]
    roofs: NDArray[np.int64]
    roof_m2: NDArray[np.float64]

    @property
    def crossing_share(self) -> float:
        """Share of the crops that an impervious part crosses; NaN without any crop."""
        return float(self.crosses.mean()) if len(self.crosses) else float("nan")

    @property
    def parts_per_km2(self) -> NDArray[np.float64]:
        """(class 5,) parts a square kilometre."""
        return np.asarray(self.parts.sum(0) / max(self.area_km2.sum(), 1e-12))

    @property
    def roofs_per_km2(self) -> float:
        """Parts of the size of roofs a square kilometre."""
        return float(self.roofs.sum() / max(self.area_km2.sum(), 1e-12))

    @property
    def roof_quartiles_m2(self) -> NDArray[np.float64]:
        """(3,) lower quartile, median and upper quartile of the roofs' areas; NaN without any."""
        if not len(self.roof_m2):
            return np.full(3, np.nan)
        return np.percentile(self.roof_m2, [25, 50, 75])

    def take(self, crops: NDArray[np.integer]) -> Shapes:
        """Some of the crops, in this order; one may be there several times."""
        roofs = np.split(self.roof_m2, np.cumsum(self.roofs)[:-1]) if len(self.roofs) else []
        kept = {key: value[crops] for key, value in vars(self).items() if key != "roof_m2"}
        return Shapes(**kept, roof_m2=np.concatenate([np.zeros(0), *(roofs[i] for i in crops)]))

    def __add__(self, other: Shapes) -> Shapes:
        """The crops of both."""
        mine, theirs = vars(self), vars(other)
        return Shapes(**{key: np.concatenate([mine[key], theirs[key]]) for key in mine})

    @classmethod
    def of(cls, maps: NDArray[np.uint8], resolution_m: float) -> Shapes:
        """Measures label maps, each of them one crop.

        Args:
            maps: (map, y, x) uint8 working codes, 0 = unlabelled.
            resolution_m: Pixel side, metres.

        Returns:
            Their shapes; maps without any label are no crops.
        """
        maps = maps[np.any(maps != 0, (1, 2))]
        pixel_m2 = resolution_m**2
        labelled = np.count_nonzero(maps, (1, 2))
        impervious = WORKING.code("impervious")  # streets and roofs
        crosses = np.zeros(len(maps), bool)
        parts = np.zeros((len(maps), CLASS_COUNT), np.int64)
        roofs = np.zeros(len(maps), np.int64)
        areas: list[NDArray[np.float64]] = [np.zeros(0)]
        for i, labels in enumerate(maps):
            for row, code in enumerate(WORKING.codes):
                numbered, parts[i, row] = ndimage.label(labels == code)
                if code != impervious:
                    continue
                crosses[i] = _reaches(numbered) or _reaches(numbered.T)
                m2 = np.bincount(numbered.ravel())[1:].astype(np.float64) * pixel_m2
                found = m2[(m2 >= ROOF_M2[0]) & (m2 <= ROOF_M2[1])]
                roofs[i] = len(found)
                areas.append(found)
        return cls(
            labelled * pixel_m2 / 1e6,
            np.count_nonzero(maps == impervious, (1, 2)) / np.maximum(labelled, 1),
            crosses,
            parts,
            roofs,
            np.concatenate(areas),
        )


def crop_boxes(shape: tuple[int, int], resolution_m: float) -> Iterator[Box]:
    """Cuts a map into crops of about ``CROP_M``.

    Args:
        shape: Rows and columns.
        resolution_m: Pixel side, metres.

    Yields:
        Boxes that partition it, from two thirds to one and a half times as wide; a smaller map
        is one crop.
    """
    side = CROP_M / resolution_m
    rows, columns = _cuts(shape[0], side), _cuts(shape[1], side)
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            yield Box(y0, y1, x0, x1)


def _reaches(numbered: NDArray[np.integer]) -> bool:
    """Whether one part lies on the first row and on the last."""
    shared = np.intersect1d(numbered[0], numbered[-1])
    return bool(shared.any())


def _cuts(size: int, side: float) -> list[int]:
    count = max(1, round(size / side))
    return [round(size * i / count) for i in range(count + 1)]
