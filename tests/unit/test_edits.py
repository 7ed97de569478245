"""Edits as users draw them: read in any CRS, checked, drawn pixel by pixel."""

import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from inputs import ORIGIN, UTM
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.transform import Affine

from landcover_pnp.errors import EditsError, LandcoverError, LegendError, RasterError
from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING
from landcover_pnp.scenes.edits import Edits, read_edits

SIZE = 60
GRID = GeoBox((SIZE, SIZE), Affine(1, 0, ORIGIN[0], 0, -1, ORIGIN[1]), UTM)
ALL = Box(0, SIZE, 0, SIZE)


def square(x: float, y: float, side: float) -> shapely.Polygon:
    """A square by its upper left corner, metres from that of the grid."""
    return shapely.box(ORIGIN[0] + x, ORIGIN[1] - y - side, ORIGIN[0] + x + side, ORIGIN[1] - y)


def written(path: Path, shapes: list[Any], crs: Any = UTM, **columns: list[Any]) -> Path:
    gpd.GeoDataFrame(columns or {"class": ["water"] * len(shapes)}, geometry=shapes, crs=UTM).pipe(
        lambda f: f.to_crs(crs) if crs else f.set_crs(None, allow_override=True)
    ).to_file(path, engine="pyogrio")
    return path


def pixels(edits: Edits) -> NDArray[np.uint8]:
    return edits.drawn(ALL)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857", "EPSG:26918", "ESRI:102039"])
def test_edits_lie_right_in_any_crs(crs: str, tmp_path: Path) -> None:
    edits = read_edits(written(tmp_path / "e.gpkg", [square(10, 20, 15)], crs), GRID)
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[20:35, 10:25] = 1
    assert (pixels(edits) != expected).sum() <= 2
    assert edits.counts == {"water": 1}


@pytest.mark.parametrize("value", [*WORKING.names, *map(str, WORKING.codes), *WORKING.codes])
def test_a_class_is_a_name_or_a_code(value: str | int, tmp_path: Path) -> None:
    path = written(tmp_path / "e.gpkg", [square(10, 20, 15)], kind=[value])
    names = dict(zip(WORKING.names, WORKING.codes, strict=True))
    code = names.get(str(value)) or int(value)
    assert set(pixels(read_edits(path, GRID)).ravel().tolist()) == {0, code}


def test_the_column_is_found_or_named(tmp_path: Path) -> None:
    shapes = [square(10, 20, 15)]
    path = written(tmp_path / "a.gpkg", shapes, note=["dry"], Class=["water"])
    assert read_edits(path, GRID).counts == {"water": 1}
    path = written(tmp_path / "b.gpkg", shapes, one=["water"], two=["4"])
    with pytest.raises(EditsError, match="2 columns of classes: one, two"):
        read_edits(path, GRID)
    assert read_edits(path, GRID, "two").counts == {"trees and forest": 1}
    with pytest.raises(EditsError, match="no columns of classes"):
        read_edits(written(tmp_path / "c.gpkg", shapes, note=["dry"]), GRID)
    with pytest.raises(EditsError, match="did you mean 'one'"):
        read_edits(path, GRID, "on")


@pytest.mark.parametrize("name", ["id", "ID", "ogc_fid", "OBJECTID", "edit_id", "id_1", "nr"])
@pytest.mark.parametrize("numbers", [[1, 2, 3], [5, 3, 1], ["1", "2", "3"]])
def test_a_number_of_the_row_is_no_class(name: str, numbers: list[Any], tmp_path: Path) -> None:
    shapes = [square(x, 20, 5) for x in (5, 15, 25)]
    kinds = ["watr", "Grass and herbaceus", "impervious"]
    path = written(tmp_path / "a.gpkg", shapes, **{name: numbers}, kind=kinds)
    with pytest.raises(LegendError, match="'Grass and herbaceus', 'watr'") as error:
        read_edits(path, GRID)
    assert "did you mean 'grass and herbaceous'" in error.value.fix
    with pytest.raises(EditsError, match="no columns of classes"):
        read_edits(written(tmp_path / "b.gpkg", shapes, **{name: numbers}), GRID)
    right = written(tmp_path / "c.gpkg", shapes, **{name: numbers}, kind=["water"] * 3)
    assert read_edits(right, GRID).notes == ("classes are those of the column 'kind'",)


