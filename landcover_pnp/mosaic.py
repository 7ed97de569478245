"""The mosaic: tiles blended into one map."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.geotiff import write_raster
from landcover_pnp.grid import Box, Tile, TileGrid
from landcover_pnp.inference.tiles import BAND
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.raster import open_raster, read


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

    def blended(self, tile: Tile, method: str) -> NDArray[np.float32]:
        """Probabilities in a tile's core, blended with the neighbours' overlap.

        Weights of missing neighbours are shared out among those that are there.

        Args:
            tile: The tile.
            method: One of ``tiles.METHODS``.

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
            with open_raster(self.folder / f"{neighbour.id}_{method}.tif", "tile") as source:
                p = read(source, source.indexes, Box(y.start, y.stop, x.start, x.stop))
            total[:, *part.within(tile.core)] += p * self.grid.blend_weights(neighbour)[y, x]
        mass = total.sum(axis=0)
        return np.asarray(np.divide(total, mass, out=total, where=mass > 0))


def blend_tiles(results: TileResults, method: str, path: Path) -> Path:
    """Writes the blended probabilities of all tiles to one GeoTIFF.

    Args:
        results: The tiles.
        method: One of ``tiles.METHODS``.
        path: File to write: (class, y, x) uint16, 65535 = 1, all 0 = no data.

    Returns:
        The file.

    Raises:
        RunError: If the file cannot be written.
    """

    def parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        for tile in results.grid:
            p = results.blended(tile, method)
            yield tile.core, np.rint(p * np.iinfo(np.uint16).max).astype(np.uint16)

    write_raster(path, results.grid.geobox, BAND, parts())
    return path
