"""The pixels of a map and those of a prior: which lie in which, and how values go over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.transform import Affine

from landcover_pnp.arrays import block_mean
from landcover_pnp.grid import Box
from landcover_pnp.inference.choice import Served
from landcover_pnp.legend import CLASS_COUNT

KNOWN_SHARE = 0.5
"""Share of a working pixel's data that must be known for the prior to see its class."""


@dataclass(frozen=True)
class Axis:
    """One axis of both grids, which begin at the same edge.

    Attributes:
        size: Pixels of the map.
        ratio: Working pixels along a pixel of the map: a whole number, 1 over one, or whatever
            brings a working pixel to exactly the prior's size.
    """

    size: int
    ratio: float

    @classmethod
    def of(cls, size: int, pixel_m: float, prior_m: float) -> Axis:
        """Pixels that the prior serves: multiples or parts of the map's, where there are any."""
        if pixel_m <= prior_m:
            ratio = 1 / max(1, round(prior_m / pixel_m))
        else:
            ratio = float(max(1, round(pixel_m / prior_m)))
        served = pixel_m / ratio in Served(prior_m)
        return cls(size, ratio if served else pixel_m / prior_m)

    @property
    def working_size(self) -> int:
        """Working pixels that cover the map."""
        return math.ceil(self.size * self.ratio - 1e-9)

    @property
    def parts(self) -> int:
        """Working pixels in a pixel of the map, where they divide it; else 1."""
        return round(self.ratio) if self.ratio >= 2 and self.ratio == round(self.ratio) else 1

    def working(self, start: int, stop: int) -> NDArray[np.int64]:
        """Working pixel in which the centre of each pixel of the map lies."""
        at = (np.arange(start, stop) + 0.5) * self.ratio
        return np.asarray(np.minimum(np.floor(at + 1e-9), self.working_size - 1), np.int64)

    def fine(self, start: int, stop: int) -> NDArray[np.int64]:
        """Pixel of the map in which the centre of each working pixel lies."""
        at = (np.arange(start, stop) + 0.5) / self.ratio
        return np.asarray(np.minimum(np.floor(at + 1e-9), self.size - 1), np.int64)

    def fine_range(self, start: int, stop: int) -> tuple[int, int]:
        """Pixels of the map whose centre lies in a range of working pixels."""
        first, last = (math.ceil(at / self.ratio - 0.5 - 1e-9) for at in (start, stop))
        return max(first, 0), self.size if stop >= self.working_size else min(last, self.size)


