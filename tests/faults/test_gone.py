"""A run folder that is deleted while a command works in it."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from inputs import write_scene
from long_commands import COMMANDS, at_failpoint, chosen_failpoints, process_of

from landcover_pnp.cli import main
from landcover_pnp.errors import RunGoneError
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.lock import locked
from landcover_pnp.storage.presence import worked_in

TILES = ["--tiles.core_px", "20", "--tiles.halo_px", "8"]

HELD = [name for name in COMMANDS if name not in ("demo", "judge-prior")]
"""Commands that hold the folder they are given; a demo's map holds ``run`` in it."""


def deleted_at(
    number: int, folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> bool:
    """Deletes the folder at a failpoint; whether the command came to it, and said so."""
    capsys.readouterr()
    gone = folder / "out"
    with at_failpoint(number, lambda: shutil.rmtree(gone)) as passed:
        code = main(words)
    said = capsys.readouterr().err
    if len(passed) < number:
        assert code == 0
        return False
    assert code == 1, said
    for part in ("found:", f"{gone}", "was deleted or moved meanwhile", "expected:", "fix:"):
        assert part in said
    assert "Traceback" not in said
    assert not gone.exists(), "it was made again"
    return True


@pytest.mark.parametrize("command", HELD)
def test_a_folder_that_is_deleted_is_said_and_not_made_again(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deleted_at(8, tmp_path, COMMANDS[command](tmp_path), capsys)


@pytest.mark.laws
@pytest.mark.parametrize("command", HELD)
def test_a_folder_that_is_deleted_at_failpoints_of_every_kind(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = chosen_failpoints(COMMANDS[command](tmp_path / "whole"))
    said = 0
    for number in numbers:
        folder = tmp_path / str(number)
        said += deleted_at(number, folder, COMMANDS[command](folder), capsys)
    with capsys.disabled():
        sys.stdout.write(f"\n{command}: said at {said} of {len(numbers)} failpoints\n")


@pytest.mark.laws
@pytest.mark.parametrize("again", [False, True])
def test_workers_make_no_folder_again(again: bool, tmp_path: Path) -> None:
    config, run = write_scene(tmp_path), tmp_path / "run"
    words = ["map", str(config), "--run", str(run), "--workers", "2", *TILES]
    with process_of([*words, "--clusters.iterations", "300"]) as process:
        deadline = time.monotonic() + 120
        while not list((run / "tiles").glob("r*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        subprocess.run(["rm", "-rf", str(run)], check=False)
        if again:
            run.mkdir()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert ("was replaced" if again else "was deleted") in said
    assert "Traceback" not in said
    assert not again or not list(run.iterdir())
    assert run.exists() == again


def test_nothing_is_written_into_a_folder_that_stands_in_its_place(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RunGoneError, match="was replaced"), locked(run):
        shutil.rmtree(run)
        run.mkdir()
        Journal(run).write("note", text="nobody is to read this")
        write_text(run / "deep" / "file.txt", "")
    assert list(run.iterdir()) == []
    with pytest.raises(RunGoneError, match="was replaced"), locked(run):
        (run / ".lock").write_text("another's")
    assert (run / ".lock").read_text() == "another's"


def test_what_fails_because_the_folder_is_gone_is_said_as_that(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RunGoneError) as told, locked(run):
        shutil.rmtree(run)
        (run / "image.tif").read_bytes()
    assert isinstance(told.value.__cause__, FileNotFoundError)
    with pytest.raises(RunGoneError), locked(run):
        shutil.rmtree(run)
    with pytest.raises(ZeroDivisionError), locked(run):
        _ = 1 / 0
    assert not run.exists()


def test_a_worker_writes_nothing_once_the_run_is_over(tmp_path: Path) -> None:
    """Such as one of another's cluster, with a tile in hand that nobody waits for any more."""
    run = tmp_path / "run"
    with locked(run):
        (run / "tiles").mkdir()
    with pytest.raises(RunGoneError), worked_in(run):
        write_text(run / "tiles" / "late.json", "{}")
    assert not list((run / "tiles").iterdir())
