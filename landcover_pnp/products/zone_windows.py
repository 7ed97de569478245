"""The pixels of a zone, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.io import DatasetReader

from landcover_pnp.grid import Box, blocks


def zone_windows(source: DatasetReader, zone: Any) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """Windows of a raster in which a zone has pixels: those whose centre it holds.

    Args:
        source: The raster.
        zone: A polygon in its CRS; None or an empty one has none.

    Yields:
        Pixels of the raster, and (y, x) bool which of them are the zone's.
    """
    if zone is None or zone.is_empty:
        return
    left, bottom, right, top = zone.bounds
    (y0, x0), (y1, x1) = source.index(left, top), source.index(right, bottom)
    around = Box(y0, y1 + 1, x0, x1 + 1).clip(Box(0, source.height, 0, source.width))
    if around.is_empty:
        return
    for box in blocks(around):
        transform = source.window_transform(box.window)
        inside = geometry_mask([zone], box.shape, transform, invert=True)
        if inside.any():
            yield box, inside
