"""Roads, buildings and water of Overture Maps, drawn in its layout and read by row groups."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fetched import fetch, served_place
from stac_place import SIDE, degrees

WEST, SOUTH, EAST, NORTH = degrees(0, 0, 2 * SIDE, SIDE)
RELEASE = "2026-10-21.0"


def write_type(folder: Path, kind: str, rows: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    """Writes features with their bounds in a column, as Overture does, and an item of the file."""
    frame = gpd.GeoDataFrame(
        [values for _, values in rows], geometry=[shape for shape, _ in rows], crs=4326
    )
    name = f"{kind}.parquet"
    frame.to_parquet(folder / name, write_covering_bbox=True, row_group_size=500)
    west, south, east, north = frame.total_bounds
    box = [float(west), float(south), float(east), float(north)]
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "00000",
        "geometry": shapely.geometry.mapping(shapely.box(*box)),
        "bbox": box,
        "properties": {"datetime": "2026-10-21T00:00:00Z"},
        "assets": {"aws": {"href": f"../{name}"}},
        "links": [],
    }
    (folder / kind).mkdir()
    (folder / kind / "00000.json").write_text(json.dumps(item))
    collection = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": kind,
        "description": kind,
        "license": "ODbL-1.0",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2026-10-21T00:00:00Z", None]]},
        },
        "links": [{"rel": "item", "href": "./00000.json"}],
    }
    (folder / kind / "collection.json").write_text(json.dumps(collection))
    return {"rel": "child", "href": f"./{kind}/collection.json"}


def write_overture(folder: Path) -> Path:
    """A catalogue of one release, whose buildings go on far to the east; returns its file."""
    release = folder / RELEASE
    release.mkdir(parents=True)
    width, height = EAST - WEST, NORTH - SOUTH

    def at(x: float, y: float) -> tuple[float, float]:
        return WEST + x * width, SOUTH + y * height

    road = shapely.LineString([at(-0.5, 0.4), at(1.5, 0.4)])
    none: dict[str, Any] = {"width_rules": None, "road_surface": None, "road_flags": None}
    tunnel = [{"values": ["is_tunnel"], "between": None}]
    links = [
        write_type(
            release,
            "segment",
            [
                (road, {**none, "subtype": "road", "class": "residential"}),
                (road, {**none, "subtype": "road", "class": "footway"}),
                (road, {**none, "subtype": "rail", "class": "primary"}),
                (road, {**none, "subtype": "road", "class": "primary", "road_flags": tunnel}),
                (
                    road,
                    {
                        **none,
                        "subtype": "road",
                        "class": "tertiary",
                        "width_rules": [{"value": 12.5, "between": None}],
                    },
                ),
            ],
        ),
        write_type(
            release,
            "building",
            [
                (
                    shapely.box(*at(0.6 + 3 * n, 0.6), *at(0.7 + 3 * n, 0.8)),
                    {"class": None, "is_underground": False, "names": "x" * 40 + str(n)},
                )
                for n in range(20_000)
            ],
        ),
        write_type(
            release,
            "water",
            [
                (shapely.box(*at(0.2, 0.6), *at(0.3, 0.8)), {"subtype": "lake", "class": "lake"}),
                (road, {"subtype": "stream", "class": "stream"}),
                (shapely.Point(at(0.5, 0.5)), {"subtype": "spring", "class": "spring"}),
            ],
        ),
    ]
    catalog = {"type": "Catalog", "stac_version": "1.1.0", "id": "x", "description": "x"}
    (release / "catalog.json").write_text(json.dumps({**catalog, "links": links}))
    top = {"rel": "child", "href": f"./{RELEASE}/catalog.json"}
    path = folder / "catalog.json"
    path.write_text(json.dumps({**catalog, "latest": RELEASE, "links": [top]}))
    return path


def test_only_row_groups_of_the_area_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served_place(tmp_path / "place") as server:
        write_overture(server.folder / "overture")
        overture = ("--objects.osm", "null", "--objects.overture")
        out, address = tmp_path / "out", server.url("overture/catalog.json")
        assert fetch(server, out, *overture, address) == 0
        assert f"Overture Maps {RELEASE}" in capsys.readouterr().out
        roads = gpd.read_file(out / "roads.gpkg")
        assert dict(zip(roads["class"], roads["width_m"], strict=True)) == {
            "residential": 7.5,
            "tertiary": 12.5,
        }
        assert len(gpd.read_file(out / "buildings.gpkg")) == 1
        assert sorted(gpd.read_file(out / "water.gpkg")["class"]) == ["lake", "stream"]
        name = f"overture/{RELEASE}/building.parquet"
        whole = (server.folder / name).stat().st_size
        assert server.sent[name] < 0.3 * whole, f"{server.sent[name]:,} of {whole:,} bytes"
        assert "Overture Maps Foundation" in (out / "scene.yaml").read_text()
        server.forget()
        assert fetch(server, out, *overture, address) == 0
        assert name not in server.sent
        capsys.readouterr()
        old = ("--objects.release", "2026-01-01.0")
        assert fetch(server, tmp_path / "other", *overture, address, *old) == 2
        assert RELEASE in capsys.readouterr().err
        assert np.isfinite(whole)
