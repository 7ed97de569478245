"""The part of an aerial image that shows an area, copied pixel by pixel to a file of its own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from landcover_pnp.errors import RasterError
from landcover_pnp.fetch.area import Area
from landcover_pnp.grid import Box, blocks
from landcover_pnp.storage.atomic import scratch
from landcover_pnp.storage.bands import NAMES, BandName, Bands
from landcover_pnp.storage.georeference import require_projected, require_square
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.images import open_image, read_bands
from landcover_pnp.storage.raster import read, read_mask


@dataclass(frozen=True)
class ImagePart:
    """What is fetched of an image.

    Attributes:
        path: The file, or the path of its address.
        crs: Its CRS.
        window: Pixels that show the area, whole blocks of the file but for its edges.
        shape: Rows and columns of the whole image.
        res_m: Side of its pixels, metres.
        bytes: Estimate of the bytes that are read.
        bands: What its bands are, where the catalogue says it: else some of the image is looked at.
    """

    path: Path
    crs: str
    window: Box
    shape: tuple[int, int]
    res_m: float
    bytes: int
    bands: Sequence[BandName] | None = None


def plan_part(
    path: Path,
    area: Area,
    file_bytes: int | None = None,
    bands: Sequence[BandName] | None = None,
) -> ImagePart | None:
    """Looks at an image's header.

    Args:
        path: The image.
        area: The area.
        file_bytes: Size of the file, where it is known.
        bands: What its bands are, where that is known.

    Returns:
        The part that shows the area; None where it shows nothing of it.

    Raises:
        RasterError: If it is no aerial image that can be mapped.
        AddressError, NetworkError: If it cannot be read.
    """
    with open_image(path, bands) as source:
        require_projected(source, "imagery")
        require_square(source, "imagery")
        used = read_bands(source, bands)
        if source.transform.b or source.transform.d or source.transform.e > 0:
            raise RasterError(
                found=f"{path} (imagery) is not stored with north up",
                expected="imagery whose rows run from west to east",
                fix="warp it with gdalwarp and name it in a configuration",
            )
        crs = source.crs.to_string()
        window = window_of(source, area.within(crs))
        if window.is_empty:
            return None
        share = math.prod(window.shape) / (source.height * source.width)
        stored = source.height * source.width * len(used.indexes) * _itemsize(source)
        size = min(file_bytes or stored, stored)
        shape = (int(source.height), int(source.width))
        res_m = abs(float(source.res[0]))
        return ImagePart(path, crs, window, shape, res_m, round(share * size), bands)


def part_json(part: ImagePart | None) -> dict[str, Any] | None:
    """A part as JSON values, but for its path; None of none."""
    if part is None:
        return None
    return {**dataclasses.asdict(part), "path": "", "window": list(part.window)}


def window_of(source: DatasetReader, shape: shapely.Geometry) -> Box:
    """Pixels of a raster, north up, that touch the bounds of a shape in its CRS."""
    left, bottom, right, top = shape.bounds
    inverse = ~source.transform
    x0, y0 = inverse * (left, top)
    x1, y1 = inverse * (right, bottom)
    box = Box(math.floor(y0), math.ceil(y1), math.floor(x0), math.ceil(x1))
    return box.clip(Box(0, source.height, 0, source.width))


def _itemsize(source: DatasetReader) -> int:
    return int(np.dtype(source.dtypes[0]).itemsize)


def fetch_part(part: ImagePart, target: Path) -> float:
    """Copies a part of an image to a cloud-optimised GeoTIFF; its values stay the same.

    Args:
        part: From ``plan_part``.
        target: The file; 0 in all bands is no data in it where the image has a mask.

    Returns:
        Share of its pixels that have data, 0..1.

    Raises:
        RasterError: If a pixel cannot be read.
        AddressError, NetworkError: If it cannot be fetched.
        RunError: If it cannot be written.
    """
    with open_image(part.path, part.bands) as source:
        bands, window = read_bands(source, part.bands), part.window
        origin = Affine.translation(window.x0, window.y0)
        geobox = GeoBox(window.shape, source.transform * origin, part.crs)
        masked = _has_mask(source)
        known = [0]

        def pixels() -> Iterator[tuple[Box, NDArray[Any]]]:
            for box in blocks(Box(0, window.shape[0], 0, window.shape[1])):
                there = Box(
                    box.y0 + window.y0,
                    box.y1 + window.y0,
                    box.x0 + window.x0,
                    box.x1 + window.x0,
                )
                values, valid = _read(source, bands, there)
                known[0] += int(valid.sum())
                yield box, values

        band = Band(
            source.dtypes[bands.indexes[0] - 1],
            tuple(NAMES[name] for name in bands.names),
            nodata=0 if masked else None,
            rgb=bands.names[:3] == ("red", "green", "blue"),
        )
        with scratch(target) as plain:
            write_raster(plain, geobox, band, pixels())
            write_cog(target, plain, "average")
    return known[0] / math.prod(window.shape)


def _has_mask(source: DatasetReader) -> bool:
    return source.mask_flag_enums[0] != [MaskFlags.all_valid] or (
        ColorInterp.alpha in source.colorinterp
    )


def _read(source: DatasetReader, bands: Bands, box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A window's colours, black where there is no data and nowhere else, and where there is."""
    values: NDArray[Any] = read(source, list(bands.indexes), box)
    if not _has_mask(source):
        return values, np.ones(box.shape, bool)
    valid = read_mask(source, box)
    black = valid & ~values.any(axis=0)
    values[:, black] = 1  # the darkest that is not 0
    values[:, ~valid] = 0
    return values, valid
