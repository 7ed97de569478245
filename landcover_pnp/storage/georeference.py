"""Where a raster lies: its CRS and outline, beside those of the ground that is mapped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.coords import BoundingBox
from rasterio.io import DatasetReader
from rasterio.warp import transform, transform_bounds

from landcover_pnp.errors import GridError, RasterError
from landcover_pnp.storage.raster import name_of

LONGEST = 1.5
"""Sides of an image's pixel that are further apart are no mistake of rounding."""


def system_name(crs: Any) -> str:
    """A CRS as messages name it: by its code, else by its own name, not by all its parameters.

    Args:
        crs: Of rasterio, pyproj or odc-geo.
    """
    text = str(crs)
    own = re.match(r'\w+\["([^"]+)"', text)
    return f"{' '.join(own[1].split())!r}" if own else text


def bounds_of(source: DatasetReader) -> BoundingBox:
    """Bounds of a raster, stored north up, south up or turned.

    Returns:
        Left, bottom, right, top in the raster's CRS, left < right and bottom < top.
    """
    left, bottom, right, top = source.bounds
    return BoundingBox(min(left, right), min(bottom, top), max(left, right), max(bottom, top))


def require_projected(source: DatasetReader, what: str) -> None:
    """Refuses a raster without CRS or with one that is not in metres.

    Args:
        source: Open raster.
        what: What it is meant to be, named in messages.

    Raises:
        RasterError: If pixels are not metres on the ground.
    """
    if source.crs is None:
        raise _no_system(source, what, "a projected CRS in metres, such as a UTM zone")
    if not source.crs.is_projected or source.crs.linear_units_factor[1] != 1.0:
        raise RasterError(
            found=f"{name_of(source)} ({what}) has the CRS {system_name(source.crs)}, not in "
            "metres",
            expected="a projected CRS in metres, such as a UTM zone",
            fix="reproject it, for example with gdalwarp -t_srs EPSG:26917, images with "
            "-r bilinear and classes with -r mode",
        )


def sides(source: DatasetReader) -> str:
    """Size of a raster's pixels as messages show it."""
    width, height = map(abs, source.res)
    unit = "degrees" if source.crs is not None and source.crs.is_geographic else "m"
    same = abs(width - height) <= 0.001 * width
    return f"{width:g} {unit}" if same else f"{width:g} x {height:g} {unit}"


def require_square(source: DatasetReader, what: str) -> None:
    """Refuses a raster whose pixels are far from square, turned or not.

    Args:
        source: Open raster with a projected CRS.
        what: What it is meant to be, named in messages.

    Raises:
        RasterError: If a pixel is ``LONGEST`` times as long as wide or more, in its CRS or on the
            ground, or a parallelogram as narrow.
    """
    grid = source.transform
    shapes = {"": np.array([[grid.a, grid.b], [grid.d, grid.e]])}
    with suppress(ValueError):
        shapes[" on the ground"] = _middle_pixel(source)
    for where, shape in shapes.items():
        long, short = np.linalg.svd(shape, compute_uv=False)
        if long > LONGEST * short:
            raise RasterError(
                found=f"{name_of(source)} ({what}) has pixels of {long:.3g} x {short:.3g} m{where}",
                expected=f"pixels that are square, or at most {LONGEST:g} times as long as wide",
                fix="resample it, for example with gdalwarp -tr "
                f"{long:.3g} {long:.3g} -r average, to a UTM zone where the ground is meant",
            )


def area_scale(bounds: Sequence[float], crs: Any) -> float:
    """How many times larger an area is in a CRS than on the ground, in the middle of bounds.

    Args:
        bounds: Left, bottom, right, top.
        crs: rasterio CRS of ``bounds``, in metres.

    Returns:
        The factor; NaN where the middle has no place on the earth.
    """
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    longitude, latitude, *_ = transform_bounds(crs, "EPSG:4326", x, y, x, y)
    if not np.isfinite((longitude, latitude)).all():
        return float("nan")
    side = 100.0
    east, north = transform(crs, _plane(longitude, latitude), [x, x + side, x], [y, y, y + side])
    (ax, bx), (ay, by) = np.subtract(east[1:], east[0]), np.subtract(north[1:], north[0])
    return float(side**2 / abs(ax * by - ay * bx))


def pixel_sides_m(source: DatasetReader) -> tuple[float, float]:
    """Width and height of a raster's middle pixel on the ground, metres, in whatever CRS it is.

    Args:
        source: Open raster that lies somewhere on the earth.
    """
    width, height = np.hypot(*_middle_pixel(source))
    return float(width), float(height)


