"""Our own files on disk: their hashes and states, what is wrong with one, and who changed it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

AUX = ".aux.xml"
"""End of the name of what GDAL knows of a raster."""

_STATISTICS = re.compile(
    rb"<Histograms>.*?</Histograms>|<MDI key=\"STATISTICS_[^\"]*\">[^<]*</MDI>", re.DOTALL
)
_EMPTY = re.compile(rb"<(Metadata|PAMRasterBand)\b[^>]*>\s*</\1>|<PAMRasterBand\b[^>]*/>|\s+")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """``content_hash`` by name of files, their names relative to a folder above them."""
    return {file.relative_to(folder).as_posix(): content_hash(file) for file in files}


def content_hash(path: Path) -> str:
    """SHA-256 of a file of ours; statistics that QGIS adds to an ``.aux.xml`` do not count."""
    if not path.name.endswith(AUX):
        return file_hash(path)
    before, text = b"", _STATISTICS.sub(b"", path.read_bytes())
    while text != before:
        before, text = text, _EMPTY.sub(b" ", text)
    return hashlib.sha256(text.strip()).hexdigest()


def file_state(file: Path) -> list[int]:
    """Size, place and times of a file: others after every change of its content.

    One of the times is that of the last change of the inode, which comes with every write and
    which no program can set back.
    """
    status = file.stat()
    return [
        status.st_size,
        status.st_dev,
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
    ]


def file_fault(path: Path, expected: str, state: Sequence[int] | None = None) -> str | None:
    """What is wrong with a file.

    Args:
        path: The file.
        expected: Its ``content_hash``.
        state: Its ``file_state`` when it had that hash; a file with the same is not read, unless
            its file system counts whole seconds, in which it could have changed twice.

    Returns:
        A phrase such as ``is missing``; None if nothing is.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
            return "is no regular file"
        now = file_state(path)
        if state is not None and now == list(state) and now[-1] % 1_000_000_000:
            return None
        found = content_hash(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found == expected:
        return None
    if not now[0]:
        return "is empty"
    return f"has been changed since it was written: sha256 {found}, expected {expected}"


def set_aside(path: Path) -> Path | None:
    """Moves what lies under the name of one of our files out of the way; nothing is lost.

    Returns:
        Its new name, ``<name>.changed`` or ``.changed-2`` and so on, always a free one; None if
        there was nothing, or an empty file.
    """
    if not os.path.lexists(path):
        return None
    if path.is_file() and not path.stat().st_size:
        path.unlink()
        return None
    number, aside = 1, path.with_name(f"{path.name}.changed")
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.changed-{number}")
    path.rename(aside)
    return aside
