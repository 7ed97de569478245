"""Scenes opened from Python: paths and arrays give the same scene, what cannot be is refused."""

from pathlib import Path

import numpy as np
import pytest
import rioxarray
import xarray as xr
from inputs import codes_of, write_scene

from landcover_pnp.errors import RasterError, SettingsError
from landcover_pnp.scenes.opening import CoarseMap, open_scene
from landcover_pnp.scenes.scene import Scene


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("inputs")).parent


def array(path: Path) -> xr.DataArray:
    opened = rioxarray.open_rasterio(path)
    assert isinstance(opened, xr.DataArray)
    return opened.load()


def layers(scene: Scene) -> list[np.ndarray]:
    return [scene.image(scene.extent), codes_of(scene), scene.valid(scene.extent)]


def test_paths_and_arrays_give_the_same_scene(inputs: Path) -> None:
    image, nlcd = array(inputs / "image.tif"), array(inputs / "nlcd.tif")
    plain = open_scene(str(inputs / "image.tif"), nlcd=inputs / "nlcd.tif")
    others = [
        open_scene(image, coarse=CoarseMap(nlcd.squeeze("band", drop=True))),
        open_scene(image.isel(y=slice(None, None, -1)), nlcd=nlcd.isel(y=slice(None, None, -1))),
        open_scene(image.transpose("y", "x", "band"), coarse=inputs / "nlcd.tif"),
    ]
    for other in others:
        for one, another in zip(layers(plain), layers(other), strict=True):
            np.testing.assert_array_equal(one, another)
        assert other.geobox == plain.geobox


def test_a_temporary_scene_goes_with_its_last_use(inputs: Path) -> None:
    scene = open_scene(inputs / "image.tif", nlcd=inputs / "nlcd.tif")
    folder = scene.folder
    assert folder.is_dir()
    del scene
    assert not folder.exists()


def test_a_named_folder_stays_and_is_not_prepared_again(inputs: Path, tmp_path: Path) -> None:
    first = open_scene(inputs / "image.tif", nlcd=inputs / "nlcd.tif", folder=tmp_path / "scene")
    written = first.folder.stat().st_ino
    again = open_scene(inputs / "image.tif", nlcd=inputs / "nlcd.tif", folder=tmp_path / "scene")
    assert again.folder.stat().st_ino == written


def test_an_array_without_crs_says_how_to_give_it_one(inputs: Path) -> None:
    bare = array(inputs / "image.tif").drop_vars("spatial_ref")
    with pytest.raises(RasterError, match=r"without a CRS[^.]*\n.*\n.*write_crs"):
        open_scene(bare, nlcd=inputs / "nlcd.tif")
    no_grid = xr.DataArray(np.zeros((3, 8, 8), np.uint8), dims=("band", "row", "column"))
    with pytest.raises(RasterError, match="without a grid"):
        open_scene(no_grid, nlcd=inputs / "nlcd.tif")


def test_requests_that_make_no_sense(inputs: Path) -> None:
    image, nlcd = inputs / "image.tif", inputs / "nlcd.tif"
    with pytest.raises(SettingsError, match="no coarse map"):
        open_scene(image)
    with pytest.raises(SettingsError, match="both coarse and nlcd"):
        open_scene(image, nlcd=nlcd, coarse=nlcd)
    with pytest.raises(SettingsError, match="no coarse map"):
        open_scene(image, coarse=[])
    with pytest.raises(SettingsError, match="did you mean 'nlcd'"):
        open_scene(image, coarse=CoarseMap(nlcd, legend="nlcds"))
    with pytest.raises(SettingsError, match="did you mean 'image_crs'"):
        open_scene(image, nlcd=nlcd, image_csr="EPSG:26917")
    with pytest.raises(SettingsError, match="image of type ndarray"):
        open_scene(np.zeros((3, 8, 8)), nlcd=nlcd)  # type: ignore[arg-type]
