"""Rasters on disk: checked reads by window, and writes that are complete or not there at all."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import RasterError, RunError
from landcover_pnp.grid import Box

BLOCK_PX = 512
"""Side of the blocks in which rasters are read, written and verified."""

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
        raise RasterError(
            found=f"{path} ({what}) is not a raster that can be opened: {error}",
            expected="a GeoTIFF, COG or JPEG 2000 file",
            way_out="convert it, for example with gdal_translate",
        ) from error
    with source:
        yield source


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


def damaged(source: DatasetReader | WarpedVRT, box: Box, error: Exception) -> RasterError:
    """The error for pixels that cannot be read."""
    name = source.src_dataset.name if isinstance(source, WarpedVRT) else source.name
    cause = error.__cause__ or error
    return RasterError(
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


def blocks(extent: Box, side: int = BLOCK_PX) -> Iterator[Box]:
    """Square blocks that partition a box, in row-major order."""
    for y in range(extent.y0, extent.y1, side):
        for x in range(extent.x0, extent.x1, side):
            yield Box(y, y + side, x, x + side).clip(extent)


@contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A file that gets its final name only when it is complete.

    Args:
        path: The final name.

    Yields:
        A name ``.partial-*`` beside it to write to. When the block ends well, the file is
        flushed to disk and renamed, with the ``.aux.xml`` GDAL may have put beside it; when
        it does not, what was written is removed and an older file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    sidecar = partial.with_name(partial.name + ".aux.xml")
    try:
        yield partial
        for written, final in ((sidecar, path.with_name(path.name + ".aux.xml")), (partial, path)):
            if written.exists():
                with written.open("rb") as file:
                    os.fsync(file.fileno())
                written.replace(final)
    finally:
        for leftover in (partial, sidecar):
            leftover.unlink(missing_ok=True)


def remove_partials(folder: Path) -> int:
    """Removes what an interrupted process left under ``.partial-*`` names in a folder.

    Returns:
        Number of files and folders removed.
    """
    leftovers = list(folder.glob("**/.partial-*"))
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
    return len(leftovers)


@dataclass(frozen=True)
class Band:
    """How a raster is written, besides its pixels.

    Attributes:
        dtype: numpy name of the pixel type.
        descriptions: One text a band; their number is the number of bands.
        nodata: Value of no data, None where every pixel has data.
        colormap: RGBA by value of a raster of classes.
        categories: Names by value of a raster of classes, for GDAL's category names.
        tags: Further metadata.
    """

    dtype: str
    descriptions: tuple[str, ...]
    nodata: float | None = None
    colormap: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    categories: Mapping[int, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def write_raster(
    path: Path, geobox: GeoBox, band: Band, parts: Iterable[tuple[Box, NDArray[Any]]]
) -> None:
    """Writes a tiled GeoTIFF block by block, reads it back and only then gives it its name.

    Args:
        path: Final name.
        geobox: Grid of the raster.
        band: Type, names and colours.
        parts: Boxes that partition the grid, each with its pixels (band, y, x).

    Raises:
        RunError: If what is read back differs from what was written, or the disk is full.
    """
    height, width = geobox.shape
    try:
        with completed(path) as partial:
            if band.categories:
                _write_categories(partial, band.categories)
            with rasterio.open(
                partial,
                "w",
                driver="GTiff",
                height=height,
                width=width,
                count=len(band.descriptions),
                dtype=band.dtype,
                crs=str(geobox.crs),
                transform=geobox.transform,
                nodata=band.nodata,
                tiled=True,
                blockxsize=256,
                blockysize=256,
                compress="deflate",
                bigtiff="if_safer",
            ) as target:
                target.descriptions = band.descriptions
                target.update_tags(**band.tags)
                if band.colormap:
                    target.write_colormap(1, dict(band.colormap))
                written = []
                for box, pixels in parts:
                    target.write(pixels, window=box.window)
                    written.append((box, zlib.crc32(np.ascontiguousarray(pixels).tobytes())))
            with rasterio.open(partial) as target:
                for box, checksum in written:
                    pixels = target.read(window=box.window)
                    if zlib.crc32(np.ascontiguousarray(pixels).tobytes()) != checksum:
                        raise _unverified(path, f"rows {box.y0} to {box.y1} differ")
    except (RasterioError, OSError) as error:
        raise _unverified(path, str(error.__cause__ or error)) from error


def write_cog(path: Path, source: Path, overview_resampling: str) -> None:
    """Copies a GeoTIFF to a cloud-optimised one with overviews, and reads every pixel back.

    Colour table, category names, descriptions and tags go along.

    Args:
        path: Final name.
        source: The GeoTIFF.
        overview_resampling: GDAL's rule for overviews; ``mode`` for classes.

    Raises:
        RunError: If the copy cannot be written, is no valid COG or differs in a pixel.
    """
    from rio_cogeo.cogeo import cog_validate

    try:
        with completed(path) as partial:
            rasterio.shutil.copy(
                source,
                partial,
                driver="COG",
                compress="DEFLATE",
                blocksize=BLOCK_PX,
                overview_resampling=overview_resampling,
                bigtiff="IF_SAFER",
            )
            valid, reasons, _ = cog_validate(partial, strict=True)
            if not valid:
                raise _unverified(path, "; ".join(reasons))
            with rasterio.open(source) as before, rasterio.open(partial) as after:
                for box in blocks(Box(0, before.height, 0, before.width)):
                    if not np.array_equal(
                        before.read(window=box.window), after.read(window=box.window)
                    ):
                        raise _unverified(path, f"rows {box.y0} to {box.y1} differ")
    except (RasterioError, OSError) as error:
        raise _unverified(path, str(error.__cause__ or error)) from error


def _write_categories(path: Path, categories: Mapping[int, str]) -> None:
    # GDAL keeps category names in this file only, and rasterio cannot write them.
    names = [categories.get(value, "") for value in range(max(categories) + 1)]
    listed = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    path.with_name(path.name + ".aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames>'
        f"{listed}</CategoryNames></PAMRasterBand></PAMDataset>\n",
        encoding="utf-8",
    )


def _unverified(path: Path, reason: str) -> RunError:
    free = shutil.disk_usage(path.parent).free / 1e9
    return RunError(
        found=f"{path} could not be written and read back: {reason}; {free:.1f} GB free there",
        expected="a complete file",
        way_out="free disk space or choose another run folder, then repeat the command",
    )
