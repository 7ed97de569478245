"""The rasters of a filled map: its windows brought back to its pixels, and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from landcover_pnp.grid import Box, Tile, blocks
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, LandClass, Legend
from landcover_pnp.pipeline.fill_rims import REACH, continued
from landcover_pnp.pipeline.fill_windows import FILLED, METHOD, SEEN, FillJob
from landcover_pnp.pipeline.mosaic import TileResults
from landcover_pnp.pipeline.tile_counts import TileCounts
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import open_raster, read, read_labels

if TYPE_CHECKING:
    # A plan loads a prior, and torch with it: the ground under clouds is written without.
    from landcover_pnp.pipeline.fill_plan import FillPlan

BLOCK_PX = 1024
"""Side of the parts of the map that are brought back at a time."""

LAYER_LEGEND = Legend(
    "filled",
    (
        LandClass(SEEN, "as in the map", (235, 235, 235)),
        LandClass(FILLED, "filled", (123, 50, 148)),
        LandClass(3, "corrected by hand", (230, 97, 1)),
    ),
)
"""What the values of the layer of filled pixels mean."""


def filled_windows(
    plan: FillPlan, job: FillJob, counts: TileCounts
) -> Iterator[tuple[Box, NDArray[Any], NDArray[np.uint8]]]:
    """Windows of the map with their codes, and the working classes of their filled pixels."""
    results = TileResults(plan.grid, job.out, counts.done)
    stored = lru_cache(9)(partial(results.stored, method=METHOD))  # a core and those around it
    blended = lru_cache(9)(partial(results.blended, stored=stored))
    back = plan.class_map.back.astype(plan.class_map.dtype)
    with (
        open_raster(plan.class_map.path, "map") as source,
        open_raster(job.filled, "filled pixels") as layer,
    ):
        for tile in plan.grid:
            for box in blocks(plan.pixels.fine(tile.core), BLOCK_PX):
                codes, hidden = read(source, 1, box), read(layer, 1, box) == FILLED
                classes = np.zeros(0, np.uint8)
                if hidden.any():
                    p = _at_pixels(plan, tile, box, blended, source, layer)
                    p[back[1:] == NO_DATA] = -1  # classes that the map's legend has not
                    classes = (p.argmax(axis=0)[hidden] + 1).astype(np.uint8)
                    codes[hidden] = back[classes]
                yield box, codes, classes


def _at_pixels(
    plan: FillPlan,
    tile: Tile,
    box: Box,
    blended: Callable[[Tile], NDArray[np.float32]],
    source: DatasetReader,
    layer: DatasetReader,
) -> NDArray[np.float32]:
    """Probabilities (class, y, x) of the pixels of a box of the map that a tile answers for."""
    finer = plan.pixels.finer
    if finer < 2:
        return plan.pixels.to_fine(blended(tile), tile.core, box)
    working = tile.core.grow(2 * REACH).clip(plan.grid.extent)
    p = np.zeros((CLASS_COUNT, *working.shape), np.float32)
    for neighbour in plan.grid.neighbours(tile):
        part = neighbour.core.clip(working)
        if not part.is_empty:
            inside = part.within(neighbour.core)
            p[:, *part.within(working)] = blended(neighbour)[:, *inside]
    around = box.grow(2 * REACH * finer).clip(plan.pixels.fine(working))
    codes = plan.class_map.to_working(read_labels(source, around))
    hidden = read(layer, 1, around) == FILLED
    fine = plan.pixels.to_fine(p, working, around)
    return continued(fine, codes, hidden, REACH * finer)[:, *box.within(around)]


def write_classes(
    path: Path,
    geobox: Any,
    band: Band,
    parts: Iterator[tuple[Box, NDArray[Any]]],
    legend: Legend | None = None,
) -> None:
    """A cloud-optimised GeoTIFF with overviews, and its QGIS style."""
    with scratch(path) as simple:
        write_raster(simple, geobox, band, parts)
        write_cog(path, simple, "mode")
    write_text(path.with_suffix(".qml"), qml(ClassStyle(band.legend or legend or LAYER_LEGEND)))
