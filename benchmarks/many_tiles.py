"""Memory of scheduler and client over very many tiles whose work is nothing.

Usage: python benchmarks/many_tiles.py [TILES]

Prints a Markdown table: the memory (resident set) of the driver process, which holds the dask
scheduler and the client, and of the largest worker, and the driver's CPU time a tile, after each
tenth of the tiles.
"""

import os
import time
from functools import partial

import psutil
from words import parser

from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool
from landcover_pnp.storage.records import Record


def stub(payload: bytes, name: str) -> Record:
    """What a tile sends back, without its work; ``payload`` is as large as a tile's job."""
    return Record("done", {}, 0.01, figures={"valid_px": len(payload), "uniform_px": len(name)})


def memory_mb() -> tuple[float, float]:
    """Resident memory of this process and of its largest child, MB."""
    me = psutil.Process()
    children = [child.memory_info().rss for child in me.children(recursive=True)]
    return me.memory_info().rss / 1e6, max(children) / 1e6


def main(tiles: int) -> None:
    """Sends stub tiles through the task pool and prints what they cost as it goes."""
    names = [f"r{i // 1000:04d}c{i % 1000:04d}" for i in range(tiles)]
    work = partial(stub, os.urandom(5000))
    print("| tiles | driver, MB | largest worker, MB | driver, CPU ms a tile |")
    print("|---:|---:|---:|---:|", flush=True)
    before = time.process_time()
    with TaskPool(WorkerPool(workers=2), tiles, lambda _: None) as task_pool:
        for number, _ in enumerate(task_pool.run_tasks(work, names), start=1):
            if number % (tiles // 10) == 0:
                driver, worker = memory_mb()
                spent, before = time.process_time() - before, time.process_time()
                cpu_ms = 1000 * spent / (tiles // 10)
                print(f"| {number} | {driver:.0f} | {worker:.0f} | {cpu_ms:.1f} |", flush=True)


if __name__ == "__main__":  # worker processes import this file too
    options = parser(__doc__)
    options.add_argument("tiles", type=int, nargs="?", default=100_000)
    main(options.parse_args().tiles)
