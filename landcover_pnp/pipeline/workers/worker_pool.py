"""The worker pool: processes of a dask cluster that work for a run, its own or another's."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from distributed import Client, LocalCluster
from distributed.comm.core import connect
from distributed.utils import silence_logging_cmgr
from tornado.ioloop import IOLoop

from landcover_pnp.errors import RequestError, RunError
from landcover_pnp.pipeline.workers.processes import START_S, own_cluster

CONNECT_S = 20.0
"""Time within which a scheduler must answer when it is first spoken to, and a worker."""

ANSWER_S = 300.0
"""Time within which a scheduler that has answered before must answer again."""

CLOSE_S = 20.0
"""Time for the good-bye to a scheduler."""

LOOK_S = 5.0
"""Time between counts of the workers."""

POLL_S = 1.0
"""The same while there is none; and between looks at the worker pool while nothing is finished."""


@dataclass(frozen=True)
class WorkerPool:
    """Who does the work.

    Attributes:
        workers: Processes of a cluster of our own, one thread each; 0 works in this process,
            without dask; None is one a GPU or, where there is none, one a core.
        scheduler: Address of a dask scheduler that runs already; None starts a cluster.
        shared: Folder that every worker of a cluster that runs already must see under the same
            path.
    """

    workers: int | None = None
    scheduler: str | None = None
    shared: Path | None = None


class Workers:
    """Workers at hand, counted again and again in the client's event loop.

    Args:
        client: The connection to their scheduler.
        own: The cluster, where it is the run's own.

    Attributes:
        client: The same.
        loop: Its event loop.
        threads: Threads of all workers, when the scheduler last answered.
    """

    def __init__(self, client: Client, own: LocalCluster | None) -> None:
        self.client, self.threads = client, 0
        self.loop = cast(IOLoop, client.loop)  # a client that is connected has one
        self._own, self._silent_s = own, 0.0

    def require_alive(self) -> None:
        """Tells workers that will never come from those that are slow to start.

        A worker of our own that dies is started again by its nanny, and again where that fails,
        until dask's ``lost-worker-timeout`` is over; then the nanny is gone too. Workers of
        others may come and go. To be called every ``POLL_S`` while nothing is finished.

        Raises:
            RunError: If the scheduler or all nannies of our own are gone, or the scheduler is mute.
        """
        if self.client.status != "running":
            raise scheduler_lost()
        if self._own is not None and not self._own.workers:
            raise RunError(
                found="all worker processes have died, and none could be started again",
                expected="workers that live until the work is done",
                fix="see whether the memory is enough (fewer --workers need less), then repeat "
                "the command or `landcover resume RUN`; finished tiles are kept",
            )
        # Counted, not measured: where this process was stopped for an hour, nobody kept silent.
        self._silent_s += POLL_S
        if self._silent_s > ANSWER_S:
            raise scheduler_lost(f"the dask scheduler has not answered for {ANSWER_S / 60:g} min")

    async def count(self) -> None:
        """Counts the threads of the workers; the scheduler is not mute if this comes to its end."""
        threads = await self.client.nthreads()
        self.threads, self._silent_s = sum(threads.values()), 0.0

    async def keep_counting(self) -> None:
        """Counts them until the client is closed; a connection that is lost may come again."""
        while self.client.status in ("running", "connecting"):
            with suppress(OSError):
                await self.count()
            await asyncio.sleep(LOOK_S if self.threads else POLL_S)


@contextmanager
def start_workers(pool: WorkerPool, pieces: int) -> Iterator[Workers]:
    """Starts workers, or connects to those that run already.

    Args:
        pool: Who they are.
        pieces: Pieces of work there are at most; more workers of our own are not started.

    Yields:
        The workers; at the end those of our own are dismissed.

    Raises:
        RequestError: If the scheduler cannot be reached or a worker does not see the folder.
        RunError: If workers of our own do not start.
        OSError: If the scheduler is lost meanwhile.
    """
    with ExitStack() as stack:
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        if pool.scheduler is None:
            own = stack.enter_context(own_cluster(pool.workers, pieces))
            client = stack.enter_context(_left_in_time(Client(own, timeout=START_S)))
        else:
            own = None
            client = stack.enter_context(_left_in_time(_client_of(pool.scheduler)))
            if pool.shared is not None:
                _require_shared(client, pool.shared)
        workers = Workers(client, own)
        client.sync(workers.count, callback_timeout=ANSWER_S)
        workers.loop.add_callback(workers.keep_counting)
        yield workers


def scheduler_lost(found: str = "the connection to the dask scheduler was lost") -> RunError:
    """The error where a scheduler is no longer there, or there and mute."""
    return RunError(
        found=found,
        expected="a scheduler that runs as long as the map",
        fix="start it again, then repeat the command or `landcover resume RUN`; finished "
        "tiles are kept",
    )


@contextmanager
def _left_in_time(client: Client) -> Iterator[Client]:
    try:
        yield client
    finally:
        with suppress(Exception):  # a scheduler that is gone or mute hears no good-bye
            client.close(timeout=CLOSE_S)


def _require_shared(client: Client, folder: Path) -> None:
    """Refuses workers that do not see a folder; what mute ones are given, the scheduler minds."""

    async def sees(worker: str) -> bool:
        with suppress(OSError, KeyError):  # mute, or gone by now
            answer = client.run(os.path.isdir, str(folder), workers=[worker])
            return bool((await asyncio.wait_for(answer, CONNECT_S))[worker])
        return True

    async def asked() -> list[str]:
        workers = sorted(await client.nthreads())
        seen = await asyncio.gather(*map(sees, workers))
        return [worker for worker, there in zip(workers, seen, strict=True) if not there]

    blind = client.sync(asked, callback_timeout=ANSWER_S)
    if blind:
        raise RequestError(
            found=f"workers that do not see {folder}: {', '.join(blind[:5])}",
            expected="a run folder that all workers share with this process",
            fix="put the run on a shared file system, mounted under the same path everywhere",
        )


def _client_of(scheduler: str) -> Client:
    async def greeted() -> None:
        await (await connect(scheduler, timeout=CONNECT_S)).close()

    try:
        # A client waits for the first word of a mute scheduler for ever. The thread is for
        # notebooks, whose own has an event loop already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, asyncio.wait_for(greeted(), CONNECT_S)).result()
        return Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        reason = str(error) or f"no word of it within {CONNECT_S:g} s"
        raise RequestError(
            found=f"no dask scheduler answers at {scheduler}: {reason}",
            expected="the address that `dask scheduler` prints, tcp://HOST:8786",
            fix="start it, or leave out --scheduler to work on this machine",
        ) from error
