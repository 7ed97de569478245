"""Tiles against one big tile: the map must not show where it was cut."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from landcover_pnp.mapping import map_city
from landcover_pnp.settings import (
    Algorithm1Settings,
    EnviroAtlasTile,
    InferenceSettings,
    MapSettings,
    SceneSettings,
    SyntheticSettings,
    TileSettings,
)
from landcover_pnp.sources.synthetic import write_city

CORE_PX, RING_PX = 64, 32


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneSettings:
    """3 x 3 cores of a synthetic city."""
    root = tmp_path_factory.mktemp("city")
    city = write_city(SyntheticSettings("piedmont", width_m=3 * CORE_PX * 4, seed=1), root)
    return SceneSettings(enviroatlas=EnviroAtlasTile(root, city.city, "test", city.tile))


def labels(
    scene: SceneSettings, inference: InferenceSettings, core_px: int, run: Path
) -> np.ndarray:
    tiles = TileSettings(core_px, RING_PX)
    map_city(MapSettings(scene, inference=inference, tiles=tiles, workers=2), run)
    with rasterio.open(run / "landcover.tif") as source:
        return source.read(1)


def distance_to_seam(shape: tuple[int, int]) -> np.ndarray:
    """Pixels from each pixel to the next edge between cores, (y, x)."""
    lines = [np.abs(np.arange(n)[:, None] + 0.5 - [CORE_PX, 2 * CORE_PX]).min(1) for n in shape]
    return np.minimum.outer(*lines)


@pytest.mark.parametrize(
    ("inference", "limit"),
    [
        pytest.param(InferenceSettings(engine="evidence"), 0.01, id="evidence"),
        pytest.param(
            InferenceSettings(algorithm1=Algorithm1Settings(steps=40, clean_up_steps=20)),
            0.03,
            id="algorithm1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_tiles_agree_with_one_big_tile(
    scene: SceneSettings, inference: InferenceSettings, limit: float, tmp_path: Path
) -> None:
    tiled = labels(scene, inference, CORE_PX, tmp_path / "tiled")
    whole = labels(scene, inference, 3 * CORE_PX, tmp_path / "whole")
    differs = tiled != whole
    assert differs.mean() <= limit
    near = distance_to_seam(tiled.shape) < RING_PX / 2
    # not concentrated on the seams: no more than twice the share elsewhere, within the noise
    noise = 3 * np.sqrt(max(differs.mean(), 1e-4) / near.sum())
    assert differs[near].mean() <= 2 * differs[~near].mean() + noise
