"""Workers of our own as real processes: killed, killed again, not to be started."""

import os
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import dask
import psutil
import pytest
from inputs import write_scene
from work import noted

from landcover_pnp.cli import main
from landcover_pnp.errors import RunError
from landcover_pnp.pipeline.workers.processes import DASK
from landcover_pnp.pipeline.workers.task_pool import IN_HAND, TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool


def own_workers() -> list[psutil.Process]:
    """The worker processes of a cluster of our own; those in starting too."""
    workers = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # a zombie's line is empty
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


def kill_workers() -> None:
    for worker in own_workers():
        with suppress(psutil.NoSuchProcess):
            worker.kill()


def test_workers_that_are_killed_all_at_once_are_started_again(tmp_path: Path) -> None:
    """However long their start takes, and though results die with them before they are fetched."""
    names, notes = [f"good{i}" for i in range(60)], list[str]()
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 ms"}),
        TaskPool(WorkerPool(workers=2), len(names), notes.append) as task_pool,
    ):
        results = task_pool.run_tasks(partial(noted, tmp_path), names)
        first = next(results)
        kill_workers()
        assert dict([first, *results]) == {name: name.upper() for name in names}
    assert len([note for note in notes if note.startswith("dask dashboard")]) == 1


def test_workers_that_vanish_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, and killed again whenever they start."""
    monkeypatch.setitem(DASK, "distributed.deploy.lost-worker-timeout", "1 s")
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.1):
            kill_workers()

    names = [f"good{i}" for i in range(4000)]
    killer = threading.Thread(target=kill)
    with TaskPool(WorkerPool(workers=2), len(names), print) as task_pool:
        results = task_pool.run_tasks(partial(noted, tmp_path), names)
        next(results)
        killer.start()
        try:
            with pytest.raises(RunError, match="all worker processes have died"):
                list(results)
        finally:
            over.set()
            killer.join()
    assert not own_workers()


def test_workers_that_cannot_start_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit(7)")
    with (
        dask.config.set({"distributed.worker.preload": [str(tmp_path / "broken.py")]}),
        pytest.raises(RunError, match="do not start"),
        TaskPool(WorkerPool(workers=1), 1, print) as task_pool,
    ):
        list(task_pool.run_tasks(partial(noted, tmp_path), ["good"]))


def test_workers_serve_one_harvest_after_another_and_come_when_they_are_needed(
    tmp_path: Path,
) -> None:
    with TaskPool(WorkerPool(workers=1), 1, print) as task_pool:
        assert not list(task_pool.run_tasks(partial(noted, tmp_path), []))
        assert not own_workers()
        seen = []
        for name in ("a", "b"):
            assert dict(task_pool.run_tasks(partial(noted, tmp_path), [name])) == {
                name: name.upper()
            }
            seen.append([worker.pid for worker in own_workers()])
        assert seen[0] == seen[1] != []
    assert not own_workers()


def test_workers_use_the_gpus_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for allowed, first in (("5,7", "5"), ("GPU-b2,GPU-c3", "GPU-b2"), (None, "0")):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if allowed:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
        with TaskPool(WorkerPool(), 1, print) as task_pool:
            assert (
                dict(task_pool.run_tasks(os.getenv, ["CUDA_VISIBLE_DEVICES"])).popitem()[1] == first
            )


def test_a_scheduler_of_our_own_keeps_no_note_of_finished_tiles(tmp_path: Path) -> None:
    from distributed import Scheduler

    notes: list[str] = []
    names = [f"good{i}" for i in range(60)]  # long enough for the worker's heartbeat
    with TaskPool(WorkerPool(workers=1), len(names), notes.append) as task_pool:
        for _ in task_pool.run_tasks(partial(noted, tmp_path), names):
            (scheduler,) = (s for s in Scheduler._instances if s.status.name == "running")
            assert "spans" not in scheduler.extensions
            assert len(scheduler.tasks) <= IN_HAND + 2
    assert len(list(tmp_path.iterdir())) == len(names)
    assert len(notes) == 1, "no worker was lost"


@pytest.mark.slow
def test_a_map_whose_workers_vanish_is_finished_by_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(DASK, "distributed.deploy.lost-worker-timeout", "1 s")
    run, over = tmp_path / "run", threading.Event()
    words = ["--tiles.core_px", "12", "--tiles.halo_px", "4", "--clusters.iterations", "200"]

    def kill() -> None:
        while not over.wait(0.1):
            if list((run / "tiles").glob("r*.json")):
                kill_workers()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        config = str(write_scene(tmp_path))
        assert main(["map", config, *words, "--run", str(run), "--workers", "2"]) == 1
    finally:
        over.set()
        killer.join()
    assert "all worker processes have died" in capsys.readouterr().err
    done = len(list((run / "tiles").glob("r*.json")))
    assert 0 < done < 25
    assert main(["resume", str(run), "--workers", "0"]) == 0
    assert f"({done} kept, 0 failed)" in capsys.readouterr().out
    assert main(["verify", str(run)]) == 0
