"""The student as a stage of a map run: finer maps, resumed like all other work."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from inputs import ORIGIN, colours, write_scene, write_tif

from landcover_pnp.config import load_settings
from landcover_pnp.errors import RequestError, TileError
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.map import MapSummary, map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.train_student import train_student
from landcover_pnp.products.dataset import open_run
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.zonal import zonal
from landcover_pnp.storage.run_status import run_status
from landcover_pnp.student.settings import ForestSettings, StudentSettings

WORDS = [
    *("--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0"),
    *("--student.rounds", "1", "--student.forest.trees", "6", "--student.forest.sample_px", "2000"),
]
"""2 x 2 tiles on the 60 x 60 px of the standard scene, whose image is four times as fine."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = colours()
    image[1, :, :120] += 20  # trees are green
    return write_scene(tmp_path_factory.mktemp("scene"), image=image)


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert mapped(config, folder).exit_code == 0
    return folder


def mapped(config: Path, run: Path, *words: str) -> MapSummary:
    return map_city(load_settings(MapSettings, config, [*WORDS, *words]), run)


def products(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.tif"))}


def test_the_map_has_the_image_s_resolution(run: Path) -> None:
    with (
        rasterio.open(run / "landcover.tif") as fine,
        rasterio.open(run / "evidence.tif") as coarse,
    ):
        assert fine.res == (1, 1)
        assert coarse.res == (4, 4)
        assert fine.bounds == coarse.bounds
        labels = fine.read(1)
    assert (labels[:, :110] == 4).mean() > 0.95
    assert (labels[:, 130:] == 2).mean() > 0.95
    with rasterio.open(run / "doubt.tif") as source:
        doubt = source.read(1)
    assert doubt.shape == labels.shape
    assert ((doubt == 255) == (labels == 0)).all()
    squares = doubt.reshape(60, 4, 60, 4)  # found on the working grid
    assert (squares == squares[:, :1, :, :1]).all()
    assert squares.max() > squares.min()
    result = open_run(run)
    assert result.probabilities.shape == (5, *labels.shape)
    np.testing.assert_array_equal(result.landcover, labels)
    assert run_status(run).left == 0


def test_another_student_does_not_take_the_place_of_the_run_s_own(
    config: Path, run: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(run, tmp_path / "run")) / "probabilities" / "student.tif"
    own = path.read_bytes()
    other = StudentSettings(rounds=1, forest=ForestSettings(trees=2, sample_px=300))
    with pytest.raises(RequestError, match="student of the run's own"):
        train_student(other, [tmp_path / "run"])
    map_city(
        load_settings(MapSettings, config, [*WORDS[:6], "--student", "null"]), tmp_path / "run"
    )
    train_student(other, [tmp_path / "run"])
    assert path.read_bytes() != own
    mapped(config, tmp_path / "run")
    assert path.read_bytes() == own


@pytest.mark.slow
def test_worker_processes_draw_the_same_bytes(config: Path, run: Path, tmp_path: Path) -> None:
    mapped(config, tmp_path / "run", "--workers", "2")
    assert products(tmp_path / "run") == products(run)


@pytest.mark.parametrize("file", ["model.safetensors", "r0000c0001.tif", "student.tif"])
def test_a_killed_run_goes_on_where_it_was(
    file: str, config: Path, run: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "landcover_pnp", "map", str(config), *WORDS]
    command += ["--run", str(tmp_path / "run")]
    environment = {**os.environ, "LANDCOVER_FAILPOINT": f"before-rename:{file}"}
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    summary = mapped(config, tmp_path / "run")
    assert (summary.progress.kept, summary.progress.done) == (4, 0)
    assert products(tmp_path / "run") == products(run)


def test_many_images_are_seen_as_one(config: Path, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    with rasterio.open(config.parent / "image.tif") as whole:
        pixels = whole.read()
    for x, name in ((0, "west.tif"), (100, "east.tif")):
        west, north = ORIGIN
        write_tif(folder / name, pixels[:, :, x : x + 140], origin=(west + x, north))
    mapped(config, tmp_path / "run", "--scene.rasters.image", str(folder))
    with rasterio.open(tmp_path / "run" / "landcover.tif") as several:
        labels = several.read(1)
    with rasterio.open(run / "landcover.tif") as one:
        np.testing.assert_array_equal(labels, one.read(1))


def test_without_its_student_the_run_has_the_engine_s_map(config: Path, tmp_path: Path) -> None:
    mapped(config, tmp_path / "run")
    words = [*WORDS[:6], "--student", "null"]
    summary = map_city(load_settings(MapSettings, config, words), tmp_path / "run")
    assert summary.progress.kept == 4
    with rasterio.open(tmp_path / "run" / "landcover.tif") as source:
        assert source.res == (4, 4)


def test_where_every_tile_failed_there_is_nothing_to_learn_from(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise TileError("a term that is not finite", "finite terms", "other settings")

    monkeypatch.setattr("landcover_pnp.pipeline.tiles.infer_each", fails)
    summary = mapped(config, tmp_path / "run")
    assert summary.exit_code == 1
    with rasterio.open(tmp_path / "run" / "landcover.tif") as source:
        assert source.res == (4, 4)
        assert not source.read(1).any()
    publish_run(tmp_path / "run")


def test_what_is_published_is_the_student_s(config: Path, tmp_path: Path) -> None:
    mapped(config, tmp_path / "run")
    folder = publish_run(tmp_path / "run").folder
    with rasterio.open(folder / "landcover.tif") as published:
        assert published.res == (1, 1)
        assert published.tags()["LANDCOVER_STUDENT"] == "forest"
        counts = np.bincount(published.read(1).ravel(), minlength=6)[1:]
        ground = shapely.box(*published.bounds)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "240 x 240 px of 1 m" in report
    assert "drawn by a student (forest)" in report
    assets = json.loads((folder / "item.json").read_text())["assets"]
    shapes = {name: assets[name]["proj:shape"] for name in ("landcover", "evidence")}
    assert shapes == {"landcover": [240, 240], "evidence": [60, 60]}
    geopandas.GeoDataFrame(geometry=[ground], crs=26917).to_file(tmp_path / "zone.gpkg")
    zone = geopandas.read_file(zonal(tmp_path / "run", tmp_path / "zone.gpkg").layer)
    hectares = [zone[f"{name.split(' ')[0]}_ha"][0] for name in WORKING.names]
    assert hectares == pytest.approx(counts / 1e4)
