"""A map's pixels laid over the working grid, whatever the ratio of the two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box

_LAST_DIGIT = 1e-6


@dataclass(frozen=True)
class Overlay:
    """Which working pixel each pixel of a map lies in: that in which its centre does.

    Attributes:
        working: The working grid, north up.
        geobox: Grid of the map, north up in the same CRS, inside the working grid.
    """

    working: GeoBox
    geobox: GeoBox

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Working row of each row of the map, and working column of each column; both rise."""
        to_working = ~self.working.transform * self.geobox.transform
        found = []
        for first, step, count, whole in (
            (to_working.f, to_working.e, self.geobox.shape[0], self.working.shape[0]),
            (to_working.c, to_working.a, self.geobox.shape[1], self.working.shape[1]),
        ):
            centres = first + step * (np.arange(int(count)) + 0.5)
            found.append(np.clip(np.floor(centres + _LAST_DIGIT), 0, int(whole) - 1))
        rows, columns = (v.astype(np.intp) for v in found)
        return rows, columns

    def box(self, box: Box) -> Box:
        """Pixels of the map that lie in a box of working pixels.

        Boxes that partition the working grid partition the map.
        """
        rows, columns = self._places
        y0, y1 = np.searchsorted(rows, (box.y0, box.y1))
        x0, x1 = np.searchsorted(columns, (box.x0, box.x1))
        return Box(int(y0), int(y1), int(x0), int(x1))

    def spread(self, values: NDArray[Any], box: Box) -> NDArray[Any]:
        """Gives each pixel of the map the value of its working pixel.

        Args:
            values: (..., y, x) of a box of working pixels.
            box: The box.

        Returns:
            (..., map y, map x) of the same type.
        """
        y, x = self._within(box)
        return np.asarray(values[..., y, :][..., x])

    def mean(self, values: NDArray[Any], box: Box) -> NDArray[np.float32]:
        """Means over the pixels of the map that lie in each working pixel.

        Args:
            values: (..., map y, map x) numbers of a box of working pixels.
            box: The box.

        Returns:
            (..., y, x) float32; 0 where no pixel of the map lies.
        """
        y, x = self._within(box)
        return _means(_means(values, y, box.shape[0], -2), x, box.shape[1], -1)

    def _within(self, box: Box) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        (rows, columns), own = self._places, self.box(box)
        return rows[own.y0 : own.y1] - box.y0, columns[own.x0 : own.x1] - box.x0


def _means(
    values: NDArray[Any], places: NDArray[np.intp], size: int, axis: int
) -> NDArray[np.float32]:
    """Means along an axis over runs of equal places, which rise."""
    starts = np.searchsorted(places, np.arange(size))
    counts = np.diff(np.append(starts, len(places)))
    shape = list(values.shape)
    shape[axis] = size
    found = np.zeros(shape, np.float32)
    there = np.flatnonzero(counts)
    if not len(there):
        return found
    sums = np.add.reduceat(values.astype(np.float32), starts[there], axis=axis)
    divisors = counts[there].astype(np.float32)
    if axis == -2:
        found[..., there, :] = sums / divisors[:, None]
    else:
        found[..., there] = sums / divisors
    return found
