"""Pieces of STAC that items of maps and of models have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from landcover_pnp.products.page import hex_colour
from landcover_pnp.storage.records import file_hash

VERSION = "1.1.0"
"""Version of STAC."""


def extensions(*names: str) -> list[str]:
    """Addresses of extensions, given as ``projection/v2.0.0``."""
    return [f"https://stac-extensions.github.io/{name}/schema.json" for name in names]


def described_classes(
    names: Sequence[str], colours: Sequence[tuple[int, int, int]] | None = None
) -> list[dict[str, Any]]:
    """Classes by value from 0, which is no data, in terms of the classification extension.

    Args:
        names: Names from value 0 on.
        colours: Red, green, blue of each, where there are colours.
    """
    classes: list[dict[str, Any]] = []
    for value, name in enumerate(names):
        entry: dict[str, Any] = {"value": value, "name": slug(name), "description": name}
        if value == 0:
            entry["nodata"] = True
        elif colours is not None:
            entry["color_hint"] = hex_colour(colours[value])[1:].upper()
        classes.append(entry)
    return classes


def described_file(path: Path) -> dict[str, Any]:
    """Size and checksum in terms of the file extension."""
    # A multihash: 12 is SHA-256, 20 its length in bytes, both hexadecimal.
    return {"file:size": path.stat().st_size, "file:checksum": "1220" + file_hash(path)}


def relative(path: Path, folder: Path) -> str:
    """Address of a file as seen from a folder."""
    there = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return there if there.startswith("../") else f"./{there}"


def slug(text: str) -> str:
    """A text as an identifier: letters, digits, ``-`` and ``_``."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", text).strip("-").lower() or "map"
