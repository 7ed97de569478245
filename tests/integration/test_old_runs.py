"""Runs without a marker, as version 0.1.0 wrote them, open, evaluate and publish."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from inputs import write_scene

import landcover_pnp as lc
from landcover_pnp.cli import main
from landcover_pnp.storage.owned_folder import MARKER


class Canary:
    """What a pickle can do to whoever opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    config, run = write_scene(tmp_path / "city"), tmp_path / "run"
    assert main(["map", str(config), "--run", str(run), "--workers", "0"]) == 0
    (run / MARKER).unlink()
    (run / "student").mkdir()
    (run / "student" / "model.joblib").write_bytes(pickle.dumps(Canary(tmp_path / "executed")))
    return run


def test_an_old_run_opens_evaluates_and_publishes(old_run: Path, tmp_path: Path) -> None:
    run, truth = str(old_run), str(tmp_path / "city" / "truth.tif")
    for words in (["status"], ["evaluate"], ["publish"], ["verify"], ["resume"], ["publish"]):
        further = ["--truth", truth] if words == ["evaluate"] else []
        assert main([*words, run, *further]) == 0, words
    assert (lc.open_run(run).landcover.values > 0).all()
    assert (old_run / "student" / "model.joblib").exists()
    assert not (tmp_path / "executed").exists()
