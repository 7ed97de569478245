"""The run folder: records of finished work, fingerprints that say what they depend on, a lock."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from landcover_pnp.errors import RunLockedError
from landcover_pnp.geotiff import completed

Ingredients = dict[str, Any]
"""What a result depends on: flat names such as ``inference.engine`` with JSON values."""


def ingredients(**parts: Any) -> Ingredients:
    """Flattens settings, hashes and boxes into names and JSON values.

    Args:
        **parts: Settings dataclasses, mappings, sequences or plain values.

    Returns:
        One entry a leaf; nested names are joined by dots.
    """
    flat: Ingredients = {}

    def add(name: str, value: Any) -> None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            for key, inner in value.items():
                add(f"{name}.{key}", inner)
        elif isinstance(value, (list, tuple)):
            flat[name] = [v if isinstance(v, (int, float)) else str(v) for v in value]
        else:
            plain = value is None or isinstance(value, (bool, int, float))
            flat[name] = value if plain else str(value)

    for name, value in parts.items():
        add(name, value)
    return flat


def fingerprint(of: Ingredients) -> str:
    """Short hash of what a result depends on (16 hex digits of SHA-256)."""
    canonical = json.dumps(of, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def changed(before: Ingredients, now: Ingredients) -> list[str]:
    """Names of the ingredients that differ, in alphabetical order."""
    return sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Record:
    """What became of one piece of work; its file appears after the work's own files.

    Attributes:
        status: ``done``, or ``failed`` (quarantined: no data in the map, tried again by the
            next run).
        ingredients: What the result depends on.
        seconds: Time the work took.
        reason: Why it failed.
        figures: Counts and measures of the result.
    """

    status: Literal["done", "failed"]
    ingredients: Ingredients
    seconds: float
    reason: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Writes the record as JSON."""
        content = {"fingerprint": fingerprint(self.ingredients), **dataclasses.asdict(self)}
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Reads a record; None where there is none, or one that no program could use."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content.pop("fingerprint")
            return cls(**content)
        except (OSError, ValueError, TypeError, KeyError):
            return None


def write_json(path: Path, content: Any) -> None:
    """Writes JSON under its final name only when it is complete."""
    with completed(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a run folder for this process.

    A lock whose process no longer lives on this machine is stale and taken over.

    Args:
        folder: The run folder; made if it does not exist, removed again if it stays empty.

    Raises:
        RunLockedError: If another process holds it; names pid, host and start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".lock"
    claim = folder / f".partial-lock-{os.getpid()}"
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "start": _now()}
    claim.write_text(json.dumps(owner), encoding="utf-8")
    try:
        # A link appears with its content or not at all, and never replaces another's lock.
        while True:
            try:
                lock.hardlink_to(claim)
                break
            except FileExistsError:
                _refuse_if_alive(lock)
                lock.unlink(missing_ok=True)
    finally:
        claim.unlink()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _refuse_if_alive(lock: Path) -> None:
    try:
        owner = json.loads(lock.read_text(encoding="utf-8"))
        pid, host, start = int(owner["pid"]), str(owner["host"]), str(owner["start"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if host == socket.gethostname() and not _lives(pid):
        return
    raise RunLockedError(
        found=f"{lock.parent} is in use by process {pid} on {host} since {start}",
        expected="one process a run folder",
        way_out=f"wait for it or choose another run folder; if it is gone, remove {lock}",
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
