"""One run through a bad night: Ctrl-C, a full disk, changed settings, damage afterwards."""

import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from inputs import colours, two_halves, write_scene, write_tif

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings, plain
from landcover_pnp.errors import RequestError
from landcover_pnp.pipeline import tiles
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.summary import MapSummary

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["landcover_pnp.pipeline.map"])

WORDS = ["--tiles.core_px", "20", "--tiles.halo_px", "8", "--workers", "0"]
"""9 tiles in this process."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def finished(config: Path) -> Path:
    """A finished run; tests work on copies."""
    run = config.parent / "finished"
    mapped(config, run)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def mapped(config: Path, run: Path, *words: str, notes: list[str] | None = None) -> MapSummary:
    settings = load_settings(MapSettings, config, [*WORDS, *words])
    told = notes if notes is not None else []
    return map_city(settings, run, lambda progress: told.append(progress.note))


def rasters(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.tif")}


def stamps(run: Path) -> dict[str, int]:
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in run.rglob("*.tif")}


def command(words: list[str], output: Path, file_bytes: int | None) -> None:
    """The command line in a process of its own, with a limit on the size of a file."""
    sys.stderr = output.open("w")
    sys.stdout = output.with_suffix(".out").open("w")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    code = main(words)
    sys.stderr.close()
    os._exit(code)


def started(words: list[str], output: Path, file_bytes: int | None = None):
    process = FORKS.Process(target=command, args=(words, output, file_bytes), daemon=True)
    process.start()
    return process


def wait_until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c_finishes_the_tile_in_hand(config: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["map", str(config), *WORDS, "--run", str(run)]
    process = started(words, tmp_path / "errors.txt")
    wait_until(lambda: list((run / "tiles").glob("r*.json")))
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    message = (tmp_path / "errors.txt").read_text()
    assert f"Resume: landcover map {config}" in message
    assert "Traceback" not in message
    events = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert any("tiles in hand" in event.get("text", "") for event in events)
    assert events[-1]["exit_code"] == 130
    done = len(list((run / "tiles").glob("r*.json")))
    assert done < 9
    assert not list(run.rglob(".partial-*"))
    assert mapped(config, run).progress.kept == done
    assert rasters(run) == rasters(finished)


def test_a_second_ctrl_c_stops_at_once(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    endless = ["--clusters.iterations", "100000000"]
    process = started(["map", str(config), *WORDS, *endless, "--run", str(run)], tmp_path / "e")
    wait_until((run / "journal.jsonl").is_file)
    wait_until(lambda: '"event": "tiles"' in (run / "journal.jsonl").read_text())
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGINT)
    process.join(20)
    assert process.exitcode == 130


def test_what_nobody_expected_of_a_tile_costs_that_tile(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, calls = tiles.infer_each, []

    def breaks_once(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise ZeroDivisionError("as expected")
        return infer(*given)

    monkeypatch.setattr(tiles, "infer_each", breaks_once)
    summary = mapped(config, tmp_path / "run")
    assert summary.exit_code == 3
    assert list(summary.reasons.values()) == ["unexpected ZeroDivisionError: as expected"]
    assert mapped(config, tmp_path / "run").progress.kept == 8


def largest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("stage", ["settings", "scene", "tiles", "mosaic"])
def test_a_full_disk(stage: str, config: Path, finished: Path, tmp_path: Path) -> None:
    scene, tile = largest(finished / "scene"), largest(finished / "tiles")
    # As large as a file can be: enough for the stages before, not for this one.
    size = {"settings": 500, "scene": scene // 2, "tiles": scene + 20, "mosaic": tile + 20}[stage]
    assert scene + 20 < tile < tile + 20 < largest(finished / "probabilities")
    run = tmp_path / "run"
    process = started(["map", str(config), *WORDS, "--run", str(run)], tmp_path / "errors", size)
    process.join(60)
    assert process.exitcode == 1
    message = (tmp_path / "errors").read_text()
    assert "no room for" in message
    assert "free on its disk: File too large" in message
    assert re.search(r"about 0\.\d MB more for the rest of the map, \d\.\d MB are there", message)
    assert "Traceback" not in message
    assert {"settings": ".landcover.json", "scene": "/scene/", "tiles": "/tiles/"}.get(
        stage, "/probabilities/"
    ) in message.replace(".partial-scene", "scene")
    whole = rasters(finished)
    for name, content in rasters(run).items():
        assert content == whole[name]
    assert not list(run.rglob(".partial-*"))
    assert mapped(config, run).exit_code == 0
    assert rasters(run) == whole


def test_too_little_room_is_said_before_the_start(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=1000))
    with pytest.raises(RequestError, match=r"0\.0 MB free .*\n.*about 0\.\d MB for this map"):
        mapped(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_map_outlives_truth_that_cannot_be_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One wrong pixel, of no account on the working grid: the scoring alone meets it."""
    labels = two_halves(40, 20)
    labels[0, 0] = 99
    config, run = write_scene(tmp_path, truth=labels), tmp_path / "run"
    assert main(["map", str(config), "--run", str(run)]) == 2
    assert "99 (1 px)" in capsys.readouterr().err
    assert (run / "landcover.tif").is_file()


