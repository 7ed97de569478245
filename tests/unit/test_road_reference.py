"""The spectral index of a city's roads, read from its scene."""

from pathlib import Path

import numpy as np
import pytest
from inputs import two_halves, write_tif

from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.road_reference import city_roads, scene_roads, some_windows
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import LayerFile, RasterFiles

ROAD, LAWN = (160, 150, 140), (90, 140, 60)


def scene_of(folder: Path, road: tuple[int, ...], ground: tuple[int, ...]) -> Scene:
    """A lawn beside a road that covers the left half."""
    on_road = two_halves(1, 0) == 1
    image = np.where(on_road, np.array(road)[:, None, None], np.array(ground)[:, None, None])
    files = RasterFiles(
        image=write_tif(folder / "image.tif", image.astype(np.uint8)),
        nlcd=write_tif(folder / "nlcd.tif", two_halves(24, 21)),
        roads=LayerFile(write_tif(folder / "roads.tif", two_halves(1, 0))),
    )
    return prepare_scene(plan_scene(files, 4.0), folder / "scene")


def test_roads_tell_their_tone_and_the_map_goes_without_their_brightness(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, ROAD, LAWN)
    roads = city_roads([(scene, scene.extent)])
    assert roads is not None
    assert roads.greenness == pytest.approx((150 - 160) / 310, abs=0.005)
    assert roads.redness == pytest.approx((160 - 140) / 300, abs=0.005)
    assert roads.brightness == pytest.approx(150 / 255, abs=0.005)
    of_map = scene_roads(scene)
    assert of_map is not None
    assert of_map.brightness is None
    assert of_map.redness == pytest.approx(roads.redness)


def test_an_image_without_colour_says_so(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, (150, 150, 150), (90, 90, 90))
    with pytest.warns(WeakLabelsWarning, match="no colour"):
        assert scene_roads(scene) is None


def test_windows_are_the_same_each_time_and_no_more_than_needed(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, ROAD, LAWN)
    everything = list(some_windows(scene, 10**9))
    assert sum(box.shape[0] * box.shape[1] for box in everything) == scene.valid_px
    assert list(some_windows(scene, 1)) == everything[:1]
