"""The rasters of a filled map: its windows brought back to its pixels, and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.grid import Box, Tile, TileGrid, blocks
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, Legend
from landcover_pnp.pipeline.fill_grid import FillGrid
from landcover_pnp.pipeline.fill_rims import REACH, continued
from landcover_pnp.pipeline.fill_windows import METHOD, FillJob
from landcover_pnp.pipeline.mosaic import TileResults
from landcover_pnp.pipeline.tile_counts import TileCounts
from landcover_pnp.products.ground import FILLED
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import open_raster, read, read_labels

if TYPE_CHECKING:
    from landcover_pnp.pipeline.fill_plan import FillPlan

BLOCK_PX = 1024
"""Side of the parts of the map that are brought back at a time."""


def filled_windows(
    plan: FillPlan, job: FillJob, counts: TileCounts
) -> Iterator[tuple[Box, NDArray[Any], NDArray[np.uint8]]]:
    """Windows of the map with their codes, and the working classes of their filled pixels."""
    results = TileResults(plan.grid, job.out, counts.done)
    stored = lru_cache(9)(partial(results.stored, method=METHOD))  # a core and those around it
    blended = lru_cache(9)(partial(results.blended, stored=stored))
    back = plan.class_map.back.astype(plan.class_map.dtype)

    def seen(box: Box) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        return plan.class_map.to_working(read_labels(source, box)), read(layer, 1, box) == FILLED

    with (
        open_raster(plan.class_map.path, "map") as source,
        open_raster(job.filled, "filled pixels") as layer,
    ):
        for tile in plan.grid:
            for box in blocks(plan.pixels.fine(tile.core), BLOCK_PX):
                codes, hidden = read(source, 1, box), read(layer, 1, box) == FILLED
                classes = np.zeros(0, np.uint8)
                if hidden.any():
                    p = at_pixels(plan.pixels, plan.grid, tile, box, blended, seen)
                    p[back[1:] == NO_DATA] = -1  # classes that the map's legend has not
                    classes = (p.argmax(axis=0)[hidden] + 1).astype(np.uint8)
                    codes[hidden] = back[classes]
                yield box, codes, classes


def at_pixels(
    pixels: FillGrid,
    grid: TileGrid,
    tile: Tile,
    box: Box,
    blended: Callable[[Tile], NDArray[np.float32]],
    seen: Callable[[Box], tuple[NDArray[np.uint8], NDArray[np.bool_]]],
) -> NDArray[np.float32]:
    """Brings what a prior says back to the pixels of a map.

    Args:
        pixels: The pixels of map and prior.
        grid: The windows, on the working grid.
        tile: A window.
        box: Pixels of the map that it answers for.
        blended: Probabilities (class, y, x) of a window's core.
        seen: From pixels of the map to working classes (y, x) uint8 and hidden pixels (y, x).

    Returns:
        (class, y, x) float32 of the box; of known pixels nothing is to be read.
    """
    finer = pixels.finer
    if finer < 2:
        return pixels.to_fine(blended(tile), tile.core, box)
    working = tile.core.grow(2 * REACH).clip(grid.extent)
    p = np.zeros((CLASS_COUNT, *working.shape), np.float32)
    for neighbour in grid.neighbours(tile):
        part = neighbour.core.clip(working)
        if not part.is_empty:
            inside = part.within(neighbour.core)
            p[:, *part.within(working)] = blended(neighbour)[:, *inside]
    around = box.grow(2 * REACH * finer).clip(pixels.fine(working))
    codes, hidden = seen(around)
    fine = pixels.to_fine(p, working, around)
    return continued(fine, codes, hidden, REACH * finer)[:, *box.within(around)]


def write_classes(
    path: Path,
    geobox: Any,
    band: Band,
    parts: Iterator[tuple[Box, NDArray[Any]]],
    legend: Legend,
) -> None:
    """A cloud-optimised GeoTIFF with overviews, and its QGIS style."""
    with scratch(path) as simple:
        write_raster(simple, geobox, band, parts)
        write_cog(path, simple, "mode")
    write_text(path.with_suffix(".qml"), qml(ClassStyle(legend)))
