"""Where maps lie on the earth: right on either side of the antimeridian, and across it."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from inputs import colours, two_halves, write_scene, write_tif
from odc.geo.crs import CRS
from pyproj import Transformer

from landcover_pnp.cli import main
from landcover_pnp.products.footprint import outline, together

SYSTEMS = [32601, 32660, 32701, 32760, 3460, 26917, 3832, 2193]
"""UTM on both sides of the antimeridian, Fiji, Pittsburgh, the Pacific, New Zealand."""


NEAR = 1e-6
"""Degrees: a tenth of a metre."""


def inside(longitude: float, west: float, east: float) -> bool:
    width = 360 if (west, east) == (-180, 180) else (east - west) % 360
    return (longitude - west + NEAR) % 360 <= width + 2 * NEAR


@given(
    st.sampled_from(SYSTEMS),
    st.floats(-179.9, 180).map(lambda v: (v + 360) % 360 - 180 if abs(v) > 180 else v),
    st.floats(-0.2, 0.2),
    st.floats(-60, 60),
    st.integers(100, 20_000),
)
def test_a_map_anywhere_lies_where_it_says(
    code: int, anywhere: float, beside: float, latitude: float, side: int
) -> None:
    crs = CRS(f"EPSG:{code}")
    area = crs.proj.area_of_use
    crosses = area.west > area.east or area.east == 180 or area.west == -180
    longitude = (180 + beside + 180) % 360 - 180 if crosses else (area.west + area.east) / 2
    latitude = float(np.clip(latitude, area.south, area.north))
    x, y = Transformer.from_crs(4326, crs.proj, always_xy=True).transform(longitude, latitude)
    geometry, (west, south, east, north) = outline((x, y, x + side, y + side), crs)
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    assert abs(np.array(shape.bounds)[[0, 2]]).max() <= 180
    assert (shape.geom_type == "MultiPolygon") == (west > east)
    width = (east - west) % 360
    assert 0 < width < 5, "the shorter way around"
    to_degrees = Transformer.from_crs(crs.proj, 4326, always_xy=True)
    for dx, dy in ((0, 0), (side, 0), (side, side), (0, side), (side / 2, side / 2)):
        lon, lat = to_degrees.transform(x + dx, y + dy)
        assert inside(lon, west, east)
        assert south - 1e-6 <= lat <= north + 1e-6
    exteriors = [shape] if west <= east else list(shape.geoms)
    assert all(part.exterior.is_ccw for part in exteriors)
    assert sum(part.area for part in exteriors) == pytest.approx(shape.area)
    assert json.loads(json.dumps(geometry))["type"] == shape.geom_type


@given(
    st.lists(
        st.tuples(st.floats(-180, 180), st.floats(0, 90), st.floats(-90, 80), st.floats(0, 10)),
        min_size=1,
        max_size=5,
    )
)
def test_bounds_together_hold_every_one(places: list[tuple[float, float, float, float]]) -> None:
    boxes = []
    for west, width, south, height in places:
        east = west + width
        boxes.append((west, south, east - 360 if east > 180 else east, south + height))
    west, south, east, north = together(boxes)
    assert -180 <= west <= 180
    assert -180 <= east <= 180
    for left, bottom, right, top in boxes:
        assert south <= bottom <= top <= north
        middle = left + ((right - left) % 360) / 2
        for longitude in (left, right, (middle + 180) % 360 - 180):
            assert inside(longitude, west, east)
    if all(left <= right for left, _, right, _ in boxes):
        assert west <= east


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(179.9, -18, -179.9, -17)], (179.9, -18, -179.9, -17)),
        ([(177, -18, 178, -17), (179.9, -19, -179.9, -18)], (177, -19, -179.9, -17)),
        ([(-80, 40, -79, 41), (-98, 30, -97, 31)], (-98, 30, -79, 41)),
        ([(-179, 50, -178, 51), (179, 50, -179.5, 51)], (179, 50, -178, 51)),
        ([(0, 0, -1, 1), (-2, 0, 1, 1)], (-180, 0, 180, 1)),
    ],
)
def test_bounds_go_the_shorter_way(boxes: list, expected: tuple) -> None:
    assert together(boxes) == expected


def test_a_city_at_the_antimeridian_is_mapped_published_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = Transformer.from_crs(4326, 32701, always_xy=True).transform(180.0, -16.8)  # Taveuni
    place = {"crs": "EPSG:32701", "origin": (x - 120, y + 120)}
    config = write_scene(tmp_path)
    write_tif(tmp_path / "image.tif", colours(), **place)
    write_tif(tmp_path / "nlcd.tif", two_halves(41, 24), **place)
    write_tif(tmp_path / "truth.tif", two_halves(40, 20), **place)
    run = tmp_path / "runs" / "taveuni"
    assert main(["map", str(config), "--run", str(run), "--workers", "0"]) == 0
    assert main(["publish", str(run)]) == 0
    assert main(["catalog", str(tmp_path / "runs")]) == 0
    assert "Traceback" not in capsys.readouterr().err
    item = json.loads((run / "products" / "item.json").read_text())
    west, south, east, north = item["bbox"]
    assert west == pytest.approx(179.9989, abs=2e-4)
    assert east == pytest.approx(-179.9989, abs=2e-4)
    assert south < -16.8 < north
    assert item["geometry"]["type"] == "MultiPolygon"
    collection = json.loads((tmp_path / "runs" / "collection.json").read_text())
    assert collection["extent"]["spatial"]["bbox"] == [item["bbox"]]
