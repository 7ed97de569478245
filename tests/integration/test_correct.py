"""Corrections of a finished run, as its user meets them: held, learned from, kept apart, undone."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_scene, write_tif
from numpy.typing import NDArray

import landcover_pnp as lc
from landcover_pnp.cli import main
from landcover_pnp.errors import EditsError
from landcover_pnp.pipeline.correct import correct, correct_run, undo_correction
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.pipeline.verification import verify_run
from landcover_pnp.products.comparison import difference
from landcover_pnp.products.sample import write_sample
from landcover_pnp.products.settings import SampleSettings
from landcover_pnp.storage.newest import newest
from landcover_pnp.storage.run_folder import RunFolder

SIDE = 128
LABELS = {"nlcd": two_halves(41, 24, SIDE), "truth": two_halves(40, 20, SIDE)}
WORDS = [
    *("--tiles.core_px", "16", "--tiles.halo_px", "8", "--workers", "0"),
    *("--student.rounds", "1", "--student.forest.trees", "3", "--student.forest.sample_px", "800"),
]
"""2 x 2 tiles on 32 x 32 px, whose image is four times as fine."""

NEAR = ["--workers", "0", "--learning_reach_m", "6", "--reach_m", "4"]
"""Corrections that end within the scene."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = colours(size=SIDE)
    image[1, :, : SIDE // 2] += 20  # trees are green
    return write_scene(tmp_path_factory.mktemp("scene"), image=image, **LABELS)


@pytest.fixture(scope="module")
def finished(config: Path) -> Path:
    """A run with a student, not to be changed."""
    run = config.parent / "run"
    assert main(["map", str(config), "--run", str(run), *WORDS]) == 0
    return run


@pytest.fixture(scope="module")
def corrected(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with corrections, not to be changed either."""
    folder = tmp_path_factory.mktemp("corrected")
    run = Path(shutil.copytree(finished, folder / "run"))
    assert main(["correct", str(run), str(edits(folder / "edits.gpkg")), *NEAR]) == 0
    return run


def edits(path: Path, name: str = "grass and herbaceous", x: float = 20.0) -> Path:
    shape = shapely.box(ORIGIN[0] + x, ORIGIN[1] - 40, ORIGIN[0] + x + 12, ORIGIN[1] - 28)
    frame = gpd.GeoDataFrame({"class": [name]}, geometry=[shape], crs=UTM)
    frame.to_crs(4326).to_file(path, engine="pyogrio")
    return path


def labels(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as source:
        return np.asarray(source.read(1))


def contents(run: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    files = (path for path in sorted(run.rglob("*")) if path.is_file())
    named = {path.relative_to(run).as_posix(): path for path in files}
    return {k: p.read_bytes() for k, p in named.items() if not k.startswith((*but, ".landcover"))}


def tifs(run: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(run).items() if name.endswith("tif")}


def test_edits_are_held_and_the_run_s_own_map_stays(corrected: Path, finished: Path) -> None:
    own = contents(finished)
    assert own == {k: v for k, v in contents(corrected).items() if not k.startswith("corrected/")}
    before = labels(finished / "landcover.tif")
    after = labels(corrected / "corrected" / "landcover.tif")
    assert (after[28:40, 20:32] == 5).all()
    assert (before[28:40, 20:32] == 4).mean() > 0.9
    assert (after[80:] == before[80:]).all()
    drawn = labels(corrected / "corrected" / "filled.tif")
    assert (drawn[28:40, 20:32] == 3).all()
    assert set(np.unique(drawn)) == {1, 3}, "the prior is asked where it is wanted alone"
    assert (drawn == 3).sum() == 144


def test_everything_that_reads_a_map_takes_the_corrected_one(
    corrected: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(corrected, tmp_path / "run"))
    after = labels(run / "corrected" / "landcover.tif")
    result = lc.open_run(run)
    np.testing.assert_array_equal(result.landcover, after)
    assert result.probabilities[4, 34, 26] == 1
    assert int(result.filled[34, 26]) == 3
    truth = write_tif(tmp_path / "truth.tif", two_halves(40, 20, SIDE))
    capsys.readouterr()
    assert main(["evaluate", str(run), "--truth", str(truth), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["map"]["accuracy"] < scores["map before corrections"]["accuracy"]
    assert lc.evaluate(run, truth).accuracy == pytest.approx(scores["map"]["accuracy"])
    products = lc.publish(run).folder
    np.testing.assert_array_equal(labels(products / "landcover.tif"), after)
    before = labels(run / "landcover.tif")
    change = labels(products / "change.tif")
    np.testing.assert_array_equal(change, difference(before, after))
    with ZipFile(products / "landcover.qgz") as archive:
        project = archive.read("landcover.qgs").decode()
    assert '<visibility-preset name="change">' in project
    assert "trees and forest to grass and herbaceous" in project
    report = (products / "report.html").read_text(encoding="utf-8")
    for said in ("Filled and corrected ground", "corrected by hand", "0.01", "1 edits by hand"):
        assert said in report
    hatch = gpd.read_file(products / "landcover.gpkg", layer="filled_ground")
    assert hatch["code"].tolist() == [3]
    assert hatch["area_m2"].sum() == 144
    assert "corrected by hand, 0.01 ha" in (products / "landcover.qlr").read_text()
    assert main(["doubt", str(run), "--count", "2"]) == 0
    assert main(["report", str(run)]) == 0
    assert "Filled and corrected ground" in (run / "report.html").read_text(encoding="utf-8")
    assert main(["verify", str(run)]) == 0


def test_compare_shows_before_against_after(
    corrected: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(corrected), "--out", str(tmp_path / "out")]) == 0
    assert "trees and forest to grass and herbaceous: 0.0" in capsys.readouterr().out
    changed = labels(tmp_path / "out" / "difference.tif")
    assert (changed[28:40, 20:32] == 45).mean() > 0.9
    assert main(["compare", str(finished), "--out", str(tmp_path / "no")]) == 2
    assert "no corrections" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_the_same_again_changes_no_file(corrected: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(corrected, tmp_path / "run"))
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()}
    assert main(["correct", str(run), str(edits(tmp_path / "edits.gpkg")), *NEAR]) == 0
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()} == before


def test_other_edits_start_from_the_run_s_own_map(
    corrected: Path, finished: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(corrected, tmp_path / "run"))
    fresh = Path(shutil.copytree(finished, tmp_path / "fresh"))
    path = edits(tmp_path / "edits.gpkg", "water", 90)
    for there in (run, fresh):
        assert main(["correct", str(there), str(path), *NEAR]) == 0
    after = labels(run / "corrected" / "landcover.tif")
    assert (after[28:40, 90:102] == 1).all()
    assert (after[28:40, 20:32] == labels(finished / "landcover.tif")[28:40, 20:32]).all()
    assert tifs(run) == tifs(fresh)


def test_undo_leaves_the_folder_as_it_was(
    corrected: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(corrected, tmp_path / "run"))
    (run / "corrected" / "notes.txt").write_text("mine")
    (run / "products").mkdir(exist_ok=True)
    assert main(["correct", str(run), "--undo"]) == 0
    assert f"landcover publish {run}" in capsys.readouterr().out
    assert (run / "corrected" / "notes.txt").read_text() == "mine"
    assert contents(run, ("corrected/notes.txt",)) == contents(finished)
    (run / "corrected" / "notes.txt").unlink()
    (run / "corrected").rmdir()
    assert main(["correct", str(run), "--undo"]) == 2
    assert "has no corrected map" in capsys.readouterr().err
    assert main(["correct", str(run), "x.gpkg", "--undo"]) == 2
    assert main(["correct", str(run)]) == 2
    assert "no EDITS" in capsys.readouterr().err


FORKS = multiprocessing.get_context("forkserver")  # starts with everything imported
FORKS.set_forkserver_preload(["landcover_pnp.pipeline.correct"])


def killed_at(point: str, words: list[str]) -> None:
    os.environ["LANDCOVER_FAILPOINT"] = point
    main(words)


POINTS = ["before-rename:edits.tif", "before-rename:r0000c0000.tif", "before-record:products.json"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_it_goes_on_to_the_same_bytes(
    point: str, finished: Path, corrected: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    words = ["correct", str(run), str(edits(tmp_path / "edits.gpkg")), *NEAR]
    child = FORKS.Process(target=killed_at, args=(point, words), daemon=True)
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert newest(RunFolder(run)).path == run, "half a correction is no map"
    damaged = set(verify_run(run).faults) - {".lock"}
    assert damaged == ({"corrected/products.json"} if "products" in point else set())
    assert main(words) == 0
    assert not list(run.rglob(".partial-*"))
    assert tifs(run) == tifs(corrected)


def test_a_map_made_again_is_not_corrected_any_more(
    corrected: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(corrected, tmp_path / "run"))
    same, told = ["map", str(config), "--run", str(run), *WORDS], RunFolder(run).summary
    scores = json.loads(told.read_text())["scores"]
    assert main(same) == 0
    assert json.loads(told.read_text())["scores"] == scores, "those of the run's own map"
    assert main([*same, "--seed", "1", "--student.seed", "1"]) == 0
    assert "its corrections are of an earlier map" in capsys.readouterr().out
    np.testing.assert_array_equal(lc.open_run(run).landcover, labels(run / "landcover.tif"))
    assert main(["status", str(run)]) == 0
    assert "its corrections are of an earlier map" in capsys.readouterr().out
    assert main(["correct", str(run), str(edits(tmp_path / "edits.gpkg")), *NEAR]) == 0
    assert newest(RunFolder(run)).path == run / "corrected"
    (run / "corrected" / "landcover.qml").write_text("mine")
    assert main(["publish", str(run)]) == 2
    assert "repeat `landcover correct` with the same edits" in capsys.readouterr().err
    assert main(["correct", str(run), str(edits(tmp_path / "edits.gpkg")), *NEAR]) == 0
    assert (run / "corrected" / "landcover.qml.changed").read_text() == "mine"
    assert main(["verify", str(run)]) == 0


def test_a_sample_counts_nothing_that_was_corrected(
    corrected: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    old = labelled(write_sample(run, SampleSettings(n=60)).sample, tmp_path / "old.gpkg")
    assert main(["correct", str(run), str(edits(tmp_path / "edits.gpkg")), *NEAR]) == 0
    assert main(["assess", str(run), str(old)]) == 2
    assert "which has been corrected since" in capsys.readouterr().err
    run = Path(shutil.copytree(corrected, tmp_path / "again"))
    sample = write_sample(run, SampleSettings(n=60, per_class=20)).sample
    assert main(["assess", str(run), str(labelled(sample, tmp_path / "new.gpkg")), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    drawn = labels(run / "corrected" / "edits.tif") > 0
    points = gpd.read_file(sample)
    touched = int(drawn[points["pixel_y"], points["pixel_x"]].sum())
    assert touched > 0
    assert (told["left_out"], told["points"]) == (touched, 60 - touched)
    assert told["left_out_ha"] == pytest.approx(0.0144)
    assert sum(told["mapped_ha"].values()) == pytest.approx(SIDE**2 / 1e4 - 0.0144)


def labelled(sample: Path, path: Path) -> Path:
    gpd.read_file(sample).assign(**{"class": "water"}).to_file(path)
    return path


def test_a_run_that_cannot_be_corrected_is_refused(
    finished: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edits(tmp_path / "edits.gpkg")
    assert main(["map", str(config), "--run", str(tmp_path / "plain"), *WORDS[:6]]) == 0
    before = contents(tmp_path / "plain")
    assert main(["correct", str(tmp_path / "plain"), str(path)]) == 2
    assert "not drawn by a student" in capsys.readouterr().err
    assert contents(tmp_path / "plain") == before
    assert main(["correct", str(tmp_path / "none"), str(path)]) == 2
    assert "the map of the run" in capsys.readouterr().err
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    assert main(["correct", str(run), str(path), "--class_column", "klass"]) == 2
    assert "did you mean 'class'" in capsys.readouterr().err
    (run / "corrected").mkdir()
    inside = edits(run / "corrected" / "edits.gpkg")
    assert main(["correct", str(run), str(inside), *NEAR]) == 2
    assert "lies where this command writes" in capsys.readouterr().err
    shutil.rmtree(run / "corrected")
    assert contents(run) == contents(finished)


def test_edits_where_there_is_no_image_are_refused(config: Path, tmp_path: Path) -> None:
    image = colours(size=SIDE)
    image[:, :, 96:] = 0
    there = write_scene(tmp_path / "in", image=image, **LABELS)
    words = [*WORDS, "--scene.rasters.black_is_no_data", "true"]
    assert main(["map", str(there), "--run", str(tmp_path / "run"), *words]) == 0
    with pytest.raises(EditsError, match="where the map has data"):
        correct_run(tmp_path / "run", edits(tmp_path / "e.gpkg", x=104))
    assert not (tmp_path / "run" / "corrected").exists()


def test_the_python_door(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    settings: dict[str, Any] = {"learning_reach_m": 6.0, "reach_m": 4.0}
    summary = correct(lc.open_run(run), edits(tmp_path / "e.gpkg"), **settings)
    assert summary.edits == {"grass and herbaceous": 1}
    assert summary.corrected_ha == pytest.approx(0.0144)
    assert undo_correction(str(run)).landcover == run / "landcover.tif"


def test_the_map_does_not_depend_on_tiles(corrected: Path, tmp_path: Path) -> None:
    """Only where the student draws: its own map is the same whatever the tiles."""
    run = Path(shutil.copytree(corrected, tmp_path / "run"))
    settings = RunFolder(run).settings
    told = json.loads(settings.read_text())
    told["tiles"]["core_px"] = 20
    settings.write_text(json.dumps(told))
    undo_correction(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("landcover_pnp.products.finished.require_intact", lambda _, **__: None)
        near = CorrectSettings(workers=0, learning_reach_m=6, reach_m=4)
        correct_run(run, edits(tmp_path / "edits.gpkg"), near)
    for name in ("probabilities/student.tif", "landcover.tif"):
        with (
            rasterio.open(run / "corrected" / name) as found,
            rasterio.open(corrected / "corrected" / name) as expected,
        ):
            np.testing.assert_array_equal(found.read(), expected.read())
