"""The pixels of a picture of a map: the map's own, or larger ones where those are too many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box

MOST_PX = 16_000_000
"""Most pixels of a picture, which is held in memory as a whole: 64 MB."""


@dataclass(frozen=True)
class PictureGrid:
    """Pixels over the ground of a map, from its upper left corner on.

    Attributes:
        map: Grid of the map, north up.
        step: Side of a pixel in pixels of the map: a whole number, or one over a whole number.
    """

    map: GeoBox
    step: float = 1.0

    @classmethod
    def of(cls, geobox: GeoBox, finest_m: float = math.inf, most_px: int = MOST_PX) -> PictureGrid:
        """The finest pixels that are not too many.

        Args:
            geobox: Grid of the map.
            finest_m: Pixels of the image, metres: where they are finer than the map's, those are
                divided.
            most_px: Most pixels of the picture.
        """
        side_m = abs(geobox.resolution.x)
        grid = cls(geobox, 1 / max(1, round(side_m / finest_m)))
        while math.prod(grid.shape) > most_px:
            grid = grid.coarser
        return grid

    @property
    def coarser(self) -> PictureGrid:
        """The same ground in fewer pixels."""
        if self.step < 1:
            return PictureGrid(self.map, 1 / (round(1 / self.step) - 1))
        return PictureGrid(self.map, float(max(self.step + 1, math.ceil(1.25 * self.step))))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width; the last row and column may reach over the map's edge."""
        height, width = (math.ceil(round(n / self.step, 6)) for n in self.map.shape)
        return height, width

    @property
    def geobox(self) -> GeoBox:
        """The pixels as a grid."""
        return GeoBox(self.shape, self.map.transform * Affine.scale(self.step), self.map.crs)

    @property
    def resolution_m(self) -> float:
        """Width of a pixel, metres."""
        return float(abs(self.map.resolution.x) * self.step)

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Row of the map in which each row's centre lies, and column of each column's."""
        height, width = (
            np.minimum(np.floor((np.arange(n) + 0.5) * self.step), size - 1).astype(np.intp)
            for n, size in zip(self.shape, self.map.shape, strict=True)
        )
        return height, width

    def take(self, picture: NDArray[Any], values: NDArray[Any], box: Box) -> None:
        """Puts what a picture shows of a box of the map where it belongs, by nearest neighbour.

        Args:
            picture: (y, x) of the whole picture, filled in here.
            values: (map y, map x) of the box.
            box: Pixels of the map. Boxes that partition the map fill the picture.
        """
        rows, columns = self._places
        y0, y1 = np.searchsorted(rows, (box.y0, box.y1))
        x0, x1 = np.searchsorted(columns, (box.x0, box.x1))
        there = np.ix_(rows[y0:y1] - box.y0, columns[x0:x1] - box.x0)
        picture[y0:y1, x0:x1] = values[there]
