"""The counts of work that is done tile by tile: what stands, what is done now, what failed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from landcover_pnp.grid import Tile
from landcover_pnp.interruption import stoppable
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.tiles import Tiled, give_up
from landcover_pnp.pipeline.workers.task_pool import Lost, TaskPool
from landcover_pnp.storage.presence import worked_in
from landcover_pnp.storage.records import Record, make_way

Job = TypeVar("Job", bound=Tiled)


@dataclass
class TileCounts:
    """What became of the tiles.

    Attributes:
        done: Names of the finished ones.
        failed: Reason by name of the others.
        valid_px: Pixels with data of the finished ones.
        uniform_px: Pixels of the finished ones of which nothing is known.
    """

    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    valid_px: int = 0
    uniform_px: int = 0

    def add(self, name: str, record: Record) -> None:
        """Enters a tile."""
        if record.status == "done":
            self.done.add(name)
            self.valid_px += int(record.figures.get("valid_px", 0))
            self.uniform_px += int(record.figures.get("uniform_px", 0))
        else:
            self.failed[name] = record.reason

    @property
    def hash(self) -> str:
        """Hash of the names of the finished tiles."""
        return hashlib.sha256(" ".join(sorted(self.done)).encode()).hexdigest()


def run_tiles(
    job: Job,
    work: Callable[[Job, str], Record],
    tiles: Sequence[Tile],
    counts: TileCounts,
    task_pool: TaskPool,
    watch: Watch,
    ready: Callable[[Job], Job] = lambda job: job,
) -> Iterator[None]:
    """Does the work of every tile whose result does not stand, and enters each in the counts.

    Args:
        job: What all tiles share; pickled to the workers.
        work: Does a tile by its name.
        tiles: The tiles.
        counts: Takes what became of them.
        task_pool: Does it.
        watch: Sees every tile.
        ready: Completes the job with what only the work itself needs, if there is any.

    Yields:
        After every tile that is finished now.

    Raises:
        Interrupted: After a signal, when the tiles in hand are finished.
        RequestError, RunError: As ``TaskPool.run_tasks``.
        DiskFullError: If there is no room for a tile.
        RunGoneError: If the run folder is deleted meanwhile.
    """
    todo, renewed = [], set[str]()
    for tile in tiles:
        record, differing = Record.standing(job.record(tile), job.made_of_tile(tile))
        renewed.update(differing)
        if record is None:
            todo.append(tile.id)
            watch.work(*make_way(job.record(tile)))
        else:
            counts.add(tile.id, record)
    kept = len(tiles) - len(todo)
    watch.tiles(total=len(tiles), kept=kept)
    if renewed:
        watch.say(f"tiles made again, changed since the last run: {', '.join(sorted(renewed))}")
    if kept:
        watch.say(f"resuming: {kept} tiles done, {len(todo)} left")
    if todo:
        job = ready(job)
    with stoppable(watch.say) as stop:
        for name, result in task_pool.run_tasks(partial(_work_there, work, job), todo, stop):
            record = give_up(job, name, result.reason) if isinstance(result, Lost) else result
            counts.add(name, record)
            watch.tile(name, record)
            yield


def _work_there(work: Callable[[Job, str], Record], job: Job, name: str) -> Record:
    """Does a tile in whichever process, unless the run folder is gone."""
    with worked_in(job.home):
        return work(job, name)