def _middle_pixel(source: DatasetReader) -> NDArray[np.float64]:
    """Ground metres of a raster's middle pixel.

    Returns:
        (2, 2) east and north, of a step along its row and of one along its column.

    Raises:
        ValueError: If it has no place on the earth.
    """
    column, row = source.width / 2, source.height / 2
    corners = [source.transform * (column + i, row + j) for i, j in ((0, 0), (1, 0), (0, 1))]
    xs, ys = zip(*corners, strict=True)
    here = xs[0], ys[0]
    longitude, latitude, *_ = transform_bounds(source.crs, "EPSG:4326", *here, *here)
    if not np.isfinite((longitude, latitude)).all():
        raise ValueError("it lies nowhere")
    east, north = transform(source.crs, _plane(longitude, latitude), xs, ys)
    steps = np.array([np.subtract(east[1:], east[0]), np.subtract(north[1:], north[0])])
    if not np.isfinite(steps).all():
        raise ValueError("it lies nowhere")
    return steps


def _plane(longitude: float, latitude: float) -> str:
    """A projection in metres: areas are true, and near this place nothing is turned or bent."""
    return f"+proj=laea +lon_0={longitude} +lat_0={latitude}"


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
        RasterError: If the raster has no CRS, or one that is nowhere on the earth.
        GridError: If it lies elsewhere.
    """
    if source.crs is None or not (source.crs.is_projected or source.crs.is_geographic):
        raise _no_system(source, what, "a raster that says where it lies")
    own = bounds_of(source)
    there: tuple[float, ...] = transform_bounds(source.crs, crs, *own)
    if not np.isfinite(there).all():
        raise _elsewhere(
            f"{name_of(source)} ({what}) covers {listed(own)} in {system_name(source.crs)}, which "
            f"has no place in {system_name(crs)}, the CRS of the map",
            what,
        )
    if apart(there, bounds):
        raise _elsewhere(
            f"{name_of(source)} ({what}) covers {listed(there)}, the map {listed(bounds)}, "
            f"both in {system_name(crs)}: they do not overlap",
            what,
        )
    return there


def apart(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two bounds, left, bottom, right, top in one CRS, have no point in common."""
    return one[0] > other[2] or other[0] > one[2] or one[1] > other[3] or other[1] > one[3]


def require_same_ground(
    source: DatasetReader, what: str, bounds: Sequence[float], crs: Any, tolerance_m: float
) -> None:
    """Refuses a raster that covers other ground than the map.

    In another CRS the outlines are turned against each other: there an overlap is enough.

    Args:
        source: Open raster.
        what: What it is meant to be, named in messages.
        bounds: Left, bottom, right, top of the map.
        crs: rasterio CRS of ``bounds``.
        tolerance_m: By how much a side may differ, metres.

    Raises:
        RasterError: As ``overlapping_bounds``.
        GridError: If the outlines differ by more than the tolerance.
    """
    there = overlapping_bounds(source, what, bounds, crs)
    off_m = max(abs(a - b) for a, b in zip(there, bounds, strict=True))
    if source.crs == crs and off_m > tolerance_m:
        raise GridError(
            found=f"{name_of(source)} ({what}) covers {listed(there)}, the map {listed(bounds)}, "
            f"both in {system_name(crs)}",
            expected=f"{what} of the same ground as the map, to within {tolerance_m:g} m",
            fix="take the file of this area; `landcover evaluate --overlap true` scores what "
            "both cover",
        )


def listed(bounds: Iterable[float]) -> str:
    """Bounds as a message shows them: degrees to the fifth decimal, metres without."""
    values = list(bounds)
    digits = 5 if max(map(abs, values)) <= 360 else 0
    return "(" + ", ".join(f"{v:.{digits}f}" for v in values) + ")"


def _no_system(source: DatasetReader, what: str, expected: str) -> RasterError:
    points, _ = source.gcps
    if points:
        return RasterError(
            found=f"{name_of(source)} ({what}) is placed by {len(points)} ground control points",
            expected=expected,
            fix="warp it onto a grid, for example with gdalwarp -t_srs EPSG:26917, images with "
            "-r bilinear and classes with -r mode",
        )
    has = "no coordinate reference system"
    if source.crs is not None:
        has = f"the CRS {system_name(source.crs)}, which is nowhere on the earth"
    return RasterError(
        found=f"{name_of(source)} ({what}) has {has}",
        expected=expected,
        fix="assign it, for example with gdal_edit.py -a_srs EPSG:26917",
    )


def _elsewhere(found: str, what: str) -> GridError:
    return GridError(
        found=found,
        expected=f"{what} of the same ground",
        fix="name the file of this area; check both coordinate reference systems",
    )
