"""Labels as polygons: small patches sieved out, edges simplified without gaps or overlaps."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import features
from rasterio.transform import Affine
from scipy import ndimage

from landcover_pnp.legend import NO_DATA

Geometries = NDArray[np.object_]
"""(polygon,) shapely polygons."""


Labels = TypeVar("Labels", np.uint8, np.uint16)


def sieved(labels: NDArray[Labels], min_px: int) -> NDArray[Labels]:
    """Gives patches smaller than ``min_px`` to their largest neighbour (GDAL's sieve).

    Small patches that have only small neighbours stay.

    Args:
        labels: (y, x), 0 = no data.
        min_px: Pixels of the smallest patch that stays; patches are connected by edges.

    Returns:
        (y, x) of the same type; no data stays as it is.
    """
    valid = labels != NO_DATA
    size = min(min_px, labels.size - 1)  # GDAL refuses more
    if size <= 1:
        return labels
    merged = features.sieve(labels, size=size, mask=valid, connectivity=4)
    return np.where(valid, merged, NO_DATA).astype(labels.dtype)


def patches(labels: NDArray[Labels]) -> NDArray[np.int32]:
    """Numbers patches of equal labels connected by edges: (y, x) int32 from 1, 0 = no data."""
    numbers = np.zeros(labels.shape, np.int32)
    last = 0
    for code in np.unique(labels[labels != NO_DATA]):
        part, count = ndimage.label(labels == code)
        numbers += np.where(part > 0, part + last, 0).astype(np.int32)
        last += count
    return numbers


def staircases(numbers: NDArray[np.int32]) -> Geometries:
    """Outlines of patches along the pixels' edges.

    Args:
        numbers: (y, x) int32 from ``patches``.

    Returns:
        (patch,) polygons in pixel coordinates (x, y), in the order of the numbers.
    """
    found: dict[int, Any] = {}
    for geometry, number in features.shapes(numbers, numbers > 0, connectivity=4):
        found[int(number)] = shapely.geometry.shape(geometry)
    outlines = np.empty(len(found), object)
    outlines[:] = [found[number] for number in sorted(found)]
    return outlines


def simplified(numbers: NDArray[np.int32], tolerance_px: float) -> Geometries:
    """Outlines of patches, simplified so that shared edges stay shared.

    The edge of the whole area stays as it is, so neighbouring areas still fit and the total
    area does not change (Visvalingam & Whyatt 1993 on the edges of the coverage, as GEOS does).

    Args:
        numbers: (y, x) int32 from ``patches``.
        tolerance_px: Square root of the area of the triangles that may go, about the size of
            the largest detail that may.

    Returns:
        (patch,) polygons in pixel coordinates (x, y), in the order of the numbers.
    """
    outlines = staircases(numbers)
    if not len(outlines):
        return outlines
    # In a coverage a polygon needs a vertex wherever a neighbour has one: first at every
    # pixel's corner, then only where some outline turns.
    unit_steps = shapely.transform(shapely.segmentize(outlines, 1.0), np.rint)
    kind, xy, (rings, polygons) = shapely.to_ragged_array(unit_steps)
    turns = _turns(numbers)[xy[:, 1].astype(int), xy[:, 0].astype(int)]
    rings = np.concatenate([[0], np.cumsum(turns)])[rings]
    coverage = shapely.from_ragged_array(kind, xy[turns], (rings, polygons))
    result: Geometries = shapely.coverage_simplify(coverage, tolerance_px, simplify_boundary=False)
    return result


def _turns(numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Corners of pixels where an outline turns or outlines meet: (y + 1, x + 1) bool."""
    n = np.pad(numbers, 1)
    level = (n[:-1, :-1] == n[:-1, 1:]) & (n[1:, :-1] == n[1:, 1:])
    upright = (n[:-1, :-1] == n[1:, :-1]) & (n[:-1, 1:] == n[1:, 1:])
    return np.asarray(~level & ~upright)


def on_ground(outlines: Geometries, transform: Affine, origin: tuple[int, int]) -> Geometries:
    """Moves polygons from the pixels of a window to the ground.

    Args:
        outlines: (polygon,) polygons in pixel coordinates (x, y) of the window.
        transform: From the pixels of the whole raster to the ground.
        origin: Column and row of the window's first pixel.

    Returns:
        (polygon,) polygons; a pixel's corner becomes the same point in every window.
    """
    a, b, c, d, e, f = transform[:6]
    matrix, offset = np.array([[a, d], [b, e]]), np.array([c, f])
    moved: Geometries = shapely.transform(outlines, lambda xy: (xy + origin) @ matrix + offset)
    return moved


def patch_means(values: NDArray[np.number], numbers: NDArray[np.int32]) -> NDArray[np.float64]:
    """Mean of a raster over each patch: (y, x) -> (patch,) float64, in the order of the numbers."""
    counts = np.bincount(numbers.ravel())
    sums = np.bincount(numbers.ravel(), weights=values.ravel())
    return np.asarray(sums[1:] / counts[1:])