def test_texts_go_before_numbers_and_rows_are_not_counted_as_classes(tmp_path: Path) -> None:
    shapes = [square(x, 20, 5) for x in (5, 15, 25)]
    path = written(tmp_path / "a.gpkg", shapes, floors=[2, 2, 1], kind=["water"] * 3)
    assert read_edits(path, GRID).counts == {"water": 3}
    path = written(tmp_path / "b.gpkg", shapes, code=[2, 2, 1], note=["dry", "wet", "?"])
    assert read_edits(path, GRID).counts == {"water": 1, "impervious": 2}
    with pytest.raises(EditsError, match="no columns of classes"):
        read_edits(written(tmp_path / "c.gpkg", shapes, order=[1, 2, 3]), GRID)
    path = written(tmp_path / "d.gpkg", shapes, kind=["water", None, "water"])
    with pytest.raises(EditsError, match=r"1 of 3 edits .* have no class in the column 'kind'"):
        read_edits(path, GRID)


def test_of_edits_on_the_same_ground_the_later_wins(tmp_path: Path) -> None:
    shapes = [square(10, 10, 20), square(20, 20, 20), shapely.Point(ORIGIN[0] + 12, ORIGIN[1] - 12)]
    edits = read_edits(written(tmp_path / "e.gpkg", shapes, kind=[1, 4, 5]), GRID)
    found = pixels(edits)
    assert found[15, 15] == 1
    assert (found[20:40, 20:40] == 4).all()
    assert found[12, 12] == 5


@given(st.integers(0, 59), st.integers(0, 59), st.floats(0, 0.98), st.floats(0, 0.98))
def test_whatever_is_narrower_than_a_pixel_is_drawn(x: int, y: int, dx: float, dy: float) -> None:
    tiny = square(x + dx / 1.05, y + dy / 1.05, 0.01)
    edits = Edits(np.array([tiny], object), np.array([3], np.uint8), GRID, ())
    assert pixels(edits)[y, x] == 3
    assert (pixels(edits) > 0).sum() <= 4


@given(st.data())
def test_windows_together_are_the_whole(data: st.DataObject) -> None:
    number = st.integers(-10, 65)
    places = data.draw(st.lists(st.tuples(number, number, st.integers(1, 30)), min_size=1))
    shapes = np.array([square(x + 0.3, y + 0.1, side) for x, y, side in places], object)
    codes = np.array([1 + i % 5 for i in range(len(places))], np.uint8)
    edits = Edits(shapes, codes, GRID, ())
    whole = pixels(edits)
    at = data.draw(st.integers(1, SIZE - 1))
    for box in (Box(0, at, 0, at), Box(at, SIZE, 0, at), Box(0, SIZE, at, SIZE)):
        np.testing.assert_array_equal(edits.drawn(box), whole[box.within(ALL)])


def test_a_point_is_a_pixel_around_or_what_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "e.gpkg", [shapely.Point(ORIGIN[0] + 30.6, ORIGIN[1] - 30.4)])
    found = pixels(read_edits(path, GRID)) > 0
    assert found[30, 30]
    assert 2 <= found.sum() <= 5
    wide = pixels(read_edits(path, GRID, radius_m=6)) > 0
    assert wide.sum() == pytest.approx(np.pi * 36, rel=0.05)
    assert wide[30, 30]


def test_what_lies_elsewhere_is_counted(tmp_path: Path) -> None:
    shapes = [square(10, 10, 5), square(200, 10, 5), square(50, 50, 40)]
    edits = read_edits(written(tmp_path / "e.gpkg", shapes), GRID)
    assert len(edits.codes) == 2
    said = " ".join(edits.notes)
    assert "1 of 3 edits lie outside of the map" in said
    assert "1 edits reach beyond the map" in said
    with pytest.raises(EditsError, match="none of the 1 edits"):
        read_edits(written(tmp_path / "f.gpkg", [square(200, 10, 5)]), GRID)


