"""Arrays with coordinates as GeoTIFFs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401, which gives arrays their .odc
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import RasterError
from landcover_pnp.storage.atomic import completed


def write_array(array: xr.DataArray, path: Path, name: str) -> None:
    """Writes an array as GeoTIFF, rows from north to south.

    Args:
        array: (y, x) or (band, y, x) in any order, with evenly spaced coordinates and a CRS.
        path: The file.
        name: What it is, for messages.

    Raises:
        RasterError: If it has no grid or no CRS, or further dimensions.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is missing is said below
        geobox = array.odc.geobox
    crs = None if geobox is None else geobox.crs
    if not isinstance(geobox, GeoBox) or crs is None:
        raise RasterError(
            found=f"{name}, an array without " + ("a grid" if geobox is None else "a CRS"),
            expected="dimensions y and x with evenly spaced coordinates, and a CRS",
            fix="write the CRS into it: array.rio.write_crs('EPSG:26917')",
        )
    if geobox.resolution.y > 0:
        return write_array(array.isel({geobox.dimensions[0]: slice(None, None, -1)}), path, name)
    values = np.asarray(array.transpose(..., *geobox.dimensions))
    if values.ndim not in (2, 3):
        raise RasterError(
            found=f"{name}, an array of {values.ndim} dimensions",
            expected="(y, x) or (band, y, x)",
            fix="select one time, or whatever the further dimension is, first",
        )
    pixels = values.reshape(-1, *values.shape[-2:])
    nodata = array.attrs.get("_FillValue", array.encoding.get("_FillValue"))
    with (
        completed(path) as partial,
        rasterio.open(
            partial,
            "w",
            driver="GTiff",
            height=pixels.shape[1],
            width=pixels.shape[2],
            count=len(pixels),
            dtype=pixels.dtype,
            crs=str(crs),
            transform=geobox.transform,
            nodata=nodata,
            photometric="MINISBLACK",
        ) as target,
    ):
        target.write(pixels)
        target.colorinterp = [_INTERPRETED] * len(pixels)
    return None


_INTERPRETED = rasterio.enums.ColorInterp.undefined
