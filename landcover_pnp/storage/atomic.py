"""Files and folders under their final names only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landcover_pnp.errors import RequestError
from landcover_pnp.storage.disk_space import disk_full_error
from landcover_pnp.storage.failpoints import failpoint
from landcover_pnp.storage.presence import require_there

PARTIAL = ".partial-"
"""Beginning of the names of files that are not complete."""


@contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A file that gets its final name only when it is complete.

    Args:
        path: The final name.

    Yields:
        A name ``.partial-*`` beside it to write to. When the block ends well, the file is
        flushed to disk and renamed, with the ``.aux.xml`` GDAL may have put beside it; when
        it does not, what was written is removed and an older file stays as it was.

    Raises:
        DiskFullError: If there is no room for it.
        RequestError, RunGoneError: As ``make_folder``.
    """
    make_folder(path.parent)
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    sidecar = partial.with_name(partial.name + ".aux.xml")
    try:
        yield partial
        failpoint("before-rename", path.name)
        beside = path.with_name(path.name + ".aux.xml")
        if not sidecar.exists():
            beside.unlink(missing_ok=True)  # what it says is about the older file
        for written, final in ((sidecar, beside), (partial, path)):
            if written.exists() or written == partial:
                with written.open("r+b") as file:  # Windows synchronises only what may be written
                    os.fsync(file.fileno())
                written.replace(final)
        failpoint("after-rename", path.name)
    except OSError as error:
        full = disk_full_error(path, error)
        if full is None:
            raise
        raise full from error
    finally:
        for leftover in (partial, sidecar):
            leftover.unlink(missing_ok=True)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A name beside a file for what it is made of; removed at the end, with its ``.aux.xml``."""
    plain = path.with_name(f"{PARTIAL}plain-{path.name}")
    try:
        yield plain
    finally:
        for leftover in (plain, plain.with_name(f"{plain.name}.aux.xml")):
            leftover.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes a folder to write to, unless it is there already.

    Raises:
        DiskFullError: If there is no room for it.
        RequestError: If it cannot be made, or nothing can be written there.
        RunGoneError: If it lies in a folder that this process works in and that is no more.
    """
    require_there(folder)
    reason = "no permission to write there"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        if full := disk_full_error(folder, error):
            raise full from error
        writable, reason = False, str(error.strerror)
    if not writable:
        raise RequestError(
            found=f"the folder {folder} cannot be written to: {reason}",
            expected="a folder in which files can be made",
            fix="choose another folder, or correct its permissions",
        )


def write_text(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, under its final name only when it is complete."""
    with completed(path) as partial:
        partial.write_text(text, encoding="utf-8")
