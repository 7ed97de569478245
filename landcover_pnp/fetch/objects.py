"""Roads, buildings and water as objects with widths, whatever source they are from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from landcover_pnp.scenes.widths import COLUMN, read_widths
from landcover_pnp.storage.atomic import completed

LAYERS = ("roads", "buildings", "water")

ROAD_WIDTHS: dict[str, float] = {
    "motorway": 11.0,
    "trunk": 11.0,
    "primary": 10.0,
    "secondary": 9.0,
    "tertiary": 8.0,
    "residential": 7.5,
    "unclassified": 6.5,
    "living_street": 6.0,
    "road": 6.5,
    "busway": 7.0,
    "raceway": 10.0,
    "service": 4.5,
    "pedestrian": 5.0,
    "motorway_link": 6.0,
    "trunk_link": 6.0,
    "primary_link": 6.0,
    "secondary_link": 6.0,
    "tertiary_link": 6.0,
}
"""Paved width in metres of a road of each class whose own width is not given; a dual carriageway is
two roads. Paths, tracks and unpaved roads are none: they are no impervious ground."""

LANE_M = 3.3
"""Width of a lane."""

WATER_WIDTHS: dict[str, float] = {
    "river": 15.0,
    "canal": 10.0,
    "tidal_channel": 8.0,
    "stream": 3.0,
    "ditch": 1.5,
    "drain": 1.5,
}
"""Width in metres of a watercourse of each class whose own is not given."""

UNPAVED = frozenset(
    (
        *("unpaved", "compacted", "fine_gravel", "gravel", "rock", "pebblestone", "ground"),
        *("dirt", "earth", "grass", "mud", "sand", "woodchips", "dirt/sand", "ground/mud"),
    )
)
"""Surfaces that let rain through."""


@dataclass(frozen=True)
class Objects:
    """Objects of an area.

    Attributes:
        layers: Features by layer, in degrees, with the attributes ``class`` and ``width_m``.
    """

    layers: Mapping[str, gpd.GeoDataFrame]

    def share_of(self, shape: shapely.Geometry) -> float:
        """Share of a shape, in degrees, that lies in the hull of all objects, 0..1."""
        points = [shapely.multipoints(shapely.get_coordinates(f.geometry)) for f in self._some()]
        hull = shapely.convex_hull(shapely.union_all(points)) if points else shapely.Polygon()
        return float(hull.intersection(shape).area / shape.area)

    def _some(self) -> Iterable[gpd.GeoDataFrame]:
        return (frame for frame in self.layers.values() if len(frame))


def road_width_m(kind: str, width: Any, lanes: Any) -> float:
    """Paved width of a road.

    Args:
        kind: Its class, one of ``ROAD_WIDTHS``.
        width: Its own width as somebody wrote it, such as ``7`` or ``24 ft``; or nothing.
        lanes: Its number of lanes; or nothing.

    Returns:
        Metres.
    """
    own = float(read_widths([width]).metres[0])
    if own == own:  # not NaN
        return own
    try:
        number = float(lanes)
    except (TypeError, ValueError):
        number = 0.0
    return LANE_M * number if 1 <= number <= 12 else ROAD_WIDTHS[kind]


def water_width_m(kind: str, width: Any) -> float:
    """Width of a watercourse, as ``road_width_m``."""
    own = float(read_widths([width]).metres[0])
    return own if own == own else WATER_WIDTHS[kind]


def frame_of(rows: Iterable[tuple[shapely.Geometry, str, float | None]]) -> gpd.GeoDataFrame:
    """A layer of shapes with their classes and widths, in degrees."""
    shapes, kinds, widths = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
    table = {"class": pd.Series(kinds, dtype=str), COLUMN: pd.Series(widths, dtype=float)}
    return gpd.GeoDataFrame(table, geometry=list(shapes), crs="EPSG:4326")


def write_layer(path: Path, layer: gpd.GeoDataFrame, crs: str, bounds: tuple[float, ...]) -> int:
    """Writes the objects of a layer that touch a box to a GeoPackage.

    Args:
        path: The file.
        layer: Objects in degrees.
        crs: CRS to write them in.
        bounds: Left, bottom, right, top in it.

    Returns:
        Number of objects.
    """
    there = layer.to_crs(crs)
    there = there[there.intersects(shapely.box(*bounds))]
    kind = "Unknown" if there.geom_type.nunique() != 1 else None
    with completed(path) as partial:
        there.to_file(partial, layer=path.stem, driver="GPKG", engine="pyogrio", geometry_type=kind)
    return len(there)


def read_written(folder: Path) -> dict[str, gpd.GeoDataFrame]:
    """The layers of a folder that ``write_layer`` has written, by their names."""
    return {name: gpd.read_file(folder / f"{name}.gpkg") for name in LAYERS}
