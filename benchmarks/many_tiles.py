"""Memory of scheduler and client over very many tiles whose work is nothing.

Usage: python benchmarks/many_tiles.py [TILES]

Prints a Markdown table: the memory (resident set) of the driver process, which holds the dask
scheduler and the client, and of the largest worker, after each tenth of the tiles.
"""

import os
import sys
import time
from functools import partial

import psutil

from landcover_pnp.inference.farm import Crew, farm_out
from landcover_pnp.runs import Record


def stub(payload: bytes, name: str) -> Record:
    """What a tile sends back, without its work; ``payload`` is as large as a tile's job."""
    return Record("done", {}, 0.01, figures={"valid_px": len(payload), "uniform_px": len(name)})


def memory_mb() -> tuple[float, float]:
    """Resident memory of this process and of its largest child, MB."""
    me = psutil.Process()
    children = [child.memory_info().rss for child in me.children(recursive=True)]
    return me.memory_info().rss / 1e6, max(children) / 1e6


def main(tiles: int) -> list[tuple[int, float, float]]:
    """Sends stub tiles through the farm; returns (tiles, driver MB, worker MB) as it goes."""
    names = [f"r{i // 1000:04d}c{i % 1000:04d}" for i in range(tiles)]
    work = partial(stub, os.urandom(5000))
    start, rows = time.monotonic(), []
    print("| tiles | driver, MB | largest worker, MB | s |\n|---:|---:|---:|---:|", flush=True)
    farm = farm_out(work, names, Crew(workers=2), lambda _: None)
    for number, (_name, _record) in enumerate(farm, start=1):
        if number % (tiles // 10) == 0:
            rows.append((number, *memory_mb()))
            seconds = time.monotonic() - start
            print(
                f"| {number} | {rows[-1][1]:.0f} | {rows[-1][2]:.0f} | {seconds:.0f} |", flush=True
            )
    return rows


if __name__ == "__main__":  # worker processes import this file too
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
