"""Collars of no data that nobody declared: said, and not said of bright roofs."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from inputs import ORIGIN, colours, two_halves, write_scene, write_tif
from numpy.typing import NDArray

from landcover_pnp.cli import main
from landcover_pnp.errors import CollarWarning
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import RasterFiles

ROWS, COLUMNS = np.indices((240, 240))
COLLARS = {
    "on top": ROWS < 20,
    "on the right": COLUMNS >= 220,
    "all around": (ROWS < 16) | (COLUMNS < 16) | (ROWS >= 224) | (COLUMNS >= 224),
    "beside a turned strip": (ROWS < COLUMNS * 0.1) | (COLUMNS > 240 - ROWS * 0.1),
    "in a corner": ROWS + COLUMNS < 80,
}


def said(folder: Path, pixels: NDArray[np.integer], **profile: object) -> list[str]:
    files = RasterFiles(
        write_tif(folder / "image.tif", pixels, **profile),
        write_tif(folder / "nlcd.tif", two_halves(41, 24)),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CollarWarning)
        scene = prepare_scene(plan_scene(files, 4.0), folder / "scene")
    texts = [str(w.message) for w in caught if issubclass(w.category, CollarWarning)]
    assert [note for note in scene.notes if "edge" in note] == texts
    return texts


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("kind", COLLARS)
def test_a_collar_of_the_largest_value_is_said(
    kind: str, bands: int, dtype: str, tmp_path: Path
) -> None:
    pixels = colours(bands, dtype=dtype)
    full = np.iinfo(dtype).max
    pixels[:, COLLARS[kind]] = full
    [text] = said(tmp_path, pixels, photometric="minisblack")
    assert f"of its edge is {full} in every band" in text
    assert f"-a_nodata {full}" in text


def test_a_collar_that_is_declared_is_no_data_and_not_said(tmp_path: Path) -> None:
    pixels = colours(dtype="uint16")
    pixels[:, COLLARS["all around"]] = 65535
    assert not said(tmp_path, pixels, nodata=65535)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_roofs_and_water_are_no_collars(dtype: str, tmp_path: Path) -> None:
    pixels = colours(dtype=dtype)
    full = np.iinfo(dtype).max
    pixels[:, 60:180, 60:180] = full  # a roof as bright as can be, in the middle
    pixels[:, :8, 100:108] = full  # and a small one at the edge
    pixels[0, :, :20] = full  # red soil
    assert not said(tmp_path, pixels)


def test_one_image_of_several_has_a_collar(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    for number in range(2):
        pixels = colours(dtype="uint16")
        if number:
            pixels[:, COLLARS["on top"]] = 65535
        origin = (ORIGIN[0] + 240 * number, ORIGIN[1])
        write_tif(tmp_path / "tiles" / f"{number}.tif", pixels, origin=origin)
    nlcd = write_tif(tmp_path / "nlcd.tif", np.full((20, 20), 41, np.uint8), 30.0)
    with pytest.warns(CollarWarning, match=r"1\.tif: 2\d% of its edge"):
        prepare_scene(plan_scene(RasterFiles(tmp_path / "tiles", nlcd), 4.0), tmp_path / "s")


def test_check_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = colours(dtype="uint16")
    pixels[:, COLLARS["on top"]] = 65535
    config = write_scene(tmp_path, image=pixels)
    assert main(["check", str(config)]) == 0
    assert "of its edge is 65535" in capsys.readouterr().err
