"""JSON files of ours that tell by themselves whether they are as they were written."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landcover_pnp.storage.atomic import completed

CHECK = "check"
"""Key, the last of the file, whose value depends on all others."""


def write_json(path: Path, content: Any) -> None:
    """Writes JSON under its final name only when it is complete."""
    with completed(path) as partial:
        partial.write_text(json_text(content), encoding="utf-8")


def write_checked(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object with a checksum, under its final name only when it is complete."""
    write_json(path, {**content, CHECK: _checksum(content)})


def read_checked(path: Path) -> dict[str, Any] | None:
    """Reads a file of ``write_checked``.

    Args:
        path: The file.

    Returns:
        Its content; None if there is no such file, or a byte of it is other than written.
    """
    written = read_regular(path)
    content = parsed_object(written)
    if content is None or written != json_text(content).encode():
        return None
    check = content.pop(CHECK, None)
    return content if check == _checksum(content) else None


def read_object(path: Path) -> dict[str, Any] | None:
    """Reads a JSON object; None where there is no regular file with one."""
    return parsed_object(read_regular(path))


def read_regular(path: Path) -> bytes:
    """Bytes of a regular file; none where there is none, or it cannot be read."""
    try:
        # Opening a pipe would wait for somebody to write to it.
        return path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else b""
    except OSError:
        return b""


def parsed_object(text: bytes | str) -> dict[str, Any] | None:
    """A JSON object; None where it is anything else."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, no UTF-8; nested too deep
        return None
    return content if isinstance(content, dict) else None


def json_text(content: Any) -> str:
    """JSON as ``write_json`` writes it."""
    return json.dumps(content, indent=2) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
