"""The demo: the first thing that a newcomer runs."""

import sys
import webbrowser
from pathlib import Path

import pytest

from landcover_pnp.cli.maps import _offer
from landcover_pnp.inference.engines.algorithm1 import Algorithm1Settings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.demo import run_demo
from landcover_pnp.pipeline.profiles import PROFILES
from landcover_pnp.pipeline.settings import DemoSettings
from landcover_pnp.scenes.settings import SyntheticSettings
from landcover_pnp.student.settings import ForestSettings, StudentSettings


@pytest.mark.slow
def test_a_small_demo_beats_its_weak_labels(tmp_path: Path) -> None:
    settings = DemoSettings(
        tmp_path,
        city=SyntheticSettings(width_m=512),
        look="piedmont",
        window_m=64.0,
        inference=InferenceSettings(
            options={"algorithm1": Algorithm1Settings(steps=2, clean_up_t=1)}
        ),
        student=StudentSettings(rounds=2, forest=ForestSettings(trees=10, sample_px=5000)),
        workers=0,
    )
    summary = run_demo(settings)
    assert summary.exit_code == 0
    accuracy = {name: scores.accuracy for name, scores in summary.scores.items()}
    assert accuracy["weak labels"] < accuracy["evidence"] < accuracy["map"]
    assert (tmp_path / "run" / "overview.png").is_file()
    assert summary.report.parent == tmp_path / "run" / "products"
    assert "<h1>A synthetic city: piedmont</h1>" in summary.report.read_text(encoding="utf-8")
    assert summary.report.is_file()
    assert "piedmont" in (tmp_path / "run" / "settings.json").read_text()
    assert list(summary.profiles) == ["balanced", "paper", "fast"]
    engines = {word: found.engine for word, found in summary.profiles.items()}
    assert engines == {"balanced": "evidence", "paper": "algorithm1", "fast": "evidence"}
    fine = {word: found.scores["map"].pixels for word, found in summary.profiles.items()}
    assert fine["paper"] == 64**2 < fine["fast"] == fine["balanced"] == 512**2
    assert len(summary.table().splitlines()) == 2 + len(PROFILES)


@pytest.mark.parametrize(("answer", "opened"), [("y", 1), ("", 0), (EOFError, 0), (None, 0)])
def test_the_report_is_offered_to_a_person(
    answer: object,
    opened: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages: list[str] = []

    def say(question: str) -> str:
        if answer is EOFError:
            raise EOFError
        return str(answer)

    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: answer is not None)
    monkeypatch.setattr("builtins.input", say)
    monkeypatch.setattr(webbrowser, "open", pages.append)
    _offer(tmp_path / "report.html")
    assert pages == [(tmp_path / "report.html").as_uri()] * opened
    assert ("the report:" in capsys.readouterr().out) == (answer is None), "not asked, but told"
