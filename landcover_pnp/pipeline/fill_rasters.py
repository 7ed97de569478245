"""The rasters of a filled map: its windows brought back to its pixels, and written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, LandClass, Legend
from landcover_pnp.pipeline.fill_grid import sharpened
from landcover_pnp.pipeline.fill_plan import FillPlan
from landcover_pnp.pipeline.fill_windows import FILLED, METHOD, READ_PX, SEEN, FillJob
from landcover_pnp.pipeline.mosaic import TileResults
from landcover_pnp.pipeline.tile_counts import TileCounts
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import open_raster, read, read_labels

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
    back = plan.class_map.back.astype(plan.class_map.dtype)
    with (
        open_raster(plan.class_map.path, "map") as source,
        open_raster(job.filled, "filled pixels") as layer,
    ):
        for tile in plan.grid:
            p = results.blended(tile, stored)
            for box in blocks(plan.pixels.fine(tile.core), READ_PX):
                codes, hidden = read(source, 1, box), read(layer, 1, box) == FILLED
                classes = np.zeros(0, np.uint8)
                if hidden.any():
                    fine = _at_rims(
                        plan, plan.pixels.to_fine(p, tile.core, box), box, source, layer
                    )
                    fine[back[1:] == NO_DATA] = -1  # classes that the map's legend has not
                    classes = (fine.argmax(axis=0)[hidden] + 1).astype(np.uint8)
                    codes[hidden] = back[classes]
                yield box, codes, classes


def _at_rims(
    plan: FillPlan,
    p: NDArray[np.float32],
    box: Box,
    source: DatasetReader,
    layer: DatasetReader,
) -> NDArray[np.float32]:
    """Probabilities (class, y, x) of a window of the map, beside its own known pixels."""
    radius_px = plan.pixels.finer
    if radius_px < 2:
        return p
    around = box.grow(radius_px).clip(Box(0, source.height, 0, source.width))
    codes = plan.class_map.to_working(read_labels(source, around))
    inside = box.within(around)
    pad = [(0, 0), *((s.start, n - s.stop) for s, n in zip(inside, codes.shape, strict=True))]
    hidden = read(layer, 1, around) == FILLED
    return sharpened(np.pad(p, pad), codes, hidden, radius_px)[:, *inside]


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
