"""Rasters on disk, read: checked before use, by window, seen on any grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import DamagedError, LandcoverError, RasterError
from landcover_pnp.grid import Box
from landcover_pnp.storage.raster_files import fault_at, open_raster_file, plain_name

CACHE_BYTES = 128 * 2**20
"""GDAL's block cache in one process: by default it grows with the machine's memory."""

FILE_TAG = "LANDCOVER_PNP_FILE"
"""Tag of a view in memory: the file it shows."""


def small_cache() -> rasterio.Env:
    """A context in which GDAL keeps few blocks in memory, if it has not begun to already."""
    return rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)


@contextmanager
def open_raster(path: Path, what: str) -> Iterator[DatasetReader]:
    """Opens a raster for reading.

    Args:
        path: The file.
        what: What the file is meant to be, named in messages (``imagery``, ``NLCD``, ...).

    Yields:
        The open dataset.

    Raises:
        RasterError: As ``raster_files.open_raster_file``: if it is missing, not a raster, or
            refers to other files.
        NetworkError: If a server that it is on does not answer as it should.
    """
    with open_raster_file(path, what) as source:
        yield source


def unwritten_share(source: DatasetReader) -> float:
    """Share of a GeoTIFF's blocks that its writer never wrote: they read as no data or 0."""
    if source.driver != "GTiff":
        return 0.0
    height, width = source.block_shapes[0]
    rows, columns = -(-source.height // height), -(-source.width // width)
    missing = sum(
        source.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1) is None
        for y in range(rows)
        for x in range(columns)
    )
    return missing / int(rows * columns)


def label_band(source: DatasetReader, what: str) -> int:
    """Index of the one band of a raster of classes.

    Raises:
        RasterError: If it has several bands, or values that are no integers.
    """
    if source.count != 1 or np.dtype(source.dtypes[0]).kind not in "ui":
        raise RasterError(
            found=f"{name_of(source)} ({what}) has {source.count} bands of {source.dtypes[0]}",
            expected="one band of integer class values",
            fix="select the band, for example with gdal_translate -b 1 -ot Byte",
        )
    return 1


def read(source: DatasetReader | WarpedVRT, indexes: int | Sequence[int], box: Box) -> Any:
    """Reads a window.

    Args:
        source: Open raster, or its view on the working grid.
        indexes: One band for an array (y, x), or several for (band, y, x).
        box: Pixels to read, inside the raster.

    Returns:
        Array of the raster's dtype.

    Raises:
        RasterError: If the driver fails; names file, window and the driver's message.
    """
    try:
        return source.read(indexes, window=box.window)
    except RasterioError as error:
        raise damaged(source, box, error) from error


def read_mask(source: DatasetReader | WarpedVRT, box: Box) -> NDArray[np.bool_]:
    """Reads where a raster has data, as its nodata value, alpha or mask band says.

    Returns:
        (y, x) bool, True where there is data.

    Raises:
        RasterError: As ``read``.
    """
    try:
        valid = np.asarray(source.dataset_mask(window=box.window)) > 0
        if ColorInterp.alpha in source.colorinterp:
            # GDAL takes it for a mask beside one band or three only, not beside near infrared.
            alpha = source.colorinterp.index(ColorInterp.alpha) + 1
            valid &= source.read(alpha, window=box.window) > 0
    except RasterioError as error:
        raise damaged(source, box, error) from error
    return valid


def read_labels(source: DatasetReader | WarpedVRT, box: Box) -> NDArray[Any]:
    """Reads classes.

    Returns:
        (y, x) integers of the raster's dtype, 0 where it has no data.

    Raises:
        RasterError: As ``read``.
    """
    labels: NDArray[Any] = read(source, 1, box)
    labels[~read_mask(source, box)] = 0
    return labels


def damaged(source: DatasetReader | WarpedVRT, box: Box, error: BaseException) -> LandcoverError:
    """The error for pixels that cannot be read, with what first went wrong."""
    if fault := fault_at(name_of(source)):
        return fault
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return DamagedError(
        found=f"{name_of(source)} cannot be read at rows {box.y0} to {box.y1}, "
        f"columns {box.x0} to {box.x1}: {cause}",
        expected="a file whose pixels can all be read",
        fix="fetch the file again; `landcover check CONFIG` reads every pixel of all inputs",
    )


def name_of(source: DatasetReader | WarpedVRT) -> str:
    """The file that a dataset is, or is a view of, as messages name it."""
    if isinstance(source, WarpedVRT):
        source = source.src_dataset
    return plain_name(str(source.tags().get(FILE_TAG, source.name)))


def on_grid(source: DatasetReader, geobox: GeoBox, resampling: Resampling) -> WarpedVRT:
    """A raster seen on the working grid, warped window by window as it is read.

    Positions are exact to a thousandth of a pixel: GDAL's usual tolerance of an eighth would
    make the result depend on the window.

    Args:
        source: Open raster.
        geobox: The working grid.
        resampling: Rule by which source pixels make a working pixel.

    Returns:
        The open view; outside the source it has no data.
    """
    has_mask = source.nodata is not None or ColorInterp.alpha in source.colorinterp
    return WarpedVRT(
        source,
        crs=str(geobox.crs),
        transform=geobox.transform,
        height=geobox.shape[0],
        width=geobox.shape[1],
        resampling=resampling,
        tolerance=0.001,
        add_alpha=not has_mask,
    )
