"""One process a run folder: the lock file, who holds it, and how a stale one is taken over.

``filelock`` is not used: its native lock needs a file system that can lock, which network disks
often are not, and its soft lock keeps no start to be shown, nor does it take over the lock of a
container that was killed and started again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from landcover_pnp.errors import RunLockedError
from landcover_pnp.interruption import uninterrupted
from landcover_pnp.storage.atomic import PARTIAL, make_folder
from landcover_pnp.storage.checked_json import read_object
from landcover_pnp.storage.disk_space import disk_full_error
from landcover_pnp.storage.files import set_aside
from landcover_pnp.storage.presence import LOCK, WORKED_IN, worked_in
from landcover_pnp.storage.records import now

try:
    import fcntl
except ImportError:  # Windows
    HAS_FLOCK = False
else:
    HAS_FLOCK = True

TAKE_S = 30.0
"""Time for which another process may be judging a folder's lock, which takes a moment."""


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keeps others from a folder's lock while one judges it stale and takes it over.

    Of no effect on systems and file systems that cannot lock a folder, such as Windows and NFS.

    Raises:
        RunLockedError: If another process takes too long over it.
    """
    if not HAS_FLOCK:
        yield
        return
    descriptor, start = os.open(folder, os.O_RDONLY), time.monotonic()
    try:
        while not _alone(descriptor):
            if time.monotonic() - start > TAKE_S:
                raise RunLockedError(
                    found=f"another process has been about to take {folder} for {TAKE_S:g} s",
                    expected="one process a run folder",
                    fix="see whether it is stopped, and end it or let it go on",
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
    claim = lock.with_name(f"{PARTIAL}lock-{uuid.uuid4().hex}")
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder for this process.

    A lock whose process no longer lives on this machine is stale and taken over.

    Args:
        folder: The folder; made if it does not exist, and removed if it is empty at the end.

    Raises:
        RunLockedError: If another process holds it; names pid, host and start.
        RequestError, DiskFullError: As ``atomic.make_folder``.
        RunGoneError: As ``presence.worked_in``.
    """
    fresh = not folder.exists()
    lock, content = folder / LOCK, ""
    try:
        make_folder(folder)
        with ExitStack() as stack:
            with one_at_a_time(folder), uninterrupted():  # taken and known to be, or neither
                holder = Owner(os.getpid(), socket.gethostname(), now(), _boot())
                me = json.dumps(dataclasses.asdict(holder))
                while not taken(lock, me):
                    _refuse_if_alive(lock)
                    if _told(lock) is None:
                        set_aside(lock)
                    else:
                        lock.unlink(missing_ok=True)
                stack.enter_context(worked_in(folder, me))
                content = me
            yield
    finally:
        mine = False
        with suppress(OSError):  # gone, and another may stand in its place
            mine = bool(content) and lock.read_text(encoding="utf-8") == content
        if mine:
            lock.unlink(missing_ok=True)
        if mine or (fresh and not content):
            with suppress(OSError):  # not empty
                folder.rmdir()


@dataclass(frozen=True)
class Owner:
    """The process that holds a run folder.

    Attributes:
        pid: Its process id.
        host: Its machine.
        start: When it took the folder, ISO 8601.
        boot: Which start of the machine it belongs to; empty where the system does not say.
    """

    pid: int
    host: str
    start: str
    boot: str = ""


def owner(folder: Path) -> Owner | None:
    """The process that holds a run folder; None if none does, or it died on this machine."""
    holder = _told(folder / LOCK)
    if holder is None:
        return None
    if holder.host != socket.gethostname():
        return holder
    if holder.boot != _boot() and holder.boot:
        return None  # the number may be another process's by now
    # A container that is started again keeps its name and counts its processes anew: the lock of
    # the one that was killed then bears our own number.
    mine = holder.pid == os.getpid() and folder.absolute() not in WORKED_IN
    return None if mine or not psutil.pid_exists(holder.pid) else holder


def _told(lock: Path) -> Owner | None:
    """Who holds a folder by what its lock says; None where that is nothing of the kind."""
    try:
        holder = Owner(**(read_object(lock) or {}))
    except TypeError:
        return None
    texts = (holder.host, holder.start, holder.boot)
    sound = isinstance(holder.pid, int) and 0 < holder.pid < _PIDS
    return holder if sound and all(isinstance(text, str) for text in texts) else None


_PIDS = 2**31
"""Numbers of processes are below."""


def _refuse_if_alive(lock: Path) -> None:
    holder = owner(lock.parent)
    if holder is None:
        return
    pid, host, start = holder.pid, holder.host, holder.start
    raise RunLockedError(
        found=f"{lock.parent} is in use by process {pid} on {host} since {start}",
        expected="one process a run folder",
        fix=f"wait for it or choose another run folder; if it is gone, remove {lock}",
    )


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
