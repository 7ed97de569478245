"""Worker processes of our own: started, killed where dask would wait for them for ever, ended."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

import dask
import distributed
from dask.system import CPU_COUNT
from distributed import LocalCluster, Worker, WorkerPlugin

from landcover_pnp.errors import RunError
from landcover_pnp.interruption import SIGNALS, Interrupted, asked_to_end, uninterrupted

START_S = 600.0
"""Time within which all worker processes must have reported in."""

LOOK_S = 0.2
"""Time between looks whether it is up."""

CLOSE_S = 60.0
"""Time within which they must have ended."""

DROP_S = 0.2
"""The same when this process is to stop at once: for dask to learn that none is started again."""

DASK = {
    # The task pool itself tells the piece that kills workers from those that stood in line behind
    # it.
    "distributed.scheduler.allowed-failures": 0,
    # Time for a worker that died to be there again, before its nanny is told to give up. dask's
    # own 15 s are too few on a busy machine.
    "distributed.deploy.lost-worker-timeout": "5 minutes",
    # A worker near its memory limit would wait, for ever if need be, for memory that nothing here
    # gives back. Over the limit its nanny ends it, and its piece is tried again.
    "distributed.worker.memory.pause": False,
    # dask has glibc return freed memory at once; a U-Net's activations, freed and asked for
    # again at every step, then cost as much system time as the network itself. Keep them.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**32,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_MAX_": 0,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}
"""dask's configuration for a cluster of our own."""


@contextmanager
def own_cluster(workers: int | None, most: int) -> Iterator[LocalCluster]:
    """Worker processes on this machine, one thread each.

    Args:
        workers: Their number; None is one a GPU or, where there is none, one a core.
        most: No more than these are started.

    Yields:
        Their cluster; at the end they are dismissed, those that do not go are killed.

    Raises:
        RunError: If they do not start.
    """
    gpus = _gpus()
    count = min(workers or len(gpus) or CPU_COUNT, most)
    others = set(multiprocessing.active_children())
    with dask.config.set(DASK), _none_left(others):
        cluster, patience_s = _started_in_time(count, gpus, others), CLOSE_S
        try:
            yield cluster
        except KeyboardInterrupt:
            patience_s = DROP_S  # what they still have in hand is dropped
            raise
        finally:
            _close(cluster, patience_s, others)


def _started_in_time(count: int, gpus: Sequence[str], others: Set[Any]) -> LocalCluster:
    """The cluster, unless a signal ends this process: workers have nothing in hand yet."""
    cluster = None
    try:
        with (
            _killed_after(START_S, others, asked_to_end) as killed,
            _deaf_to_signals(),
            uninterrupted(),  # what dask has half started nobody could end
        ):
            cluster = _started(count, gpus)
    except KeyboardInterrupt:
        if cluster is not None:
            _close(cluster, DROP_S, others)
        raise
    except RuntimeError as error:
        number = asked_to_end()
        if number is not None:
            raise Interrupted(number) from error
        late = f"not all have reported in within {START_S / 60:g} minutes"
        raise RunError(
            found=f"worker processes do not start: {late if killed.is_set() else error}",
            expected=f"room for {count} processes of this program",
            fix="give fewer --workers, or 0 to work without; a script of your own must "
            "start the work below `if __name__ == '__main__':`, for workers import it",
        ) from error
    return cluster


def _close(cluster: LocalCluster, patience_s: float, others: Set[Any]) -> None:
    # Whatever goes wrong here is of no account for what the workers have done.
    with _killed_after(patience_s, others), suppress(Exception):
        cluster.close()


def _started(workers: int, gpus: Sequence[str]) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",  # any free port: several runs at once
        silence_logs=logging.CRITICAL,
        scheduler_kwargs={"extensions": _without_spans(distributed.scheduler.DEFAULT_EXTENSIONS)},
        extensions=_without_spans(distributed.worker.DEFAULT_EXTENSIONS),
        plugins=(_OnItsGpu(gpus),),
    )


@contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """Processes of threads that are started in this block never hear of the signals that end one.

    A terminal, a service manager or a batch system sends them to all processes at once; workers
    are to finish what they have in hand, or to be ended by this process. It hears of them itself
    when the block ends. Workers end with this process, whatever ends it: dask sees to that.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows: Ctrl-C reaches the workers too
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # As it starts, Python's resource tracker has its thread hear all but SIGHUP again.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _none_left(others: Set[Any]) -> Iterator[None]:
    """Kills what worker processes there are at the block's end: Python would wait for them."""
    try:
        yield
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()


@contextmanager
def _killed_after(
    seconds: float, others: Set[Any], now: Callable[[], object] = lambda: None
) -> Iterator[threading.Event]:
    """Kills worker processes of our own if the block has not ended in time.

    dask waits without limit for a process that neither reports in nor ends; and so does Python, at
    its own end, for a process that is stopped. Once it is dead nobody waits for it.

    Args:
        seconds: Time for the block.
        others: Processes that are not to be killed.
        now: Says whether the time is up already.

    Yields:
        Whether it has come to that.
    """
    over, killed = threading.Event(), threading.Event()
    end = time.monotonic() + seconds

    def kill() -> None:
        # Again and again: a nanny may start another.
        while not over.wait(1.0 if killed.is_set() else min(seconds, LOOK_S)):
            if time.monotonic() >= end or now():
                killed.set()
                for process in set(multiprocessing.active_children()) - others:
                    process.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def _without_spans(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Dask's extensions but the one that keeps a note of every task for ever."""
    return {name: kind for name, kind in extensions.items() if name != "spans"}


class _OnItsGpu(WorkerPlugin):
    """Gives a worker process of our own one GPU, if there are any."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self.gpus = gpus

    def setup(self, worker: Worker) -> None:
        if self.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus[int(worker.name) % len(self.gpus)]


def _gpus() -> list[str]:
    """What CUDA calls the GPUs this process may use: of a shared machine not the first ones."""
    import torch  # not at the top: workers whose work needs no torch start in half the time

    count = torch.cuda.device_count()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(" ", "")
    return allowed.split(",")[:count] if allowed else [str(number) for number in range(count)]
