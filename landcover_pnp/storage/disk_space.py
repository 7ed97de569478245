"""Room on disk: asked for before the work, and named when it runs out."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landcover_pnp.errors import DiskFullError, RequestError

PROBE_BYTES = 2**20
"""Step in which a write is tried again when it has failed, to learn why."""


def require_space(folder: Path, needed: int) -> None:
    """Refuses work whose result would not fit on the disk.

    Args:
        folder: Where the result will lie; need not exist yet.
        needed: Estimate of its size in bytes.

    Raises:
        RequestError: If less is free.
    """
    free = shutil.disk_usage(_existing(folder)).free
    if needed > free:
        raise RequestError(
            found=f"{_gb(free)} free on the disk of {folder}",
            expected=f"about {_gb(needed)} for this map",
            fix="free disk space, choose another run folder or a smaller area",
        )


@contextmanager
def need_named(folder: Path, needed: int) -> Iterator[None]:
    """Adds to the error of a full disk how much room the rest of the work takes.

    Args:
        folder: Where the results lie.
        needed: Estimate of the size of all of them in bytes.

    Raises:
        DiskFullError: If the block raises it.
    """
    try:
        yield
    except DiskFullError as error:
        there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        rest = max(needed - there, 0)
        expected = f"about {_gb(rest)} more for the rest of the map, {_gb(there)} are there"
        raise DiskFullError(error.found, expected, error.fix) from error


def disk_full(path: Path, size: int) -> DiskFullError | None:
    """Tells whether a write failed for want of room.

    GDAL does not say why a write failed. Writing the same amount again does: it meets the same
    full disk, quota or limit on the size of a file.

    Args:
        path: The file that could not be written.
        size: Size it would have had at most, in bytes.

    Returns:
        The error to raise, or None if there is room and the cause is another.
    """
    probe = path.with_name(f".partial-probe-{os.getpid()}")
    try:
        with probe.open("wb") as file:
            for _ in range(0, size + PROBE_BYTES, PROBE_BYTES):
                file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return disk_full_error(path, error, f", which needs up to {_gb(size)}")
    finally:
        probe.unlink(missing_ok=True)
    return None


def disk_full_error(path: Path, error: OSError, needs: str = "") -> DiskFullError | None:
    """The error to raise where the system says that a file has no room.

    Args:
        path: The file.
        error: What the system says.
        needs: What is known of the file's size, for the message.

    Returns:
        The error, or None if the system says something else.
    """
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None
    free = shutil.disk_usage(_existing(path.parent)).free
    return DiskFullError(
        found=f"no room for {path}{needs}; {_gb(free)} free on its disk: {error.strerror}",
        expected="room for the map",
        fix="free disk space or raise the quota, then repeat the command or "
        "`landcover resume RUN`; finished work is kept",
    )


def _existing(folder: Path) -> Path:
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
