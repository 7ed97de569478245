"""What headers have told, remembered: files that are still the same are not opened again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from landcover_pnp.fetch.reader import version_of
from landcover_pnp.storage.checked_json import read_checked, write_checked
from landcover_pnp.storage.records import fingerprint

NAME = "headers.json"
"""Name of the memory in the folder of a fetched place."""


class Memory:
    """What is known of files in certain versions.

    Args:
        folder: Folder of the place, which need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: dict[str, Any] = read_checked(self._path) or {}
        self._asked: dict[str, Any] = {}
        self.versions: dict[Path, str] = {}

    def version(self, path: Path) -> str:
        """The version of a file, asked for once."""
        if path not in self.versions:
            self.versions[path] = version_of(path)
        return self.versions[path]

    def told(self, of: dict[str, Any], look: Callable[[], Any]) -> Any:
        """What is known of something, or is found out now.

        Args:
            of: What it depends on.
            look: Finds it out; gives JSON values.
        """
        key = fingerprint(of)
        self._asked[key] = self._known[key] if key in self._known else look()
        return self._asked[key]

    def save(self) -> None:
        """Writes what was asked for; the name is claimed by the caller."""
        if read_checked(self._path) != self._asked:
            write_checked(self._path, self._asked)