def test_nothing_changed_means_nothing_done(config: Path, run: Path) -> None:
    before, notes = stamps(run), []
    summary = mapped(config, run, "--workers", "0", notes=notes)
    assert summary.progress.kept == 9
    assert stamps(run) == before
    assert "resuming: 9 tiles done, 0 left" in notes


def test_inputs_may_move(config: Path, run: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(config.parent, tmp_path / "moved", ignore=lambda *_: ["finished"])
    before = stamps(run)
    mapped(Path(moved) / config.name, run)
    assert stamps(run) == before


CHANGES = {
    "an engine's setting": (["--inference.evidence.iterations", "3"], "scene/"),
    "the seed": (["--seed", "5"], "scene/"),
    "how tiles are cut": (["--tiles.halo_px", "6"], "scene/"),
    "the working grid": (["--scene.resolution_m", "5"], ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_setting_redoes_what_it_concerns(change: str, config: Path, run: Path) -> None:
    words, stays = CHANGES[change]
    before, notes = stamps(run), []
    mapped(config, run, *words, notes=notes)
    same = {name for name, stamp in stamps(run).items() if before.get(name) == stamp}
    assert same == {name for name in before if stays and name.startswith(stays)}
    told = " ".join(notes)
    name = {"how tiles are cut": "canvas", "the working grid": "shape, transform"}.get(
        change, words[0].removeprefix("--")
    )
    assert f"changed since the last run: {name}" in told


def test_a_change_cut_short_and_taken_back_leaves_no_mixture(
    config: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the tile that was in hand knows nothing of the files that replaced its own."""
    whole = rasters(run)
    with monkeypatch.context() as killed:

        def kill(*_: object) -> None:
            raise KeyboardInterrupt

        killed.setattr("landcover_pnp.pipeline.tiles.file_hashes", kill)
        with pytest.raises(KeyboardInterrupt):
            mapped(config, run, "--inference.evidence.iterations", "3")
    assert rasters(run) != whole
    mapped(config, run)
    assert rasters(run) == whole


def test_a_lost_product_is_made_again_from_the_mosaic(config: Path, run: Path) -> None:
    before = rasters(run)
    (run / "entropy.tif").unlink()
    kept = {name: stamp for name, stamp in stamps(run).items() if "/" in name}
    mapped(config, run)
    assert rasters(run) == before
    assert kept.items() <= stamps(run).items()


def test_resume_goes_on_by_the_settings_in_the_folder(
    config: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_settings(MapSettings, run / "settings.json") == load_settings(
        MapSettings, run / "settings.json", []
    )
    before = rasters(run)
    (run / "tiles" / "r0001c0001.json").unlink()
    assert main(["resume", str(run)]) == 0
    assert "(8 kept, 0 failed)" in capsys.readouterr().out
    assert rasters(run) == before
    assert main(["resume", str(run.parent)]) == 2
    assert "no settings.json" in capsys.readouterr().err


def test_settings_come_back_from_their_file(config: Path, tmp_path: Path) -> None:
    settings = load_settings(MapSettings, config, WORDS)
    (tmp_path / "settings.json").write_text(json.dumps(plain(settings)))
    assert plain(load_settings(MapSettings, tmp_path / "settings.json")) == plain(settings)


def test_status_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run)]) == 0
    said = capsys.readouterr().out
    assert "ended with exit code 0" in said
    assert "9 tiles: 9 done, 0 failed, 0 left; last stage done: products" in said
    journal = run / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"tile": "r0001c0000"' in line)
    failed = lines[cut].replace('"done"', '"failed"').replace('"reason": ""', '"reason": "why"')
    journal.write_text("".join(lines[:cut]) + failed + '{"time": "20')
    (run / ".lock").write_text(
        json.dumps({"pid": os.getppid(), "host": os.uname().nodename, "start": "now"})
    )
    assert main(["status", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"at work: process {os.getppid()}" in said
    assert "9 tiles: 3 done, 1 failed, 5 left; last stage done: scene" in said
    assert "failed: r0001c0000: why" in said
    (run / ".lock").unlink()
    assert main(["status", str(run)]) == 0
    assert "broke off" in capsys.readouterr().out
    assert main(["status", str(run / "tiles")]) == 2


def test_verify_reads_every_pixel(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(run)]) == 0
    assert "all as written" in capsys.readouterr().out
    landcover, tile = run / "landcover.tif", run / "tiles" / "r0000c0001_map.tif"
    content = landcover.read_bytes()
    landcover.write_bytes(content[: len(content) // 2])
    with rasterio.open(tile, "r+") as target:
        target.write(np.zeros((1, 2), np.uint16), 1, window=((0, 1), (0, 2)))
    (run / "entropy.tif").unlink()
    assert main(["verify", str(run)]) == 1
    said = capsys.readouterr()
    assert "landcover.tif has been changed" in said.err
    assert "entropy.tif is missing" in said.err
    assert "tiles/r0000c0001_map.tif has been changed since it was written: sha256" in said.err
    assert "3 files are damaged" in said.out
    assert main(["verify", str(run / "nothing")]) == 2


def test_finished_tiles_can_be_looked_at_during_the_run(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landcover_pnp.pipeline.map.PREVIEW_EVERY_S", 0.0)
    run, seen = tmp_path / "run", {}

    def look(progress: Progress) -> None:
        if (run / "preview.vrt").exists():
            with rasterio.open(run / "preview.vrt") as source:
                seen[progress.done] = (source.read(1), source.colormap(1)[2], source.crs.to_epsg())

    map_city(load_settings(MapSettings, config, WORDS), run, look)
    classes, grey, crs = seen[5]
    assert (crs, grey[:3]) == (26917, (156, 156, 156))
    assert (classes > 0).sum() == 4 * 400, "seen before the fifth is added"
    with (
        rasterio.open(run / "preview.vrt") as preview,
        rasterio.open(run / "landcover.tif") as map_,
    ):
        assert (preview.read(1) == map_.read(1)).mean() > 0.99


def test_edges_of_the_imagery_stay_no_data_without_a_dark_frame(tmp_path: Path) -> None:
    pixels = colours()
    pixels[:] = 120
    pixels[:, np.tri(240, dtype=bool)] = 0  # a swath that covers half of the square
    config = write_scene(tmp_path)
    write_tif(tmp_path / "image.tif", pixels, nodata=0)
    write_tif(tmp_path / "nlcd.tif", np.full((240, 240), 41, np.uint8))
    summary = mapped(config, tmp_path / "run")
    with rasterio.open(tmp_path / "run" / "scene" / "valid.tif") as source:
        valid = source.read(1) == 1
    with rasterio.open(summary.products[0]) as source:
        classes = source.read(1)
    np.testing.assert_array_equal(classes > 0, valid)
    assert set(np.unique(classes[valid])) == {4}, "a constant image gives a constant map"
