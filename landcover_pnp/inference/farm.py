"""The farm: tiles inferred by worker processes of a local dask cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice

import dask
from distributed import Client, KilledWorker, LocalCluster, as_completed

from landcover_pnp.inference.tiles import TileJob, infer_tile
from landcover_pnp.runs import Record

TILES_IN_FLIGHT = 2
"""Tiles a worker has been given at any time: one in hand, one waiting."""

TRIES = 3
"""Workers a tile may cost before it is given up."""

DASK = {
    "distributed.scheduler.allowed-failures": TRIES,
    # dask has glibc return freed memory at once; a U-Net's activations, freed and asked for
    # again at every step, then cost as much system time as the network itself. Keep them.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**32,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_MAX_": 0,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}
"""dask's configuration for the farm."""


def infer_tiles(
    job: TileJob, tile_ids: Sequence[str], workers: int | None
) -> Iterator[tuple[str, Record]]:
    """Infers tiles in worker processes, in no particular order.

    Every worker computes with one thread, so that neither their number nor the machine's
    changes a byte of the result.

    Args:
        job: What all tiles of the run share.
        tile_ids: Names of the tiles to infer.
        workers: Number of processes; None is one a core.

    Yields:
        Name and record of each tile as it is finished. A tile that an unexpected error or a
        dying worker prevented is yielded as ``failed``, and its record is written.
    """
    waiting = iter(tile_ids)
    count = min(workers or os.cpu_count() or 1, len(tile_ids))
    with (
        dask.config.set(DASK),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free port: several runs at once
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        shared = client.scatter(job, broadcast=True)
        names = {}

        def submit(tile_id: str) -> object:
            future = client.submit(infer_tile, shared, tile_id, pure=False, retries=0)
            names[future.key] = tile_id
            return future

        running = as_completed(
            [submit(name) for name in islice(waiting, count * TILES_IN_FLIGHT)],
            with_results=False,
        )
        for future in running:
            tile_id = names.pop(future.key)
            error = future.exception() if future.status == "error" else None
            record = future.result() if error is None else _given_up(job, tile_id, error)
            future.release()
            yield tile_id, record
            for name in islice(waiting, 1):
                running.add(submit(name))


def _given_up(job: TileJob, tile_id: str, error: BaseException) -> Record:
    tile = job.grid.tile_by_id(tile_id)
    reason = (
        f"the tile cost {TRIES} workers their life, most likely for want of memory"
        if isinstance(error, KilledWorker)
        else f"unexpected {type(error).__name__}: {error}"
    )
    record = Record("failed", job.made_of_tile(tile), 0.0, reason=reason)
    record.write(job.record(tile))
    return record
