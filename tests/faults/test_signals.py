"""Ctrl-C, SIGTERM and SIGHUP end every long command in order, wherever it is."""

import itertools
import json
import multiprocessing
import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from inputs import write_scene
from long_commands import COMMANDS, at_failpoint, chosen_failpoints, process_of

from landcover_pnp.cli import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["landcover_pnp.pipeline.map"])

CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
TILES = ["--tiles.core_px", "20", "--tiles.halo_px", "8"]
SLOW = ["--clusters.iterations", "300"]
ENDLESS = ["--clusters.iterations", "100000000"]


@pytest.fixture
def heard() -> object:
    """Python's own answer to Ctrl-C, which a shell in the background has switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """What a failed test would leave running ends with it."""
    yield
    for process in multiprocessing.active_children():
        process.kill()


def left_in_order(folder: Path, code: int) -> None:
    """Nothing half-written, no lock, and journals that say how it ended."""
    assert not list(folder.rglob(".partial-*"))
    assert not list(folder.rglob(".lock"))
    for journal in folder.rglob("journal.jsonl"):
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        assert lines[-1]["event"] == "end"
        assert lines[-1]["exit_code"] in (0, code)


def ended_at(
    number: int, sent: int, words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> bool:
    """Sends a signal at a failpoint; whether the command came to it, and ended as it should."""
    capsys.readouterr()
    with at_failpoint(number, lambda: signal.raise_signal(sent)) as passed:
        code = main(words)
    said = capsys.readouterr()
    if len(passed) < number:
        assert code == 0
        return False
    assert code == CODES[sent], said.err
    assert f"Resume: landcover {words[0]}" in said.err
    assert "Traceback" not in said.err + said.out
    left_in_order(folder, code)
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("command", "sent"), [*zip(COMMANDS, itertools.cycle(CODES))])
def test_every_long_command_ends_in_order(
    command: str, sent: int, tmp_path: Path, heard: object, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[command](tmp_path)
    assert ended_at(8, sent, words, tmp_path, capsys)
    assert main(words) == 0


@pytest.mark.laws
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_at_failpoints_of_every_kind(
    command: str, tmp_path: Path, heard: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Afterwards the command is repeated."""
    numbers = chosen_failpoints(COMMANDS[command](tmp_path / "whole"))
    ended = 0
    for number, sent in zip(numbers, itertools.cycle(CODES)):
        folder = tmp_path / str(number)
        words = COMMANDS[command](folder)
        ended += ended_at(number, sent, words, folder, capsys)
        assert main(words) == 0
    with capsys.disabled():
        sys.stdout.write(f"\n{command}: ended in order at {ended} of {len(numbers)} failpoints\n")


def program(words: list[str], folder: Path, ignored: tuple[int, ...]) -> None:
    """The command line in a process of its own, started with some signals ignored."""
    sys.stdout = (folder / "out.txt").open("w")
    sys.stderr = (folder / "err.txt").open("w")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    code = main(words)
    sys.stdout.close()
    sys.stderr.close()
    os._exit(code)


def mapping(folder: Path, *words: str, ignored: tuple[int, ...] = ()) -> FORKS.Process:
    config, run = write_scene(folder), folder / "run"
    command = ["map", str(config), *TILES, "--workers", "0", "--run", str(run), *words]
    process = FORKS.Process(target=program, args=(command, folder, ignored), daemon=True)
    process.start()
    return process


def wait_until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def noted(run: Path, words: str) -> bool:
    with suppress(FileNotFoundError):
        return words in (run / "journal.jsonl").read_text()
    return False


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_the_tile_in_hand(sent: int, tmp_path: Path) -> None:
    process, run = mapping(tmp_path), tmp_path / "run"
    wait_until(lambda: list((run / "tiles").glob("r*.json")))
    os.kill(process.pid, sent)
    process.join(60)
    assert process.exitcode == CODES[sent]
    said = (tmp_path / "err.txt").read_text()
    assert f"by {signal.Signals(sent).name}; finished work is kept" in said
    assert "Resume: landcover map" in said
    left_in_order(tmp_path, CODES[sent])
    assert noted(run, "tiles in hand are being finished")
    done = len(list((run / "tiles").glob("r*.json")))
    assert 0 < done < 9
    assert main(["resume", str(run)]) == 0
    assert noted(run, f"resuming: {done} tiles done")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_stops_at_once(sent: int, tmp_path: Path) -> None:
    process, run = mapping(tmp_path, *ENDLESS), tmp_path / "run"
    wait_until(lambda: noted(run, '"event": "tiles"'))
    time.sleep(0.3)
    os.kill(process.pid, sent)
    os.kill(process.pid, sent)  # a closing terminal and its shell both send it: one wish
    time.sleep(0.4)
    assert process.is_alive()
    os.kill(process.pid, sent)
    process.join(20)
    assert process.exitcode == CODES[sent]
    left_in_order(tmp_path, CODES[sent])


