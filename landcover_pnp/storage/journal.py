"""The journal of a run: one JSON object a line, and the state of the run as read from it."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from landcover_pnp.errors import RequestError, RunGoneError
from landcover_pnp.interruption import exit_code
from landcover_pnp.storage.lock import Owner, owner
from landcover_pnp.storage.presence import require_there
from landcover_pnp.storage.records import now

NAME = "journal.jsonl"
"""Name of the journal in a run folder."""


@dataclass(frozen=True)
class Journal:
    """Where a run writes down what happens; every line is complete when it is there.

    Attributes:
        folder: The run folder.
    """

    folder: Path

    def write(self, event: str, **fields: Any) -> None:
        """Adds a line; a full disk does not stop the run here, but where it hurts.

        Args:
            event: ``start``, ``tiles``, ``tile``, ``stage``, ``note`` or ``end``.
            **fields: JSON values.
        """
        line = json.dumps({"time": now(), "event": event, **fields})
        with suppress(OSError, RunGoneError):
            require_there(self.folder)
            with (self.folder / NAME).open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def mend(self) -> None:
        """Ends a line that a power cut has cut short: the next one is to stand by itself."""
        with suppress(OSError), (self.folder / NAME).open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")

    def events(self) -> Iterator[dict[str, Any]]:
        """All lines, oldest first; what a power cut left of a line is left out."""
        with suppress(FileNotFoundError), (self.folder / NAME).open("rb") as file:
            for line in file:
                with suppress(ValueError):
                    yield json.loads(line)

    @property
    def begun(self) -> datetime | None:
        """When the last process began; None without a journal."""
        starts = [event["time"] for event in self.events() if event["event"] == "start"]
        return datetime.fromisoformat(starts[-1]) if starts else None


def command_line() -> str:
    """The command this process was started by, without the program's folder."""
    program = Path(sys.argv[0])
    as_module = program.parts[-2:] == ("landcover_pnp", "__main__.py")
    return shlex.join(["landcover" if as_module else program.name, *sys.argv[1:]])


@contextmanager
def journal_of(folder: Path) -> Iterator[Journal]:
    """Opens a run's journal, and writes down the process that begins and how it broke off.

    Args:
        folder: The run folder.

    Yields:
        The journal; a run that comes to its end writes ``end`` itself.
    """
    journal = Journal(folder)
    journal.mend()
    try:
        journal.write("start", pid=os.getpid(), host=socket.gethostname(), command=command_line())
        yield journal
    except BaseException as error:
        journal.write("end", exit_code=exit_code(error), error=str(error) or type(error).__name__)
        raise


@dataclass
class RunStatus:
    """How far a run is.

    Attributes:
        run: The run folder.
        total: Tiles of the map; 0 while the scene is being prepared.
        kept: Tiles that were there when the last process began.
        done: Tiles this process has inferred.
        failed: Reason by name of each tile it could not infer.
        stage: What was done last.
        ended: Exit code of the last process, None if it never came to its end.
        seconds_per_tile: Time a tile takes with all workers at work, None before the first.
        holder: The process at work, None if there is none.
    """

    run: Path
    total: int = 0
    kept: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stage: str = ""
    ended: int | None = None
    seconds_per_tile: float | None = None
    holder: Owner | None = None

    @property
    def left(self) -> int:
        """Tiles neither there nor failed."""
        return self.total - self.kept - self.done - len(self.failed)


def run_status(run: Path) -> RunStatus:
    """Reads from a run's journal how far it is; a run at work is not disturbed.

    Args:
        run: The run folder.

    Raises:
        RequestError: If the folder holds no journal.
    """
    if not (run / NAME).is_file():
        raise RequestError(
            found=f"no {NAME} in {run}",
            expected="the folder of a map run",
            fix="name the folder that `landcover map --run` was given",
        )
    status = RunStatus(run)
    first_tile = last_tile = None
    for line in Journal(run).events():
        event = line["event"]
        if event == "start":
            status = RunStatus(run)
        elif event == "tiles":
            # A student passes over the tiles once more, without those that failed before.
            status.total, status.kept = line["total"] + len(status.failed), line["kept"]
            status.done = 0
            first_tile, last_tile = datetime.fromisoformat(line["time"]), None
        elif event == "tile":
            last_tile = datetime.fromisoformat(line["time"])
            if line["status"] == "done":
                status.done += 1
            else:
                status.failed[line["tile"]] = line["reason"]
        elif event == "stage":
            status.stage = line["stage"]
        elif event == "end":
            status.ended = line["exit_code"]
    finished = status.done + len(status.failed)
    if finished and first_tile and last_tile:
        status.seconds_per_tile = (last_tile - first_tile).total_seconds() / finished
    status.holder = owner(run)
    return status
