"""Rasters on disk, read: checked before use, by window, seen on any grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.coords import disjoint_bounds
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from landcover_pnp.errors import DamagedError, GridError, RasterError
from landcover_pnp.grid import Box

BLOCK_PX = 512
"""Side of the blocks in which rasters are read and verified."""


CACHE_BYTES = 128 * 2**20
"""GDAL's block cache in one process: by default it grows with the machine's memory."""


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
        RasterError: If the file is missing or not a raster.
    """
    if not path.is_file():
        raise RasterError(
            found=f"no file {path} ({what})",
            expected="a raster file",
            way_out="correct the path; relative paths count from the configuration's folder",
        )
    # Only drivers that never follow references to other files, as a VRT would.
    driver = "JP2OpenJPEG" if path.suffix.lower() in (".jp2", ".j2k") else "GTiff"
    try:
        source = rasterio.open(path, driver=driver)
    except RasterioError as error:
        raise DamagedError(
            found=f"{path} ({what}) is not a raster that can be opened: {error}",
            expected="a GeoTIFF, COG or JPEG 2000 file",
            way_out="convert it, for example with gdal_translate",
        ) from error
    with source:
        yield source


@contextmanager
def open_image(path: Path) -> Iterator[DatasetReader]:
    """Opens an aerial image, with a near-infrared band that is tagged alpha set right.

    GDAL tags a fourth band as alpha where a writer did not say what it is, and most NAIP files
    carry that tag on their near infrared: taken at its word, dark water would be no data. A
    band with other values than none and full in the image's middle is no alpha.

    Args:
        path: The file.

    Yields:
        The open dataset, or a view of it in memory with the tag removed.

    Raises:
        RasterError: As ``open_raster``.
    """
    with open_raster(path, "imagery") as source:
        tagged = source.count == 4 and source.colorinterp[3] == ColorInterp.alpha
        if not tagged or np.dtype(source.dtypes[3]).kind not in "ui":
            yield source
            return
        y, x = source.height // 2, source.width // 2
        middle = Box(y, y, x, x).grow(BLOCK_PX // 2).clip(Box(0, source.height, 0, source.width))
        values = np.unique(read(source, 4, middle))
        if set(values.tolist()) <= {0, np.iinfo(values.dtype).max}:
            yield source
            return
        with MemoryFile(filename=f"{path.name}.vrt") as memory:
            rasterio.shutil.copy(source, memory.name, driver="VRT")
            with rasterio.open(memory.name, "r+") as view:
                view.colorinterp = [*source.colorinterp[:3], ColorInterp.undefined]
            with rasterio.open(memory.name) as view:
                yield view


def require_projected(source: DatasetReader, what: str) -> None:
    """Refuses a raster without CRS or with a geographic one.

    Raises:
        RasterError: If pixels are not metres on the ground.
    """
    if source.crs is None:
        raise RasterError(
            found=f"{source.name} ({what}) has no coordinate reference system",
            expected="a projected CRS in metres, such as a UTM zone",
            way_out="assign it, for example with gdal_edit.py -a_srs EPSG:26917",
        )
    if not source.crs.is_projected or source.crs.linear_units_factor[1] != 1.0:
        raise RasterError(
            found=f"{source.name} ({what}) has the CRS {source.crs.to_string()}, not in metres",
            expected="a projected CRS in metres, such as a UTM zone",
            way_out="reproject it, for example with gdalwarp -t_srs EPSG:26917 -r bilinear",
        )


def image_bands(source: DatasetReader) -> list[int]:
    """Indices (from 1) of the colour bands of an aerial image, alpha left out.

    Raises:
        RasterError: If it has not 3 or 4 bands of uint8 or uint16.
    """
    interpretations = zip(source.indexes, source.colorinterp, strict=True)
    bands = [i for i, colour in interpretations if colour != ColorInterp.alpha]
    types = sorted({source.dtypes[i - 1] for i in bands})
    if len(bands) not in (3, 4) or types not in (["uint8"], ["uint16"]):
        raise RasterError(
            found=f"{source.name} has {len(bands)} colour bands of {', '.join(types)}",
            expected="3 or 4 bands (R,G,B or R,G,B,NIR) of uint8 or uint16",
            way_out="select and scale the bands, for example with gdal_translate -b 1 -b 2 -b 3 "
            "-ot Byte -scale",
        )
    return bands


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
            found=f"{source.name} ({what}) has {source.count} bands of {source.dtypes[0]}",
            expected="one band of integer class values",
            way_out="select the band, for example with gdal_translate -b 1 -ot Byte",
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
        mask = source.dataset_mask(window=box.window)
    except RasterioError as error:
        raise damaged(source, box, error) from error
    return np.asarray(mask, np.uint8) > 0


def damaged(source: DatasetReader | WarpedVRT, box: Box, error: Exception) -> DamagedError:
    """The error for pixels that cannot be read."""
    name = source.src_dataset.name if isinstance(source, WarpedVRT) else source.name
    cause = error.__cause__ or error
    return DamagedError(
        found=f"{name} cannot be read at rows {box.y0} to {box.y1}, columns {box.x0} to {box.x1}: "
        f"{cause}",
        expected="a file whose pixels can all be read",
        way_out="fetch the file again; `landcover check CONFIG` reads every pixel of all inputs",
    )


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


def overlapping_bounds(
    source: DatasetReader, what: str, bounds: Sequence[float], crs: Any
) -> tuple[float, ...]:
    """Bounds of a raster in another CRS.

    Args:
        source: Open raster.
        what: What it is meant to be, named in messages.
        bounds: Left, bottom, right, top that it must overlap.
        crs: rasterio CRS of ``bounds``, in which the result is given.

    Returns:
        Left, bottom, right, top of the raster.

    Raises:
        RasterError: If the raster has no CRS.
        GridError: If it lies elsewhere.
    """
    if source.crs is None:
        raise RasterError(
            found=f"{source.name} ({what}) has no coordinate reference system",
            expected="a raster that says where it lies",
            way_out="assign it, for example with gdal_edit.py -a_srs EPSG:26917",
        )
    there: tuple[float, ...] = transform_bounds(source.crs, crs, *source.bounds)
    if disjoint_bounds(there, tuple(bounds)):
        raise GridError(
            found=f"{source.name} ({what}) covers {listed(there)}, the map {listed(bounds)}, "
            f"both in {crs.to_string()}: they do not overlap",
            expected=f"{what} of the same ground",
            way_out="name the file of this area; check both coordinate reference systems",
        )
    return there


def require_same_ground(
    source: DatasetReader, what: str, bounds: Sequence[float], crs: Any, tolerance_m: float
) -> None:
    """Refuses a raster that covers other ground than the map.

    In another CRS the outlines are turned against each other: there an overlap is enough.

    Raises:
        RasterError: If the raster has no CRS.
        GridError: If the outlines differ by more than the tolerance.
    """
    there = overlapping_bounds(source, what, bounds, crs)
    off_m = max(abs(a - b) for a, b in zip(there, bounds, strict=True))
    if source.crs == crs and off_m > tolerance_m:
        raise GridError(
            found=f"{source.name} ({what}) covers {listed(there)}, the map {listed(bounds)}, "
            f"both in {crs.to_string()}",
            expected=f"{what} of the same ground as the map, to within {tolerance_m:g} m",
            way_out="take the file of this area; `landcover evaluate --overlap true` scores what "
            "both cover",
        )


def listed(bounds: Iterable[float]) -> str:
    """Bounds as a message shows them."""
    return "(" + ", ".join(f"{v:.0f}" for v in bounds) + ")"


def blocks(extent: Box, side: int = BLOCK_PX) -> Iterator[Box]:
    """Square blocks that partition a box, in row-major order."""
    for y in range(extent.y0, extent.y1, side):
        for x in range(extent.x0, extent.x1, side):
            yield Box(y, y + side, x, x + side).clip(extent)
