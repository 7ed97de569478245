"""Comparisons: a map with itself, with another, with one elsewhere."""

import csv
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inputs import ORIGIN, write_tif
from pages import together, viewer

from landcover_pnp.errors import GridError, LegendError, RasterError, RequestError
from landcover_pnp.legend import WORKING
from landcover_pnp.products.comparison import compare_maps, difference, difference_legend

LABELS = arrays(np.uint8, (5, 6), elements=st.integers(0, 5))


@given(LABELS, LABELS)
def test_a_difference_tells_both_classes(a: np.ndarray, b: np.ndarray) -> None:
    d = difference(a, b)
    known = (a > 0) & (b > 0)
    assert (d[~known] == 0).all()
    same = known & (a == b)
    assert (d[same] == 1).all()
    changed = known & (a != b)
    np.testing.assert_array_equal(d[changed] // 10, a[changed])
    np.testing.assert_array_equal(d[changed] % 10, b[changed])
    assert not difference(a, a)[a > 0].any() or set(np.unique(difference(a, a))) <= {0, 1}


def maps(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, (2, 40, 50), dtype=np.uint8)
    write_tif(folder / "a.tif", a, nodata=0)
    write_tif(folder / "b.tif", b, nodata=0)
    return a, b


def test_transitions_count_every_pixel_once_and_turn_round(tmp_path: Path) -> None:
    a, b = maps(tmp_path)
    there = compare_maps(tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "there")
    back = compare_maps(tmp_path / "b.tif", tmp_path / "a.tif", tmp_path / "back")
    np.testing.assert_array_equal(there.transitions, back.transitions.T)
    assert there.transitions.sum() == ((a > 0) & (b > 0)).sum()
    assert there.transitions[1, 3] == ((a == 2) & (b == 4)).sum()
    same = compare_maps(tmp_path / "a.tif", tmp_path / "a.tif", tmp_path / "same")
    assert same.changed == 0
    with (tmp_path / "there" / "transitions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["pixels"]) for row in rows) == there.transitions.sum()


def test_the_page_shows_both_maps_and_what_differs(tmp_path: Path) -> None:
    a, b = maps(tmp_path)
    compare_maps(tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "out")
    data = viewer((tmp_path / "out" / "comparison.html").read_text())
    with rasterio.open(tmp_path / "out" / "difference.tif") as source:
        own, colours = source.read(1), source.colormap(1)
    working = {c.code: (*c.colour, 255) for c in WORKING.classes}
    below, differs, above = (
        together(layer["levels"][0])[: a.shape[0], : a.shape[1]]
        for layer in (data["base"], *data["layers"])
    )
    for shown, codes, table in ((below, a, working), (differs, own, colours), (above, b, working)):
        for code in np.unique(codes[codes > 0]):
            assert (shown[codes == code] == table[code]).all()
        np.testing.assert_array_equal(shown[..., 3] > 0, codes > 0)


def test_the_difference_map_has_the_legend_of_its_values(tmp_path: Path) -> None:
    a, b = maps(tmp_path)
    comparison = compare_maps(tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "out")
    legend = difference_legend(comparison.transitions)
    with rasterio.open(tmp_path / "out" / "difference.tif") as source:
        np.testing.assert_array_equal(source.read(1), difference(a, b))
        for c in legend.classes:
            assert source.colormap(1)[c.code] == (*c.colour, 255)
    assert {c.code for c in legend.classes} == set(np.unique(difference(a, b))) - {0}
    assert "trees and forest to impervious" in (tmp_path / "out" / "difference.qml").read_text()
    html = (tmp_path / "out" / "comparison.html").read_text()
    assert all(name in html for name in WORKING.names)


def test_its_project_shows_the_changes_and_both_maps_as_themes(tmp_path: Path) -> None:
    maps(tmp_path)
    out = tmp_path / "out" / "deeper"
    compare_maps(tmp_path / "a.tif", tmp_path / "b.tif", out)
    with ZipFile(out / "comparison.qgz") as archive:
        project = ET.fromstring(archive.read("comparison.qgs"))  # noqa: S314
    layers = {
        layer.findtext("id"): (layer.findtext("layername"), layer.findtext("datasource"))
        for layer in project.iter("maplayer")
        if layer.findtext("provider") == "gdal"
    }
    assert [name for name, _ in layers.values()] == ["change", "map B", "map A"]
    paths = [out / str(source) for _, source in layers.values()]
    assert [path.resolve() for path in paths] == [
        out / "difference.tif",
        tmp_path / "b.tif",
        tmp_path / "a.tif",
    ]
    themes = {
        preset.get("name"): [layers[str(one.get("id"))][0] for one in preset]
        for preset in project.iter("visibility-preset")
    }
    assert themes == {
        "change": ["change", "map A"],
        "map B": ["map B", "map A"],
        "map A": ["map A"],
    }


@pytest.mark.parametrize("nodata", [255, -9999])
def test_no_data_is_what_the_file_says_it_is(tmp_path: Path, nodata: int) -> None:
    a, _ = maps(tmp_path)
    marked = np.where(a == 0, nodata, a.astype(np.int16))
    write_tif(tmp_path / "marked.tif", marked, nodata=nodata)
    expected = compare_maps(tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "expected")
    found = compare_maps(tmp_path / "marked.tif", tmp_path / "b.tif", tmp_path / "found")
    np.testing.assert_array_equal(found.transitions, expected.transitions)


def test_codes_of_another_legend_and_maps_without_metres_are_refused(tmp_path: Path) -> None:
    a, _ = maps(tmp_path)
    write_tif(tmp_path / "other.tif", np.where(a == 1, 9, a).astype(np.uint8), nodata=0)
    for pair in (("other.tif", "a.tif"), ("a.tif", "other.tif")):
        with pytest.raises(LegendError, match=r"9 \(\d+ px\)"):
            compare_maps(*(tmp_path / name for name in pair), tmp_path / "out")
    write_tif(tmp_path / "degrees.tif", a, 1e-5, crs="EPSG:4326", origin=(-80.0, 40.4))
    write_tif(tmp_path / "nowhere.tif", a, crs=None)
    for name, message in (("degrees.tif", "not in metres"), ("nowhere.tif", "no coordinate")):
        with pytest.raises(RasterError, match=message):
            compare_maps(tmp_path / name, tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    maps(tmp_path)
    for out in (tmp_path / "a.tif", tmp_path / "a.tif" / "below"):
        with pytest.raises(RequestError, match=r"is a file|cannot be written to"):
            compare_maps(tmp_path / "a.tif", tmp_path / "b.tif", out)


def test_maps_of_different_ground_are_refused(tmp_path: Path) -> None:
    maps(tmp_path)
    write_tif(tmp_path / "far.tif", np.ones((4, 4), np.uint8), origin=(100_000.0, 4_000_000.0))
    with pytest.raises(GridError, match="overlap"):
        compare_maps(tmp_path / "a.tif", tmp_path / "far.tif", tmp_path / "out")
    write_tif(tmp_path / "empty.tif", np.zeros((40, 50), np.uint8), nodata=0)
    with pytest.raises(GridError, match="no pixel"):
        compare_maps(tmp_path / "a.tif", tmp_path / "empty.tif", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_map_stored_south_up_is_compared_with_a_part_of_it(tmp_path: Path) -> None:
    codes = np.repeat(np.array([1, 2, 4], np.uint8), 8)[:, None] * np.ones((1, 24), np.uint8)
    upright = write_tif(tmp_path / "a.tif", codes, nodata=0)
    with rasterio.open(upright) as source:
        flip = Affine.translation(0, 24) @ Affine.scale(1, -1)
        profile = {**source.profile, "transform": source.transform @ flip}
    with rasterio.open(tmp_path / "south.tif", "w", **profile) as target:
        target.write(codes[::-1], 1)
    part = write_tif(tmp_path / "b.tif", codes[8:16], origin=(ORIGIN[0], ORIGIN[1] - 8), nodata=0)
    comparison = compare_maps(tmp_path / "south.tif", part, tmp_path / "out")
    assert comparison.changed == 0
    assert comparison.transitions[1, 1] == comparison.transitions.sum() == 8 * 24
