"""Progress of long work: a bar on terminals, one line a minute elsewhere."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichBar

from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.records import Record

LINE_EVERY_S = 60.0
"""Seconds between lines where there is no terminal."""


@dataclass(frozen=True)
class Progress:
    """How far the tiles are.

    Attributes:
        total: Tiles of the map.
        kept: Tiles that an earlier run had finished and this one kept.
        done: Tiles this run has inferred.
        failed: Tiles that could not be inferred.
        note: What the run has to say at this moment, mostly nothing.
    """

    total: int
    kept: int = 0
    done: int = 0
    failed: int = 0
    note: str = ""

    @property
    def left(self) -> int:
        """Tiles still to do."""
        return self.total - self.kept - self.done - self.failed


class Watch:
    """What a run says of itself: to its journal, and to whoever watches.

    Args:
        journal: The run's journal; None for work that is not the map's own.
        report: Called with the progress whenever it changes.

    Attributes:
        progress: How far the tiles are.
        stages: Seconds by stage.
    """

    def __init__(self, journal: Journal | None, report: Callable[[Progress], None]) -> None:
        self.progress = Progress(total=0)
        self.stages: dict[str, float] = {}
        self._journal, self._report = journal, report

    def _write(self, event: str, **fields: Any) -> None:
        if self._journal is not None:
            self._journal.write(event, **fields)

    def say(self, note: str) -> None:
        """A sentence for the user."""
        self._write("note", text=note)
        self._report(dataclasses.replace(self.progress, note=note))

    def work(self, *notes: str) -> None:
        """There is work to do, which the journal is to tell of; says why, if there is a reason."""
        if self._journal is not None:
            self._journal.begin()
        for note in filter(None, notes):
            self.say(note)

    def stage(self, name: str, seconds: float) -> None:
        """A stage is done; in no time where an earlier run had done it."""
        self.stages[name] = round(seconds, 2)
        self._write("stage", stage=name, seconds=round(seconds, 2))

    def tiles(self, total: int, kept: int) -> None:
        """The tiles begin."""
        self.progress = Progress(total=total, kept=kept)
        self._write("tiles", total=total, kept=kept)
        self._report(self.progress)

    def tile(self, name: str, record: Record) -> None:
        """A tile is done or failed."""
        failed = record.status == "failed"
        self.progress = dataclasses.replace(
            self.progress,
            done=self.progress.done + (not failed),
            failed=self.progress.failed + failed,
        )
        self._write(
            "tile",
            tile=name,
            status=record.status,
            seconds=round(record.seconds, 2),
            reason=record.reason,
        )
        note = f"{name} failed: {record.reason}".replace("\n", ";") if failed else ""
        self._report(dataclasses.replace(self.progress, note=note))


class TileProgress:
    """Shows the progress of a map run; call it with each ``Progress``.

    Args:
        console: Where to show it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()
        self._last_line = -LINE_EVERY_S
        self._bar = RichBar(
            TextColumn("tiles"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("tiles", total=None, failed=0)

    def __enter__(self) -> TileProgress:
        """Starts the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the bar."""
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Shows how far the tiles are, and the note if there is one."""
        finished = progress.total - progress.left
        self._bar.update(
            self._task, total=progress.total, completed=finished, failed=progress.failed
        )
        if progress.note:
            self._console.print(progress.note, highlight=False, markup=False, soft_wrap=True)
        now = time.monotonic()
        if not (progress.done or progress.failed):
            self._start = now  # what came before the first tile says nothing of their speed
        if (
            progress.total
            and not self._console.is_terminal
            and now - self._last_line >= LINE_EVERY_S
        ):
            self._last_line = now
            self._console.print(self._line(progress), highlight=False, soft_wrap=True)

    def _line(self, progress: Progress) -> str:
        new = progress.done + progress.failed
        left_s = (time.monotonic() - self._start) / new * progress.left if new else None
        remaining = f", about {left_s / 60:.0f} min" if left_s is not None else ""
        return counted(progress) + remaining


def counted(progress: Progress) -> str:
    """The counts of tiles in words."""
    return (
        f"tiles: {progress.kept} kept, {progress.done} done, {progress.failed} failed, "
        f"{progress.left} left"
    )


class CityProgress:
    """Progress of one city after another as lines: notes, and one line a minute.

    Args:
        say: Prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._last_line = say, -LINE_EVERY_S

    def __call__(self, city: str, progress: Progress) -> None:
        """Shows how far a city's tiles are, and the note if there is one."""
        now = time.monotonic()
        if progress.note:
            self._say(f"{city}: {progress.note}")
        if progress.total and now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._say(f"{city}: {counted(progress)}")
