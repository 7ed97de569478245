"""OpenStreetMap extracts: the same objects from every format, and what is wrong with a file."""

import gzip
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely
from stac_place import SIDE, degrees, write_osm

from landcover_pnp.errors import RasterError
from landcover_pnp.fetch.objects import (
    LANE_M,
    ROAD_WIDTHS,
    WATER_WIDTHS,
    road_width_m,
    water_width_m,
)
from landcover_pnp.fetch.osm import read_osm

FORMATS = ("city.osm.pbf", "city.osm", "city.osm.gz", "city.osm.bz2")
WEST, SOUTH, EAST, NORTH = degrees(0, 0, 2 * SIDE, SIDE)
BOUNDS = (WEST, SOUTH, EAST, NORTH)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_objects(name: str, tmp_path: Path) -> None:
    # Told by its content: a download has any name.
    found = read_osm(write_osm(tmp_path / name).rename(tmp_path / "download"), BOUNDS).layers
    assert list(found["roads"]["class"]) == ["residential"]  # no footway, no tunnel
    assert list(found["roads"]["width_m"]) == [2 * LANE_M]
    assert list(found["buildings"]["class"]) == ["yes"]  # neither those beside nor one far away
    assert sorted(found["water"]["class"]) == ["stream", "water"]
    stream = found["water"].set_index("class").loc["stream"]
    assert stream["width_m"] == pytest.approx(3.048)
    house = found["buildings"].geometry.iloc[0]
    width, height = EAST - WEST, NORTH - SOUTH
    assert house.area == pytest.approx(0.1 * width * 0.2 * height, rel=1e-3)


def test_a_geopackage_of_an_extract_gives_the_same(tmp_path: Path) -> None:
    """The layers and columns that ogr2ogr makes of an extract, other tags in one column."""
    extract, path = write_osm(tmp_path / "city.osm"), tmp_path / "city.gpkg"
    for layer in ("lines", "multipolygons"):
        pyogrio.read_dataframe(extract, layer=layer).to_file(path, layer=layer)
    of_file, of_package = read_osm(extract, BOUNDS).layers, read_osm(path, BOUNDS).layers
    for layer, frame in of_file.items():
        other = of_package[layer]
        assert sorted(frame["class"]) == sorted(other["class"])
        assert shapely.union_all(frame.geometry).equals(shapely.union_all(other.geometry))
        assert sorted(frame["width_m"].dropna()) == sorted(other["width_m"].dropna())


def test_geofabriks_layers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "geofabrik.gpkg"
    inside = shapely.Point((WEST + EAST) / 2, (SOUTH + NORTH) / 2)
    line, house = shapely.LineString([(WEST, SOUTH), (EAST, NORTH)]), inside.buffer(1e-5)
    for layer, kinds, shape in (
        ("gis_osm_roads_free_1", ["residential", "footway", "primary"], line),
        ("gis_osm_buildings_a_free_1", ["building"], house),
        ("gis_osm_water_a_free_1", ["water", "wetland"], house),
        ("gis_osm_waterways_free_1", ["river", "drain"], line),
    ):
        table = {"fclass": kinds, "tunnel": ["T" if kind == "primary" else "F" for kind in kinds]}
        frame = gpd.GeoDataFrame(table, geometry=[shape] * len(kinds), crs=4326)
        frame.to_file(path, layer=layer)
    found = read_osm(path, BOUNDS).layers
    assert list(found["roads"]["class"]) == ["residential"]
    assert list(found["buildings"]["class"]) == ["building"]
    assert sorted(found["water"]["class"]) == ["drain", "river", "water"]


def damaged(kind: str, path: Path) -> Path:
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("<html>Not found</html>")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "flipped":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    else:
        path.unlink()
    return path


@pytest.mark.parametrize("kind", ["cut", "text", "empty", "missing"])
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_extracts_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(RasterError) as told:
        read_osm(damaged(kind, write_osm(tmp_path / name)), BOUNDS)
    assert str(tmp_path / name) in told.value.found


def test_entities_of_an_extract_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary")
    path = tmp_path / "city.osm.gz"
    text = (
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]><osm version="0.6">'
        '<node id="1" lat="0" lon="0" version="1"><tag k="building" v="&e;"/></node></osm>'
    )
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(RasterError) as told:
        read_osm(path, BOUNDS)
    assert "canary" not in str(told.value)


@pytest.mark.parametrize("kind", ROAD_WIDTHS)
def test_widths_of_roads(kind: str) -> None:
    assert road_width_m(kind, "24 ft", "2") == pytest.approx(7.3152)
    assert road_width_m(kind, None, "3") == pytest.approx(3 * LANE_M)
    for nonsense in (None, "", "many", "0", "400", "nan"):
        assert road_width_m(kind, "wide", nonsense) == ROAD_WIDTHS[kind]


def test_widths_of_watercourses() -> None:
    for kind, width in WATER_WIDTHS.items():
        assert water_width_m(kind, "") == width
        assert water_width_m(kind, "4,5") == 4.5
