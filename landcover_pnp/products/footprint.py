"""Where a map lies on the earth, as GeoJSON and STAC say it: across the antimeridian too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
import shapely.affinity
from odc.geo.crs import CRS
from pyproj import Transformer

Degrees = tuple[float, float, float, float]
"""West, south, east, north; west is larger than east across the antimeridian (RFC 7946, 5.2)."""

_DIGITS = 7


def outline(bounds: tuple[float, float, float, float], crs: CRS) -> tuple[dict[str, Any], Degrees]:
    """A rectangle in longitudes and latitudes.

    Args:
        bounds: Left, bottom, right, top.
        crs: Their CRS.

    Returns:
        GeoJSON geometry, cut in two at the antimeridian where it crosses it (RFC 7946, 3.1.9), and
        its bounds.
    """
    left, bottom, right, top = bounds
    to_degrees = Transformer.from_crs(crs.proj, 4326, always_xy=True)
    middle, _ = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
    corners = [left, right, right, left], [bottom, bottom, top, top]
    longitudes, latitudes = (np.asarray(v) for v in to_degrees.transform(*corners))
    # Counted on from the middle, the corners of one map lie side by side.
    longitudes = middle + (longitudes - middle + 180) % 360 - 180
    ring = np.round(np.column_stack([longitudes, latitudes]), _DIGITS)
    whole = shapely.Polygon(ring)
    west, south, east, north = whole.bounds
    parts = [
        shapely.affinity.translate(part, turn)
        for turn in (0.0, 360.0, -360.0)
        for part in [shapely.intersection(whole, shapely.box(-180 - turn, -90, 180 - turn, 90))]
        if part.area
    ]
    shape = whole if len(parts) == 1 else shapely.MultiPolygon(parts)
    geometry: dict[str, Any] = shapely.geometry.mapping(shapely.orient_polygons(shape))
    return geometry, (_wrapped(west), south, _wrapped(east), north)


def _wrapped(longitude: float) -> float:
    """A longitude between -180 and 180, both of which stay as they are."""
    inside = -180 <= longitude <= 180
    return longitude if inside else round((longitude + 180) % 360 - 180, _DIGITS)


def together(boxes: Iterable[Degrees]) -> Degrees:
    """Bounds around several others.

    Args:
        boxes: At least one.

    Returns:
        Their bounds; across the antimeridian where one of them is, by the shorter way around the
        earth.
    """
    west, south, east, north = zip(*boxes, strict=True)
    lowest, highest = min(south), max(north)
    arcs = sorted((a, b if b >= a else b + 360) for a, b in zip(west, east, strict=True))
    if all(b <= 180 for _, b in arcs):
        return min(west), lowest, max(east), highest
    ends = np.maximum.accumulate([b for _, b in arcs])
    starts = [*(a for a, _ in arcs[1:]), arcs[0][0] + 360]
    gaps = np.subtract(starts, ends)
    if gaps.max() <= 0:
        return -180.0, lowest, 180.0, highest
    after = int(gaps.argmax())
    return _wrapped(float(starts[after])), lowest, _wrapped(float(ends[after])), highest
