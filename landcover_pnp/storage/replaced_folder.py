"""A folder of our files that is replaced as a whole; what else lies in it stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from landcover_pnp.errors import RequestError
from landcover_pnp.interruption import uninterrupted
from landcover_pnp.storage.atomic import PARTIAL, make_folder
from landcover_pnp.storage.failpoints import failpoint
from landcover_pnp.storage.owned_folder import OwnedFolder

PREVIOUS = ".previous-"
"""Beginning of the name that the old folder has while the new one takes its place."""


@contextmanager
def replaced(owner: OwnedFolder, name: str) -> Iterator[Path]:
    """Makes a folder anew beside the old one, which it replaces when it is complete.

    Two renames replace it: whenever the process ends, either the old or the new folder is
    whole. Should it end between the two, the old one stands under ``.previous-*`` and the next
    call puts it back first. Files that are not ours go along as they are: they are linked into
    the new folder before it takes the old one's place.

    Args:
        owner: The owned folder around it.
        name: Name of the folder, relative to the owner, with ``/``.

    Yields:
        An empty folder to write to; removed when the block fails.

    Raises:
        RequestError: If a file of the new folder has the name of one that is not ours.
    """
    folder = owner.path / name
    staging, previous = beside(folder)
    owner.claim(*(path.relative_to(owner.path).as_posix() for path in (staging, previous)))
    if previous.exists() and not folder.exists():
        previous.rename(folder)
    for leftover in (staging, previous):
        if leftover.exists():
            shutil.rmtree(leftover)  # claimed: nobody else's, what is foreign in it was linked
    try:
        make_folder(staging)
        yield staging
        written = {path.relative_to(staging).as_posix() for path in _files(staging)}
        owner.claim(*(f"{name}/{file}" for file in written))
        foreign = _foreign(folder, lambda file: owner.owns(f"{name}/{file}"))
        for file in foreign:
            _link(folder / file, staging / file)
        failpoint("complete", folder.name)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)  # it may be gone, with all around it
        raise
    with uninterrupted():
        if folder.exists():
            folder.rename(previous)
            failpoint("moved-away", folder.name)
        staging.rename(folder)
        failpoint("replaced", folder.name)
        shutil.rmtree(previous, ignore_errors=True)
        ours = {n for n in owner.names if n.startswith(f"{name}/")}
        owner.disown(*(ours - {f"{name}/{file}" for file in written}))


def beside(folder: Path) -> tuple[Path, Path]:
    """The names of the new and the old folder while one takes the other's place."""
    return folder.with_name(f"{PARTIAL}{folder.name}"), folder.with_name(f"{PREVIOUS}{folder.name}")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _foreign(folder: Path, owned: Callable[[str], bool]) -> list[str]:
    """Files of a folder, in folders below it too, that are not ours."""
    names = (path.relative_to(folder).as_posix() for path in _files(folder))
    return sorted(name for name in names if not owned(name))


def _link(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, to, follow_symlinks=False)
    except FileExistsError:
        raise RequestError(
            found=f"{file} is not of this run, and a file of this run is to have its name",
            expected="a free name: only files of its own are replaced",
            fix="move the file elsewhere and repeat the command",
        ) from None
    except OSError:  # a file system without hard links
        shutil.copy2(file, to, follow_symlinks=False)
