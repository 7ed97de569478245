"""Files that a user names: what they are, looked at before anything opens them."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path

from landcover_pnp.config.texts import LOCAL, is_elsewhere
from landcover_pnp.errors import RasterError, RequestError

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_file(
    path: Path,
    what: str,
    expected: str = "a file",
    *,
    folder: bool = False,
    error: type[RequestError] = RasterError,
) -> None:
    """Refuses what is no regular file that can be read, without opening it.

    A named pipe or a device would be waited for, or read for ever; so would one that lies where a
    driver looks for a part of the file, such as ``roads.dbf`` beside ``roads.shp``.

    Args:
        path: The file, as the user named it.
        what: What it is meant to be, named in messages.
        expected: What it should be.
        folder: Whether it may be a folder too.
        error: Class of the error.

    Raises:
        RequestError: Of the class ``error``: what it is instead, and what to do.
    """
    named = f"{path} ({what})"
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as fault:
        found, fix = _absent(path, named, fault)
        raise error(found=found, expected=expected, fix=fix) from fault
    if stat.S_ISDIR(mode) and not folder:
        fix = "name a file in it"
        raise error(found=f"{named} is a folder", expected=expected, fix=fix)
    if not os.access(path, os.R_OK):
        fix = "correct its permissions, or name another file"
        raise error(found=f"{named} may not be read", expected=expected, fix=fix)
    own = _special(mode)
    beside = {} if own else _special_parts(path, folder=stat.S_ISDIR(mode))
    for name, kind in ({named: own} if own else beside).items():
        raise error(
            found=f"{name} is {kind}, no regular file",
            expected=expected,
            fix="write what it gives to a file and name that"
            if own
            else f"move it away: it would be read as a part of {path.name}",
        )


def _absent(path: Path, named: str, fault: OSError | ValueError) -> tuple[str, str]:
    """What is said of a path that nothing can be found out about, and the fix."""
    if is_elsewhere(str(path)):
        return f"{named} is an address or one of GDAL's virtual paths, no local file", LOCAL
    if isinstance(fault, (FileNotFoundError, NotADirectoryError)):
        fix = "correct the path; relative paths count from the configuration's folder"
        return f"no file {named}", fix
    return f"{named} cannot be read: {getattr(fault, 'strerror', fault)}", "correct the path"


def _special(mode: int) -> str:
    return _SPECIAL.get(stat.S_IFMT(mode), "")


def _special_parts(path: Path, *, folder: bool) -> dict[str, str]:
    """Special files by name that drivers would read with a file, or in a folder of files."""
    where = path if folder else path.parent
    found = _special_in(where, where.stat().st_mtime_ns)
    starts = tuple(f"{path.stem}{mark}" for mark in "._")
    return {str(where / name): kind for name, kind in found if folder or name.startswith(starts)}


@lru_cache(maxsize=256)
def _special_in(folder: Path, _changed: int) -> tuple[tuple[str, str], ...]:
    """Special files of a folder and what they are; read again when the folder has changed."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
                continue
            try:
                kind = _special(entry.stat().st_mode)
            except OSError:  # a link to nothing
                continue
            if kind:
                found.append((entry.name, kind))
    return tuple(found)
