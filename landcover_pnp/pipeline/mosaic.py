"""The mosaic: tiles blended into one map."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.grid import Box, Tile, TileGrid
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, encode
from landcover_pnp.storage.raster import open_raster, read

HELD_BYTES = 128_000_000
"""Decoded tiles held while they are blended: 48 with canvases of 512 px."""


@dataclass(frozen=True)
class TileResults:
    """Where the probabilities of a run's tiles lie.

    Attributes:
        grid: The tiles.
        folder: Folder of the tiles' rasters.
        done: Names of the tiles that are there; the others are no data in the map.
    """

    grid: TileGrid
    folder: Path
    done: Collection[str]

    def stored(self, tile: Tile, method: str) -> NDArray[np.uint16]:
        """Probabilities of a tile that is there, as its raster holds them.

        Args:
            tile: The tile.
            method: One of ``tiles.METHODS``.

        Returns:
            (class, y, x) uint16 on the tile's canvas, 65535 = 1, all 0 = no data.
        """
        height, width = tile.canvas.shape
        with open_raster(self.folder / f"{tile.id}_{method}.tif", "tile") as source:
            pixels: NDArray[np.uint16] = read(source, source.indexes, Box(0, height, 0, width))
        return pixels

    def blended(
        self, tile: Tile, stored: Callable[[Tile], NDArray[np.uint16]]
    ) -> NDArray[np.float32]:
        """Probabilities in a tile's core, blended with the neighbours' overlap.

        Weights of missing neighbours are shared out among those that are there.

        Args:
            tile: The tile.
            stored: Gives the stored probabilities of a tile, by one method.

        Returns:
            (class, y, x) float32, sums to 1; 0 everywhere where there is no data.
        """
        total = np.zeros((CLASS_COUNT, *tile.core.shape), np.float32)
        if tile.id not in self.done:
            return total
        for neighbour in self.grid.neighbours(tile):
            part = neighbour.canvas.clip(tile.core)
            if neighbour.id not in self.done or part.is_empty:
                continue
            y, x = part.within(neighbour.canvas)
            weights = self.grid.blend_weights(neighbour)[y, x]
            total[:, *part.within(tile.core)] += stored(neighbour)[:, y, x] * weights
        return normalise(total, out=total)


def blend_tiles(results: TileResults, method: str, path: Path) -> Path:
    """Writes the blended probabilities of all tiles to one GeoTIFF.

    A tile has a part in up to nine cores. It is decoded once where two rows of tiles fit into
    ``HELD_BYTES``, else once for each of the three rows that it touches.

    Args:
        results: The tiles.
        method: One of ``tiles.METHODS``.
        path: File to write: (class, y, x) uint16, 65535 = 1, all 0 = no data.

    Returns:
        The file.

    Raises:
        RunError: If the file cannot be written.
    """
    canvas_px = results.grid.core_px + 2 * results.grid.halo_px
    held = HELD_BYTES // (CLASS_COUNT * canvas_px**2 * np.dtype(np.uint16).itemsize)
    stored = lru_cache(max(held, 9))(partial(results.stored, method=method))

    def parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        for tile in results.grid:
            p = results.blended(tile, stored)
            yield tile.core, encode(p)

    write_raster(path, results.grid.geobox, BAND, parts())
    return path
