"""OpenStreetMap extracts: .osm.pbf, .osm, .osm.gz and .osm.bz2, and GeoPackages of them.

Which tags are roads, buildings and water is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

from landcover_pnp.errors import DamagedError
from landcover_pnp.fetch.objects import (
    ROAD_WIDTHS,
    UNPAVED,
    WATER_WIDTHS,
    Objects,
    frame_of,
    road_width_m,
    water_width_m,
)
from landcover_pnp.scenes.vector_files import require_vector
from landcover_pnp.storage.user_files import require_file

ATTRIBUTION = "{}: © OpenStreetMap contributors, Open Database License (ODbL) 1.0"
FORMATS = "an OpenStreetMap extract (.osm.pbf, .osm, .osm.gz, .osm.bz2) or a GeoPackage of one"

NEAR_DEGREES = 0.2
"""Distance from a box at which a road or a building begins that may reach into it."""

Bounds = tuple[float, float, float, float]
Tags = Mapping[str, Any]

_TAG = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')
_BASINS = ("reservoir", "basin", "salt_pond")
_BANKS = ("riverbank", "dock", "boatyard")
_NOT_THERE = ("proposed", "construction", "razed", "demolished", "abandoned", "no")
_KEYS_OF_WATER = frozenset(("waterway", "natural", "landuse"))
_KEYS = ("highway", "waterway", "building", "natural", "landuse")


@dataclass
class Extract:
    """Shapes of an extract with their tags.

    Attributes:
        lines: Ways that may be roads or watercourses.
        areas: Areas that may be buildings or water.
    """

    lines: list[tuple[shapely.Geometry, Tags]] = field(default_factory=list)
    areas: list[tuple[shapely.Geometry, Tags]] = field(default_factory=list)


def read_osm(path: Path, bounds: Bounds) -> Objects:
    """Roads, buildings and water of an extract that touch a box.

    Args:
        path: The extract.
        bounds: West, south, east, north in degrees.

    Returns:
        The objects.

    Raises:
        RasterError: If it is missing.
        DamagedError: If it is in another format, damaged or cut short.
    """
    require_file(path, "OpenStreetMap extract", FORMATS)
    kind = _kind(path)
    with _readable(path):
        if kind is None:
            require_vector(path, "OpenStreetMap extract")
            layers = {str(name) for name, _ in pyogrio.list_layers(path)}
            if layers & {"gis_osm_roads_free_1", "gis_osm_roads_free"}:
                return _geofabrik(path, layers, bounds)
            extract = _of_geopackage(path, layers, bounds)
        else:
            extract = _of_file(path, kind, bounds)
    return Objects(
        {
            "roads": frame_of(_roads(extract)),
            "buildings": frame_of(_buildings(extract)),
            "water": frame_of([*_water_areas(extract), *_watercourses(extract)]),
        }
    )


def _kind(path: Path) -> str | None:
    """The format of an extract by its first bytes, as osmium calls it; None of a GeoPackage.

    Raises:
        DamagedError: If it is none of them.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"SQLite format 3\0"):
        return None
    if b"OSMHeader" in head[:64]:
        return "pbf"
    packed = {b"\x1f\x8b": "osm.gz", b"BZh": "osm.bz2"}
    kind = next((kind for start, kind in packed.items() if head.startswith(start)), None)
    if kind is None and b"<osm" in head:
        kind = "osm"
    if kind is None:
        raise DamagedError(
            found=f"{path} does not begin as an OpenStreetMap extract",
            expected=FORMATS,
            fix="fetch it again, or name another file",
        )
    return kind


def _of_file(path: Path, kind: str, bounds: Bounds) -> Extract:
    """Reads a file of OpenStreetMap's own formats from its beginning to its end."""
    import osmium

    extract, shapes = Extract(), osmium.geom.WKBFactory()
    west, south, east, north = bounds
    box = shapely.box(*bounds)

    def far(node: Any) -> bool:
        x, y = node.lon, node.lat
        return not (
            west - NEAR_DEGREES <= x <= east + NEAR_DEGREES
            and south - NEAR_DEGREES <= y <= north + NEAR_DEGREES
        )

    processor = (
        osmium.FileProcessor(osmium.io.File(str(path), kind))
        .with_areas(osmium.filter.KeyFilter(*_KEYS[1:]))
        .with_filter(osmium.filter.EntityFilter(osmium.osm.WAY | osmium.osm.AREA))
        .with_filter(osmium.filter.KeyFilter(*_KEYS))
    )
    thing: Any
    for thing in processor:
        tags, found = dict(thing.tags), extract.lines if thing.is_way() else extract.areas
        with suppress(osmium.InvalidLocationError):  # points beyond the extract
            ring = thing.nodes if thing.is_way() else next(iter(thing.outer_rings()))
            if far(ring[0]) and not _KEYS_OF_WATER & tags.keys():
                continue
            draw = shapes.create_linestring if thing.is_way() else shapes.create_multipolygon
            try:
                shape = shapely.from_wkb(draw(thing))
            except RuntimeError:  # one point, or none
                continue
            if box.intersects(shape):
                found.append((shape, tags))
    return extract


