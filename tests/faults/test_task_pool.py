"""Scheduler and workers as real processes over TCP: workers die, tiles do not get lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tornado.platform.asyncio import BaseAsyncIOLoop
from work import noted

from landcover_pnp.errors import DiskFullError, RequestError, RunError
from landcover_pnp.pipeline.workers.task_pool import IN_HAND, TRIES, Lost, TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool

TESTS = Path(__file__).parents[1]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(TESTS),
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address and process of a scheduler with two workers, as docs/clusters.md starts them."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    common = {"env": ENVIRONMENT, "cwd": folder, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    quiet = ["--no-dashboard", "--scheduler-file", str(file)]
    head = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *quiet], **common
    )
    workers = subprocess.Popen(
        [*dask, "worker", "--nworkers", "2", "--nthreads", "1", *quiet],
        **common,
        start_new_session=True,
    )
    from distributed import Client

    with Client(scheduler_file=str(file), timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        address = client.scheduler.address
    yield address, head
    for process in (workers, head):
        process.terminate()
    for process in (workers, head):
        process.wait(20)


def run_tasks(
    names: list[str], pool: WorkerPool, folder: Path, notes: list[str] | None = None
) -> dict[str, str | Lost]:
    tell = (notes if notes is not None else []).append
    with TaskPool(pool, len(names), tell) as task_pool:
        return dict(task_pool.run_tasks(partial(noted, folder), names))


def deadline(seconds: float) -> Callable[[], bool]:
    """What a run of tasks may be asked with between pieces: it fails when the time is over."""
    end = time.monotonic() + seconds

    def over() -> bool:
        assert time.monotonic() < end
        return False

    return over


def tries(folder: Path, name: str) -> int:
    return len((folder / name).read_text())


def test_a_worker_killed_in_mid_tile_costs_nothing(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path
) -> None:
    names = [f"good{i}" for i in range(12)] + ["unlucky"]
    notes: list[str] = []
    results = run_tasks(names, WorkerPool(scheduler=cluster[0], shared=tmp_path), tmp_path, notes)
    assert results == {name: name.upper() for name in names}
    assert tries(tmp_path, "unlucky") == 2
    assert notes[0].startswith("dask dashboard: http://127.0.0.1")
    lost = [note for note in notes if "was lost with unlucky in hand" in note]
    assert len(lost) == 1
    assert "memory limit" in lost[0]


def test_a_tile_that_kills_every_worker_is_given_up_alone(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path
) -> None:
    names = [f"good{i}" for i in range(9)]
    names.insert(3, "poison")
    results = run_tasks(names, WorkerPool(scheduler=cluster[0], shared=tmp_path), tmp_path)
    lost = {name: result for name, result in results.items() if isinstance(result, Lost)}
    assert list(lost) == ["poison"]
    assert "3 workers died" in lost["poison"].reason
    assert len(results) == 10
    assert tries(tmp_path, "poison") == TRIES


def test_an_unexpected_error_concerns_its_tile_alone(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path
) -> None:
    results = run_tasks(
        ["wrong", "good"], WorkerPool(scheduler=cluster[0], shared=tmp_path), tmp_path
    )
    assert results == {"good": "GOOD", "wrong": Lost("unexpected ZeroDivisionError: as expected")}


def test_a_full_disk_stops_the_farm(cluster: tuple[str, subprocess.Popen], tmp_path: Path) -> None:
    names = ["full", *(f"good{i}" for i in range(40))]
    with pytest.raises(DiskFullError):
        run_tasks(names, WorkerPool(scheduler=cluster[0], shared=tmp_path), tmp_path)
    assert len(list(tmp_path.iterdir())) < 20, "no new tile is begun"


def test_stop_begins_nothing_new(cluster: tuple[str, subprocess.Popen], tmp_path: Path) -> None:
    names = [f"good{i}" for i in range(40)]
    seen: list[str] = []
    with TaskPool(WorkerPool(scheduler=cluster[0], shared=tmp_path), 40, print) as task_pool:
        for name, _ in task_pool.run_tasks(partial(noted, tmp_path), names, lambda: len(seen) >= 3):
            seen.append(name)
    assert 3 <= len(seen) < 12
    assert len(list(tmp_path.iterdir())) == len(seen), "what was begun is finished"


def test_finished_tiles_are_forgotten(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path
) -> None:
    """What cluster and client know of at a time does not depend on the number of tiles."""
    from distributed import Client

    most = 0
    names = [f"good{i}" for i in range(150)]
    pool = WorkerPool(scheduler=cluster[0], shared=tmp_path)
    with Client(cluster[0]) as witness:
        with TaskPool(pool, len(names), print) as task_pool:
            for number, _ in enumerate(task_pool.run_tasks(partial(noted, tmp_path), names)):
                if number % 10 == 0:
                    known = witness.run_on_scheduler(
                        lambda dask_scheduler: len(dask_scheduler.tasks)
                    )
                    most = max(most, known)
        left = witness.run_on_scheduler(
            lambda dask_scheduler: (len(dask_scheduler.tasks), len(dask_scheduler.task_groups))
        )
    assert most <= 2 * IN_HAND + 2, "two threads, and what is on its way to be forgotten"
    assert left == (0, 0)


def test_workers_that_do_not_share_the_folder_are_refused(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="do not see"):
        run_tasks(
            ["good"], WorkerPool(scheduler=cluster[0], shared=tmp_path / "elsewhere"), tmp_path
        )


def test_no_scheduler_at_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landcover_pnp.pipeline.workers.worker_pool.CONNECT_S", 0.5)
    with pytest.raises(RequestError, match="no dask scheduler answers at tcp://127"):
        run_tasks(["good"], WorkerPool(scheduler="tcp://127.0.0.1:9"), tmp_path)


def test_this_process_works_without_dask_and_as_workers_do(tmp_path: Path) -> None:
    results = run_tasks(["a", "wrong", "b"], WorkerPool(workers=0), tmp_path)
    lost = Lost("unexpected ZeroDivisionError: as expected")
    assert results == {"a": "A", "wrong": lost, "b": "B"}
    with pytest.raises(DiskFullError):
        run_tasks(["full", "c"], WorkerPool(workers=0), tmp_path)
    assert not (tmp_path / "c").exists()


def test_a_mute_scheduler_is_said(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, it keeps its connections, and says nothing."""
    monkeypatch.setattr("landcover_pnp.pipeline.workers.worker_pool.ANSWER_S", 3)
    monkeypatch.setattr("landcover_pnp.pipeline.workers.worker_pool.CLOSE_S", 1)
    names = [f"good{i}" for i in range(4000)]
    try:
        with TaskPool(
            WorkerPool(scheduler=cluster[0], shared=tmp_path), len(names), print
        ) as task_pool:
            results = task_pool.run_tasks(partial(noted, tmp_path), names, deadline(60))
            next(results)
            cluster[1].send_signal(signal.SIGSTOP)
            with pytest.raises(RunError, match="scheduler has not answered for"):
                list(results)
        monkeypatch.setattr("landcover_pnp.pipeline.workers.worker_pool.CONNECT_S", 1)
        with pytest.raises(RequestError, match="no dask scheduler answers"):
            run_tasks(["good"], WorkerPool(scheduler=cluster[0], shared=tmp_path), tmp_path)
    finally:
        cluster[1].send_signal(signal.SIGCONT)


