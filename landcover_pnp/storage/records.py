"""The run folder: records of finished work, fingerprints that say what they depend on, a lock."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from landcover_pnp.errors import RequestError, RunLockedError
from landcover_pnp.storage.failpoints import failpoint
from landcover_pnp.storage.geotiff import completed, make_folder
from landcover_pnp.storage.lock_file import one_at_a_time, taken

Ingredients = dict[str, Any]
"""What a result depends on: flat names such as ``inference.engine`` with JSON values."""


def ingredients(**parts: Any) -> Ingredients:
    """Flattens settings, hashes and boxes into names and JSON values.

    Paths are left out: where a file lies changes no result, and what it holds has a hash.

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
            kept = [v for v in value if not isinstance(v, Path)]
            flat[name] = [v if isinstance(v, (int, float)) else str(v) for v in kept]
        elif not isinstance(value, Path):
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


def file_hashes(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by name of files, their names relative to a folder above them."""
    return {file.relative_to(folder).as_posix(): file_hash(file) for file in files}


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
        files: SHA-256 of the result's files by their names, relative to the record's folder.
    """

    status: Literal["done", "failed"]
    ingredients: Ingredients
    seconds: float
    reason: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Writes the record as JSON."""
        content = {"fingerprint": fingerprint(self.ingredients), **dataclasses.asdict(self)}
        failpoint("before-record", path.name)
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

    @classmethod
    def standing(cls, path: Path, now: Ingredients) -> tuple[Record | None, list[str]]:
        """The record of a result that can stay as it is.

        Args:
            path: The record's file; the result's files count from its folder.
            now: What the result would be made of today.

        Returns:
            The record, or None where the work has to be done (again); and the names of the
            ingredients that changed since it was done, if that is why.
        """
        record = cls.read(path)
        if record is None or record.status != "done":
            return None, []
        differing = changed(record.ingredients, now)
        whole = all((path.parent / name).is_file() for name in record.files)
        return (record if whole and not differing else None), differing


def write_json(path: Path, content: Any) -> None:
    """Writes JSON under its final name only when it is complete."""
    with completed(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Holds a run folder for this process.

    A lock whose process no longer lives on this machine is stale and taken over.

    Args:
        folder: The run folder; made if it does not exist, and then removed again with all in
            it where the request turns out to be a bad one.

    Yields:
        A function to be called once there is work that outlives a request that turns out to be
        a bad one later.

    Raises:
        RunLockedError: If another process holds it; names pid, host and start.
        RequestError, DiskFullError: As ``geotiff.make_folder``.
    """
    fresh = not folder.exists()
    make_folder(folder)
    lock = folder / ".lock"
    me = Owner(os.getpid(), socket.gethostname(), now(), _boot())
    with one_at_a_time(folder):
        while not taken(lock, json.dumps(dataclasses.asdict(me))):
            _refuse_if_alive(lock)
            lock.unlink(missing_ok=True)
        _HELD.add(folder.absolute())
    kept = threading.Event()
    try:
        yield kept.set
    except RequestError:
        if fresh and not kept.is_set():
            shutil.rmtree(folder)
        raise
    finally:
        lock.unlink(missing_ok=True)
        _HELD.discard(folder.absolute())
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


_HELD = set[Path]()
"""Folders that this process holds."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a run folder.

    Attributes:
        pid: Its process id.
        host: Its machine.
        start: When it took the folder, ISO 8601.
        boot: Which start of the machine it belongs to; empty where the system does not say.
    """

    pid: int
    host: str
    start: str
    boot: str = ""


def owner(folder: Path) -> Owner | None:
    """The process that holds a run folder; None if none does, or it died on this machine."""
    try:
        holder = Owner(**json.loads((folder / ".lock").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if holder.host != socket.gethostname():
        return holder
    if holder.boot != _boot() and holder.boot:
        return None  # the number may be another process's by now
    # A container that is started again keeps its name and counts its processes anew: the lock of
    # the one that was killed then bears our own number.
    mine = holder.pid == os.getpid() and folder.absolute() not in _HELD
    return None if mine or not _lives(holder.pid) else holder


def _refuse_if_alive(lock: Path) -> None:
    holder = owner(lock.parent)
    if holder is None:
        return
    pid, host, start = holder.pid, holder.host, holder.start
    raise RunLockedError(
        found=f"{lock.parent} is in use by process {pid} on {host} since {start}",
        expected="one process a run folder",
        way_out=f"wait for it or choose another run folder; if it is gone, remove {lock}",
    )


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def now() -> str:
    """The time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
