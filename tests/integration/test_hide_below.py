"""``inference.hide_below``: pixels that a map is unsure of, hidden and filled by a prior."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from inputs import colours, two_halves, write_scene, write_tif
from masked_priors import tiny_masked
from numpy.typing import NDArray

from landcover_pnp.cli.main import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import HiddenWarning, PriorError, RunError, SettingsError
from landcover_pnp.pipeline import hide_tiles
from landcover_pnp.pipeline.hide_plan import plan_hide
from landcover_pnp.pipeline.map import MapSummary, map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.verification import verify_run
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.ground import FILLED, ground_hectares
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.run_folder import RunFolder

SIZE, BELOW = 128, 0.9
WORDS = ("--tiles.core_px", "16", "--tiles.halo_px", "4", "--workers", "0")
"""2 x 2 tiles on 32 x 32 working pixels."""

NO_STUDENT = ("--student", "null")
FOREST = (
    *("--student.rounds", "1", "--student.forest.trees", "3"),
    *("--student.forest.sample_px", "500"),
)
HIDE = ("--inference.hide_below", str(BELOW))
KINDS = {"student": FOREST, "map": NO_STUDENT}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hidden")
    tiny_masked().save(folder / "prior")
    image = colours(size=SIZE)
    image[:, 40:80, 40:90] = 115  # neither dark nor bright
    return write_scene(folder, image=image, nlcd=two_halves(41, 24, SIZE),
                       truth=two_halves(40, 20, SIZE))  # fmt: skip


def mapped(config: Path, run: Path, *words: str) -> MapSummary:
    own = ("--inference.prior", str(config.parent / "prior"))
    return map_city(load_settings(MapSettings, config, [*WORDS, *own, *words]), run)


@pytest.fixture(scope="module")
def runs(config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished runs by the name of the map that they end with."""
    folder = tmp_path_factory.mktemp("runs")
    for name, words in KINDS.items():
        assert mapped(config, folder / name, *words, *HIDE).exit_code == 0
    return {name: folder / name for name in KINDS}


def pixels(path: Path) -> NDArray[np.uint16]:
    with rasterio.open(path) as source:
        return np.asarray(source.read())


def contents(run: Path) -> dict[str, bytes]:
    """All rasters of a run, and what else is the same whenever it is made."""
    return {p.relative_to(run).as_posix(): p.read_bytes() for p in run.rglob("*.tif")}