def test_an_outline_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    x, y = ORIGIN[0] + 10, ORIGIN[1] - 10
    bow = shapely.Polygon([(x, y), (x + 20, y - 20), (x + 20, y), (x, y - 20)])
    edits = read_edits(written(tmp_path / "e.gpkg", [bow]), GRID)
    assert "outlines of 1 edits mended" in edits.notes[0]
    assert 150 < (pixels(edits) > 0).sum() < 250


def test_an_outline_without_ground_is_not_called_outside(tmp_path: Path) -> None:
    x, y = ORIGIN[0] + 10, ORIGIN[1] - 10
    flat = shapely.Polygon([(x, y), (x + 20, y), (x + 10, y)])
    edits = read_edits(written(tmp_path / "e.gpkg", [flat, square(20, 20, 9)]), GRID)
    assert edits.notes == ("1 edits left out, whose outlines enclose no ground",)
    assert edits.counts == {"water": 1}
    with pytest.raises(EditsError, match=r"all 1 edits .* enclose no ground"):
        read_edits(written(tmp_path / "f.gpkg", [flat]), GRID)


def test_widths_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    edits = Edits(np.array([square(1, 1, 9)], object), np.array([3], np.uint8), GRID, ())
    calls, buffer = [], shapely.buffer
    monkeypatch.setattr(shapely, "buffer", lambda *a: (calls.append(a), buffer(*a))[1])
    for _ in range(3):
        pixels(edits)
    assert len(calls) == 1


def test_an_unknown_class_names_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path / "e.gpkg", [square(1, 1, 9)] * 2, **{"class": ["gras", "water"]})
    with pytest.raises(LegendError, match="'gras'") as error:
        read_edits(path, GRID)
    assert "1 water, 2 impervious" in error.value.expected
    with pytest.raises(LegendError, match="did you mean 'impervious'"):
        read_edits(
            written(tmp_path / "f.gpkg", [square(1, 1, 9)], kind=["imperviuos"]), GRID, "kind"
        )


def vrt(path: Path) -> Path:
    path.write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>b.gpkg</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    return path


def two_layers(path: Path) -> Path:
    frame = gpd.GeoDataFrame({"class": ["water"]}, geometry=[square(1, 1, 9)], crs=UTM)
    for layer in ("a", "b"):
        frame.to_file(path, layer=layer, engine="pyogrio")
    return path


def without_crs(path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the library's, on what is wanted here
        return written(path, [square(1, 1, 9)], None)


LINE = shapely.LineString([ORIGIN, (ORIGIN[0] + 9, ORIGIN[1] - 9)])
REFUSED = {
    "no CRS": (without_crs, "no coordinate reference system"),
    "empty": (lambda p: written(p, [], **{"class": []}), "holds no edits"),
    "no shapes": (lambda p: written(p, [None], **{"class": ["water"]}), "no edits|no layer"),
    "lines": (lambda p: written(p, [LINE]), "holds LineString"),
    "no class": (
        lambda p: written(p, [square(1, 1, 9)] * 2, **{"class": ["water", None]}),
        "1 of 2 edits in .* have no class",
    ),
    "a virtual format": (vrt, "read from elsewhere"),
    "garbage": (lambda p: (p.write_bytes(b"garbage"), p)[1], "no layer of shapes"),
    "missing": (lambda p: p, "no file"),
    "several layers": (two_layers, "has the layers a, b"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_edits_that_cannot_be_used_are_refused(kind: str, tmp_path: Path) -> None:
    make, said = REFUSED[kind]
    path = make(tmp_path / "e.gpkg")
    with pytest.raises((EditsError, RasterError), match=said) as error:
        read_edits(path, GRID)
    assert isinstance(error.value, LandcoverError)
    assert error.value.exit_code == 2
