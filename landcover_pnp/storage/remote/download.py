"""Whole files from web servers: resumed where they broke off, checked before they are there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from requests import Response

from landcover_pnp.config.addresses import hidden
from landcover_pnp.errors import AddressError, NetworkError
from landcover_pnp.storage.atomic import PARTIAL, make_folder
from landcover_pnp.storage.checked_json import read_object
from landcover_pnp.storage.disk_space import disk_full_error, require_space
from landcover_pnp.storage.failpoints import failpoint
from landcover_pnp.storage.remote.client import BrokenError, ask, chunks
from landcover_pnp.storage.remote.state import State, range_of, state_of

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""Checksums by their number of hex digits."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is downloaded.

    Attributes:
        checksum: Its MD5, SHA-1, SHA-256 or SHA-512, hex digits; None is not checked.
        size: Its size in bytes; None takes what the server says.
        most_bytes: Largest size that is downloaded.
    """

    checksum: str | None = None
    size: int | None = None
    most_bytes: int = 2**40


def checksum_of(path: Path, digits: int) -> str:
    """Checksum of a file by the algorithm that has so many hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, ALGORITHMS[digits]).hexdigest()


def download(
    address: str,
    path: Path,
    expected: Expected | None = None,
    progress: Callable[[int, int | None], None] = lambda *_: None,
) -> State:
    """Downloads a file; what an earlier call has got of it is kept.

    Args:
        address: https or http.
        path: Where it goes; replaced when the new one is complete and right.
        expected: What it must be.
        progress: Called with the bytes that are there and the whole size, if that is known.

    Returns:
        Size, ETag and date of the file, as the server tells.

    Raises:
        AddressError: If the address may not be opened, there is nothing, or it is another file.
        NetworkError: If the server fails, also when asked again; the beginning of the file waits
            beside it, ``.partial-download-NAME``, for the next call.
        RequestError, DiskFullError: If there is no room for it.
    """
    whole = expected or Expected()
    make_folder(path.parent)
    getting = _Download(address, path, whole, progress)
    try:
        state = getting.run()
    except OSError as error:
        full = disk_full_error(path, error)
        if full is None:
            raise
        raise full from error
    getting.check(state)
    failpoint("before-rename", path.name)
    getting.partial.replace(path)
    getting.note.unlink(missing_ok=True)
    return state


class _Download:
    """A file on its way: its bytes so far, and of which version of it they are."""

    def __init__(
        self,
        address: str,
        path: Path,
        expected: Expected,
        progress: Callable[[int, int | None], None],
    ) -> None:
        self.address, self.path, self.expected, self.progress = address, path, expected, progress
        self.partial = path.with_name(f"{PARTIAL}download-{path.name}")
        self.note = self.partial.with_name(f"{self.partial.name}.json")
        self.state: State | None = None
        self._furthest = 0
        known = read_object(self.note)
        with suppress(TypeError, KeyError):
            if known is not None and self.partial.is_file():
                self.state = State(**known)

    def run(self) -> State:
        """Gets what is missing, in as many requests as it takes."""
        return ask(self.address, self._take, self._headers)

    def _headers(self) -> dict[str, str]:
        start = self._got()
        if not start or self.state is None:
            return {}
        mark = self.state.strong_etag or self.state.modified
        return {"Range": f"bytes={start}-", **({"If-Range": mark} if mark else {})}

    def _got(self) -> int:
        return self.partial.stat().st_size if self.state and self.partial.is_file() else 0

    def _take(self, response: Response) -> State:
        state, start = state_of(response), self._got()
        if response.status_code == 416:
            if self.state is not None and start == self.state.size:
                return self.state
            self._begin(None)
            raise BrokenError("the file has become another one")
        if response.status_code == 206:
            asked = range_of(response)
            if self.state is None or state != self.state or asked is None or asked[0] != start:
                self._begin(None)
                raise BrokenError("the server gives another part than it was asked for")
        else:
            start = 0
            self._require_size(state)
            self._begin(state)
        self._write(response, start, state)
        return state

    def _write(self, response: Response, start: int, state: State) -> None:
        with self.partial.open("ab" if start else "wb") as file:
            try:
                for chunk in chunks(response):
                    start += len(chunk)
                    if start > (state.size or self.expected.most_bytes):
                        raise self._wrong(f"more than {state.size} bytes came")
                    file.write(chunk)
                    self.progress(start, state.size)
            except BrokenError as error:
                raise BrokenError(str(error), progress=self._is_further(start)) from error
            finally:
                file.flush()
                os.fsync(file.fileno())
        if state.size is not None and start < state.size:
            reason = f"the answer ended after {start} of {state.size} bytes"
            raise BrokenError(reason, progress=self._is_further(start))

    def _is_further(self, got: int) -> bool:
        """Whether more is there than ever: a server without parts begins anew each time."""
        before, self._furthest = self._furthest, max(got, self._furthest)
        return got > before

    def _begin(self, state: State | None) -> None:
        """Begins the file anew."""
        self.partial.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.state = state
        if state is not None:
            self.note.write_text(json.dumps(state.as_json()), encoding="utf-8")

    def _require_size(self, state: State) -> None:
        if self.expected.size not in (None, state.size) and state.size is not None:
            raise self._wrong(f"has {state.size} bytes, not {self.expected.size}")
        if (state.size or 0) > self.expected.most_bytes:
            raise self._wrong(f"has {state.size} bytes, more than {self.expected.most_bytes}")
        require_space(self.path.parent, state.size or 0)

    def check(self, state: State) -> None:
        """Refuses a file that is not the expected one, and removes it.

        Raises:
            AddressError: If the server has another file.
            NetworkError: If it was damaged on its way.
        """
        size, checksum = self.partial.stat().st_size, self.expected.checksum
        wanted = self.expected.size if self.expected.size is not None else state.size
        if wanted is not None and size != wanted:
            raise self._wrong(f"has {size} bytes, not {wanted}")
        if checksum is None:
            return
        found = checksum_of(self.partial, len(checksum))
        if found != checksum.lower():
            self._begin(None)
            raise NetworkError(
                found=f"{hidden(self.address)} has the checksum "
                f"{found}, not {checksum}: it is another file, or was damaged on its way",
                expected=f"{size} bytes with the right {ALGORITHMS[len(checksum)].upper()}",
                fix="repeat the command; if it happens again, the file there is not the one "
                "that is meant",
            )

    def _wrong(self, what: str) -> AddressError:
        self._begin(None)
        return AddressError(
            found=f"{hidden(self.address)}: {what}",
            expected="the file that is meant",
            fix="correct the address, or what is expected of the file",
        )
