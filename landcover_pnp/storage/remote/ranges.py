"""Files at addresses, read by parts: no more is fetched than is looked at, and that once."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import RLock

from requests import Response

from landcover_pnp.config.addresses import WEB, address_of, hidden
from landcover_pnp.errors import AddressError, LandcoverError, NetworkError
from landcover_pnp.storage.remote.client import BrokenError, ask, chunks
from landcover_pnp.storage.remote.state import State, range_of, state_of
from landcover_pnp.storage.remote.stores import StoreObject

BLOCK = 2**14
"""Bytes of the parts in which files are fetched and kept; parts side by side in one request."""

HEAD_BLOCKS = 2
"""Blocks at the beginning of a file that come with the first request."""

KEPT_BLOCKS = 8192
"""Blocks of all files that are kept in memory, 128 MB."""

MOST_FILES = 256
"""Files whose versions are remembered."""


class RemoteFile(ABC):
    """A file at an address.

    Args:
        address: The address, with its query.

    Attributes:
        address: The same.
        final: Where the server has sent the first request on to; else the same.
        error: The last fault of a read that its caller could not be told of.
    """

    def __init__(self, address: str) -> None:
        self.address, self.final = address, address
        self.error: LandcoverError | None = None
        self._state: State | None = None
        self._lock = RLock()
        self._checked = -1

    @property
    def state(self) -> State:
        """Which version of the file there is, asked for once in a generation.

        Raises:
            AddressError, NetworkError: As ``ask``.
        """
        with self._lock:
            if self._state is None or self._checked != _generation:
                content, state = self._fetch(0, HEAD_BLOCKS * BLOCK)
                if state != self._state:
                    _forget(self.address)
                self._state, self._checked, self.error = state, _generation, None
                self._keep(0, content)
            return self._state

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.state.size or 0

    def hash(self) -> str:
        """What takes the place of the hash of its bytes: another one for another version."""
        if self.state.tells:
            return self.state.hash()
        ends = self.read(0, BLOCK) + self.read(max(self.size - BLOCK, 0), BLOCK)
        return self.state.hash(ends)

    def read(self, start: int, size: int) -> bytes:
        """Reads a part; shorter at the end of the file, as files are.

        Raises:
            AddressError, NetworkError: As ``ask``.
        """
        with self._lock:
            end = min(start + max(size, 0), self.size)
            if start >= end:
                return b""
            first, last = start // BLOCK, -(-end // BLOCK)
            there = ((n, _kept(self.address, n)) for n in range(first, last))
            parts = {n: block for n, block in there if block is not None}
            for begin, stop in _runs(n for n in range(first, last) if n not in parts):
                content, state = self._fetch(begin * BLOCK, min(stop * BLOCK, self.size))
                if state != self._state:
                    raise self._changed()
                parts |= self._keep(begin, content)
            self.error = None
            whole = b"".join(parts[n] for n in range(first, last))
            return whole[start - first * BLOCK : end - first * BLOCK]

    def _keep(self, first: int, content: bytes) -> dict[int, bytes]:
        starts = range(0, len(content), BLOCK)
        found = {first + i // BLOCK: content[i : i + BLOCK] for i in starts}
        with _lock:
            for n, block in found.items():
                _blocks[self.address, n] = block
            while len(_blocks) > KEPT_BLOCKS:
                _blocks.popitem(last=False)
        return found

    def _changed(self) -> NetworkError:
        self._state = None
        return NetworkError(
            found=f"{hidden(self.address)} has been changed while it was read",
            expected="one version of it from the beginning to the end",
            fix="repeat the command: it begins with the new one",
        )

    @abstractmethod
    def peek(self) -> State:
        """Which version of the file there is, asked for anew, without a byte of it.

        Raises:
            AddressError, NetworkError: As ``ask``.
        """

    @abstractmethod
    def _fetch(self, start: int, end: int) -> tuple[bytes, State]:
        """Bytes from ``start`` to before ``end``, or to the file's own, and its version."""


