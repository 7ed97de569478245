"""A finished run that is called again: no file of it changes, and nothing is done again."""

from pathlib import Path

import pytest
from inputs import colours, write_scene

from landcover_pnp.cli import main
from landcover_pnp.storage.files import file_state

TILES = ("--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0")
ENGINES = ("evidence", "denoise", "guided", "algorithm1", "fill")
FEW_STEPS = {
    "algorithm1": ("--inference.algorithm1.steps", "3"),
    "fill": ("--inference.fill.repaint_steps", "2", "--inference.fill.repaint_samples", "1"),
}
FOREST = ("--student.forest.trees", "4", "--student.forest.sample_px", "1000")
UNET = (
    "--student.model",
    "unet",
    "--student.unet.steps",
    "3",
    "--student.unet.channels",
    "[8, 16]",
)
STUDENTS = {"none": ("--student", "null"), "forest": FOREST, "unet": UNET}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = colours()
    image[1, :, :120] += 20  # trees are green
    return write_scene(tmp_path_factory.mktemp("scene"), image=image)


def states(folder: Path) -> dict[str, tuple[list[int], bytes]]:
    """Size, place, times and bytes of all files, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): (file_state(p), p.read_bytes()) for p in files}


CASES = [(engine, student) for engine in ENGINES for student in STUDENTS]
SAMPLE = [("evidence", "none"), ("evidence", "forest"), ("evidence", "unet"), ("denoise", "none")]


@pytest.mark.parametrize(
    ("engine", "student"),
    [pytest.param(*c, marks=() if c in SAMPLE else pytest.mark.laws) for c in CASES],
)
def test_no_file_changes(engine: str, student: str, config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["map", str(config), "--run", str(run), "--inference.engine", engine]
    words += [*TILES, *FEW_STEPS.get(engine, ()), *STUDENTS[student]]
    assert main(words) == 0
    assert main(["publish", str(run)]) == 0
    before = states(run)
    for again in (words, ["resume", str(run)], ["publish", str(run)], ["verify", str(run)]):
        assert main(again) == 0
        assert states(run) == before


def test_nothing_is_trained_or_drawn_again(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    words = ["map", str(config), "--run", str(run), *TILES, *FOREST]
    assert main(words) == 0

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    for name in ("student_tiles.train", "student_tiles.write_raster", "mosaic.write_raster"):
        monkeypatch.setattr(f"landcover_pnp.pipeline.{name}", refused)
    monkeypatch.setattr("landcover_pnp.pipeline.map.Observer.of", refused)
    monkeypatch.setattr("landcover_pnp.scenes.preparation.write_layers", refused)
    assert main(words) == 0


def test_a_student_of_several_runs_is_trained_once(config: Path, tmp_path: Path) -> None:
    runs = [str(tmp_path / name) for name in ("a", "b")]
    for run in runs:
        assert main(["map", str(config), "--run", run, *TILES, "--student", "null"]) == 0
    words = ["train-student", *runs, *(word.replace("student.", "") for word in FOREST)]
    assert main(words) == 0
    before = states(tmp_path)
    assert main(words) == 0
    assert states(tmp_path) == before
    (tmp_path / "b" / "student.qml").write_text("mine")
    assert main(["verify", runs[1]]) == 1
    assert main(words) == 0
    assert main(["verify", runs[1]]) == 0
    after = states(tmp_path)
    assert after.pop("b/student.qml.changed")[1] == b"mine"
    assert after.keys() == before.keys()
    changed = [name for name in before if after[name][1] != before[name][1]]
    assert changed == ["b/student.json"], "which tells of the time"


def test_products_of_an_earlier_map_are_said(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, older = tmp_path / "run", "products/ shows an earlier map"
    words = ["map", str(config), "--run", str(run), *TILES]
    other = [*words, "--weak_labels.nlcd_blur_m", "5"]
    publish, status = ["publish", str(run)], ["status", str(run)]
    said = []
    for command in (words, publish, words, status, other, status, publish, status):
        assert main(command) == 0
        said.append(older in capsys.readouterr().out)
    assert said == [False, False, False, False, True, True, False, False]
