"""`landcover map` as a process: whatever becomes of its cluster, it comes to its own end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from inputs import write_scene

PROGRAM = (
    "import sys; from landcover_pnp.cli import main\n"
    "from landcover_pnp.pipeline.workers import worker_pool\n"
    "if __name__ == '__main__': worker_pool.CONNECT_S = 3; sys.exit(main())\n"
)
"""The command line, which does not wait long for a scheduler that is gone."""

ENDLESS = ["--tiles.core_px", "20", "--tiles.halo_px", "8", "--clusters.iterations", "100000000"]

Started = dict[str, subprocess.Popen[str]]


@pytest.fixture
def started() -> Iterator[Started]:
    """Processes of a test by name, each the head of a group; what is left of them is killed."""
    processes: Started = {}
    yield processes
    for process in processes.values():
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.communicate()


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, *words], cwd=folder, env=environment, start_new_session=True, **pipes
    )


def map_endlessly(folder: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "program.py").write_text(PROGRAM)
    config = str(write_scene(folder))
    run = ["--run", str(folder / "run")]
    return start([str(folder / "program.py"), "map", config, *ENDLESS, *run, *words], folder)


def wait_for_note(folder: Path, words: str) -> None:
    deadline = time.monotonic() + 120
    journal = folder / "run" / "journal.jsonl"
    while not journal.is_file() or words not in journal.read_text():
        assert time.monotonic() < deadline, "it has not come so far"
        time.sleep(0.02)


def test_it_ends_when_the_scheduler_is_lost(tmp_path: Path, started: Started) -> None:
    file = tmp_path / "scheduler.json"
    place = ["--no-dashboard", "--scheduler-file", str(file)]
    dask = ["-m", "dask"]
    started["scheduler"] = start(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *place], tmp_path
    )
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text().endswith("}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started["worker"] = start([*dask, "worker", "--nthreads", "1", *place], tmp_path)
    address = json.loads(file.read_text())["address"]
    started["map"] = map_endlessly(tmp_path, "--scheduler", address)
    wait_for_note(tmp_path, "dask dashboard")
    time.sleep(1)
    started["scheduler"].kill()
    _, said = started["map"].communicate(timeout=60)
    assert started["map"].returncode == 1, said
    assert "connection to the dask scheduler was lost" in said
    assert "Traceback" not in said


def test_a_second_ctrl_c_ends_it_with_its_workers(tmp_path: Path, started: Started) -> None:
    started["map"] = map_endlessly(tmp_path, "--workers", "2")
    wait_for_note(tmp_path, "dask dashboard")
    workers = psutil.Process(started["map"].pid).children(recursive=True)
    os.killpg(started["map"].pid, signal.SIGINT)  # as a terminal does
    wait_for_note(tmp_path, "tiles in hand")
    time.sleep(0.5)
    assert started["map"].poll() is None
    os.killpg(started["map"].pid, signal.SIGINT)
    _, said = started["map"].communicate(timeout=60)
    assert started["map"].returncode == 130, said
    assert "Resume: landcover map" in said
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def test_ctrl_c_while_workers_start_is_no_failure_of_theirs(
    tmp_path: Path, started: Started
) -> None:
    started["map"] = map_endlessly(tmp_path, "--workers", "2")
    wait_for_note(tmp_path, '"event": "tiles"')
    deadline = time.monotonic() + 60
    while not psutil.Process(started["map"].pid).children():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(started["map"].pid, signal.SIGINT)
    _, said = started["map"].communicate(timeout=60)
    assert started["map"].returncode == 130, said
