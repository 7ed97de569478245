"""Folders that this package writes to, and the names in them that are its own.

Nothing is removed or replaced by a pattern or because of the folder it lies in: a marker file in
the folder lists the names that this package has claimed there, and only these are touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import RequestError
from landcover_pnp.storage.atomic import PARTIAL, make_folder
from landcover_pnp.storage.lock import locked
from landcover_pnp.storage.marker import MARKER, TILE, Marker, TileNames
from landcover_pnp.storage.presence import LOCK

_HALF = rf"(?:{re.escape(PARTIAL)}(?:\d+-|plain-)?)+"


@dataclass
class OwnedFolder:
    """A folder of ours, held by its marker.

    Attributes:
        path: The folder.
        kind: What it holds, such as ``map run``.
        names: Claimed names, relative to it, with ``/``.
        tiles: Claimed names of tiles.
        old: Whether it was written by a version without markers, or its marker is damaged: what
            lies under a name that it claims first is taken for its own.
        kept: Whether there is work in it that outlives a request that turns out to be a bad one.
    """

    path: Path
    kind: str
    names: set[str] = field(default_factory=set)
    tiles: list[TileNames] = field(default_factory=list)
    old: bool = False
    kept: bool = False

    @classmethod
    def take(
        cls, path: Path, kind: str, signs: Sequence[str] = (), *, beside: bool = False
    ) -> Self:
        """Takes a folder to write to: a new or empty one, or one that this package has made.

        Nothing is written yet.

        Args:
            path: The folder.
            kind: What it holds.
            signs: Files that all lie in such a folder of a version without markers.
            beside: Whether a few names are claimed beside whatever else lies there.

        Raises:
            RequestError: If the folder holds something else, or is part of another run's folder.
        """
        _require_outside(path, kind)
        if not path.exists():
            return cls(path, kind)
        marked = Marker.read(path)
        if marked is not None and (marked.kind == kind or beside):
            # What is claimed beside makes no catalogue of a batch, which will be gone on with.
            return cls(path, marked.kind, set(marked.names), list(marked.tiles))
        if marked is not None:
            raise _foreign(path, kind, f"is the folder of a {marked.kind}")
        if not path.is_dir():
            raise _foreign(path, kind, "is a file")
        others = sorted(
            entry.name
            for entry in path.iterdir()
            if entry.name != LOCK and not entry.name.startswith(PARTIAL)
        )
        old = bool(signs) and all((path / sign).is_file() for sign in signs)
        ours = beside or old or all(Marker.read(path / name) for name in others)
        if not ours:
            listed = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
            raise _foreign(path, kind, f"holds files that are not of its making: {listed}")
        return cls(path, kind, old=old)

    def owns(self, name: str) -> bool:
        """Whether a name, relative to the folder, has been claimed."""
        return name in self.names or any(name in tiles for tiles in self.tiles)

    def claim(self, *names: str, tiles: TileNames | None = None) -> None:
        """Claims names before anything is written under them.

        Args:
            *names: Names, relative to the folder.
            tiles: Names of the tiles' files, instead of all claimed before in the same folder.

        Raises:
            RequestError: If something lies there that is not ours.
        """
        new = [name for name in names if not self.owns(name)]
        taken = [name for name in new if os.path.lexists(self.path / name)]
        if tiles is not None:
            taken += [
                name
                for name in self._files_in(tiles.folder)
                if name in tiles and not self.owns(name)
            ]
        if taken and not self.old:
            raise RequestError(
                found=f"{self.path / taken[0]} is there already, and is not of this {self.kind}",
                expected="a free name: only files of its own are replaced",
                fix="move the file elsewhere, or choose another folder",
            )
        self.names.update(new)
        if tiles is not None and tiles not in self.tiles:
            self.tiles.append(tiles)
            self.names = {name for name in self.names if name not in tiles}
        self._write()

    def disown(self, *names: str) -> None:
        """Gives up claims on names under which nothing of ours lies any more."""
        self.names.difference_update(names)
        self._write()

    def remove(self, *names: str) -> None:
        """Removes files under claimed names."""
        for name in names:
            if self.owns(name):
                _unlink(self.path / name)

    def remove_other_tiles(self, tiles: TileNames) -> None:
        """Removes the files of claimed tiles that another grid does not have, and the claims."""
        for name in self._files_in(tiles.folder):
            tile = TILE.fullmatch(name.rpartition("/")[2])
            if tile and self.owns(name) and name not in tiles:
                _unlink(self.path / name)
                self.names.discard(name)
        self.tiles = [t for t in self.tiles if t.folder != tiles.folder] + [tiles]
        self._write()

    def remove_partials(self) -> None:
        """Removes what an interrupted process left half-written under claimed names."""
        folders = {name.rpartition("/")[0] for name in self.names} | {t.folder for t in self.tiles}
        for folder in folders:
            for name in list(self._files_in(folder)):
                if self._half_written(name):
                    _unlink(self.path / name)

    def clear(self) -> None:
        """Removes all that is ours, and the folder if nothing else is in it."""
        for root, _, files in os.walk(self.path, topdown=False):
            for file in files:
                name = (Path(root) / file).relative_to(self.path).as_posix()
                if self.owns(name) or name == MARKER or self._half_written(name):
                    _unlink(self.path / name)
            with suppress(OSError):  # not empty
                Path(root).rmdir()

    def _half_written(self, name: str) -> bool:
        folder, slash, file = name.rpartition("/")
        final = re.fullmatch(_HALF + r"(.+?)(?:\.aux\.xml)?", file)
        return final is not None and self.owns(folder + slash + final[1])

    def _files_in(self, folder: str) -> Iterator[str]:
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self.path / folder) as all_,
        ):
            for entry in all_:
                if not entry.is_dir(follow_symlinks=False):
                    yield f"{folder}/{entry.name}" if folder else entry.name

    def _write(self) -> None:
        Marker.write(self.path, self.kind, self.names, self.tiles)


@contextmanager
def held(
    path: Path,
    kind: str,
    signs: Sequence[str] = (),
    names: Iterable[str] = (),
    lost: Callable[[], Iterable[str]] = tuple,
) -> Iterator[OwnedFolder]:
    """Takes a folder and holds it for this process; removes what was left half-written in it.

    Args:
        path: The folder; made if it does not exist, and then removed again with all that is
            ours in it where the request turns out to be a bad one, unless ``kept`` is set.
        kind: What it holds.
        signs: As for ``OwnedFolder.take``.
        names: Claimed at once.
        lost: Gives the names that are claimed besides where the marker has been lost.

    Yields:
        The folder; further names are to be claimed before they are written to.

    Raises:
        RequestError: As ``OwnedFolder.take`` and ``atomic.make_folder``.
        RunLockedError: If another process holds it; names pid, host and start.
        DiskFullError: If there is no room for it.
    """
    OwnedFolder.take(path, kind, signs)  # refused before anything is made
    fresh = not path.exists()
    with locked(path):
        folder = OwnedFolder.take(path, kind, signs)
        try:
            folder.claim(*names, *(lost() if folder.old else ()))
            folder.remove_partials()
            yield folder
        except RequestError:
            if fresh and not folder.kept:
                folder.clear()
            raise


def require_apart(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuses outputs that are inputs, whatever links and spellings lead to them.

    Args:
        inputs: Files or folders that are read.
        outputs: Files or folders that are written; what lies in such a folder counts too.

    Raises:
        RequestError: Names the first one.
    """
    written = [output.resolve() for output in outputs]
    for path in inputs:
        if is_address(path):
            continue
        real = path.resolve()
        for output in written:
            if real == output or output in real.parents:
                raise RequestError(
                    found=f"the input {path} lies where this command writes: {output}",
                    expected="inputs that are no outputs",
                    fix="move the input elsewhere, or choose another folder to write to",
                )


def make_owned(
    path: Path, kind: str, *names: str, signs: Sequence[str] = (), beside: bool = False
) -> OwnedFolder:
    """Takes a folder without holding it, and claims names in it: for one quick writing.

    Raises:
        RequestError: As ``OwnedFolder.take`` and ``OwnedFolder.claim``.
    """
    folder = OwnedFolder.take(path, kind, signs, beside=beside)
    make_folder(path)
    folder.claim(*names)
    return folder


def _require_outside(path: Path, kind: str) -> None:
    for parent in path.absolute().parents:
        marked = Marker.read(parent)
        if marked is not None and marked.kind in _WHOLE:
            raise RequestError(
                found=f"{path} lies in {parent}, the folder of a {marked.kind}",
                expected=f"a folder of its own for the {kind}",
                fix="choose a folder outside of it",
            )


_WHOLE = ("map run", "synthetic city", "prior", "comparison")
"""Kinds of folders that hold no others."""


def _foreign(path: Path, kind: str, what: str) -> RequestError:
    return RequestError(
        found=f"{path} {what}",
        expected=f"a new or empty folder, or that of an earlier {kind}",
        fix="choose another folder; nothing was written",
    )


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        path.unlink()
