"""Our own files on disk: their hashes and states, what is wrong with one, and who changed it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

CHANGED = "has been changed since it was written"
"""What is said of a file whose bytes are not those that were written."""

AUX = ".aux.xml"
"""End of the name of what GDAL knows of a raster."""

GEOPACKAGE = ".gpkg"
"""End of the name of a database of vectors."""

_STATISTICS = re.compile(
    rb"<Histograms>.*?</Histograms>|<MDI key=\"STATISTICS_[^\"]*\">[^<]*</MDI>", re.DOTALL
)
_EMPTY = re.compile(rb"<(Metadata|PAMRasterBand)\b[^>]*>\s*</\1>|<PAMRasterBand\b[^>]*/>|\s+")


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits.

    Raises:
        OSError: If it cannot be read, or is a device or a pipe, which may have no end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(text: str | bytes) -> str:
    """SHA-256 of a text as a file holds it, 64 hex digits."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def file_hashes(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """``content_hash`` by name of files, their names relative to a folder above them."""
    return {file.relative_to(folder).as_posix(): content_hash(file) for file in files}


def content_hash(path: Path) -> str:
    """SHA-256 of a file of ours, without what QGIS leaves in it when it only looks at it.

    That are statistics in an ``.aux.xml``, and in a GeoPackage the header's notes on its writers.
    """
    if path.suffix == GEOPACKAGE:
        return _database_hash(path)
    if not path.name.endswith(AUX):
        return file_hash(path)
    before, text = b"", _STATISTICS.sub(b"", path.read_bytes())
    while text != before:
        before, text = text, _EMPTY.sub(b" ", text)
    return hashlib.sha256(text.strip()).hexdigest()


def _database_hash(path: Path) -> str:
    """SHA-256 of an SQLite file, without how and how often it was opened to be written to."""
    with path.open("rb") as file:
        head = bytearray(file.read(_HEADER_BYTES))
        known = len(head) == _HEADER_BYTES and head.startswith(b"SQLite format 3\0")
        if known and {head[18], head[19]} <= {1, 2}:
            for part in _WRITERS:
                head[part] = bytes(part.stop - part.start)
        whole = hashlib.sha256(head)
        return hashlib.file_digest(file, lambda: whole).hexdigest()


_HEADER_BYTES = 100
_WRITERS = (slice(18, 20), slice(24, 28), slice(92, 100))
"""Of the header: journal mode, change counter, its copy, version of the library."""


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
    return f"{CHANGED}: sha256 {found}, expected {expected}"


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


def kept_as(aside: Path | None) -> str:
    """End of a sentence that says where ``set_aside`` has moved what was there."""
    return f"; what was there is now {aside.name}" if aside else ""


def is_below(name: object) -> bool:
    """Whether something read from a file is a name that stays in the folder it counts from."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
