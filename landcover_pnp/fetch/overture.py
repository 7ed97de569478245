"""Roads, buildings and water of Overture Maps: of its GeoParquet files the row groups of an area.

Its STAC catalogue lists the releases, their themes and types, and the files of each with bounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import geopandas as gpd
import pandas as pd
import shapely

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import GridError, RunError, SettingsError, nearest
from landcover_pnp.fetch.area import Area
from landcover_pnp.fetch.catalogue import items_of
from landcover_pnp.fetch.coarse import around
from landcover_pnp.fetch.memory import Memory
from landcover_pnp.fetch.object_sources import ObjectsPlan
from landcover_pnp.fetch.objects import (
    ROAD_WIDTHS,
    UNPAVED,
    WATER_WIDTHS,
    Objects,
    frame_of,
    road_width_m,
    water_width_m,
)
from landcover_pnp.fetch.reader import CatalogueReader
from landcover_pnp.fetch.settings import ObjectSource
from landcover_pnp.scenes.parquet_files import ParquetLayer

TYPES = {"roads": "segment", "buildings": "building", "water": "water"}
"""Overture's types by layer."""

ASSETS = ("azure", "aws", "aws-https", "data")
"""Assets of an item that hold its file, at addresses that need no credentials."""

COLUMNS = {
    "roads": ("subtype", "class", "subclass", "width_rules", "road_surface", "road_flags"),
    "buildings": ("class", "is_underground"),
    "water": ("subtype", "class", "is_intermittent"),
}
"""Attributes that are read, where a release has them."""

ATTRIBUTION = (
    "roads, buildings, water: Overture Maps Foundation, overturemaps.org, "
    "© OpenStreetMap contributors and others, Open Database License (ODbL) 1.0, release {}"
)

ROW_BYTES = 400
"""Bytes that a feature takes in a file, in the mean of its columns that are read."""


def plan_overture(source: ObjectSource, area: Area, memory: Memory) -> ObjectsPlan:
    """Looks for the files of an area.

    Args:
        source: The catalogue and the release.
        area: The area.
        memory: Knows the versions of files.

    Returns:
        The plan.

    Raises:
        SettingsError: If there is no such release.
        RunError: If the catalogue cannot be read.
    """
    root = str(source.overture)
    reader = CatalogueReader(root)
    release, address = _release(json.loads(reader.text(root)), root, source.release)
    wide = Area(area.name, around(area), box=True)
    files: dict[str, list[Path]] = {}
    for layer, kind in TYPES.items():
        try:
            listing = items_of(address, kind, ASSETS, wide, reader, layer)
        except GridError:  # none of this ground: an ocean has no roads
            files[layer] = []
            continue
        files[layer] = [reader.file(item.address) for item in listing.items]
    every = sorted({path for paths in files.values() for path in paths})
    version = {"release": release, **{str(i): memory.version(p) for i, p in enumerate(every)}}

    def read(_: Path | None) -> Objects:
        bounds = wide.bounds
        return Objects(
            {
                "roads": frame_of(_roads(_features(files["roads"], "roads", bounds))),
                "buildings": frame_of(
                    _buildings(_features(files["buildings"], "buildings", bounds))
                ),
                "water": frame_of(_water(_features(files["water"], "water", bounds))),
            }
        )

    note = f"roads, buildings and water from Overture Maps {release}, the row groups of the area"
    size = round(area.km2 * 2000 * ROW_BYTES)  # a dense city has 2,000 objects a km2
    return ObjectsPlan(version, size, note, ATTRIBUTION.format(release), None, read)


def _release(root: Any, address: str, wanted: str | None) -> tuple[str, str]:
    """Name and address of a release: the one wanted, else the latest."""
    try:
        links = [link for link in root["links"] if link["rel"] == "child"]
        known = {str(link["href"]).rstrip("/").split("/")[-2]: str(link["href"]) for link in links}
        name = wanted or str(root.get("latest") or max(known))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise RunError(
            found=f"{address} is not the catalogue of Overture Maps: it lists no releases",
            expected="a STAC catalogue with a child for each release",
            fix="correct objects.overture, or name an OpenStreetMap extract by --objects.osm",
        ) from error
    if name not in known:
        raise SettingsError(
            found=f"no release {name!r} of Overture Maps in {address}",
            expected="one of " + ", ".join(sorted(known)),
            fix=nearest(name, known),
        )
    href = known[name]
    return name, urljoin(address, href) if is_address(address) else str(Path(address).parent / href)


def _features(
    paths: list[Path], layer: str, bounds: tuple[float, float, float, float]
) -> Iterator[tuple[shapely.Geometry, dict[str, Any]]]:
    """Features of files that touch a box, with their attributes."""
    for path in paths:
        file = ParquetLayer(path)
        columns = [name for name in COLUMNS[layer] if name in file.columns]
        frame: gpd.GeoDataFrame = file.read(bounds, columns)
        frame = frame[frame.intersects(shapely.box(*bounds))]
        for shape, *values in zip(frame.geometry, *(frame[c] for c in columns), strict=True):
            yield shape, dict(zip(columns, values, strict=True))


def _roads(
    features: Iterator[tuple[shapely.Geometry, dict[str, Any]]],
) -> Iterator[tuple[shapely.Geometry, str, float | None]]:
    for shape, told in features:
        kind = str(told.get("class"))
        if told.get("subtype") != "road" or kind not in ROAD_WIDTHS:
            continue
        flags = {flag for rule in _rules(told, "road_flags") for flag in rule.get("values") or ()}
        surfaces = {rule.get("value") for rule in _rules(told, "road_surface")}
        if flags & {"is_tunnel", "is_under_construction", "is_abandoned"} or surfaces & UNPAVED:
            continue
        if "is_link" in flags or told.get("subclass") == "link":
            kind = f"{kind}_link" if f"{kind}_link" in ROAD_WIDTHS else kind
        width = next((rule.get("value") for rule in _rules(told, "width_rules")), None)
        yield shape, kind, road_width_m(kind, width, None)


def _rules(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Rules of a road that hold on some of it; a list of mappings, empty where there are none."""
    value = told.get(name)
    return [] if value is None or isinstance(value, float) else [dict(rule) for rule in value]


def _buildings(
    features: Iterator[tuple[shapely.Geometry, dict[str, Any]]],
) -> Iterator[tuple[shapely.Geometry, str, None]]:
    for shape, told in features:
        if told.get("is_underground") is not True:
            yield shape, _text(told.get("class"), "building"), None


def _water(
    features: Iterator[tuple[shapely.Geometry, dict[str, Any]]],
) -> Iterator[tuple[shapely.Geometry, str, float | None]]:
    for shape, told in features:
        kind = _text(told.get("class"), _text(told.get("subtype"), "water"))
        if told.get("is_intermittent") is True or shapely.get_dimensions(shape) == 0:
            continue
        if shapely.get_dimensions(shape) == 2:
            yield shape, kind, None
        elif kind in WATER_WIDTHS:
            yield shape, kind, water_width_m(kind, None)


def _text(value: Any, otherwise: str) -> str:
    return otherwise if value is None or pd.isna(value) else str(value)


_DRAWN: dict[str, Callable[..., Iterator[tuple[shapely.Geometry, str, float | None]]]] = {
    "roads": _roads,
    "buildings": _buildings,
    "water": _water,
}
