"""Progress of long work: a bar on terminals, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichBar

from landcover_pnp.mapping import Progress

LINE_EVERY_S = 60.0
"""Seconds between lines where there is no terminal."""


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
        if not self._console.is_terminal and now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            self._console.print(self._line(progress), highlight=False, soft_wrap=True)

    def _line(self, progress: Progress) -> str:
        new = progress.done + progress.failed
        left_s = (time.monotonic() - self._start) / new * progress.left if new else None
        remaining = f", about {left_s / 60:.0f} min" if left_s is not None else ""
        return (
            f"tiles: {progress.kept} kept, {progress.done} done, {progress.failed} failed, "
            f"{progress.left} left{remaining}"
        )
