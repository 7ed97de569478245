"""The crew: the processes of a dask cluster that work for a run, its own or somebody else's."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import distributed
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, Worker, WorkerPlugin

from landcover_pnp.errors import RequestError, RunError

CONNECT_S = 20.0
"""Time within which a scheduler must answer."""

DASK = {
    # The farm itself tells the piece that kills workers from those that stood in line behind it.
    "distributed.scheduler.allowed-failures": 0,
    # Time for a worker that died to be there again, before its nanny is told to give up. dask's
    # own 15 s are too few on a busy machine.
    "distributed.deploy.lost-worker-timeout": "5 minutes",
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
class Hands:
    """Workers at hand.

    Attributes:
        client: The connection to their scheduler.
        own: The cluster, where it is the run's own.
    """

    client: Client
    own: LocalCluster | None

    def require_alive(self) -> None:
        """Tells workers that will never come from those that are slow to start.

        A worker of our own that dies is started again by its nanny, and again where that fails,
        until dask's ``lost-worker-timeout`` is over; then the nanny is gone too. Workers of
        others may come and go.

        Raises:
            RunError: If the scheduler or all nannies of our own are gone.
        """
        if self.client.status != "running":
            raise connection_lost()
        if self.own is not None and not self.own.workers:
            raise RunError(
                found="all worker processes have died, and none could be started again",
                expected="workers that live until the work is done",
                way_out="see whether the memory is enough (fewer --workers need less), then repeat "
                "the command or `landcover resume RUN`; finished tiles are kept",
            )


@contextmanager
def hired(crew: Crew, pieces: int) -> Iterator[Hands]:
    """Starts workers, or connects to those that run already.

    Args:
        crew: Who they are.
        pieces: Pieces of work there are at most; more workers of our own are not started.

    Yields:
        The workers; at the end those of our own are dismissed.

    Raises:
        RequestError: If the scheduler cannot be reached or a worker does not see the folder.
        RunError: If workers of our own do not start.
    """
    with ExitStack() as stack:
        own = None
        if crew.scheduler is None:
            gpus = _gpus()
            stack.enter_context(dask.config.set(DASK))
            wanted = crew.workers or len(gpus) or CPU_COUNT
            own = stack.enter_context(_own_cluster(min(wanted, pieces)))
            client = stack.enter_context(Client(own))
            client.register_plugin(_OwnWorker(gpus))
        else:
            client = stack.enter_context(_client_of(crew.scheduler))
        if crew.shared is not None:
            _require_shared(client, crew.shared)
        yield Hands(client, own)


def connection_lost() -> RunError:
    """The error where a scheduler is no longer there."""
    return RunError(
        found="the connection to the dask scheduler was lost",
        expected="a scheduler that runs as long as the map",
        way_out="start it again, then repeat the command or `landcover resume RUN`; finished "
        "tiles are kept",
    )


def _own_cluster(workers: int) -> LocalCluster:
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free port: several runs at once
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={
                "extensions": _without_spans(distributed.scheduler.DEFAULT_EXTENSIONS)
            },
            extensions=_without_spans(distributed.worker.DEFAULT_EXTENSIONS),
        )
    except RuntimeError as error:
        raise RunError(
            found=f"worker processes do not start: {error}",
            expected=f"room for {workers} processes of this program",
            way_out="give fewer --workers, or 0 to work without; a script of your own must start "
            "the work below `if __name__ == '__main__':`, for workers import it",
        ) from error


def _without_spans(extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Dask's extensions but the one that keeps a note of every task for ever."""
    return {name: kind for name, kind in extensions.items() if name != "spans"}


class _OwnWorker(WorkerPlugin):
    """A worker process of our own: one GPU, if there are any, and no ear for Ctrl-C.

    A terminal sends Ctrl-C to all its processes; workers are to finish what they have in hand.
    """

    def __init__(self, gpus: Sequence[str]) -> None:
        self.gpus = gpus

    def setup(self, worker: Worker) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus[int(worker.name) % len(self.gpus)]


def _gpus() -> list[str]:
    """What CUDA calls the GPUs this process may use: of a shared machine not the first ones."""
    import torch  # not at the top: workers whose work needs no torch start in half the time

    count = torch.cuda.device_count()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(" ", "")
    return allowed.split(",")[:count] if allowed else [str(number) for number in range(count)]


def _require_shared(client: Client, folder: Path) -> None:
    seen: dict[str, Any] = client.run(os.path.isdir, str(folder))
    blind = sorted(address for address, there in seen.items() if not there)
    if blind:
        raise RequestError(
            found=f"workers that do not see {folder}: {', '.join(blind[:5])}",
            expected="a run folder that all workers share with this process",
            way_out="put the run on a shared file system, mounted under the same path everywhere",
        )


def _client_of(scheduler: str) -> Client:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        return Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise RequestError(
            found=f"no dask scheduler answers at {scheduler}: {error}",
            expected="the address that `dask scheduler` prints, tcp://HOST:8786",
            way_out="start it, or leave out --scheduler to work on this machine",
        ) from error
