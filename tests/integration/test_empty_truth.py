"""Truth that says nothing: refused, not a table of absent classes."""

from pathlib import Path

import numpy as np
import pytest
from inputs import ORIGIN, two_halves, write_scene, write_tif

from landcover_pnp.cli import main

NOTHING = np.zeros((240, 240), np.uint8)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.count("found:") == said.err.count("fix:") == 1
    assert "absent" not in said.out
    return said.err


@pytest.mark.parametrize("kind", ["zeros", "declared no data", "declared no data 255"])
def test_truth_without_a_label_is_refused(
    kind: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, nodata = {
        "zeros": (NOTHING, None),
        "declared no data": (two_halves(40, 40), 40),
        "declared no data 255": (two_halves(255, 0), 255),
    }[kind]
    truth = write_tif(tmp_path / "truth.tif", pixels, nodata=nodata)
    for more in ([], ["--overlap", "true"], ["--scheme", "published"]):
        said = refused(["evaluate", str(run), "--truth", str(truth), *more], capsys)
        assert "has no labelled pixel" in said


def test_check_and_map_refuse_it_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path, truth=NOTHING)
    for words in (["check", str(config)], ["map", str(config), "--run", str(tmp_path / "run")]):
        assert "has no labelled pixel" in refused(words, capsys)
    assert not (tmp_path / "run" / "landcover.tif").exists()


def test_truth_of_none_of_the_classes_that_a_scheme_counts_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_tif(tmp_path / "truth.tif", two_halves(52, 80))  # shrubs and agriculture
    words = ["evaluate", str(run), "--truth", str(truth)]
    assert main(words) == 0
    said = refused([*words, "--scheme", "published"], capsys)
    assert "has one of the five classes" in said


def test_labels_beside_the_map_alone_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.zeros((240, 480), np.uint8)
    labels[:, 240:] = 40
    truth = write_tif(tmp_path / "truth.tif", labels, origin=ORIGIN)
    words = ["evaluate", str(run), "--truth", str(truth), "--overlap", "true"]
    assert "has one of the five classes where" in refused(words, capsys)
