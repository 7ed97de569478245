"""A map made by other settings is not replaced unasked."""

import dataclasses
from pathlib import Path

import pytest

from landcover_pnp.config import plain
from landcover_pnp.errors import RequestError
from landcover_pnp.inference.engines.guided import GuidedSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.run_settings import changed_settings, require_same_request
from landcover_pnp.pipeline.settings import MapSettings, TileSettings
from landcover_pnp.scenes.settings import RasterFiles, SceneSettings
from landcover_pnp.storage.records import write_json

SETTINGS = MapSettings(SceneSettings(RasterFiles(Path("/a/image.tif"), Path("/a/nlcd.tif"))))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_json(tmp_path / "settings.json", plain(SETTINGS))
    return tmp_path


def test_the_same_request_goes_on(run: Path) -> None:
    require_same_request(run, SETTINGS)
    require_same_request(run / "new", SETTINGS)
    idle = SETTINGS.inference.with_options(guided=GuidedSettings(steps=7))
    require_same_request(run, dataclasses.replace(SETTINGS, inference=idle))
    elsewhere = dataclasses.replace(SETTINGS, workers=3, scheduler="tcp://head:8786")
    require_same_request(run, elsewhere)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (dataclasses.replace(SETTINGS, seed=1), "seed"),
        (dataclasses.replace(SETTINGS, inference=InferenceSettings("guided")), "inference.engine"),
        (dataclasses.replace(SETTINGS, tiles=TileSettings(core_px=64)), "tiles.core_px"),
        (
            dataclasses.replace(
                SETTINGS,
                scene=SceneSettings(RasterFiles(Path("/b/image.tif"), Path("/a/nlcd.tif"))),
            ),
            "scene.rasters.image",
        ),
    ],
)
def test_another_request_names_what_differs_and_the_way_on(
    run: Path, other: MapSettings, name: str
) -> None:
    assert changed_settings(run, other) == [name]
    with pytest.raises(RequestError, match=f"{name}\\b.*\n.*\n.*--run.*--replace"):
        require_same_request(run, other)


@pytest.mark.parametrize("content", ["", "null", "[1]", "{"])
def test_settings_that_cannot_be_read_hinder_nothing(run: Path, content: str) -> None:
    (run / "settings.json").write_text(content)
    require_same_request(run, dataclasses.replace(SETTINGS, seed=1))
