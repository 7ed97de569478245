"""Vectors of a synthetic city as volunteers map them: incomplete, and a little off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.special import ndtr

from landcover_pnp.scenes.synthetic.nature import smooth_noise
from landcover_pnp.scenes.synthetic.plan import Plan

_BODY_M = 8.0
"""Mean width from which water is a body, not a stream."""


class Survey(NamedTuple):
    """What of the city is in the maps, in the city's CRS.

    Attributes:
        roads: Lines with ``width_m``.
        buildings: Polygons.
        water: Polygons; ``kind`` is body or stream.
    """

    roads: gpd.GeoDataFrame
    buildings: gpd.GeoDataFrame
    water: gpd.GeoDataFrame


def survey(plan: Plan, geobox: GeoBox, rng: np.random.Generator) -> Survey:
    """Maps a city: 4 % of the roads, 30 % of the buildings, 8 % of the waters are missed.

    Args:
        plan: The city.
        geobox: Its grid.
        rng: Source of randomness.
    """
    lines = [road.line for road in plan.roads]
    roads = _map(lines, 0.04, 1.5, geobox, rng)
    roads["width_m"] = [road.width_m for road in plan.roads]
    buildings = _map(plan.buildings, 0.3, 2.5, geobox, rng)
    water = _map(plan.waters, 0.08, 2.0, geobox, rng)
    mean_width = 2 * water.area / water.length
    water["kind"] = np.where(mean_width > _BODY_M, "body", "stream")
    return Survey(
        *(frame[~frame.is_empty].reset_index(drop=True) for frame in (roads, buildings, water))
    )


def _map(
    shapes: Sequence[shapely.Geometry],
    missed: float,
    off_m: float,
    geobox: GeoBox,
    rng: np.random.Generator,
) -> gpd.GeoDataFrame:
    """A row for each shape, empty where it is missed or outside the city.

    Shapes are missed by neighbourhoods rather than one by one, and each is shifted as a
    whole by up to ``off_m``.
    """
    geometries: NDArray[np.object_] = np.array(shapes, object)
    count, (height, width) = len(geometries), geobox.shape
    centres = shapely.get_coordinates(shapely.centroid(geometries)).astype(int)
    x, y = np.clip(centres, 0, [width - 1, height - 1]).T
    zeal = 0.8 * smooth_noise((height, width), {120.0: 1.0}, rng)[y, x]
    missing = ndtr(zeal + 0.6 * rng.standard_normal(count)) < missed
    direction, distance = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.4, 1.0, count) * off_m
    shift = np.column_stack([distance * np.cos(direction), distance * np.sin(direction)])

    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    moved = shapely.set_coordinates(geometries.copy(), coordinates + shift[owner])
    mapped = shapely.intersection(moved, shapely.box(0, 0, width, height))
    mapped[missing | (shapely.get_dimensions(mapped) < shapely.get_dimensions(moved))] = (
        shapely.Point()
    )
    affine = geobox.transform
    placed = shapely.transform(mapped, lambda xy: xy * [affine.a, affine.e] + [affine.c, affine.f])
    return gpd.GeoDataFrame(geometry=placed, crs=str(geobox.crs))