def names(run: Path) -> set[str]:
    return {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", list(KINDS))
def test_only_unsure_pixels_are_filled_and_all_of_them_are_told(
    name: str, runs: dict[str, Path]
) -> None:
    run = runs[name]
    paths = RunFolder(run)
    before, after = pixels(paths.probability("drawn")), pixels(paths.probability(name))
    hidden = decode(before).max(axis=0) < BELOW
    assert 0.01 < hidden.mean() < 0.9
    np.testing.assert_array_equal(after[:, ~hidden], before[:, ~hidden])
    assert (before != after).any(axis=0)[hidden].mean() > 0.99
    ground = pixels(run / "filled.tif")[0]
    np.testing.assert_array_equal(ground, np.where((before != after).any(axis=0), 2, 1))
    labels = pixels(run / "landcover.tif")[0]
    np.testing.assert_array_equal(labels, decode(after).argmax(axis=0) + 1)
    finished = FinishedRun.open(run)
    hectares = ground_hectares(finished.ground or run)[FILLED]
    assert hectares == pytest.approx(hidden.mean() * SIZE**2 / 1e4, rel=0.02)
    [note] = [n for n in finished.summary["notes"] if "changed class" in n]
    assert f"{hectares:.2f} ha" in note
    assert verify_run(run).faults == {}


def test_the_student_learns_from_the_map_before(config: Path, runs: dict[str, Path]) -> None:
    record = json.loads((RunFolder(runs["student"]).student / "record.json").read_text())
    assert not any("hide" in key for key in record["ingredients"])
    engine = pixels(RunFolder(runs["student"]).probability("map"))
    np.testing.assert_array_equal(engine, pixels(RunFolder(runs["map"]).probability("drawn")))


@pytest.mark.parametrize("name", list(KINDS))
def test_windows_that_are_gone_are_filled_again_with_the_same_bytes(
    name: str, config: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    run, expected = Path(shutil.copytree(runs[name], tmp_path / "run")), contents(runs[name])
    folder = HiddenFiles(RunFolder(run)).windows
    first, *others = sorted(folder.glob("*.json"))
    assert others
    first.unlink()
    RunFolder(run).probability(name).unlink()
    stood = {path: path.stat().st_mtime_ns for path in others}
    assert mapped(config, run, *KINDS[name], *HIDE).exit_code == 0
    assert contents(run) == expected
    assert {path: path.stat().st_mtime_ns for path in others} == stood
    assert mapped(config, run, *KINDS[name], *HIDE).exit_code == 0
    assert contents(run) == expected


@pytest.mark.laws
def test_worker_processes_fill_the_same_bytes(
    config: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    mapped(config, tmp_path / "run", *FOREST, *HIDE, "--workers", "2")
    assert contents(tmp_path / "run") == contents(runs["student"])


def test_a_run_that_hides_nothing_any_more_is_as_if_it_never_had(
    config: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(runs["map"], tmp_path / "run"))
    assert mapped(config, run, *NO_STUDENT).exit_code == 0
    fresh = tmp_path / "fresh"
    assert mapped(config, fresh, *NO_STUDENT).exit_code == 0
    assert contents(run) == contents(fresh)
    assert names(run) == names(fresh)
    assert verify_run(run).faults == {}
    assert mapped(config, run, *FOREST, *HIDE).exit_code == 0
    assert contents(run) == contents(runs["student"])
    assert names(run) == names(runs["student"])


def test_ground_under_clouds_is_not_filled_twice(config: Path, tmp_path: Path) -> None:
    clouds = np.zeros((SIZE, SIZE), np.uint8)
    clouds[8:64, 8:64] = 1
    write_tif(config.parent / "clouds.tif", clouds)
    settings = yaml.safe_load(config.read_text())
    settings["scene"]["rasters"]["clouds"] = {"path": "clouds.tif"}
    other = config.with_name("clouded.yaml")
    other.write_text(yaml.safe_dump(settings))
    assert mapped(other, tmp_path / "run", *NO_STUDENT, *HIDE).exit_code == 0
    paths = RunFolder(tmp_path / "run")
    before, after = pixels(paths.probability("drawn")), pixels(paths.probability("map"))
    under = clouds[2::4, 2::4] == 1
    assert (decode(before).max(axis=0) < BELOW)[under].any()
    np.testing.assert_array_equal(after[:, under], before[:, under])
    differ = (before != after).any(axis=0)
    assert differ.any()
    ground = pixels(paths.path / "filled.tif")[0]
    np.testing.assert_array_equal(ground, np.where(under | differ, 2, 1))


def test_hiding_all_of_a_map_leaves_it(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.warns(HiddenWarning, match="sure of no pixel"):
        summary = mapped(config, run, *NO_STUDENT, "--inference.hide_below", "1")
    assert summary.exit_code == 0
    paths = RunFolder(run)
    before, after = pixels(paths.probability("drawn")), pixels(paths.probability("map"))
    np.testing.assert_array_equal(before, after)
    assert (pixels(run / "filled.tif") == 1).all()
    assert not list(HiddenFiles(paths).windows.glob("*.tif"))


@pytest.mark.parametrize("below", ["-0.1", "1.5", ".nan"])
def test_what_is_no_probability_is_refused(
    below: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["map", str(config), "--run", str(tmp_path / "run"), "--inference.hide_below", below]
    assert main(words) == 2
    assert "hide_below" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_prior_that_is_missing_is_refused(config: Path, tmp_path: Path) -> None:
    words = (*WORDS, *HIDE, "--inference.prior", str(tmp_path / "nowhere"))
    with pytest.raises(PriorError):
        map_city(load_settings(MapSettings, config, words), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_gaussian_prior_fills_nothing_here_and_that_is_said(config: Path) -> None:
    gaussian = Path(hide_tiles.__file__).parents[1] / "prior" / "shipped"
    words = [*HIDE, "--inference.prior", str(gaussian)]
    plan = plan_hide(load_settings(MapSettings, config, words).inference)
    assert plan is not None
    assert "the shipped masked prior, since" in plan.note
    assert plan.prior is None
    with pytest.raises(SettingsError, match="steps"):
        plan_hide(
            load_settings(MapSettings, config, [*HIDE, "--inference.fill.steps", "0"]).inference
        )


def test_a_window_that_fails_stops_the_run_and_nothing_is_half_written(
    config: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as broken:
        broken.setattr("landcover_pnp.pipeline.hide_tiles.asked", _diverged)
        with pytest.raises(RunError, match="could not be filled, such as r0000c0000"):
            mapped(config, run, *NO_STUDENT, *HIDE)
    assert not RunFolder(run).probability("map").exists()
    assert mapped(config, run, *NO_STUDENT, *HIDE).exit_code == 0
    assert contents(run) == contents(runs["map"])


def _diverged(*_: object) -> None:
    raise PriorError(found="a network that has diverged", expected="numbers", fix="train it again")
