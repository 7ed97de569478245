"""What a finished run says, and which of its stages were done again: for laws of freshness."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from types import NoneType
from typing import Any

from landcover_pnp.config import keys, plain

VOLATILE = (
    "seconds",
    "finished",
    "command",
    "done",
    "kept",
    "memory_mb",
    "states",
    "stages",
    "check",
)
"""Keys of JSON files that tell of the way a result came about, not of the result."""

OF_THE_WAY = ("journal.jsonl", "-inputs.json", ".lock", ".landcover.json")
"""Ends of the names of files that do."""


def content(run: Path) -> dict[str, Any]:
    """Every file of a run by name: bytes, or what a JSON file says of the result."""
    return {
        path.relative_to(run).as_posix(): _said(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and not path.name.endswith(OF_THE_WAY)
    }


def _said(path: Path) -> Any:
    if path.suffix != ".json":
        return path.read_bytes()
    return _lasting(json.loads(path.read_text()))


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _lasting(v) for k, v in value.items() if k not in VOLATILE}
    return [_lasting(v) for v in value] if isinstance(value, list) else value


def differing(run: Path, fresh: Path) -> list[str]:
    """Names of the files in which a run is other than a fresh one, or that one of them lacks."""
    found, expected = content(run), content(fresh)
    return [name for name in sorted(found | expected) if found.get(name) != expected.get(name)]


def stamps(run: Path) -> dict[str, int]:
    """When each file of a result was written."""
    return {
        path.relative_to(run).as_posix(): path.stat().st_mtime_ns
        for path in run.rglob("*")
        if path.is_file() and path.name not in ("settings.json", "summary.json", "preview.vrt")
        if not path.name.endswith(OF_THE_WAY)
    }


def made_again(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Folders of a run in which a file is another; ``products`` are those of the run's own."""
    names = {name for name in after if after[name] != before.get(name)}
    return sorted({name.split("/")[0] if "/" in name else "products" for name in names})


def leaves(settings: type[Any]) -> dict[str, Any]:
    """Kinds by dotted name of all settings that are no blocks, and of blocks that may be null."""
    kinds = keys(settings)
    blocks = {name.rpartition(".")[0] for name in kinds}
    return {
        name: kind
        for name, kind in kinds.items()
        if name not in blocks or NoneType in typing.get_args(kind)
    }


def value_of(settings: Any, name: str) -> Any:
    """A setting by its dotted name, as JSON; None below a block that is null."""
    value = plain(settings)
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def another(kind: Any, value: Any) -> Any:
    """Another value of the same kind, near the old one.

    Raises:
        LookupError: If the kind does not tell: text, paths, lists.
    """
    options = (kind,) if typing.get_origin(kind) is typing.Literal else typing.get_args(kind)
    plain_kind = next((k for k in options if k is not NoneType), kind)
    if typing.get_origin(plain_kind) is typing.Literal:
        return next(word for word in typing.get_args(plain_kind) if word != value)
    if plain_kind is bool:
        return not value
    if plain_kind is int:
        return 1 if value is None else value + 1
    if plain_kind is float:
        return 1.0 if value is None else value * 1.25 + 0.001
    if dataclasses.is_dataclass(plain_kind):
        return None
    raise LookupError(f"no other value of {kind} is known")