@dataclass(frozen=True)
class FillGrid:
    """The working grid of a map whose holes are filled.

    Attributes:
        rows: The axis along y.
        columns: The axis along x.
        geobox: The working grid.
    """

    rows: Axis
    columns: Axis
    geobox: GeoBox

    @classmethod
    def of(cls, geobox: GeoBox, pixel_m: tuple[float, float], prior_m: float) -> FillGrid:
        """The working grid of a map.

        Args:
            geobox: The map's grid.
            pixel_m: Height and width of its pixels, metres.
            prior_m: Pixel side of the prior's label maps.
        """
        height, width = map(int, geobox.shape)
        rows, columns = Axis.of(height, pixel_m[0], prior_m), Axis.of(width, pixel_m[1], prior_m)
        grid = geobox.transform * Affine.scale(1 / columns.ratio, 1 / rows.ratio)
        shape = (rows.working_size, columns.working_size)
        return cls(rows, columns, GeoBox(shape, grid, geobox.crs))

    @property
    def parts(self) -> int:
        """A number of working pixels that windows must be a multiple of."""
        return math.lcm(self.rows.parts, self.columns.parts)

    def fine(self, box: Box) -> Box:
        """Pixels of the map whose centre lies in a box of working pixels."""
        return Box(*self.rows.fine_range(box.y0, box.y1), *self.columns.fine_range(box.x0, box.x1))

    def counted(
        self, fine: Box, codes: NDArray[np.uint8], hidden: NDArray[np.bool_], out: Box
    ) -> NDArray[np.float64]:
        """Pixels of the map by class in each working pixel.

        Args:
            fine: Pixels of the map.
            codes: Their working classes (y, x) uint8, 0 = none.
            hidden: (y, x) bool, those to be filled.
            out: Working pixels to count in.

        Returns:
            (class + 1, y, x): the known pixels of each class, and last the hidden ones. Of a map
            whose pixels are larger, the one at the centre counts.
        """
        seen = np.where(hidden, 0, codes)
        layers = [seen == code for code in range(1, CLASS_COUNT + 1)]
        return self.summed(fine, np.stack([*layers, hidden]), out)

    def summed(self, fine: Box, layers: NDArray[Any], out: Box) -> NDArray[np.float64]:
        """Sums over the pixels of the map in each working pixel.

        Args:
            fine: Pixels of the map.
            layers: (layer, y, x) numbers of them.
            out: Working pixels to sum in.

        Returns:
            (layer, y, x). Of a map whose pixels are larger, the one at the centre counts.
        """
        stack = layers.astype(np.float64)
        for axis, line, first, wanted in (
            (1, self.rows, fine.y0, (out.y0, out.y1)),
            (2, self.columns, fine.x0, (out.x0, out.x1)),
        ):
            stack = _gathered(stack, axis, line, first, wanted)
        return stack

    @property
    def finer(self) -> int:
        """Pixels of the map along one of the prior's; 0 where they are no finer."""
        return int(1 / max(self.rows.ratio, self.columns.ratio) + 0.5) if self.parts == 1 else 0

    def to_fine(self, p: NDArray[np.float32], working: Box, fine: Box) -> NDArray[np.float32]:
        """Probabilities at the pixels of the map: of the working pixel at the centre, or a mean.

        Args:
            p: (class, y, x) of ``working``.
            working: Working pixels.
            fine: Pixels of the map, inside of them.
        """
        k_y, k_x = self.rows.parts, self.columns.parts
        if k_y == k_x > 1:
            whole = Box(fine.y0 * k_y, fine.y1 * k_y, fine.x0 * k_x, fine.x1 * k_x)
            return block_mean(p[:, *whole.within(working)], k_y)
        y = self.rows.working(fine.y0, fine.y1) - working.y0
        x = self.columns.working(fine.x0, fine.x1) - working.x0
        return np.asarray(p[:, y[:, None], x])


def majority(counted: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What the prior is shown of counts of ``FillGrid.counted``.

    Returns:
        (y, x) uint8 working classes of the pixels that are known, 0 elsewhere; and (y, x) bool
        hidden ones: those of whose data less than ``KNOWN_SHARE`` is known.
    """
    known, hidden = counted[:-1], counted[-1]
    total = known.sum(axis=0)
    to_fill = (hidden > 0) & (total < KNOWN_SHARE * (total + hidden))
    seen = (total > 0) & ~to_fill
    return np.where(seen, known.argmax(axis=0) + 1, 0).astype(np.uint8), to_fill


def _gathered(
    stack: NDArray[np.float64], axis: int, line: Axis, first: int, wanted: tuple[int, int]
) -> NDArray[np.float64]:
    """Sums over the pixels in each working pixel along an axis, or takes that at its centre."""
    if line.ratio > 1:
        at = line.fine(*wanted) - first
        inside = (at >= 0) & (at < stack.shape[axis])
        taken = np.take(stack, np.clip(at, 0, stack.shape[axis] - 1), axis)
        return np.asarray(taken * np.expand_dims(inside, tuple({0, 1, 2} - {axis})))
    at = line.working(first, first + stack.shape[axis]) - wanted[0]
    keep = (at >= 0) & (at < wanted[1] - wanted[0])
    shape = list(stack.shape)
    shape[axis] = wanted[1] - wanted[0]
    total = np.zeros(shape)
    if keep.any():
        kept, values = at[keep], np.compress(keep, stack, axis)
        starts = np.flatnonzero(np.diff(kept, prepend=-1))
        sums = np.add.reduceat(values, starts, axis)
        np.moveaxis(total, axis, 0)[kept[starts]] = np.moveaxis(sums, axis, 0)
    return total
