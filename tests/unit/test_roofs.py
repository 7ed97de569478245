"""Buildings among the polygons: apart, with right angles, and nothing lost or twice around them."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import ORIGIN, UTM, write_tif
from rasterio.features import rasterize

from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.products import vectors
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.polygons import patches, simplified
from landcover_pnp.products.roofs import (
    MOVED_PX,
    Roofs,
    right_angled,
    roofs_of,
    squared,
    with_rims,
)
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.products.vectors import write_polygons
from landcover_pnp.scenes.settings import LayerFile
from landcover_pnp.storage.records import file_hash

SIDE = 60


def house(angle: float, width: float = 18, length: float = 26) -> shapely.Polygon:
    """A rectangle in the middle of the ground, in pixels."""
    middle = SIDE / 2 + 0.37
    box = shapely.box(-width / 2, -length / 2, width / 2, length / 2)
    turned = shapely.affinity.rotate(box, angle, origin=(0, 0))
    return shapely.affinity.translate(turned, middle, middle)


def drawn(*shapes: shapely.Geometry) -> np.ndarray:
    """(y, x) uint8 numbers of shapes from 2, 1 elsewhere."""
    numbered = [(shape, number) for number, shape in enumerate(shapes, start=2)]
    return np.asarray(rasterize(numbered, (SIDE, SIDE), fill=1, dtype="uint8"))


def off_square(polygon: shapely.Polygon) -> np.ndarray:
    """Degrees by which the turns of an outline differ from 0 or a right angle."""
    xy = shapely.get_coordinates(polygon.exterior)[:-1]
    steps = np.roll(xy, -1, axis=0) - xy
    angles = np.degrees(np.angle(steps @ (1, 1j)))
    turns = (np.roll(angles, -1) - angles) % 90
    return np.minimum(turns, 90 - turns)


@pytest.mark.parametrize("angle", range(0, 90, 9))
def test_a_house_has_four_right_angles_however_it_stands(angle: int) -> None:
    labels = drawn(house(angle))
    outlines = simplified(patches(labels), 2.0)
    roof = np.array([False, True])
    plain, found = outlines[1], squared(outlines, roof)[1]
    assert off_square(found).max() < 1e-6
    if angle not in (0,):
        assert off_square(plain).max() > 1
    overlap = found.intersection(house(angle)).area / found.union(house(angle)).area
    assert overlap > 0.9
    whole = squared(outlines, roof)
    assert shapely.coverage_is_valid(whole)
    assert shapely.area(whole).sum() == pytest.approx(SIDE**2)


def test_a_wing_keeps_its_corners() -> None:
    wing = shapely.affinity.rotate(
        shapely.union(house(0), shapely.box(30, 20, 52, 30)), 25, origin=(30, 30)
    )
    outlines = simplified(patches(drawn(wing)), 2.0)
    found = squared(outlines, np.array([False, True]))[1]
    assert off_square(found).max() < 1e-6
    assert found.intersection(wing).area / found.union(wing).area > 0.9


def test_what_is_round_is_not_made_square() -> None:
    tank = shapely.Point(30, 30).buffer(18)
    outlines = simplified(patches(drawn(tank)), 1.0)
    assert squared(outlines, np.array([False, True]))[1].equals(outlines[1])


@given(
    st.lists(
        st.tuples(st.floats(-25, 25), st.floats(-25, 25), st.floats(0, 90), st.floats(4, 20)),
        max_size=6,
    ),
    st.integers(0, 2**16),
    st.floats(0.5, 3),
)
@settings(deadline=None)
def test_roofs_cover_with_their_ground_what_there_was(
    houses: list[tuple[float, float, float, float]], seed: int, tolerance_px: float
) -> None:
    shapes = [
        shapely.affinity.translate(house(angle, width, 12), x, y) for x, y, angle, width in houses
    ]
    labels = drawn(*shapes)
    noise = np.random.default_rng(seed).random((SIDE // 6, SIDE // 6)) < 0.3
    labels[(noise.repeat(6, 0).repeat(6, 1)) & (labels == 1)] = 0 if seed % 2 else 99
    numbers = patches(labels)
    kinds = np.zeros(numbers.max() + 1, np.uint8)
    kinds[numbers] = labels
    outlines = simplified(numbers, tolerance_px)
    found = squared(outlines, (kinds[1:] > 1) & (kinds[1:] < 99))
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    assert shapely.area(found).sum() == pytest.approx((labels > 0).sum())
    together = shapely.union_all(found)
    assert together.symmetric_difference(shapely.union_all(outlines)).area < 1e-6


def test_no_corner_moves_far() -> None:
    ring = np.array([[0, 0], [20, 0], [20, 9], [12, 10], [12, 14], [0, 14]], float)
    new = right_angled(ring)
    assert new is not None
    assert np.hypot(*(new - ring).T).max() <= MOVED_PX
    ring[3:5, 0] = 6, 16
    assert right_angled(ring) is None


def test_a_narrow_rim_is_its_roof_s_and_a_yard_is_not() -> None:
    paved = np.zeros((30, 30), bool)
    paved[5:20, 5:20] = True  # one pixel more than the roof
    paved[8:12, 20:30] = True  # a drive, four wide
    roof = np.zeros_like(paved)
    roof[6:19, 6:19] = True
    found = with_rims(roof, paved)
    assert found[5:20, 5:20].sum() >= 15 * 15 - 6
    assert not found[8:12, 22:].any()
    assert not (found & ~paved).any()


def test_buildings_are_polygons_of_their_own_where_the_map_agrees(tmp_path: Path) -> None:
    left, top = ORIGIN
    plan = house(30)
    ground = shapely.transform(plan, lambda xy: xy * (1, -1) + (left, top))
    away = shapely.box(left + 2, top - 8, left + 10, top - 2)  # the map has trees there
    geopandas.GeoDataFrame(geometry=[ground, away], crs=UTM).to_file(tmp_path / "roofs.gpkg")
    labels = np.full((SIDE, SIDE), 4, np.uint8)
    labels[drawn(shapely.box(12, 8, 60, 52)) == 2] = 2  # a car park around the house
    classes = write_tif(tmp_path / "map.tif", labels, nodata=0)
    sure = write_tif(tmp_path / "sure.tif", np.full((SIDE, SIDE), 80, np.uint8))
    roofs = Roofs(2, LayerFile(tmp_path / "roofs.gpkg"))
    counts = write_polygons(tmp_path / "map.gpkg", classes, sure, PublishSettings(), roofs)
    table = geopandas.read_file(tmp_path / "map.gpkg", layer="landcover")
    assert counts.polygons == len(table) == 3
    assert table["name"].tolist().count("impervious") == 2
    (found,) = table[table["building"].astype(bool)].geometry
    assert found.intersection(ground).area / found.union(ground).area > 0.9
    assert off_square(found).max() < 1e-4
    assert table.geometry.area.sum() == pytest.approx(SIDE**2)
    write_polygons(tmp_path / "five.gpkg", classes, sure, PublishSettings())
    assert not geopandas.read_file(tmp_path / "five.gpkg", layer="landcover")["building"].any()


def test_roofs_do_not_depend_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    left, top = ORIGIN
    corners = rng.integers(0, SIDE - 9, (12, 2))
    shapes = [shapely.box(left + x, top - y - 7, left + x + 7, top - y) for x, y in corners]
    geopandas.GeoDataFrame(geometry=shapes, crs=UTM).to_file(tmp_path / "roofs.gpkg")
    labels = np.where(rng.random((SIDE, SIDE)) < 0.2, 4, 2).astype(np.uint8)
    classes = write_tif(tmp_path / "map.tif", labels, nodata=0)
    sure = write_tif(tmp_path / "sure.tif", np.full((SIDE, SIDE), 80, np.uint8))
    roofs = Roofs(2, LayerFile(tmp_path / "roofs.gpkg"))
    raw = PublishSettings(min_area_px=0, simplify_px=0)
    monkeypatch.setattr(vectors, "squared", lambda outlines, _: outlines)
    found = []
    for window in (SIDE, SIDE // 2):
        monkeypatch.setattr(vectors, "WINDOW_PX", window)
        path = tmp_path / f"{window}.gpkg"
        write_polygons(path, classes, sure, raw, roofs)
        table = geopandas.read_file(path, layer="landcover")
        found.append(shapely.union_all(table.geometry[table["building"].astype(bool)].array))
    assert found[0].area > 100
    assert shapely.symmetric_difference(*found).area == 0


def test_a_class_of_buildings_needs_no_layer() -> None:
    codes = drawn(house(0)).astype(np.uint16)
    apart = Roofs(2, None).set_apart(codes, None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(apart > 1000, codes == 2)


def test_pixels_are_the_default_and_metres_win() -> None:
    plain = PublishSettings()
    assert (plain.smallest_px(0.09), plain.detail_px(0.3)) == (12, 1.5)
    metres = PublishSettings(min_area_m2=200, simplify_m=12)
    assert (metres.smallest_px(16.0), metres.detail_px(4.0)) == (13, 3.0)


def test_a_layer_that_is_gone_or_another_one_sets_nothing_apart(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "roofs.tif", drawn(house(0)))
    layer = {"path": str(path), "codes": [2]}
    rasters = {"image": "image.tif", "coarse": "nlcd.tif", "buildings": layer}
    (tmp_path / "settings.json").write_text(json.dumps({"scene": {"rasters": rasters}}))
    scene: Any = SimpleNamespace(made_of={"sha256.buildings": file_hash(path)})
    run = FinishedRun(tmp_path, scene, {}, {}, {}, ResultLegend.load("five"))
    found = roofs_of(run)
    assert found is not None
    assert (found.code, found.layer) == (2, LayerFile(path, codes=[2]))
    write_tif(path, drawn(house(45)))
    assert roofs_of(run) is None
    path.unlink()
    assert roofs_of(run) is None
    found = roofs_of(replace(run, legend=ResultLegend.load("buildings")))
    assert found is not None
    assert found.layer is None
