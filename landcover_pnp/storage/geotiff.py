"""GeoTIFFs on disk, written: complete and verified under their name, or not there at all."""

from __future__ import annotations

import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from landcover_pnp.errors import RunError
from landcover_pnp.grid import BLOCK_PX, Box, blocks
from landcover_pnp.legend import Legend, count_values
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.class_attributes import class_attributes
from landcover_pnp.storage.disk_space import disk_full
from landcover_pnp.storage.failpoints import failpoint

_FAILURES = (RasterioError, CPLE_BaseError, SystemError, OSError)
"""What a failed write raises: a copy raises GDAL's own error, or SystemError where it has none."""


@dataclass(frozen=True)
class Band:
    """How a raster is written, besides its pixels.

    Attributes:
        dtype: numpy name of the pixel type.
        descriptions: One text a band; their number is the number of bands.
        nodata: Value of no data, None where every pixel has data.
        legend: Classes of a one-band raster of classes: becomes its colour table, category
            names and attribute table.
        rgb: Whether the first bands are red, green and blue, and none is alpha: of a fourth band
            GDAL guesses that it is.
        tags: Further metadata.
        scale: What stored values are multiplied by to be quantities, as GDAL has it.
    """

    dtype: str
    descriptions: tuple[str, ...]
    nodata: float | None = None
    legend: Legend | None = None
    rgb: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0


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
    colours = {"photometric": "RGB", "alpha": "NO"} if band.rgb else {}
    try:
        with completed(path) as partial:
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
                zlevel=1,  # a third of the time of the usual 6, and as small
                interleave="band",  # what lies in one band is alike: smaller and faster
                bigtiff="if_safer",
                **colours,
            ) as target:
                failpoint("opened", path.name)
                target.descriptions = band.descriptions
                target.update_tags(**band.tags)
                if band.scale != 1:
                    target.scales = (band.scale,) * target.count
                if band.legend:
                    target.write_colormap(1, band.legend.colormap)
                written = []
                counts: Counter[int] = Counter()
                for box, pixels in parts:
                    target.write(pixels, window=box.window)
                    if band.legend:
                        counts.update(count_values(pixels))
                    written.append((box, _checksum(pixels)))
                    failpoint("part-written", path.name)
            if band.legend:
                pixel_m2 = abs(geobox.resolution.x * geobox.resolution.y)
                xml = class_attributes(band.legend, counts, pixel_m2)
                partial.with_name(partial.name + ".aux.xml").write_text(xml, encoding="utf-8")
            failpoint("closed", path.name)
            with rasterio.open(partial) as target:
                for box, checksum in written:
                    if _checksum(target.read(window=box.window)) != checksum:
                        raise _unverified(path, f"rows {box.y0} to {box.y1} differ")
    except _FAILURES as error:
        size = height * width * len(band.descriptions) * np.dtype(band.dtype).itemsize
        full = disk_full(path, size)
        raise full or _unverified(path, str(error.__cause__ or error)) from error


def _checksum(pixels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


def write_cog(path: Path, source: Path, overview_resampling: str) -> None:
    """Copies a GeoTIFF to a cloud-optimised one with overviews, and reads every pixel back.

    Colour table, category names, attribute table, descriptions and tags go along.

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
            failpoint("copied", path.name)
            valid, reasons, _ = cog_validate(partial, strict=True)
            if not valid:
                raise _unverified(path, "; ".join(reasons))
            with rasterio.open(source) as before, rasterio.open(partial) as after:
                for box in blocks(Box(0, before.height, 0, before.width)):
                    if not np.array_equal(
                        before.read(window=box.window), after.read(window=box.window)
                    ):
                        raise _unverified(path, f"rows {box.y0} to {box.y1} differ")
    except _FAILURES as error:
        full = disk_full(path, 2 * source.stat().st_size)
        raise full or _unverified(path, str(error.__cause__ or error)) from error


def _unverified(path: Path, reason: str) -> RunError:
    free = shutil.disk_usage(path.parent).free / 1e9
    return RunError(
        found=f"{path} could not be written and read back: {reason}; {free:.1f} GB free there",
        expected="a complete file",
        fix="free disk space or choose another run folder, then repeat the command",
    )
