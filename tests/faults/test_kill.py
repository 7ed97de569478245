"""kill -9 anywhere: the same command finishes, redoes only what was in hand, same bytes."""

import multiprocessing
import os
import re
import signal
from pathlib import Path

import pytest
from inputs import write_scene

import landcover_pnp
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.storage.failpoints import ONCE, PATTERN, failpoint

# Processes of this kind start with everything imported.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["landcover_pnp.pipeline.map"])

FAILPOINTS = [
    "before-rename:settings.json",
    "part-written:image.tif",
    "before-record:record.json",
    "complete:scene",
    "replaced:scene",
    "opened:r0001c0000_map.tif",
    "part-written:r0001c0000_map.tif",
    "closed:r0001c0000_map.tif",
    "before-rename:r0001c0000_evidence.tif",
    "before-record:r0001c0000.json",
    "part-written:map.tif",
    "copied:landcover.tif",
    "before-rename:landcover.tif",
    "after-rename:confidence.tif",
    "before-record:products.json",
    "before-rename:preview.vrt",
    "before-rename:summary.json",
]


ROOT = Path(landcover_pnp.__file__).parent
ELSEWHERE = {"storage/replaced_folder.py": "test_publish.py", "prior": "test_training.py"}
"""Tests of the failpoints that a map run does not come by, by module or folder."""


def test_every_failpoint_kills_in_some_test() -> None:
    for path in ROOT.rglob("*.py"):
        tested = " ".join(FAILPOINTS)
        for place, file in ELSEWHERE.items():
            if path.relative_to(ROOT).as_posix().startswith(place):
                tested = (Path(__file__).parents[1] / "integration" / file).read_text()
        for name in re.findall(r'failpoint\(\s*"(.+?)"', path.read_text()):
            assert f"{name}:" in tested, f"nothing is killed at {name} of {path.name}"


def mapped(config: Path, run: Path) -> None:
    words = ["--tiles.core_px", "30", "--tiles.halo_px", "8", "--workers", "0"]
    map_city(load_settings(MapSettings, config, words), run)


def mapped_until(pattern: str, config: Path, run: Path) -> None:
    os.environ[PATTERN] = pattern
    mapped(config, run)


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run but those that tell of its time."""
    told = ("journal.jsonl", "summary.json", "overview.png")
    files = (path for path in run.rglob("*") if path.is_file() and path.name not in told)
    return {
        str(path.relative_to(run)): path.read_bytes() for path in files if path.suffix != ".json"
    }


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("r*.json")}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def whole(config: Path) -> dict[str, bytes]:
    """What a run that nobody disturbs leaves."""
    run = config.parent / "whole"
    mapped(config, run)
    return contents(run)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", FAILPOINTS)
def test_a_killed_driver(
    pattern: str, config: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    child = FORKS.Process(target=mapped_until, args=(pattern, config, run), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    for path in run.glob("**/*.tif"):
        if ".partial-" not in str(path):  # what has a final name is what a whole run has there
            assert path.read_bytes() == whole[str(path.relative_to(run))]
    finished = stamps(run / "tiles")
    mapped(config, run)
    assert contents(run) == whole
    assert not list(run.rglob(".partial-*"))
    assert finished.items() <= stamps(run / "tiles").items(), "a finished tile was done again"


def test_no_failpoint_without_a_pattern(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PATTERN, raising=False)
    failpoint("before-rename", "landcover.tif")
    monkeypatch.setenv(PATTERN, "before-rename:other.tif")
    failpoint("before-rename", "landcover.tif")
    monkeypatch.setenv(PATTERN, "*")
    (tmp_path / "there").touch()
    monkeypatch.setenv(ONCE, str(tmp_path / "there"))
    failpoint("before-rename", "landcover.tif")
