"""The whole pipeline on small scenes, with real worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from inputs import colours, two_halves, write_scene, write_tif
from PIL import Image

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import LegendError, WeakLabelsWarning
from landcover_pnp.pipeline.map import MapSummary, map_city
from landcover_pnp.pipeline.settings import MapSettings

LANDCOVER = [sys.executable, "-m", "landcover_pnp"]
TILES = ["--tiles.core_px", "20", "--tiles.halo_px", "8"]
"""3 x 3 tiles on the 60 x 60 px of the standard scene."""


def mapped(config: Path, run: Path, *words: str) -> MapSummary:
    """Maps in this process, unless the words say otherwise: workers take seconds to start."""
    return map_city(load_settings(MapSettings, config, [*TILES, "--workers", "0", *words]), run)


def products(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.tif"))}


def test_the_map_tells_the_halves_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_scene(tmp_path)
    monkeypatch.chdir(tmp_path)
    summary = mapped(config, Path("run"), "--workers", "1")  # as a user names it
    assert summary.exit_code == 0
    assert summary.progress.done == 9
    assert summary.scores["map"].accuracy > 0.95
    with rasterio.open(tmp_path / "run" / "landcover.tif") as source:
        assert source.crs.to_epsg() == 26917
        assert source.transform.c == 586_000
        assert source.read(1)[30, 10] == 4
        assert source.read(1)[30, 50] == 2
    report = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert report["done"] == 9
    assert report["scores"].keys() == {"weak labels", "evidence", "map"}


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    config = write_scene(tmp_path)
    for workers in ("1", "2"):
        mapped(config, tmp_path / workers, "--workers", workers)
    assert products(tmp_path / "1") == products(tmp_path / "2")
    assert len(products(tmp_path / "1")) == 6


def test_a_second_run_keeps_tiles_and_a_changed_setting_renews_them(tmp_path: Path) -> None:
    config, run = write_scene(tmp_path), tmp_path / "run"
    mapped(config, run)
    notes: list[str] = []
    again = mapped(config, run)
    assert (again.progress.kept, again.progress.done) == (9, 0)
    words = [*TILES, "--workers", "0", "--clusters.clusters", "4"]
    settings = load_settings(MapSettings, config, words)
    other = map_city(settings, run, lambda progress: notes.append(progress.note))
    assert (other.progress.kept, other.progress.done) == (0, 9)
    assert any("clusters.clusters" in note for note in notes)


def test_no_data_in_is_no_data_out(tmp_path: Path) -> None:
    pixels = colours()
    pixels[:, 60:100, 30:90] = 0
    config = write_scene(tmp_path)
    write_tif(tmp_path / "image.tif", pixels, nodata=0)
    mapped(config, tmp_path / "run")
    hole = np.zeros((60, 60), bool)
    hole[15:25, 8:22] = True
    hole[:, 22:] = False
    with rasterio.open(tmp_path / "run" / "scene" / "valid.tif") as source:
        invalid = source.read(1) == 0
    assert invalid[16:24, 9:21].all()
    for path in (tmp_path / "run").glob("*.tif"):
        with rasterio.open(path) as source:
            np.testing.assert_array_equal(source.read(1) == source.nodata, invalid)


def test_the_overview_of_a_strip_can_be_opened(tmp_path: Path) -> None:
    strip = {"image": colours(), "nlcd": two_halves(41, 24), "truth": two_halves(40, 20)}
    config = write_scene(
        tmp_path,
        **{k: np.concatenate([v[..., 110:130]] * 10, axis=-2) for k, v in strip.items()},
    )
    summary = mapped(config, tmp_path / "run", "--tiles.core_px", "600")
    with Image.open(summary.overview) as picture:
        assert picture.width < 1300
        assert picture.height < 2000


def test_truth_is_not_read_unless_the_protocol_asks(tmp_path: Path) -> None:
    config = write_scene(tmp_path)
    right = mapped(config, tmp_path / "right")
    write_tif(tmp_path / "truth.tif", two_halves(20, 40))
    wrong = mapped(config, tmp_path / "wrong")
    assert products(right.run) == products(wrong.run)
    assert wrong.scores["map"].accuracy < 0.05 < 0.95 < right.scores["map"].accuracy


def test_target_and_source_protocols_learn_what_nlcd_means(tmp_path: Path) -> None:
    # Here NLCD's forest is grass: no definition says so, but the truth of a city does.
    source = write_scene(tmp_path / "source", truth=two_halves(70, 20))
    target = write_scene(tmp_path / "target", truth=two_halves(70, 20))
    by_source = {
        "definitions": [],
        "target": [],
        "source": ["--weak_labels.source_scenes", f"[{source}]"],
    }
    accuracy = {}
    for matrix_source, words in by_source.items():
        summary = mapped(
            target,
            tmp_path / f"by_{matrix_source}",
            "--weak_labels.matrix_source",
            matrix_source,
            *words,
        )
        accuracy[matrix_source] = summary.scores["map"].accuracy
    assert accuracy["definitions"] < 0.6
    assert accuracy["target"] == accuracy["source"] > 0.95


@pytest.mark.parametrize("matrix_source", ["target", "source"])
def test_truth_that_says_nothing_is_not_replaced_by_definitions(
    tmp_path: Path, matrix_source: str
) -> None:
    blank = write_scene(tmp_path / "blank", truth=two_halves(0, 0))
    words = ["--weak_labels.source_scenes", f"[{blank}]"] if matrix_source == "source" else []
    with pytest.raises(LegendError, match="no labelled pixel"):
        mapped(blank, tmp_path / "run", "--weak_labels.matrix_source", matrix_source, *words)


def test_a_repair_without_pixels_to_look_at_is_said(tmp_path: Path) -> None:
    image = colours()
    image[:, :, 120:] = 0  # and NLCD has no data elsewhere
    config = write_scene(tmp_path, image=image, nlcd=two_halves(0, 24))
    words = ["--scene.rasters.black_is_no_data", "true", "--weak_labels.refinement.keep", "0.5"]
    with (
        pytest.warns(WeakLabelsWarning, match="is not refined"),
        pytest.warns(WeakLabelsWarning, match="nothing is known of 1800 pixels"),
    ):
        mapped(config, tmp_path / "run", *words)


def test_a_killed_run_is_finished_by_the_same_command(tmp_path: Path) -> None:
    config = write_scene(tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [*LANDCOVER, "map", str(config), *TILES, "--run"]
    mapped(config, whole)
    driver = subprocess.Popen([*command, str(killed)], start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((killed / "tiles").glob("r*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    finished = len(list((killed / "tiles").glob("r*.json")))
    assert finished >= 2
    assert not (killed / "landcover.tif").exists()
    done = subprocess.run([*command, str(killed)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"({finished} kept, 0 failed)" in done.stdout
    assert products(killed) == products(whole)
    assert not list(killed.rglob(".partial-*"))


def test_an_interrupted_run_says_how_to_resume(tmp_path: Path) -> None:
    config, run = write_scene(tmp_path), tmp_path / "run"
    slow = ["--clusters.iterations", "200"]
    # A test run in the background ignores Ctrl-C, and so would what it starts.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from landcover_pnp.cli import main; sys.exit(main())"
    )
    words = ["map", str(config), *TILES, *slow, "--run", str(run)]
    command = [sys.executable, "-c", program, *words]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list((run / "tiles").glob("r*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to driver and workers
    _, message = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Traceback" not in message
    assert f"Resume: landcover map {config}" in message
    assert not (run / "landcover.tif").exists()
    assert not (run / ".lock").exists()
    assert mapped(config, run, *slow).progress.kept >= 1


def test_a_tile_that_fails_is_no_data_and_the_rest_is_mapped(tmp_path: Path) -> None:
    config, run = write_scene(tmp_path), tmp_path / "run"
    mapped(config, run)
    # a folder where one tile's result belongs: it cannot be written there
    (run / "tiles" / "r0001c0001.json").unlink()
    (run / "tiles" / "r0001c0001_map.tif").unlink()
    (run / "tiles" / "r0001c0001_map.tif").mkdir()
    summary = mapped(config, run)
    assert summary.exit_code == 3
    assert list(summary.reasons) == ["r0001c0001"]
    with rasterio.open(run / "landcover.tif") as source:
        empty = source.read(1) == 0
    assert empty[20:40, 20:40].all()
    assert empty.sum() == 400


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["map", "--help"]])
def test_the_program_answers(words: list[str]) -> None:
    done = subprocess.run([*LANDCOVER, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert "landcover" in done.stdout


def test_a_map_of_other_settings_is_replaced_only_on_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path / "city")
    monkeypatch.chdir(tmp_path)
    assert main(["map", str(config)]) == 0
    before = (tmp_path / "runs" / "scene" / "landcover.tif").read_bytes()
    other = ["map", str(config), "--weak_labels.blur_m", "5"]
    assert main(other) == 2
    said = capsys.readouterr().err
    assert "weak_labels.blur_m" in said
    assert "--run" in said
    assert "--replace" in said
    assert (tmp_path / "runs" / "scene" / "landcover.tif").read_bytes() == before
    assert main(["map", str(config)]) == 0
    assert main([*other, "--replace"]) == 0
    assert main([*other, "--run", str(tmp_path / "runs" / "scene")]) == 0
