"""The share of each working pixel that objects cover, drawn from vectors or counted in rasters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from landcover_pnp.arrays import block_mean
from landcover_pnp.grid import Box, blocks
from landcover_pnp.scenes.settings import LayerFile
from landcover_pnp.scenes.vector_files import vector_layers
from landcover_pnp.scenes.vectors import read_objects
from landcover_pnp.storage import raster
from landcover_pnp.storage.raster import on_grid, open_raster

SUBPIXELS = 4
"""Subpixels along a working pixel's side at which objects are tested: 1 m at 4 m."""

OBJECTS_PX = 2048
"""Side of the parts of the grid, working pixels, whose objects are in memory at a time."""

WIDEST_M = 200.0
"""Width of lines, metres, that reach into a part from outside of it without being cut."""


def object_shares(
    layer: LayerFile, name: str, geobox: GeoBox, extent: Box, subpixels: int | None = None
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    """Shares of a layer, window by window.

    Args:
        layer: Vector or raster file of the objects.
        name: What they are, for messages.
        geobox: The working grid.
        extent: All of its pixels.
        subpixels: Points along a pixel's side that are tested, 1 for its centre alone; None for
            ``SUBPIXELS``, and of a raster so many that its pixels all count alike.

    Yields:
        Boxes that partition the grid, each with its shares (y, x) float32, 0..1.

    Raises:
        RasterError: If the file cannot be read.
    """
    is_vector = vector_layers(layer.path, name) is not None
    shares = _drawn_shares if is_vector else _raster_shares
    yield from shares(layer, name, geobox, extent, subpixels)


def _drawn_shares(
    layer: LayerFile, name: str, geobox: GeoBox, extent: Box, subpixels: int | None
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    margin = math.ceil(max(layer.width_m, WIDEST_M) / abs(geobox.resolution.x))
    for part in blocks(extent, OBJECTS_PX):  # the objects of a whole city are too many
        around = geobox[part.within(extent)].pad(margin)
        objects = read_objects(layer.path, layer.layer, layer.width_m, around, name)
        for box in blocks(part):
            yield box, objects.coverage(geobox, box, subpixels or SUBPIXELS)


def _raster_shares(
    layer: LayerFile, name: str, geobox: GeoBox, extent: Box, subpixels: int | None
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    with open_raster(layer.path, name) as source, ExitStack() as stack:
        k = subpixels or _subpixels(source, geobox)
        view = stack.enter_context(on_grid(source, geobox.zoom_out(1 / k), Resampling.nearest))
        for box in blocks(extent):
            sub = Box(*(v * k for v in box))
            labels = raster.read(view, 1, sub)
            present = labels != 0 if layer.codes is None else np.isin(labels, layer.codes)
            yield box, block_mean(present & raster.read_mask(view, sub), k)


def _subpixels(source: DatasetReader, geobox: GeoBox) -> int:
    """Subpixels along a working pixel in which a raster's pixels all count alike."""
    k = round(abs(geobox.resolution.x) / abs(source.res[0]))
    return k * max(1, -(-SUBPIXELS // k)) if 1 <= k <= 4 * SUBPIXELS else SUBPIXELS
