"""The farm: one piece of work done for many names by the processes of a dask cluster."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import dask
import distributed
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin

from landcover_pnp.errors import DiskFullError, LandcoverError, RequestError, RunError

R = TypeVar("R")

IN_HAND = 2
"""Pieces a worker thread has been given at any time: one in hand, one waiting."""

TRIES = 3
"""Workers a piece may cost before it is given up; the last one has no other piece beside it."""

POLL_S = 1.0
"""Time between looks at workers and connection while nothing is finished."""

CONNECT_S = 20.0
"""Time within which a scheduler must answer."""

LOOK_S = 5.0
"""Time between counts of the workers."""

DASK = {
    # The farm itself tells the piece that kills workers from those that stood in line behind it.
    "distributed.scheduler.allowed-failures": 0,
    # dask has glibc return freed memory at once; a U-Net's activations, freed and asked for
    # again at every step, then cost as much system time as the network itself. Keep them.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**32,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_MAX_": 0,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}
"""dask's configuration for a cluster of our own."""


@dataclass(frozen=True)
class Crew:
    """Who does the work.

    Attributes:
        workers: Processes of a cluster of our own, one thread each; 0 works in this process,
            without dask; None is one a GPU or, where there is none, one a core.
        scheduler: Address of a dask scheduler that runs already; None starts a cluster.
        shared: Folder that every worker must see under the same path.
    """

    workers: int | None = None
    scheduler: str | None = None
    shared: Path | None = None


@dataclass(frozen=True)
class Lost:
    """What is known of a piece of work that was given up.

    Attributes:
        reason: Why.
    """

    reason: str


def farm_out(
    work: Callable[[str], R],
    names: Sequence[str],
    crew: Crew,
    tell: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, R | Lost]]:
    """Does a piece of work for every name, in no particular order.

    At any time the cluster knows only the pieces in hand, and forgets each as it is finished:
    memory does not grow with the number of names. When a worker dies, dask blames all pieces
    it had been given; here each is tried again, the last time alone.

    Args:
        work: Picklable function of a name, a few kilobytes; its results should be as small.
        names: Names, each one piece of work.
        crew: Who does it.
        tell: Called with what the user should know: the dashboard, lost workers.
        stop: Asked between pieces; once true, no new piece is begun.

    Yields:
        Name and result as each piece is finished, or ``Lost`` for one that raised an
        unexpected error or cost ``TRIES`` workers.

    Raises:
        RequestError: If the scheduler cannot be reached or a worker does not see the folder.
        RunError: If the connection to the scheduler is lost.
        DiskFullError: If a piece raised it: those in hand are finished first.
    """
    if crew.workers == 0:
        for name in names:
            if stop():
                return
            yield name, work(name)
        return
    with _connected(crew, len(names)) as client:
        tell(f"dask dashboard: {client.dashboard_link}")
        try:
            yield from _harvest(client, work, names, tell, stop)
        except (OSError, CancelledError) as error:  # dask's own are of these kinds
            raise _connection_lost() from error


def _harvest(
    client: Client,
    work: Callable[[str], R],
    names: Sequence[str],
    tell: Callable[[str], None],
    stop: Callable[[], bool],
) -> Iterator[tuple[str, R | Lost]]:
    waiting, alone = deque(names), deque[str]()
    deaths: Counter[str] = Counter()
    in_hand: dict[Any, tuple[str, Future[Any]]] = {}
    finished: SimpleQueue[Future[Any]] = SimpleQueue()
    capacity = _Capacity(client, tell)
    failure: DiskFullError | None = None

    def give(name: str) -> None:
        # dask groups what it remembers by function name as long as it may name the tasks
        future = client.submit(work, name, pure=False, retries=0)
        in_hand[future.key] = name, future
        future.add_done_callback(finished.put)

    while True:
        if not (stop() or failure):
            while waiting and len(in_hand) < capacity.now():
                give(waiting.popleft())
            if alone and not waiting and not in_hand:
                give(alone.popleft())
        if not in_hand and (stop() or failure or not (waiting or alone)):
            break
        try:
            future = finished.get(timeout=POLL_S)
        except Empty:
            if client.status != "running":
                raise _connection_lost() from None
            continue
        name, _ = in_hand.pop(future.key)
        if future.status == "finished":
            yield name, future.result()
        elif future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                deaths[name] += 1
                tell(f"warning: {_described(error)} was lost with {name} in hand")
                if deaths[name] == TRIES:
                    yield name, Lost(f"it cost {TRIES} workers their life, the last one alone")
                else:
                    (alone if deaths[name] == TRIES - 1 else waiting).append(name)
            elif isinstance(error, DiskFullError):
                failure = error
            else:
                yield name, Lost(_reason(error))
        else:
            raise _connection_lost()
        future.release()
    if failure:
        raise failure


