"""The part of a coarse land-cover map around an area, in the map's own grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.features import geometry_mask
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from landcover_pnp.errors import GridError
from landcover_pnp.fetch.area import Area
from landcover_pnp.fetch.images import window_of
from landcover_pnp.grid import Box, blocks
from landcover_pnp.storage.atomic import scratch
from landcover_pnp.storage.georeference import overlapping_bounds
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import label_band, on_grid, open_raster, read, read_mask

AROUND_M = 300.0
"""How far beyond an area the coarse map and the objects are fetched: weak labels are blurred."""

_DEGREE_M = 111_320.0


@dataclass(frozen=True)
class CoarsePart:
    """What is fetched of a coarse map.

    Attributes:
        paths: Files that hold it; where they overlap the first with data counts.
        geobox: Grid of the part: that of the first file.
        dtype: Type of its values.
        nodata: Value of no data.
        bytes: Bytes of its values.
    """

    paths: tuple[Path, ...]
    geobox: GeoBox
    dtype: str
    nodata: int

    @property
    def bytes(self) -> int:
        """Estimate of the bytes that are read."""
        return math.prod(self.geobox.shape) * int(np.dtype(self.dtype).itemsize)


def around(area: Area, metres: float = AROUND_M) -> shapely.Geometry:
    """The box of an area with so much around it, in degrees."""
    west, south, east, north = area.bounds
    y = metres / _DEGREE_M
    x = y / max(math.cos(math.radians((south + north) / 2)), 0.01)
    return shapely.box(west - x, south - y, east + x, north + y)


def plan_coarse(paths: Sequence[Path], area: Area) -> CoarsePart:
    """Looks at the headers of a coarse map's files.

    Args:
        paths: The files, at least one.
        area: The area.

    Returns:
        The part around the area.

    Raises:
        RasterError: If a file is no raster of classes.
        GridError: If the first does not cover the area.
    """
    wide = Area(area.name, around(area), box=True)
    with open_raster(paths[0], "coarse map") as source:
        label_band(source, "coarse map")
        overlapping_bounds(source, "coarse map", area.bounds, "EPSG:4326")
        window = window_of(source, wide.within(source.crs.to_string()))
        if len(paths) > 1:  # beyond its edge lies another file
            window = _unclipped(source, wide.within(source.crs.to_string()))
        if window.is_empty:
            raise GridError(
                found=f"{paths[0]} (coarse map) has no pixel of {area.name}",
                expected="a coarse map of the area",
                fix="name one that covers it",
            )
        origin = Affine.translation(window.x0, window.y0)
        geobox = GeoBox(window.shape, source.transform * origin, source.crs.to_string())
        nodata = 0 if source.nodata is None else int(source.nodata)
        dtype = str(source.dtypes[0])
    for path in paths[1:]:
        with open_raster(path, "coarse map") as source:
            label_band(source, "coarse map")
    return CoarsePart(tuple(paths), geobox, dtype, nodata)


def coarse_json(part: CoarsePart) -> dict[str, Any]:
    """A part as JSON values, but for its paths."""
    grid = part.geobox
    return {
        "shape": [int(side) for side in grid.shape],
        "transform": list(grid.transform)[:6],
        "crs": str(grid.crs),
        "dtype": part.dtype,
        "nodata": part.nodata,
    }


def _unclipped(source: DatasetReader, shape: shapely.Geometry) -> Box:
    left, bottom, right, top = shape.bounds
    x0, y0 = ~source.transform * (left, top)
    x1, y1 = ~source.transform * (right, bottom)
    return Box(math.floor(y0), math.ceil(y1), math.floor(x0), math.ceil(x1))


def fetch_coarse(part: CoarsePart, area: Area, target: Path) -> float:
    """Copies the part of a coarse map to a cloud-optimised GeoTIFF.

    Args:
        part: From ``plan_coarse``.
        area: The area.
        target: The file.

    Returns:
        Share of the area on which it has data, 0..1.

    Raises:
        RasterError: If a pixel cannot be read.
        AddressError, NetworkError: If it cannot be fetched.
        RunError: If it cannot be written.
    """
    known, wanted = [0], [0]
    shape = area.within(str(part.geobox.crs))
    extent = Box(0, int(part.geobox.shape[0]), 0, int(part.geobox.shape[1]))
    with ExitStack() as stack:
        views = [
            stack.enter_context(
                on_grid(
                    stack.enter_context(open_raster(path, "coarse map")),
                    part.geobox,
                    Resampling.nearest,
                )
            )
            for path in part.paths
        ]

        def pixels() -> Iterator[tuple[Box, NDArray[Any]]]:
            for box in blocks(extent):
                values = np.full(box.shape, part.nodata, part.dtype)
                empty = np.ones(box.shape, bool)
                for view in views:
                    valid = read_mask(view, box) & empty
                    values[valid] = read(view, 1, box)[valid]
                    empty &= ~valid
                    if not empty.any():
                        break
                transform = part.geobox[box.within(extent)].transform
                inside = geometry_mask([shape], box.shape, transform, all_touched=True, invert=True)
                wanted[0] += int(inside.sum())
                known[0] += int((inside & (values != part.nodata)).sum())
                yield box, values[None]

        with scratch(target) as plain:
            band = Band(part.dtype, ("coarse land cover",), nodata=part.nodata)
            write_raster(plain, part.geobox, band, pixels())
            write_cog(target, plain, "mode")
    return known[0] / max(wanted[0], 1)