def test_a_mute_worker_does_not_hinder_the_start(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr("landcover_pnp.pipeline.workers.worker_pool.CONNECT_S", 2)
    with Client(cluster[0]) as client:
        client.wait_for_workers(2, timeout=60)
        pid = min(client.run(os.getpid).values())
    os.kill(pid, signal.SIGSTOP)
    try:
        with TaskPool(WorkerPool(scheduler=cluster[0], shared=tmp_path), 9, print) as task_pool:
            names = [f"good{i}" for i in range(9)]
            next(task_pool.run_tasks(partial(noted, tmp_path), names, deadline(60)))
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_lost_scheduler_is_said_and_hinders_no_later_work(
    cluster: tuple[str, subprocess.Popen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test here: it ends the cluster.

    Threads are slow to reach an event loop: what still asks one for a result when the loop has
    ended gets no answer, and keeps waiting what stands in line behind it.
    """
    ask = BaseAsyncIOLoop.add_callback

    def ask_slowly(*question: Any, **named: Any) -> None:
        if threading.current_thread().name.startswith("Dask-Callback"):
            time.sleep(0.3)
        ask(*question, **named)

    monkeypatch.setattr(BaseAsyncIOLoop, "add_callback", ask_slowly)
    monkeypatch.setattr("landcover_pnp.pipeline.workers.worker_pool.CONNECT_S", 2)
    names = [f"good{i}" for i in range(4000)]
    with TaskPool(
        WorkerPool(scheduler=cluster[0], shared=tmp_path), len(names), print
    ) as task_pool:
        results = task_pool.run_tasks(partial(noted, tmp_path), names)
        next(results)
        cluster[1].send_signal(signal.SIGKILL)
        start = time.monotonic()
        with pytest.raises(RunError, match="connection to the dask scheduler was lost"):
            list(results)
        assert time.monotonic() - start < 60

    with TaskPool(WorkerPool(workers=1), 1, print) as task_pool:
        later = dict(task_pool.run_tasks(partial(noted, tmp_path), ["later"], deadline(120)))
    assert later == {"later": "LATER"}
