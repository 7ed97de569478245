"""Records of finished work, and fingerprints that say what it depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.failpoints import failpoint

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


def now() -> str:
    """The time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
