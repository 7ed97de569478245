"""Hashes of input files, remembered: a file is read in full again only when it has changed."""

from __future__ import annotations

import json
import time
from pathlib import Path

from landcover_pnp.storage.checked_json import write_json
from landcover_pnp.storage.files import file_hash, file_state

SETTLED_S = 5.0
"""Age of a file's last change from which a further one gets another time."""


class HashBook:
    """SHA-256 of files, each with the state of the file it was computed of.

    A file's size, its inode and two times tell whether it has changed since. One of the times
    is that of the last change of the inode, which comes with every write and which no program
    can set back: a file of the same size whose modification time was restored is read again.
    Where the file system counts time in steps, two changes can share a step: the hash of a file
    that has only just been written is not kept.

    Args:
        path: The book, a JSON file; made with the first hash that is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self._known = {}

    def file_hash(self, file: Path) -> str:
        """SHA-256 of a file's bytes, 64 hex digits."""
        name, state = str(file.absolute()), file_state(file)
        known = self._known.get(name)
        if isinstance(known, dict) and known.get("state") == state:
            return str(known["sha256"])
        settled = time.time() - file.stat().st_ctime > SETTLED_S
        found = file_hash(file)
        if settled:
            self._known[name] = {"sha256": found, "state": state}
            write_json(self._path, self._known)
        return found
