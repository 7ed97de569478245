"""Refinement of a scene's matrix: what it reads, and what it says that it did without."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import DEFINITIONS, NLCD, codes_of

from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.matrix_refinement import Refinement
from landcover_pnp.evidence.matrix_sources import matrices_from_source, refine_for_scene
from landcover_pnp.evidence.settings import RefinementSettings, WeakLabelSettings
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import EnviroAtlasTile, RasterFiles, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city

SETTINGS = WeakLabelSettings(refinement=RefinementSettings())
SOIL, TREES = 2, 3


@pytest.fixture(scope="module")
def desert(tmp_path_factory: pytest.TempPathFactory) -> RasterFiles:
    """The files of a desert city of 256 m, without its truth."""
    folder = tmp_path_factory.mktemp("desert")
    city = write_city(SyntheticSettings("desert", 256, 4), folder)
    return replace(tile_files(EnviroAtlasTile(folder, city.city)), truth=None)


def prepared(files: RasterFiles, folder: Path) -> Scene:
    return prepare_scene(plan_scene(files, 4.0), folder / "scene")


def rewritten(path: Path, to: Path, change: object) -> Path:
    """A copy of a raster with other pixels."""
    with rasterio.open(path) as source:
        pixels, profile = source.read(), source.profile
    with rasterio.open(to, "w", **profile) as target:
        target.write(change(pixels))  # type: ignore[operator]
    return to


def told(scene: Scene) -> tuple[np.ndarray, list[str]]:
    """The matrix of a scene, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (matrix,) = matrices_from_source(SETTINGS, scene, {}, scene.folder)
    assert all(w.category is WeakLabelsWarning for w in caught)
    return matrix, [str(w.message) for w in caught]


def test_rows_that_move_are_named_with_their_classes(desert: RasterFiles, tmp_path: Path) -> None:
    scene = prepared(desert, tmp_path)
    matrix, (said,) = told(scene)
    moved = np.abs(matrix - DEFINITIONS).sum(axis=1) / 2
    there = np.unique(codes_of(scene))
    assert sum(moved[NLCD.codes.index(code)] > 0.2 for code in there if code) >= 3
    for row, code in enumerate(NLCD.codes):
        moved[row] *= code in there
        assert (f"{code} {NLCD.classes[row].name} (" in said) == (moved[row] > 0.2)
    assert matrix[NLCD.codes.index(22), SOIL] > 0.3
    assert "soil and barren 0.01 -> 0." in said


def test_without_roads_and_buildings_the_matrix_goes_by_nlcd_and_says_so(
    desert: RasterFiles, tmp_path: Path
) -> None:
    bare = replace(desert, roads=None, buildings=None, water=None)
    _, said = told(prepared(bare, tmp_path))
    assert any("no mapped roads or buildings" in message for message in said)


def test_without_colour_the_matrix_stays_and_says_so(desert: RasterFiles, tmp_path: Path) -> None:
    grey = rewritten(desert.image, tmp_path / "grey.tif", lambda p: np.repeat(p[:1], len(p), 0))
    matrix, said = told(prepared(replace(desert, image=grey), tmp_path))
    np.testing.assert_array_equal(matrix, DEFINITIONS)
    assert any("no colour" in message for message in said)


@pytest.mark.parametrize(("width_m", "moves"), [(256, True), (80, False), (8, False)])
def test_scenes_of_any_size_run_and_small_ones_keep_their_matrix(
    desert: RasterFiles, tmp_path: Path, width_m: int, moves: bool
) -> None:
    with rasterio.open(desert.image) as source:
        pixels, profile = source.read()[:, :width_m, :width_m], source.profile
    with rasterio.open(
        tmp_path / "part.tif", "w", **{**profile, "width": width_m, "height": width_m}
    ) as target:
        target.write(pixels)
    scene = prepared(replace(desert, image=tmp_path / "part.tif"), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Refinement = refine_for_scene(scene, DEFINITIONS, RefinementSettings())
    assert (found.step > 0) == moves
    assert (found.change > 0) == moves


def test_without_shrubland_and_forest_around_it_still_runs(
    desert: RasterFiles, tmp_path: Path
) -> None:
    developed = [0, *(list(NLCD.codes).index(code) + 1 for code in (21, 22, 23, 24))]
    nlcd = rewritten(
        desert.coarse, tmp_path / "nlcd.tif", lambda p: np.where(np.isin(p, developed), p, 3)
    )
    matrix, _ = told(prepared(replace(desert, coarse=nlcd), tmp_path))
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert matrix[NLCD.codes.index(22), SOIL] < matrix[NLCD.codes.index(22), SOIL:].sum()