def test_what_was_ignored_at_the_start_stays_ignored(tmp_path: Path) -> None:
    """As below nohup, and in the background of a shell."""
    process = mapping(tmp_path, ignored=(signal.SIGHUP, signal.SIGINT))
    wait_until(lambda: list((tmp_path / "run" / "tiles").glob("r*.json")))
    os.kill(process.pid, signal.SIGHUP)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 0
    assert (tmp_path / "run" / "landcover.tif").is_file()


def words_of_map(folder: Path, *words: str) -> list[str]:
    return ["map", str(write_scene(folder)), *TILES, "--run", str(folder / "run"), *words]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "words"),
    [pytest.param(signal.SIGTERM, SLOW, marks=pytest.mark.laws), (signal.SIGHUP, ENDLESS)],
)
def test_workers_hear_of_no_signal_and_end_with_the_run(
    sent: int, words: list[str], tmp_path: Path
) -> None:
    """Sent to the whole process group, as terminals and batch systems do."""
    run = tmp_path / "run"
    with process_of(words_of_map(tmp_path, "--workers", "2", *words)) as process:
        wait_until(lambda: noted(run, "dask dashboard"))
        time.sleep(1)
        workers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, sent)
        wait_until(lambda: noted(run, "tiles in hand"))
        if words is ENDLESS:
            time.sleep(0.5)
            assert process.poll() is None
            assert len(psutil.Process(process.pid).children()) >= 2
            os.killpg(process.pid, sent)
        _, said = process.communicate(timeout=60)
        lost = [w for w in workers if w.is_running() and w.status() != psutil.STATUS_ZOMBIE]
        assert not psutil.wait_procs(lost, timeout=10)[1]
    assert process.returncode == CODES[sent], said
    assert "Traceback" not in said
    assert "Resume: landcover map" in said
    left_in_order(tmp_path, CODES[sent])
    if words is not ENDLESS:
        assert list((run / "tiles").glob("r*.json")), "what workers had in hand is finished"
        assert not noted(run, '"status": "failed"')


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "after_s"), [(signal.SIGINT, 0.3), (signal.SIGTERM, 1.0), (signal.SIGHUP, 2.0)]
)
def test_a_signal_while_the_program_starts(sent: int, after_s: float, tmp_path: Path) -> None:
    with process_of(words_of_map(tmp_path, "--workers", "0", *ENDLESS)) as process:
        for pause_s in (after_s, 1.0):
            time.sleep(pause_s)
            process.send_signal(sent)
        out, said = process.communicate(timeout=60)
    assert process.returncode in (CODES[sent], -sent)  # -sent: before Python runs any of ours
    assert "Traceback" not in out + said
    assert "Resume: landcover map" in said or process.returncode == -sent
    left_in_order(tmp_path, CODES[sent])


@pytest.mark.slow
def test_a_terminal_that_closes(tmp_path: Path) -> None:
    """Nobody reads any more what is said: that costs neither the tile in hand nor the lock."""
    config, run = write_scene(tmp_path), tmp_path / "run"
    words = [*TILES, "--workers", "0", *SLOW, "--run", str(run)]
    pid, terminal = pty.fork()
    if not pid:
        command = [sys.executable, "-m", "landcover_pnp", "map", str(config), *words]
        os.execv(sys.executable, command)  # noqa: S606

    def read() -> None:
        with suppress(OSError):
            while os.read(terminal, 1000):
                pass

    threading.Thread(target=read, daemon=True).start()
    wait_until(lambda: noted(run, '"event": "tile"'))
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    left_in_order(tmp_path, 129)
    assert noted(run, "tiles in hand")
