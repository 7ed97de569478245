"""Zip archives, unpacked: what is in them is looked at before any of it is written."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path, PurePosixPath

from landcover_pnp.errors import DamagedError, RasterError, RequestError
from landcover_pnp.storage.atomic import completed

MOST_MEMBERS = 100_000
"""Files in an archive that is opened."""

LOCAL_HEADER_BYTES = 30
"""Bytes before the name of a member, where it lies in the archive."""

CHUNK = 2**20

ENCRYPTED = 1
"""Flag of a member that needs a password."""


class HostileError(RasterError):
    """An archive has members that an honest one does not have: nothing of it is unpacked."""


class Archive:
    """A zip archive whose members' names, kinds and places have been looked at.

    Args:
        path: The file.
        file: It, opened.

    Attributes:
        path: The file.
        members: Its files by name, with ``/``, in the archive's order.
    """

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path, self._file = path, file
        self.members = {info.filename: info for info in file.infolist() if not info.is_dir()}

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Archive]:
        """Opens an archive.

        Raises:
            HostileError: If a member would be written elsewhere, is a link or something special,
                shares its name or its bytes with another, or there are too many.
            DamagedError: If it is no zip archive, or damaged.
        """
        try:
            with zipfile.ZipFile(path) as file:
                for fault in _faults(file.infolist()):
                    raise HostileError(
                        found=f"{path} {fault}",
                        expected="an archive of plain files, each below the folder that it is "
                        "unpacked to",
                        fix="fetch it again from where it is published; nothing was unpacked",
                    )
                yield cls(path, file)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DamagedError(
                found=f"{path} cannot be unpacked: {error}",
                expected="a zip archive, whole",
                fix="fetch it again",
            ) from error

    def size_of(self, names: list[str]) -> int:
        """Bytes of members when they are unpacked, as the archive says."""
        return sum(self.members[name].file_size for name in names)

    def unpack(self, name: str, path: Path) -> None:
        """Writes a member; under its final name only when it is complete and its checksum right.

        Raises:
            DamagedError: As ``opened``, which must be around it.
            DiskFullError: If there is no room.
        """
        info = self.members[name]
        with completed(path) as partial, self._file.open(info) as source:
            written = 0
            with partial.open("wb") as target:
                while chunk := source.read(CHUNK):
                    written += len(chunk)
                    target.write(chunk)
            if written != info.file_size:
                raise zipfile.BadZipFile(f"{name} has {written} bytes, not {info.file_size}")


def require_size(path: Path, size: int, most_bytes: int) -> None:
    """Refuses an archive that would become larger than what is expected of it.

    Raises:
        RequestError: Says both sizes.
    """
    if size > most_bytes:
        raise RequestError(
            found=f"what is asked for of {path} has {size / 1e9:.1f} GB when it is unpacked",
            expected=f"at most {most_bytes / 1e9:g} GB",
            fix="raise most_gb if it should be that large",
        )


def _faults(infos: list[zipfile.ZipInfo]) -> Iterator[str]:
    """What is wrong with members, one phrase each."""
    if len(infos) > MOST_MEMBERS:
        yield f"has {len(infos)} members, more than {MOST_MEMBERS}"
    for info in infos:
        what = _fault(info)
        if what:
            yield f"has the member {info.filename[:200]!r}, {what}"
    names = Counter(info.filename.rstrip("/").casefold() for info in infos)
    for name, times in names.items():
        if times > 1:
            yield f"has {times} members of the name {name[:200]!r}"
        for above in PurePosixPath(name).parents:
            inside = str(above)
            if inside in names and not any(
                info.is_dir() for info in infos if info.filename.rstrip("/").casefold() == inside
            ):
                yield f"has the member {name[:200]!r} below the file {inside[:200]!r}"
    placed = sorted((i.header_offset, i.compress_size, i.filename) for i in infos)
    for (start, size, name), (after, _, _) in pairwise(placed):
        if start + LOCAL_HEADER_BYTES + size > after:
            yield f"has the member {name[:200]!r}, which shares its bytes with another"


def _fault(info: zipfile.ZipInfo) -> str:
    """What is wrong with a member by itself; empty if nothing is."""
    name, mode = info.orig_filename, info.external_attr >> 16
    parts = name.rstrip("/").split("/")
    if "\0" in name or "\\" in name or not name.isprintable():
        return "whose name has characters that no name has"
    if name.startswith("/") or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        return "which lies outside of the archive's folder"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "which is a link or a special file"
    if info.flag_bits & ENCRYPTED:
        return "which is encrypted"
    return ""
