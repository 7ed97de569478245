"""The task pool: one piece of work done for many names by the processes of a dask cluster."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from distributed import Future, KilledWorker

from landcover_pnp.errors import DiskFullError, LandcoverError
from landcover_pnp.pipeline.workers.worker_pool import (
    POLL_S,
    WorkerPool,
    Workers,
    scheduler_lost,
    start_workers,
)

R = TypeVar("R")

IN_HAND = 2
"""Pieces a worker thread has been given at any time: one in hand, one waiting."""

TRIES = 3
"""Workers a piece may cost before it is given up; the last one has no other piece beside it."""

TELL_S = 60.0
"""Time between words about a scheduler that has no workers."""


@dataclass(frozen=True)
class Lost:
    """What is known of a piece of work that was given up.

    Attributes:
        reason: Why.
    """

    reason: str


class TaskPool:
    """Workers, hired when the first piece of work is there and kept for all that follows.

    A context: at its end workers of our own are dismissed, those of others left alone.

    Args:
        pool: Who does the work.
        pieces: Pieces of work there are at most; more workers are not hired.
        tell: Called with what the user should know: the dashboard, lost workers.
    """

    def __init__(self, pool: WorkerPool, pieces: int, tell: Callable[[str], None]) -> None:
        self._pool, self._pieces, self._tell = pool, pieces, tell
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Starts no worker yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Dismisses the workers, at once where the work is interrupted."""
        self._stack.__exit__(kind, error, trace)

    def run_tasks(
        self,
        work: Callable[[str], R],
        names: Sequence[str],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[str, R | Lost]]:
        """Does a piece of work for every name, in no particular order.

        At any time the cluster knows only the pieces in hand, and forgets each as it is finished:
        memory does not grow with the number of names. When a worker dies, dask blames all pieces
        it had been given; here each is tried again, the last time alone.

        Args:
            work: Picklable function of a name, a few kilobytes; its results should be as small.
            names: Names, each one piece of work.
            stop: Asked between pieces; once true, no new piece is begun.

        Yields:
            Name and result as each piece is finished, or ``Lost`` for one that raised an error or
            cost ``TRIES`` workers.

        Raises:
            RequestError: If the scheduler cannot be reached or a worker does not see the folder.
            RunError: If the scheduler is lost or mute, or workers of our own do not start or have
                all died.
            DiskFullError: If a piece raised it: those in hand are finished first.
        """
        if self._pool.workers == 0:
            for name in names:
                if stop():
                    return
                yield name, _done(work, name)
        elif names:
            try:
                yield from self._run_tasks(self._workers, work, names, stop)
            except (OSError, CancelledError) as error:  # dask's own are of these kinds
                raise scheduler_lost() from error

    def _run_tasks(
        self,
        workers: Workers,
        work: Callable[[str], R],
        names: Sequence[str],
        stop: Callable[[], bool],
    ) -> Iterator[tuple[str, R | Lost]]:
        waiting, alone = deque(names), deque[str]()
        deaths: Counter[str] = Counter()
        in_hand: dict[Any, tuple[str, Future[Any]]] = {}
        finished: SimpleQueue[tuple[Future[Any], Any, Exception | None]] = SimpleQueue()
        failure: DiskFullError | None = None
        told = time.monotonic()

        def give(name: str) -> None:
            # dask groups what it remembers by function name as long as it may name the tasks
            future = workers.client.submit(work, name, pure=False, retries=0)
            in_hand[future.key] = name, future
            workers.loop.add_callback(fetch, future)

        async def fetch(future: Future[Any]) -> None:
            # Where a worker dies with a result that was not yet fetched, this waits until another
            # has done the piece again. It does so in the client's event loop and ends with it: the
            # one thread that dask has for callbacks of all clients would wait on for ever.
            try:
                finished.put((future, await future, None))
            except Exception as error:
                finished.put((future, None, error))

        while True:
            if not (stop() or failure):
                while waiting and len(in_hand) < IN_HAND * workers.threads:
                    give(waiting.popleft())
                if alone and not waiting and not in_hand:
                    give(alone.popleft())
            if not in_hand and (stop() or failure or not (waiting or alone)):
                break
            try:
                future, result, error = finished.get(timeout=POLL_S)
            except Empty:
                workers.require_alive()
                if not workers.threads and time.monotonic() - told >= TELL_S:
                    told = time.monotonic()
                    self._tell("waiting: the scheduler has no worker")
                continue
            name, _ = in_hand.pop(future.key)
            if error is None:
                yield name, result
            elif future.status != "error":
                raise error  # it is not the work's but dask's
            elif isinstance(error, KilledWorker):
                deaths[name] += 1
                self._tell(f"warning: {_described(error)} was lost with {name} in hand")
                if deaths[name] == TRIES:
                    yield name, Lost(f"{TRIES} workers died of it, the last one with no other task")
                else:
                    (alone if deaths[name] == TRIES - 1 else waiting).append(name)
            elif isinstance(error, DiskFullError):
                failure = error
            else:
                yield name, Lost(_reason(error))
            future.release()
        if failure:
            raise failure

    @cached_property
    def _workers(self) -> Workers:
        workers = self._stack.enter_context(start_workers(self._pool, self._pieces))
        self._tell(f"dask dashboard: {workers.client.dashboard_link}")
        return workers


def _done(work: Callable[[str], R], name: str) -> R | Lost:
    """Does a piece of work in this process."""
    try:
        return work(name)
    except DiskFullError:
        raise
    except Exception as error:  # as from a worker: it concerns its piece alone
        return Lost(_reason(error))


def _described(error: KilledWorker) -> str:
    worker = error.last_worker
    limit = f", memory limit {worker.memory_limit / 1e9:.1f} GB" if worker.memory_limit else ""
    return f"worker {worker.address} (process {worker.pid}{limit})"


def _reason(error: BaseException) -> str:
    expected = isinstance(error, LandcoverError)
    return str(error) if expected else f"unexpected {type(error).__name__}: {error}"
