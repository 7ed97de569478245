"""Clouds of a scene: the image says nothing there, the coarse map and the prior do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from inputs import colours, write_scene, write_tif
from numpy.typing import NDArray

from landcover_pnp.cli import main
from landcover_pnp.prior.masked_network import MaskedNetworkSettings, MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.products.ground import GROUND

WORDS = ("--workers", "0", "--tiles.core_px", "40", "--tiles.halo_px", "8")
FOREST = ("--student.model", "forest", "--student.forest.trees", "3", "--student.rounds", "1")
FEW = ("--student.forest.sample_px", "500")


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prior")
    settings = MaskedNetworkSettings(channels=[8, 16], blocks=[1, 1], head_channels=8)
    MaskedPrior(MaskedUNet(settings), resolution_m=4.0, crop_px=16).save(folder)
    return folder


def cloud() -> NDArray[np.uint8]:
    mask = np.zeros((240, 240), np.uint8)
    mask[60:150, 90:171] = 1  # pixels of 4 m that are hidden in part, too
    return mask


def city(folder: Path, prior: Path, bright: int, **layers: NDArray[np.uint8]) -> Path:
    """A scene whose image has the brightness of a cloud where one is."""
    image = colours(seed=3)
    image[:, cloud() == 1] = bright
    config = write_scene(folder, image=image)
    write_tif(folder / "clouds.tif", layers.get("clouds", cloud()))
    settings = yaml.safe_load(config.read_text())
    settings["scene"]["rasters"]["clouds"] = {"path": "clouds.tif"}
    settings["inference"]["prior"] = str(prior)
    config.write_text(yaml.safe_dump(settings))
    return config


def pixels(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as source:
        found: NDArray[np.uint8] = source.read(1)
    return found


def ground_legend(path: Path) -> dict[int, tuple[int, ...]]:
    """Colours of a layer of filled ground by code, of those that its legend has."""
    with rasterio.open(path) as source:
        table = source.colormap(1)
    return {code: table[code][:3] for code in GROUND.codes}


def ground_colours() -> dict[int, tuple[int, ...]]:
    return {c.code: c.colour for c in GROUND.classes}


@pytest.mark.parametrize(
    "student", [("--student", "null"), (*FOREST, *FEW)], ids=["none", "forest"]
)
def test_what_a_cloud_looks_like_does_not_matter(
    student: tuple[str, ...], prior: Path, tmp_path: Path
) -> None:
    runs = []
    for bright in (255, 7):
        config = city(tmp_path / str(bright), prior, bright)
        run = tmp_path / f"run {bright}"
        assert main(["map", str(config), "--run", str(run), *WORDS, *student]) == 0
        runs.append(run)
    for layer in ("landcover", "confidence", "filled"):
        one, other = (pixels(run / f"{layer}.tif") for run in runs)
        np.testing.assert_array_equal(one, other)
    ground, mapped = pixels(runs[0] / "filled.tif"), pixels(runs[0] / "landcover.tif")
    k = ground.shape[0] // 60
    inside = np.kron(cloud().reshape(60, 4, 60, 4).any(axis=(1, 3)), np.ones((k, k))) == 1
    np.testing.assert_array_equal(ground, np.where(inside, 2, 1))
    assert (mapped > 0).all()
    assert ground_legend(runs[0] / "filled.tif") == ground_colours()


def test_without_clouds_the_layer_goes(prior: Path, tmp_path: Path) -> None:
    config, run = city(tmp_path / "city", prior, 255), tmp_path / "run"
    words = ["map", str(config), "--run", str(run), *WORDS, "--student", "null"]
    assert main(words) == 0
    assert (run / "filled.tif").is_file()
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    assert main(words) == 0
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    assert main([*words, "--scene.rasters.clouds", "null", "--inference.engine", "evidence"]) == 0
    assert not list(run.glob("filled*"))


def test_a_sky_without_a_gap_is_refused(
    prior: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = city(tmp_path / "city", prior, 255, clouds=np.ones((240, 240), np.uint8))
    run = tmp_path / "run"
    assert main(["check", str(config), *WORDS]) == 2
    assert main(["map", str(config), "--run", str(run), *WORDS]) == 2
    assert capsys.readouterr().err.count("hides all 3600 pixels of the image") == 2
    assert not run.exists()