class WebFile(RemoteFile):
    """A file on a web server."""

    def peek(self) -> State:
        """As of every file: a request with HEAD."""
        return ask(self.address, state_of, method="HEAD")

    def _fetch(self, start: int, end: int) -> tuple[bytes, State]:
        def take(response: Response) -> tuple[bytes, State]:
            state, part = state_of(response), range_of(response)
            if response.status_code == 416 or (state.size == 0 and part is None):
                return b"", State(0, state.etag, state.modified)
            if part is None and not (start == 0 and state.size and state.size <= end):
                raise AddressError(
                    found=f"{hidden(self.address)} is on a server that gives no parts of files",
                    expected="a server that answers requests with a Range",
                    fix="download the file, for example with curl -O, and name that",
                )
            wanted = end - start if state.size is None else min(end, state.size) - start
            if state.size is None or (part and (part[0], part[1]) != (start, start + wanted)):
                raise BrokenError("the server gives another part than it was asked for")
            content = b"".join(chunks(response))
            if len(content) != wanted:
                raise BrokenError(f"{len(content)} bytes came instead of {wanted}")
            self.final = response.url
            return content, state

        return ask(self.address, take, lambda: {"Range": f"bytes={start}-{end - 1}"})


class StoreFile(RemoteFile):
    """A file in an object store, read by GDAL with its own variables for credentials."""

    def peek(self) -> State:
        """As of every file."""
        return StoreObject.found(self.address).state

    def _fetch(self, start: int, end: int) -> tuple[bytes, State]:
        if self._state is None or self._checked != _generation:
            self._object = StoreObject.found(self.address)
        return self._object.read(start, end - start), self._object.state


class RemoteReader(io.RawIOBase):
    """A remote file as Python reads files; a fault is kept in the file where no one hears it.

    Args:
        file: The file.
        quiet: Whether a fault ends the read early, as libraries need it that call back.
    """

    def __init__(self, file: RemoteFile, *, quiet: bool = False) -> None:
        super().__init__()
        self._file, self._at, self._quiet = file, 0, quiet

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = (self._file.size if start is None else start) + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Reads on."""
        try:
            wanted = self._file.size - self._at if size is None or size < 0 else size
            found = self._file.read(self._at, wanted)
        except LandcoverError as error:
            if not self._quiet:
                raise
            self._file.error = error
            return b""
        self._at += len(found)
        return found

    def readall(self) -> bytes:
        """Reads to the end."""
        return self.read()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads into memory."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


_generation = 0
_files: OrderedDict[str, RemoteFile] = OrderedDict()
_blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
_lock = RLock()


def _kept(address: str, number: int) -> bytes | None:
    """A block that is in memory, which stays there longer for it."""
    with _lock:
        block = _blocks.get((address, number))
        if block is not None:
            _blocks.move_to_end((address, number))
        return block


def _forget(address: str) -> None:
    """Forgets the blocks of a file: it has become another one."""
    with _lock:
        for key in [key for key in _blocks if key[0] == address]:
            del _blocks[key]


def look_again() -> None:
    """From now on every file is asked once more whether it is still the same."""
    global _generation
    _generation += 1


def generation() -> int:
    """How often ``look_again`` has been called: what was asked for earlier may have changed."""
    return _generation


def remote_file(path: str | Path) -> RemoteFile:
    """The file at an address that a path stands for; its parts are kept between calls.

    Raises:
        SettingsError: As ``address_of``.
    """
    address = address_of(path)
    if address is None:
        raise ValueError(f"{path} is no address")
    if address not in _files:
        kind = WebFile if address.partition(":")[0] in WEB else StoreFile
        _files[address] = kind(address)
        while len(_files) > MOST_FILES:
            _files.popitem(last=False)
    _files.move_to_end(address)
    return _files[address]


def register(path: str | Path, file: RemoteFile) -> None:
    """Has an address read by a file of a kind of its own, such as one that signs it.

    Args:
        path: The path that stands for the address.
        file: What ``remote_file`` gives for it from now on.
    """
    address = address_of(path)
    if address is not None:
        _files[address] = file


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers in ascending order as runs: first, and after the last."""
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
        else:
            found.append((n, n + 1))
    return found
