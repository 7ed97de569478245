"""The marker of a folder that this package writes to: its kind, and the names that are its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from landcover_pnp.storage.checked_json import read_checked, write_checked
from landcover_pnp.storage.files import CHANGED, is_below

MARKER = ".landcover.json"
"""File that makes a folder one of ours."""

FORMAT = 2
"""Version of the folders' layout; version 0.1.0 wrote no marker."""

TILE = re.compile(r"r(\d{4,})c(\d{4,})(.+)")
"""A file of a tile: its row, its column, and what it is."""


@dataclass(frozen=True)
class TileNames:
    """Names of the files of all tiles of a grid, without a line for each.

    Attributes:
        folder: Where they lie, relative to the owned folder.
        rows: Rows of tiles.
        columns: Columns of tiles.
        endings: What stands behind a tile's name, one a file.
    """

    folder: str
    rows: int
    columns: int
    endings: tuple[str, ...]

    def __contains__(self, name: str) -> bool:
        """Whether a name, relative to the owned folder, is one of these."""
        folder, _, file = name.rpartition("/")
        tile = TILE.fullmatch(file)
        return (
            tile is not None
            and folder == self.folder
            and int(tile[1]) < self.rows
            and int(tile[2]) < self.columns
            and tile[3] in self.endings
        )


@dataclass(frozen=True)
class Marker:
    """What a marker says.

    Attributes:
        kind: What the folder holds, such as ``map run``.
        names: Claimed names, relative to it, with ``/``.
        tiles: Claimed names of tiles.
    """

    kind: str
    names: frozenset[str]
    tiles: tuple[TileNames, ...]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The marker of a folder; None where there is none, or it is damaged."""
        content = read_checked(folder / MARKER)
        try:
            if content is None or content["format"] != FORMAT:
                return None
            kind, names = content["kind"], frozenset(content["names"])
            tiles = [TileNames(**{**t, "endings": tuple(t["endings"])}) for t in content["tiles"]]
            folders = [t.folder for t in tiles]
        except (KeyError, TypeError):
            return None
        sound = isinstance(kind, str) and all(map(is_below, (*names, *folders)))
        return cls(kind, names, tuple(tiles)) if sound else None

    @classmethod
    def write(cls, folder: Path, kind: str, names: Iterable[str], tiles: list[TileNames]) -> None:
        """Writes the marker of a folder, unless it says that already."""
        ordered = sorted(tiles, key=lambda t: (t.folder, t.rows, t.columns))
        content = {
            "format": FORMAT,
            "kind": kind,
            "names": sorted(names),
            "tiles": [{**asdict(t), "endings": list(t.endings)} for t in ordered],
        }
        if read_checked(folder / MARKER) != content:
            write_checked(folder / MARKER, content)


def marker_fault(folder: Path) -> str | None:
    """What is wrong with the marker of a folder, such as ``is missing``; None if nothing is."""
    if Marker.read(folder) is not None:
        return None
    return CHANGED if os.path.lexists(folder / MARKER) else "is missing"
