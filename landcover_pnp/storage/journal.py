"""The journal of a run: what happened in it, one JSON object a line."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from landcover_pnp.config.addresses import hidden
from landcover_pnp.errors import RunGoneError
from landcover_pnp.interruption import exit_code
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.checked_json import json_text, parsed_object, read_regular
from landcover_pnp.storage.files import CHANGED, kept_as, set_aside, text_hash
from landcover_pnp.storage.presence import require_there
from landcover_pnp.storage.records import now

NAME = "journal.jsonl"
"""Name of the journal in a run folder."""


_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "tiles": {"total": int, "kept": int},
    "tile": {"tile": str, "status": str, "reason": str},
    "stage": {"stage": str, "seconds": (int, float)},
    "end": {"exit_code": int},
}
_FURTHER: dict[str, type] = {"files": dict, "summary": dict, "seal": str}
"""What the lines of an event have besides its time, and what they may have."""

_SEAL = "seal"
"""Hash of all that stands before it, in a line that tells how a process ended."""


@dataclass
class Journal:
    """Where a run writes down what happens; every line is complete when it is there.

    Attributes:
        folder: The run folder.
        waiting: Lines that are kept back until there is work: a process that finds all done
            leaves no trace. None once they have been written.
    """

    folder: Path
    waiting: list[dict[str, Any]] | None = None

    def write(self, event: str, **fields: Any) -> None:
        """Adds a line; a full disk does not stop the run here, but where it hurts.

        Args:
            event: ``start``, ``tiles``, ``tile``, ``stage``, ``note`` or ``end``.
            **fields: JSON values.
        """
        line = {"time": now(), "event": event, **fields}
        if self.waiting is not None:
            self.waiting.append(line)
            return
        with suppress(OSError, RunGoneError):
            require_there(self.folder)
            with self.path.open("ab+") as file:
                if event == "end":
                    file.seek(0)
                    line[_SEAL] = _seal(hashlib.sha256(file.read()), line)
                file.write(_text(line))

    def begin(self) -> None:
        """Writes what was kept back: there is work. A damaged journal is made usable first."""
        if self.waiting is None:
            return
        waiting, self.waiting = self.waiting, None
        notes = self._mended()
        for line in waiting:
            self.write(**line)
        for note in notes:
            self.write("note", text=note)

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.folder / NAME

    def events(self) -> Iterator[dict[str, Any]]:
        """All lines, oldest first; what is none, as after a power cut, is left out."""
        for line in read_regular(self.path).split(b"\n"):
            event = parsed_object(line)
            if event is not None and _is_event(event):
                yield event

    def fault(self) -> str | None:
        """What is wrong with the journal, such as ``is missing``; None if nothing is.

        A last line that a power cut has cut short is no fault.
        """
        content = read_regular(self.path)
        if not content:
            return "is empty" if self.path.exists() else "is missing"
        before = hashlib.sha256()
        for line in content.splitlines(keepends=True):
            event = parsed_object(line)
            if event is None or not _is_event(event):
                if line.endswith(b"\n"):
                    return CHANGED
            elif _SEAL in event:
                seal = event.pop(_SEAL)
                if line != _text({**event, _SEAL: seal}) or seal != _seal(before.copy(), event):
                    return CHANGED
            before.update(line)
        return None

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the small files of the run by their names, as far as the journal tells."""
        if self.fault():
            return {}
        known: dict[str, Any] = {}
        if self.last_result and not self.broken_off:
            known |= self.last_result.get("files", {})
            known["summary.json"] = text_hash(json_text(self.last_result["summary"]))
        return {**known, **(self.last_start or {}).get("files", {})}

    @property
    def last_start(self) -> dict[str, Any] | None:
        """The line by which the last process began; None without a journal."""
        starts = [event for event in self.events() if event["event"] == "start"]
        return starts[-1] if starts else None

    @property
    def last_result(self) -> dict[str, Any] | None:
        """The line by which the last process that made a map ended; None if there is none.

        What it says is to be believed only of a journal without ``fault``.
        """
        ends = [event for event in self.events() if "summary" in event and _SEAL in event]
        return ends[-1] if ends else None

    @property
    def broken_off(self) -> datetime | None:
        """When the last process began, if it has not made a map, or not yet."""
        begun = None
        for event in self.events():
            if event["event"] == "start":
                begun = datetime.fromisoformat(event["time"])
            elif event["event"] == "end" and "error" not in event:
                begun = None
        return begun

    def _mended(self) -> list[str]:
        """Makes the journal usable again; says what was done."""
        fault = self.fault() if self.path.exists() else None
        if fault is None:
            # Of a line that a power cut has cut short nothing stays: the next one begins anew.
            with suppress(OSError), self.path.open("rb+") as file:
                file.truncate(file.read().rfind(b"\n") + 1)
            return []
        # Of seals that no longer tell anything the lines are freed.
        kept = [{k: v for k, v in line.items() if k != _SEAL} for line in self.events()]
        aside = set_aside(self.path)
        with completed(self.path) as partial:
            partial.write_bytes(b"".join(map(_text, kept)))
        return [f"{NAME} {fault}: what could be read of it was kept" + kept_as(aside)]


def _text(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _seal(before: hashlib._Hash, line: dict[str, Any]) -> str:
    """Hash of the lines before and of a line without it; ``before`` is used up."""
    before.update(_text(line))
    return before.hexdigest()


def _is_event(line: dict[str, Any]) -> bool:
    """Whether a line has what its event needs."""
    event, time = line.get("event"), line.get("time")
    if not isinstance(event, str) or not isinstance(time, str):
        return False
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    needed = all(isinstance(line.get(key), kind) for key, kind in _FIELDS.get(event, {}).items())
    return needed and all(isinstance(line.get(key, kind()), kind) for key, kind in _FURTHER.items())


def command_line() -> str:
    """The command this process was started by, without the program's folder and secrets."""
    program = Path(sys.argv[0])
    as_module = program.parts[-2:] == ("landcover_pnp", "__main__.py")
    return hidden(shlex.join(["landcover" if as_module else program.name, *sys.argv[1:]]))


@contextmanager
def journal_of(folder: Path, **told: Any) -> Iterator[Journal]:
    """Opens a run's journal, and writes down the process that begins and how it broke off.

    Args:
        folder: The run folder.
        **told: Further JSON values of the line by which the process begins.

    Yields:
        The journal, which writes nothing before its ``begin``; a run that comes to its end
        writes ``end`` itself.
    """
    journal = Journal(folder, waiting=[])
    who = {"pid": os.getpid(), "host": socket.gethostname(), "command": command_line()}
    journal.write("start", **who, **told)
    try:
        yield journal
    except BaseException as error:
        if journal.waiting is None:
            code, said = exit_code(error), str(error) or type(error).__name__
            journal.write("end", exit_code=code, error=said)
        raise
