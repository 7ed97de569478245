"""Records of finished work, and fingerprints that say what it depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from landcover_pnp.storage.checked_json import read_checked, read_object, write_checked
from landcover_pnp.storage.checked_json import write_json as write_json
from landcover_pnp.storage.failpoints import failpoint
from landcover_pnp.storage.files import file_fault, file_state, is_below, kept_as, set_aside
from landcover_pnp.storage.files import file_hash as file_hash
from landcover_pnp.storage.files import file_hashes as file_hashes

RECORD = "record.json"
"""Name of the record of a folder of results."""

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
        elif isinstance(value, (list, tuple)) and any(map(dataclasses.is_dataclass, value)):
            for number, inner in enumerate(value):
                add(f"{name}.{number}", inner)
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
        states: State of each of them when the record was written, see ``files.file_state``.
    """

    status: Literal["done", "failed"]
    ingredients: Ingredients
    seconds: float
    reason: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    states: Mapping[str, list[int]] = dataclasses.field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Writes the record as JSON; its files are there."""
        states = {name: file_state(path.parent / name) for name in self.files}
        known = dataclasses.asdict(dataclasses.replace(self, states=states))
        failpoint("before-record", path.name)
        write_checked(path, {"fingerprint": fingerprint(self.ingredients), **known})

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Reads a record; None where there is none, or one that no program could use.

        Records of version 0.1.0 have no checksum and no states.
        """
        content = read_checked(path)
        if content is None:
            old = read_object(path)
            content = old if old is not None and "states" not in old else None
        if content is None or content.pop("fingerprint", None) is None:
            return None
        try:
            record = cls(**content)
        except TypeError:
            return None
        return record if record._is_sound() else None

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
        whole = not differing and not record.damage(path.parent)
        return (record if whole else None), differing

    def damage(self, folder: Path, *, thorough: bool = False) -> dict[str, str]:
        """What is wrong with the result's files.

        Args:
            folder: The record's folder.
            thorough: Whether files are read that by size, place and times are still the same.

        Returns:
            A phrase such as ``is missing`` by the name of each file that is not as it was
            written; empty if all is well.
        """
        states = {} if thorough else self.states
        found = {
            name: file_fault(folder / name, expected, states.get(name))
            for name, expected in self.files.items()
        }
        return {name: fault for name, fault in found.items() if fault}

    def _is_sound(self) -> bool:
        """Whether every field is what its type says: the file may be anybody's."""
        return (
            self.status in ("done", "failed")
            and isinstance(self.ingredients, dict)
            and _is_number(self.seconds)
            and isinstance(self.reason, str)
            and _maps_names(self.figures, _is_number)
            and _maps_names(self.files, lambda value: isinstance(value, str))
            and _maps_names(self.states, lambda value: isinstance(value, list))
            and all(map(is_below, self.files))
        )


def make_way(path: Path) -> list[str]:
    """Makes way for work that is to be done again.

    The record goes: of older files, which go one by one, it would vouch for a mixture.

    Args:
        path: The record's file.

    Returns:
        As ``move_changed_aside``.
    """
    said = move_changed_aside(path)
    if path.is_dir():
        set_aside(path)
    path.unlink(missing_ok=True)
    return said


def move_changed_aside(path: Path) -> list[str]:
    """Moves aside the files of a result that are not as they were written: nothing is lost.

    Args:
        path: The result's record.

    Returns:
        A sentence on each such file.
    """
    record, said = Record.read(path), []
    for name, fault in (record.damage(path.parent) if record else {}).items():
        aside = set_aside(path.parent / name)
        what = f"{path.parent.name}/{name} {fault.partition(':')[0]}, is made again"
        said.append(what + kept_as(aside))
    return said


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _maps_names(value: object, fits: Callable[[object], bool]) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


def now() -> str:
    """The time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