class _Capacity:
    """Number of pieces that may be in hand, from the workers there are."""

    def __init__(self, client: Client, tell: Callable[[str], None]) -> None:
        self._client, self._tell = client, tell
        self._looked, self._told, self._threads = -LOOK_S, time.monotonic(), 0

    def now(self) -> int:
        moment = time.monotonic()
        if moment - self._looked >= (LOOK_S if self._threads else POLL_S):
            self._looked, self._threads = moment, sum(self._client.nthreads().values())
        if not self._threads and moment - self._told >= 60:
            self._told = moment
            self._tell("waiting: the scheduler has no worker")
        return IN_HAND * self._threads


@contextmanager
def _connected(crew: Crew, pieces: int) -> Iterator[Client]:
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(DASK))
        if crew.scheduler is None:
            gpus = _count_gpus()
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=min(crew.workers or gpus or CPU_COUNT, max(pieces, 1)),
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",  # any free port: several runs at once
                    silence_logs=logging.CRITICAL,
                    scheduler_kwargs={
                        "extensions": _without_spans(distributed.scheduler.DEFAULT_EXTENSIONS)
                    },
                    extensions=_without_spans(distributed.worker.DEFAULT_EXTENSIONS),
                )
            )
            client = stack.enter_context(Client(cluster))
            client.register_plugin(_OwnWorker(gpus))
        else:
            try:
                client = stack.enter_context(Client(crew.scheduler, timeout=CONNECT_S))
            except (OSError, ValueError) as error:
                raise RequestError(
                    found=f"no dask scheduler answers at {crew.scheduler}: {error}",
                    expected="the address that `dask scheduler` prints, tcp://HOST:8786",
                    way_out="start it, or leave out --scheduler to work on this machine",
                ) from error
            logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if crew.shared is not None:
            _require_shared(client, crew.shared)
        yield client


def _without_spans(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Dask's extensions but the one that keeps a note of every task for ever."""
    return {name: kind for name, kind in extensions.items() if name != "spans"}


class _OwnWorker(WorkerPlugin):
    """A worker process of our own: one GPU, if there are any, and no ear for Ctrl-C.

    A terminal sends Ctrl-C to all its processes; workers are to finish what they have in hand.
    """

    def __init__(self, gpus: int) -> None:
        self.gpus = gpus

    def setup(self, worker: Worker) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(int(worker.name) % self.gpus)


def _count_gpus() -> int:
    import torch  # not at the top: workers whose work needs no torch start in half the time

    return torch.cuda.device_count()


def _require_shared(client: Client, folder: Path) -> None:
    seen: dict[str, Any] = client.run(os.path.isdir, str(folder))
    blind = sorted(address for address, there in seen.items() if not there)
    if blind:
        raise RequestError(
            found=f"workers that do not see {folder}: {', '.join(blind[:5])}",
            expected="a run folder that all workers share with this process",
            way_out="put the run on a shared file system, mounted under the same path everywhere",
        )


def _connection_lost() -> RunError:
    return RunError(
        found="the connection to the dask scheduler was lost",
        expected="a scheduler that runs as long as the map",
        way_out="start it again, then repeat the command or `landcover resume RUN`; finished "
        "tiles are kept",
    )


def _described(error: KilledWorker) -> str:
    worker = error.last_worker
    limit = f", memory limit {worker.memory_limit / 1e9:.1f} GB" if worker.memory_limit else ""
    return f"worker {worker.address} (process {worker.pid}{limit})"


def _reason(error: BaseException) -> str:
    expected = isinstance(error, LandcoverError)
    return str(error) if expected else f"unexpected {type(error).__name__}: {error}"