def _of_geopackage(path: Path, layers: set[str], bounds: Bounds) -> Extract:
    """Reads the layers that OGR makes of an extract."""
    if not {"lines", "multipolygons"} <= layers:
        raise DamagedError(
            found=f"{path} has the layers {', '.join(sorted(layers)) or 'none'}",
            expected=f"{FORMATS}, with the layers lines and multipolygons, or those of Geofabrik",
            fix="name another file, or convert an extract with ogr2ogr -f GPKG",
        )
    lines, areas = (
        pyogrio.read_dataframe(path, layer=layer, bbox=bounds)
        for layer in ("lines", "multipolygons")
    )
    return Extract(list(_rows(lines)), list(_rows(areas)))


def _rows(frame: gpd.GeoDataFrame) -> Iterator[tuple[shapely.Geometry, dict[str, Any]]]:
    """Shapes with all their tags, those in OGR's ``other_tags`` too."""
    columns = [name for name in frame.columns if name != frame.geometry.name]
    for shape, *values in zip(frame.geometry, *(frame[c] for c in columns), strict=True):
        if shape is None or shape.is_empty:
            continue
        tags = {k: v for k, v in zip(columns, values, strict=True) if not pd.isna(v)}
        tags |= dict(_TAG.findall(str(tags.pop("other_tags", ""))))
        yield shape, tags


def _roads(extract: Extract) -> Iterator[tuple[shapely.Geometry, str, float | None]]:
    for shape, tags in extract.lines:
        kind = str(tags.get("highway", ""))
        paved = tags.get("surface") not in UNPAVED
        if kind in ROAD_WIDTHS and paved and not _below_ground(tags):
            yield shape, kind, road_width_m(kind, tags.get("width"), tags.get("lanes"))


def _buildings(extract: Extract) -> Iterator[tuple[shapely.Geometry, str, None]]:
    for shape, tags in extract.areas:
        kind = str(tags.get("building", "no"))
        if kind not in _NOT_THERE and not _below_ground(tags):
            yield shape, kind, None


def _water_areas(extract: Extract) -> Iterator[tuple[shapely.Geometry, str, None]]:
    for shape, tags in extract.areas:
        basin = tags.get("landuse") in _BASINS and tags.get("basin") not in ("detention", "dry")
        is_water = tags.get("natural") == "water" or tags.get("waterway") in _BANKS or basin
        if is_water and not _below_ground(tags) and tags.get("intermittent") != "yes":
            yield shape, str(tags.get("water") or tags.get("waterway") or "water"), None


def _watercourses(extract: Extract) -> Iterator[tuple[shapely.Geometry, str, float | None]]:
    for shape, tags in extract.lines:
        kind = str(tags.get("waterway", ""))
        if kind in WATER_WIDTHS and not _below_ground(tags):
            yield shape, kind, water_width_m(kind, tags.get("width"))


def _below_ground(tags: Tags) -> bool:
    """Whether an image from above does not show it."""
    return (
        tags.get("tunnel") not in (None, "no")
        or tags.get("location") == "underground"
        or tags.get("covered") == "yes"
    )


def _geofabrik(path: Path, layers: set[str], bounds: Bounds) -> Objects:
    """The layers of Geofabrik's GeoPackages, whose classes are in ``fclass``."""

    def rows(name: str) -> Iterator[tuple[shapely.Geometry, str, dict[str, Any]]]:
        layer = next((n for n in (f"{name}_1", name) if n in layers), None)
        if layer is None:
            return
        for shape, tags in _rows(pyogrio.read_dataframe(path, layer=layer, bbox=bounds)):
            if tags.get("tunnel") not in ("T", "1", 1, "yes"):
                yield shape, str(tags.get("fclass", "")), tags

    roads = [
        (shape, kind, road_width_m(kind, tags.get("width"), None))
        for shape, kind, tags in rows("gis_osm_roads_free")
        if kind in ROAD_WIDTHS
    ]
    areas = [(s, kind, None) for s, kind, _ in rows("gis_osm_water_a_free") if kind != "wetland"]
    courses = [
        (shape, kind, water_width_m(kind, tags.get("width") or None))
        for shape, kind, tags in rows("gis_osm_waterways_free")
        if kind in WATER_WIDTHS
    ]
    houses = [(shape, kind, None) for shape, kind, _ in rows("gis_osm_buildings_a_free")]
    return Objects(
        {
            "roads": frame_of(roads),
            "buildings": frame_of(houses),
            "water": frame_of([*areas, *courses]),
        }
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what the libraries say about a damaged extract into an error of ours."""
    try:
        yield
    except _FAULTS as error:
        raise DamagedError(
            found=f"{path} cannot be read: {' '.join(str(error).split())}",
            expected=f"{FORMATS}, complete",
            fix="fetch it again: it may be cut short",
        ) from error


_FAULTS = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    GeometryError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
