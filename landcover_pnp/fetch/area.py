"""The area of a place: a name's, a box of degrees or a polygon file's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import shapely
from pyproj import Geod

from landcover_pnp.errors import GridError, SettingsError
from landcover_pnp.scenes.vectors import area_polygons

WIDEST_DEGREES = 60.0
"""Extent from which an area is a slip of the pen, or lies across the antimeridian."""

DEGREES = "EPSG:4326"


@dataclass(frozen=True)
class Area:
    """Where a place is.

    Attributes:
        name: What messages and the scene call it.
        shape: Polygons in degrees, x longitude and y latitude.
        box: Whether it is a box of degrees, which needs no file of its own.
    """

    name: str
    shape: shapely.Geometry
    box: bool

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        west, south, east, north = map(float, self.shape.bounds)
        return west, south, east, north

    @property
    def km2(self) -> float:
        """Its surface on the ellipsoid, square kilometres."""
        return km2_of(self.shape)

    def within(self, crs: str) -> shapely.Geometry:
        """The area in another CRS, its edges as straight as they are in degrees."""
        dense = shapely.segmentize(self.shape, max(self.shape.length / 400, 1e-4))
        return gpd.GeoSeries([dense], crs=DEGREES).to_crs(crs).iloc[0]

    def share_in(self, shape: shapely.Geometry) -> float:
        """Share of the area that lies in a shape in degrees, 0..1."""
        part: float = self.shape.intersection(shape).area / self.shape.area
        return min(max(part, 0.0), 1.0)


def km2_of(shape: shapely.Geometry) -> float:
    """Surface of polygons in degrees on the ellipsoid, square kilometres."""
    square_m, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(shape))
    return abs(float(square_m)) / 1e6


def box_area(text: str) -> Area:
    """The area of a box.

    Args:
        text: West, south, east and north in degrees with commas between.

    Returns:
        The area.

    Raises:
        SettingsError: If these are no four numbers of a box on the earth.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise _no_box(text, "write them as --bbox=-79.0,35.9,-78.8,36.1")
    west, south, east, north = values
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        swapped = -90 <= west < east <= 90 and -180 <= south < north <= 180
        hint = "longitude comes first: " if swapped and max(abs(south), abs(north)) > 90 else ""
        raise _no_box(text, f"{hint}west is less than east, south less than north")
    return Area(text, narrow(shapely.box(*values), f"the box {text}"), box=True)


def file_area(path: Path) -> Area:
    """The area of a polygon file.

    Args:
        path: Polygon file in any CRS.

    Returns:
        The area; its name is that of the file.

    Raises:
        RasterError: If the file is missing, has no polygon or no CRS.
        GridError: If the polygons are not valid, empty, or far too wide.
    """
    frame = area_polygons(path)
    return Area(path.stem, narrow(frame.to_crs(DEGREES).geometry.union_all(), str(path)), box=False)


def narrow(shape: shapely.Geometry, what: str) -> shapely.Geometry:
    """Refuses a shape in degrees that is no area of a city.

    Args:
        shape: The shape.
        what: What it is, named in messages.

    Returns:
        The shape.

    Raises:
        GridError: If it is far too wide, as one across the antimeridian is.
    """
    west, south, east, north = shape.bounds
    if max(east - west, north - south) > WIDEST_DEGREES:
        raise GridError(
            found=f"{what} spans {east - west:.1f} degrees of longitude and {north - south:.1f} of "
            "latitude",
            expected=f"the area of a city, at most {WIDEST_DEGREES:g} degrees wide and high",
            fix="correct the coordinates; split an area that crosses the antimeridian there",
        )
    return shape


def _no_box(text: str, fix: str) -> SettingsError:
    return SettingsError(
        found=f"bbox is {text}",
        expected="west, south, east and north in degrees, with commas between",
        fix=fix,
    )
