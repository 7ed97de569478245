"""What is read of a scene for the borders of its indices, and what is said of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inputs import NLCD, numbered, two_halves, write_tif
from numpy.typing import NDArray

from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.index_borders import Ground
from landcover_pnp.evidence.index_values import UNUSED
from landcover_pnp.evidence.scene_borders import (
    ground_of,
    sample_of,
    sample_windows,
    scene_borders,
)
from landcover_pnp.grid import Box
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, CoarseLegend
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import LayerFile, RasterFiles
from landcover_pnp.scenes.survey import survey_scene

ROAD, LAWN = (160, 150, 140, 120), (90, 140, 60, 200)


def files_of(folder: Path, image: NDArray[np.uint8], roads: bool = True) -> RasterFiles:
    """A lawn beside a road that covers the left half."""
    path = write_tif(folder / "roads.tif", two_halves(1, 0))
    return RasterFiles(
        image=write_tif(folder / "image.tif", image),
        coarse=write_tif(folder / "nlcd.tif", two_halves(24, 41)),
        roads=LayerFile(path) if roads else None,
    )


def picture(left: tuple[int, ...], right: tuple[int, ...]) -> NDArray[np.uint8]:
    on_road = two_halves(1, 0) == 1
    rng = np.random.default_rng(0)
    image = np.where(on_road, np.array(left)[:, None, None], np.array(right)[:, None, None])
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("bands", [3, 4])
def test_roads_and_forest_make_the_border(tmp_path: Path, bands: int) -> None:
    files = files_of(tmp_path, picture(ROAD[:bands], LAWN[:bands]))
    borders = scene_borders([prepare_scene(plan_scene(files, 4.0), tmp_path / "scene")])
    assert borders.vegetation
    low, high = ((n - r) / (n + r) for r, n in ((160, ROAD[-1]), (90, LAWN[-1])))
    if bands == 3:
        low, high = (150 - 160) / 310, (140 - 90) / 230
    assert low < borders.vegetation.middle < high
    assert borders.brightness
    assert borders.brightness.middle == pytest.approx(97 / 255, abs=0.03)


@pytest.mark.parametrize("which", ["grey", "swapped", "constant"])
def test_what_does_not_count_is_warned_of(tmp_path: Path, which: str) -> None:
    image = picture(ROAD, LAWN)
    said = {"grey": "no colour", "swapped": "looks like near infrared", "constant": "is constant"}
    if which == "grey":
        image = image[:1].repeat(3, axis=0)
    elif which == "swapped":
        image = image[[3, 1, 2, 0]]
    else:
        image[3] = 7
    scene = prepare_scene(plan_scene(files_of(tmp_path, image), 4.0), tmp_path / "scene")
    with pytest.warns(WeakLabelsWarning, match=said[which]):
        borders = scene_borders([scene])
    assert any(said[which] in note for note in borders.notes)
    assert (UNUSED in borders.bands) == (which != "grey")


def test_a_check_sees_the_same_pixels_without_a_scene_on_disk(tmp_path: Path) -> None:
    plan = plan_scene(files_of(tmp_path, picture(ROAD, LAWN)), 1.0)  # several windows and blocks
    scene = prepare_scene(plan, tmp_path / "scene")
    before = sorted(tmp_path.rglob("*"))
    seen = survey_scene(plan, sample_windows(scene.extent)).windows
    assert sorted(tmp_path.rglob("*")) == before
    ours, theirs = sample_of(seen), sample_of(scene)
    np.testing.assert_array_equal(ours.pixels, theirs.pixels)
    np.testing.assert_array_equal(ours.ground, theirs.ground)
    assert ours.bands == theirs.bands


@pytest.mark.parametrize("layers", [(), ("roads",), ("buildings", "water")])
def test_mapped_objects_lie_on_top_of_nlcd(layers: tuple[str, ...]) -> None:
    nlcd = np.full((30, 30), 42, np.uint8)
    nlcd[:, :10], nlcd[:, 20:] = 31, 11
    objects: dict[str, Any] = dict.fromkeys(("roads", "buildings", "water"))
    covered = np.zeros((30, 30), np.float32)
    covered[:5] = 0.6
    objects |= dict.fromkeys(layers, covered)
    ground = ground_of(numbered(nlcd), NLCD, objects, 4.0)
    kinds = {"roads": Ground.ROAD, "buildings": Ground.ROOF, "water": Ground.WATER}
    top = kinds[layers[-1]] if layers else None
    assert set(ground[:5].ravel()) == (
        {top} if top is not None else {Ground.BARREN, Ground.FOREST_EDGE, Ground.WATER}
    )
    assert (ground[5:, :10] == Ground.BARREN).all()
    assert (ground[5:, 20:] == Ground.WATER).all()
    assert (ground[5:, 10:20] == Ground.FOREST_EDGE).all()  # 40 m wide, 30 m from either side
    inside = ground_of(numbered(np.full((30, 30), 42)), NLCD, objects, 4.0)[5:]
    assert (inside == Ground.FOREST).all()


def test_windows_are_the_same_each_time_and_lie_apart() -> None:
    extent = Box(0, 700, 0, 300)
    windows = list(sample_windows(extent))
    assert windows == list(sample_windows(extent))
    seen = np.zeros((700, 300), int)
    for box in windows:
        seen[box.within(extent)] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("name", COARSE_NAMES)
def test_every_legend_has_anchors_inside_of_its_own_pixels(name: str) -> None:
    legend = CoarseLegend.load(name)
    side = 90
    kinds = {"forest": Ground.FOREST, "barren": Ground.BARREN, "water": Ground.WATER}
    for role, kind in kinds.items():
        number = 1 + legend.roles.index(role)
        numbers = np.full((side, side), number, np.uint8)
        numbers[:, :30] = 1 + legend.roles.index("developed")
        ground = ground_of(numbers, legend, {}, 4.0)
        assert (ground[:, :30] == Ground.UNKNOWN).all()
        edge_px = round(legend.resolution_m / 4.0) if role == "forest" else 0
        assert (ground[:, 30 + edge_px + 1 :] == kind).all()
        if role == "forest":
            assert (ground[:, 30 : 30 + edge_px] == Ground.FOREST_EDGE).all()
