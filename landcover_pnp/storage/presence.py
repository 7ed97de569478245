"""Folders that a process works in, and whether they are still the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landcover_pnp.errors import RunGoneError

LOCK = ".lock"
"""Name of the file in a folder that says which process holds it."""

WORKED_IN: dict[Path, str | None] = {}
"""What the lock says in each folder this process works in; None if another process holds it."""


@contextmanager
def worked_in(folder: Path, lock: str | None = None) -> Iterator[None]:
    """Keeps this process from making a folder again that is deleted while it works there.

    Args:
        folder: The folder; it is locked.
        lock: What its lock says, where this process has written it.

    Raises:
        RunGoneError: At the end of the block, also in place of what has come of it, if the folder
            was deleted, moved or replaced meanwhile.
    """
    folder = folder.absolute()
    if folder in WORKED_IN:
        yield
        return
    WORKED_IN[folder] = lock
    try:
        yield
    except Exception as error:
        if not isinstance(error, RunGoneError) and _gone(folder):
            raise _gone_error(folder) from error
        raise
    else:
        require_there(folder)
    finally:
        del WORKED_IN[folder]


def require_there(path: Path) -> None:
    """Refuses to write where a folder that this process works in is no more.

    Args:
        path: The folder, or a file or folder in it; another one is none of this module's business.

    Raises:
        RunGoneError: If the folder was deleted, moved or replaced.
    """
    for folder in list(WORKED_IN):
        if path.absolute().is_relative_to(folder) and _gone(folder):
            raise _gone_error(folder)


def _gone(folder: Path) -> bool:
    written = WORKED_IN.get(folder)
    with suppress(OSError):
        found = (folder / LOCK).read_text(encoding="utf-8")
        return written is not None and found != written
    return True


def _gone_error(folder: Path) -> RunGoneError:
    what = "replaced, or its lock was removed" if folder.is_dir() else "deleted or moved"
    return RunGoneError(
        found=f"{folder}, the folder this process works in, was {what} meanwhile",
        expected="a folder that stays where it is until the work is done",
        fix="repeat the command to start anew, or, if it was moved, with its new name",
    )
