"""A user's own labels: what is read as a class, where it is drawn, and what they are for."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from drawn_pixels import DORMANT, DRY, GREEN, LOW, ROLES, drawn
from inputs import DEFINITIONS, ORIGIN, UTM, colours, two_halves, write_tif

import landcover_pnp as lc
from landcover_pnp.errors import GridError, LegendError, RasterError
from landcover_pnp.evidence.matrix_refinement import refine_matrix
from landcover_pnp.evidence.settings import RefinementSettings
from landcover_pnp.legend import WORKING
from landcover_pnp.scenes.checks import read_layers
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import LabelFile, RasterFiles

SIZE, SIDE = 64, 4.0
X, Y = ORIGIN


@pytest.fixture
def files(tmp_path: Path) -> RasterFiles:
    return RasterFiles(
        image=write_tif(tmp_path / "image.tif", colours(size=SIZE)),
        coarse=write_tif(tmp_path / "nlcd.tif", two_halves(41, 24, SIZE)),
    )


def labelled(
    folder: Path, labels: list[Any], shapes: list[shapely.Geometry], crs: Any = UTM, **options: Any
) -> LabelFile:
    frame = gpd.GeoDataFrame({"class": labels}, geometry=shapes, crs=UTM).to_crs(crs)
    frame.to_file(folder / "labels.gpkg", engine="pyogrio")
    return LabelFile(folder / "labels.gpkg", **options)


def pixels(files: RasterFiles, labels: LabelFile) -> np.ndarray:
    scene = lc.open_scene(files.image, nlcd=files.coarse, labels=labels)
    found = scene.labels(scene.extent)
    assert found is not None
    return found


def at(column: float, row: float) -> shapely.Point:
    """A place in working pixels."""
    return shapely.Point(X + SIDE * column, Y - SIDE * row)


def test_points_are_the_pixels_that_they_lie_in_and_polygons_those_of_their_centres(
    files: RasterFiles, tmp_path: Path
) -> None:
    field = shapely.box(X + 20, Y - 60, X + 41, Y - 40)  # columns 5 to 9 and a bit, rows 10 to 14
    tiny = at(14.9, 1.05).buffer(0.1)
    shapes = [at(0.1, 0.1), at(15.9, 15.9), field, tiny]
    found = pixels(files, labelled(tmp_path, ["water", "soil and barren", "5", "4"], shapes))
    expected = np.zeros((16, 16), np.uint8)
    expected[0, 0], expected[15, 15], expected[1, 14] = 1, 3, 4
    expected[10:15, 5:10] = 5
    np.testing.assert_array_equal(found, expected)


def test_a_pixel_of_two_classes_has_none(files: RasterFiles, tmp_path: Path) -> None:
    shapes = [at(3.2, 3.2), at(3.8, 3.8), at(4.2, 3.2), at(4.8, 3.8)]
    found = pixels(files, labelled(tmp_path, [1, 2, 5, 5], shapes))
    assert found[3, 3] == 0 and found[3, 4] == 5


def test_labels_in_another_crs_lie_where_they_are(files: RasterFiles, tmp_path: Path) -> None:
    found = pixels(files, labelled(tmp_path, ["water"], [at(7.5, 2.5)], crs=4326))
    assert np.argwhere(found).tolist() == [[2, 7]]


@pytest.mark.parametrize("number", range(len(WORKING.classes)))
def test_names_and_codes_of_every_class_are_read(
    number: int, files: RasterFiles, tmp_path: Path
) -> None:
    wanted = WORKING.classes[number]
    for label in (wanted.name, f" {wanted.name.upper()} ", wanted.code, f"{wanted.code}"):
        found = pixels(files, labelled(tmp_path, [label], [at(1.5, 1.5)]))
        assert found[1, 1] == wanted.code


@pytest.mark.parametrize("empty", [[3, None], ["3", ""], ["3", None], [3, 0]])
def test_places_without_label_are_left_out(
    empty: list[Any], files: RasterFiles, tmp_path: Path
) -> None:
    found = pixels(files, labelled(tmp_path, empty, [at(1.5, 1.5), at(2.5, 2.5)]))
    assert np.argwhere(found).tolist() == [[1, 1]] and found[1, 1] == 3


@pytest.mark.parametrize(
    ("label", "near"),
    [("gras", "grass and herbaceous"), ("Wasser", "water"), ("tree", "trees and forest"), (6, "")],
)
def test_what_is_no_class_is_refused_with_the_nearest(
    label: Any, near: str, files: RasterFiles, tmp_path: Path
) -> None:
    labels = labelled(tmp_path, [label], [at(1, 1)])
    with pytest.raises(LegendError, match=f"{label}") as caught:
        plan_scene(RasterFiles(files.image, files.coarse, labels=labels), SIDE)
    assert near in caught.value.fix
    assert "5 grass and herbaceous" in caught.value.expected


def test_labels_that_cannot_be_used_are_refused_before_any_work(
    files: RasterFiles, tmp_path: Path
) -> None:
    def plan(labels: LabelFile) -> None:
        plan_scene(RasterFiles(files.image, files.coarse, labels=labels), SIDE)

    labels = labelled(tmp_path, ["water"], [at(1, 1)], attribute="clas")
    with pytest.raises(RasterError, match="no attribute 'clas'") as caught:
        plan(labels)
    assert "did you mean 'class'?" in caught.value.fix
    with pytest.raises(RasterError, match="other"):
        plan(labelled(tmp_path, ["water"], [at(1, 1)], layer="other"))
    with pytest.raises(GridError, match="do not overlap"):
        plan(labelled(tmp_path, ["water"], [at(5000, 1)]))
    with pytest.raises(RasterError, match="labels"):
        plan(LabelFile(files.coarse))
    with pytest.raises(RasterError, match="labels"):
        plan(LabelFile(tmp_path / "gone.gpkg"))


def test_the_plan_and_the_check_say_how_many_there_are(files: RasterFiles, tmp_path: Path) -> None:
    labels = labelled(tmp_path, ["water", 1, 4], [at(1, 1), at(2, 2), at(3, 3)])
    wanted = RasterFiles(files.image, files.coarse, labels=labels)
    notes = plan_scene(wanted, SIDE).notes
    assert "labels of 3 places: water 2, trees and forest 1" in notes
    assert [r.found for r in read_layers(wanted) if r.layer == "labels"] == ["3 features"]


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_tell_dormant_lawns_from_bare_ground(seed: int) -> None:
    """What the classes around do not tell, labels of the city do."""
    settings = RefinementSettings(colours=12)
    soils = []
    for mix, labels in (((0.0, 0.1, 0.9), 0.0), ((0.0, 0.1, 0.9), 0.05), ((0.9, 0.05, 0.05), 0.05)):
        lots = drawn(mix, {LOW: 0.6}, grass=DORMANT, labelled=labels, seed=seed)
        found = refine_matrix(lots, DEFINITIONS, ROLES, settings, seed=0).mix
        assert found is not None
        soils.append(found.soil)
    unlabelled, lawns, bare = soils
    assert lawns < unlabelled / 2 < unlabelled < bare


def test_a_matrix_goes_no_way_that_labels_speak_against() -> None:
    """By the classes around and the colours it is a desert; the user says it is lawn."""
    settings = RefinementSettings(colours=12)
    lots = drawn((0.0, 0.1, 0.9), DRY, grass=DORMANT)
    contradicting = drawn((0.0, 0.1, 0.9), DRY, grass=DORMANT, labelled=0.03)
    plain = refine_matrix(lots, DEFINITIONS, ROLES, settings, seed=0)
    told = refine_matrix(contradicting, DEFINITIONS, ROLES, settings, seed=0)
    assert plain.matrix[LOW, 2] > 3 * told.matrix[LOW, 2]
    agreeing = drawn((0.0, 0.7, 0.3), GREEN, labelled=0.03)
    assert refine_matrix(agreeing, DEFINITIONS, ROLES, settings, seed=0).step > 0
