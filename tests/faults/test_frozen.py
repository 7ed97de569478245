"""Workers that neither work nor die: stopped (SIGSTOP) at work or as they start; or paused."""

import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import dask
import psutil
import pytest
from test_worker_pool import kill_workers, own_workers
from work import noted

from landcover_pnp.errors import RunError
from landcover_pnp.pipeline.workers.processes import DASK
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool

NAMES = [f"good{i}" for i in range(60)]


def stop(workers: list[psutil.Process]) -> None:
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.suspend()


def frozen_at_start(folder: Path, *, but_the_first: int) -> dict[str, list[str]]:
    """dask's configuration for workers that stop themselves as they start."""
    program, starts = folder / "freezing.py", folder / "starts"
    starts.mkdir()
    program.write_text(
        "import os, pathlib, signal\n"
        f"starts = pathlib.Path({str(starts)!r})\n"
        "(starts / str(os.getpid())).touch()\n"  # dask imports it twice
        f"if len(list(starts.iterdir())) > {but_the_first}: os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    return {"distributed.worker.preload": [str(program)]}


@pytest.mark.slow
def test_the_work_of_a_frozen_worker_is_done_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DASK, "distributed.scheduler.worker-ttl", "1 s")
    with TaskPool(WorkerPool(workers=2), len(NAMES), print) as task_pool:
        results = task_pool.run_tasks(partial(noted, tmp_path), NAMES)
        first = next(results)
        stop(own_workers()[:1])
        assert dict([first, *results]) == {name: name.upper() for name in NAMES}


def test_a_frozen_worker_does_not_hinder_the_end(tmp_path: Path) -> None:
    with TaskPool(WorkerPool(workers=2), len(NAMES), print) as task_pool:
        results = task_pool.run_tasks(partial(noted, tmp_path), NAMES)
        next(results)
        stop(own_workers())
        start = time.monotonic()
    assert not own_workers()
    assert time.monotonic() - start < 30


def test_workers_that_never_report_in_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landcover_pnp.pipeline.workers.processes.START_S", 6.0)
    with (
        dask.config.set(frozen_at_start(tmp_path, but_the_first=1)),
        pytest.raises(RunError, match=r"not all have reported in within 0\.1 minutes"),
        TaskPool(WorkerPool(workers=2), 2, print) as task_pool,
    ):
        list(task_pool.run_tasks(partial(noted, tmp_path), ["a", "b"]))
    assert not own_workers()


def test_workers_that_never_come_back_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DASK, "distributed.deploy.lost-worker-timeout", "1 s")
    monkeypatch.setattr("landcover_pnp.pipeline.workers.processes.CLOSE_S", 1.0)
    with (
        dask.config.set(frozen_at_start(tmp_path, but_the_first=2)),
        pytest.raises(RunError, match="all worker processes have died"),
        TaskPool(WorkerPool(workers=2), len(NAMES), print) as task_pool,
    ):
        results = task_pool.run_tasks(partial(noted, tmp_path), NAMES)
        next(results)
        kill_workers()
        list(results)
    assert not own_workers()


def test_workers_near_their_memory_limit_go_on(tmp_path: Path) -> None:
    """dask's own way is to let them wait until memory is given back, which nothing does here."""
    limits = {"target": False, "spill": False, "terminate": False, "pause": 1e-6}
    deadline = time.monotonic() + 60

    def out_of_patience() -> bool:
        assert time.monotonic() < deadline
        return False

    with (
        dask.config.set({f"distributed.worker.memory.{name}": x for name, x in limits.items()}),
        TaskPool(WorkerPool(workers=1), len(NAMES), print) as task_pool,
    ):
        results = dict(task_pool.run_tasks(partial(noted, tmp_path), NAMES, out_of_patience))
    assert len(results) == len(NAMES)
