"""The working grid and its tiles: core + halo, and the weights that blend overlapping tiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from landcover_pnp.errors import GridError

_TILE_ID = re.compile(r"r([0-9]{4})c([0-9]{4})")


class Box(NamedTuple):
    """A rectangle of pixels on the working grid, half open: rows y0..y1-1, columns x0..x1-1.

    Coordinates may be negative or past the grid's end; ``clip`` cuts that off.
    """

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels (y, x)."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def window(self) -> Window:
        """The same rectangle as rasterio's window."""
        return Window(self.x0, self.y0, self.x1 - self.x0, self.y1 - self.y0)

    @property
    def is_empty(self) -> bool:
        """Whether there is no pixel inside."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    def grow(self, px: int) -> Box:
        """The box with ``px`` pixels more on each side."""
        return Box(self.y0 - px, self.y1 + px, self.x0 - px, self.x1 + px)

    def clip(self, other: Box) -> Box:
        """The part of this box inside ``other``; may be empty."""
        return Box(
            max(self.y0, other.y0),
            min(self.y1, other.y1),
            max(self.x0, other.x0),
            min(self.x1, other.x1),
        )

    def within(self, outer: Box) -> tuple[slice, slice]:
        """Slices (y, x) that cut this box out of an array that covers ``outer``."""
        return (
            slice(self.y0 - outer.y0, self.y1 - outer.y0),
            slice(self.x0 - outer.x0, self.x1 - outer.x0),
        )


BLOCK_PX = 512
"""Side of the blocks in which rasters are read and verified."""


@dataclass(frozen=True)
class Tile:
    """One tile: the core it answers for, and the canvas (core + halo) it is inferred on.

    Attributes:
        row: Row in the tile grid.
        column: Column in the tile grid.
        core: Pixels of the core; the cores of a grid partition it.
        canvas: Core and halo, cut at the grid's edge.
    """

    row: int
    column: int
    core: Box
    canvas: Box

    @property
    def id(self) -> str:
        """Name of the tile, ``r0000c0000``, safe in paths."""
        return f"r{self.row:04d}c{self.column:04d}"


@dataclass(frozen=True)
class TileGrid:
    """Tiles over a working grid.

    Attributes:
        geobox: The working grid: CRS, affine transform, shape (y, x).
        core_px: Side of a core; the last row and column may be smaller.
        halo_px: Overlap on each side of a core.

    Raises:
        GridError: If the halo is negative or wider than half a core: then more than two
            tiles would meet across an edge and the blend weights would not sum to 1.
    """

    geobox: GeoBox
    core_px: int
    halo_px: int

    def __post_init__(self) -> None:
        if self.core_px < 1 or not 0 <= 2 * self.halo_px <= self.core_px:
            raise GridError(
                found=f"tiles with a core of {self.core_px} px and a halo of {self.halo_px} px",
                expected="a core of at least 1 px and a halo of 0 to half a core",
                fix="set tiles.core_px and tiles.halo_px accordingly, such as 384 and 64",
            )

    @property
    def extent(self) -> Box:
        """All pixels of the working grid."""
        height, width = self.geobox.shape
        return Box(0, int(height), 0, int(width))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tile rows and columns.

        What is left of a side after whole cores makes a core of its own from half a core on;
        less is joined to the last one, whose neighbour's halo would else reach past it.
        """
        return _count(self.extent.y1, self.core_px), _count(self.extent.x1, self.core_px)

    def __iter__(self) -> Iterator[Tile]:
        """Tiles in row-major order."""
        rows, columns = self.shape
        for row in range(rows):
            for column in range(columns):
                yield self.tile(row, column)

    def __len__(self) -> int:
        """Number of tiles."""
        rows, columns = self.shape
        return rows * columns

    def tile(self, row: int, column: int) -> Tile:
        """The tile at a row and column.

        Raises:
            GridError: If there is no such tile.
        """
        rows, columns = self.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise GridError(
                found=f"tile row {row}, column {column}",
                expected=f"rows 0 to {rows - 1} and columns 0 to {columns - 1}",
                fix="take a tile of this run's own tile grid",
            )
        y0, y1 = _core(row, rows, self.core_px, self.extent.y1)
        x0, x1 = _core(column, columns, self.core_px, self.extent.x1)
        core = Box(y0, y1, x0, x1)
        return Tile(row, column, core, core.grow(self.halo_px).clip(self.extent))

    def tile_by_id(self, tile_id: str) -> Tile:
        """The tile of a name ``r0000c0000``.

        Raises:
            GridError: If the name has another form or no such tile exists.
        """
        match = _TILE_ID.fullmatch(tile_id)
        if match is None:
            raise GridError(
                found=f"tile name {tile_id!r}",
                expected="a name like r0003c0012",
                fix="take the names from the run's tiles folder",
            )
        return self.tile(int(match[1]), int(match[2]))

    def neighbours(self, tile: Tile) -> list[Tile]:
        """The tile itself and those around it, in row-major order."""
        rows, columns = self.shape
        return [
            self.tile(r, c)
            for r in range(max(tile.row - 1, 0), min(tile.row + 2, rows))
            for c in range(max(tile.column - 1, 0), min(tile.column + 2, columns))
        ]

    def blend_weights(self, tile: Tile) -> NDArray[np.float32]:
        """Weight of a tile's result at each pixel of its canvas.

        Product of two ramps that rise linearly over one halo width, centred on the core's
        edge, so that the outer half of the halo, which saw the least context, has no say. The
        weights of all tiles sum to 1 at every pixel of the grid.

        Args:
            tile: A tile of this grid.

        Returns:
            (y, x) float32 in 0..1, of the canvas' shape.
        """
        e, c, v = self.extent, tile.core, tile.canvas
        weights_y = _ramp(v.y0, v.y1, c.y0, c.y1, e.y1, self.halo_px)
        weights_x = _ramp(v.x0, v.x1, c.x0, c.x1, e.x1, self.halo_px)
        return (weights_y[:, None] * weights_x[None, :]).astype(np.float32)


def _count(size: int, core_px: int) -> int:
    return max(1, (size + core_px // 2) // core_px)


def _core(index: int, count: int, core_px: int, size: int) -> tuple[int, int]:
    return index * core_px, size if index == count - 1 else (index + 1) * core_px


def _ramp(v0: int, v1: int, c0: int, c1: int, size: int, halo_px: int) -> NDArray[np.float64]:
    centres = np.arange(v0, v1) + 0.5
    width = max(halo_px, 1)
    rise = np.clip((centres - c0) / width + 0.5, 0, 1) if c0 > 0 else np.ones(v1 - v0)
    fall = np.clip((c1 - centres) / width + 0.5, 0, 1) if c1 < size else np.ones(v1 - v0)
    return np.minimum(rise, fall)


def blocks(extent: Box, side: int = BLOCK_PX) -> Iterator[Box]:
    """Square blocks that partition a box, in row-major order."""
    for y in range(extent.y0, extent.y1, side):
        for x in range(extent.x0, extent.x1, side):
            yield Box(y, y + side, x, x + side).clip(extent)
