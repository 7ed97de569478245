"""Hashes of input files, remembered: a file is read in full again only when it has changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from landcover_pnp.storage.checked_json import read_checked, write_checked
from landcover_pnp.storage.files import file_hash, file_state

STEP_S = 0.05
"""Age of a file's last change from which a further one gets another time."""

COARSE_STEP_S = 2.0
"""The same where the file system counts whole seconds."""

SAVE_EVERY_S = 10.0
"""Time after which hashes are saved though there are more to come."""


class HashBook:
    """SHA-256 of files, each with the state of the file it was computed of.

    A file's size, its inode and two times tell whether it has changed since, see
    ``files.file_state``. File systems count time in steps, and two changes could share one: a
    file that has only just been written is read when that step is over.

    Args:
        path: The book, a JSON file; one that is damaged is begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = read_checked(path) or {}
        self._asked: dict[str, Any] = {}
        self._saved = time.monotonic()

    def file_hash(self, file: Path) -> str:
        """SHA-256 of a file's bytes, 64 hex digits."""
        name, state = str(file.absolute()), file_state(file)
        known = self._known.get(name)
        if not isinstance(known, dict) or known.get("state") != state:
            settled = _settled(state)
            known = {"sha256": file_hash(file), "state": file_state(file)}
            if not settled or known["state"] != state:  # it changes while it is read
                return str(known["sha256"])
        self._known[name] = self._asked[name] = known
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            write_checked(self._path, self._known)
            self._saved = time.monotonic()
        return str(known["sha256"])

    def save(self) -> None:
        """Writes the hashes that were asked for, unless the book has just these."""
        asked = dict(sorted(self._asked.items()))
        if read_checked(self._path) != asked:
            write_checked(self._path, asked)


def _settled(state: list[int]) -> bool:
    """Waits until a further change of a file would get another time; false if it never will."""
    changed = state[-1]
    step = STEP_S if changed % 1_000_000_000 else COARSE_STEP_S
    age = time.time() - changed / 1e9
    if 0 <= age < step:
        time.sleep(step - age)
    return age >= 0  # else the file system has another clock
