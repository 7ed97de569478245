"""The file that says who holds a folder: made by one process only, on every file system."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landcover_pnp.errors import RunLockedError
from landcover_pnp.storage.disk_space import disk_full_error

TAKE_S = 30.0
"""Time for which another process may be judging a folder's lock, which takes a moment."""


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keeps others from a folder's lock while one judges it stale and takes it over.

    Of no effect on file systems that cannot lock a folder, such as NFS.

    Raises:
        RunLockedError: If another process takes too long over it.
    """
    descriptor, start = os.open(folder, os.O_RDONLY), time.monotonic()
    try:
        while not _alone(descriptor):
            if time.monotonic() - start > TAKE_S:
                raise RunLockedError(
                    found=f"another process has been about to take {folder} for {TAKE_S:g} s",
                    expected="one process a run folder",
                    way_out="see whether it is stopped, and end it or let it go on",
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # nobody can have it
    return True


def taken(lock: Path, content: str) -> bool:
    """Makes a lock, unless there is one.

    Args:
        lock: The file.
        content: What it says.

    Returns:
        Whether it has been made.

    Raises:
        DiskFullError: If there is no room for it.
    """
    claim = lock.with_name(f".partial-lock-{uuid.uuid4().hex}")
    try:
        claim.write_text(content, encoding="utf-8")
        try:  # a link appears with its content or not at all, and never replaces another's lock
            lock.hardlink_to(claim)
        except FileExistsError:
            return False
        except OSError:  # exFAT and some network file systems have no hard links
            with lock.open("x", encoding="utf-8") as file:
                file.write(content)
    except FileExistsError:
        return False
    except OSError as error:
        full = disk_full_error(lock, error)
        if full is None:
            raise
        raise full from error
    finally:
        claim.unlink(missing_ok=True)
    return True
