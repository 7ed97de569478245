"""What a catalogue names is read: texts and files, and nothing beyond what the user has allowed.

A catalogue on a server names addresses; one on disk names files below its own folder, or addresses.
Machines of a local network are refused as everywhere (``storage.remote.policy``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from requests import Response

from landcover_pnp.config.addresses import STORES, as_path, hidden, is_address
from landcover_pnp.config.texts import control_character
from landcover_pnp.errors import AddressError, NetworkError, RasterError
from landcover_pnp.fetch.settings import SIGNING
from landcover_pnp.storage.remote.client import BrokenError, ask, chunks
from landcover_pnp.storage.remote.ranges import WebFile, register, remote_file
from landcover_pnp.storage.remote.state import State
from landcover_pnp.storage.user_files import require_file

T = TypeVar("T")

MOST_BYTES = 64 * 2**20
"""Largest text that is taken: a page of a catalogue has a few megabytes."""

RENEW_S = 60.0
"""Time before its end from which a signature is renewed."""


class CatalogueReader:
    """Reads what a catalogue names.

    Args:
        catalogue: Its address, or its file.
        sign: Address of the service that signs addresses; None for none.
    """

    def __init__(self, catalogue: str, sign: str | None = None) -> None:
        self.root = None if is_address(catalogue) else Path(catalogue).resolve().parent
        self._signer = Signer(sign) if sign is not None else None

    def text(self, address: str) -> str:
        """The text at an address, or in a file, that the catalogue or the user names.

        Raises:
            AddressError, NetworkError: As ``storage.remote.client.ask``.
            RasterError: If it is a file that does not lie below the catalogue's folder.
        """
        if is_address(address):
            return text_at(address)
        path = self._inside(address)
        require_file(path, "STAC catalogue", "a JSON file")
        return path.read_text(encoding="utf-8")

    def file(self, address: str) -> Path:
        """The path of a file that the catalogue names, as rasters and vectors are opened by.

        Raises:
            SettingsError: If it is no address that is read.
            RasterError: If it is a file that does not lie below the catalogue's folder.
        """
        if not is_address(address):
            return self._inside(address)
        path = as_path(address, "an address in the catalogue")
        if self._signer is not None and self._signer.signs(address):
            register(path, SignedFile(address, self._signer))
        return path

    def _inside(self, name: str) -> Path:
        plain = "://" not in name and not name.startswith("/vsi") and not control_character(name)
        path = (self.root / name).resolve() if self.root is not None and plain else None
        if path is None or self.root is None or not path.is_relative_to(self.root):
            where = f"files below {self.root}" if self.root else "the catalogue is on a server"
            raise RasterError(
                found=f"the catalogue names {name!r}",
                expected="addresses with https, s3, gs or az"
                + (f", or {where}" if self.root else f": {where}"),
                fix="take another catalogue: this one reaches for what it should not",
            )
        return path


class Signer:
    """A service that signs addresses for a while, as that of the Planetary Computer.

    Args:
        service: Its address; the address to sign follows as ``href``.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._signed: dict[str, tuple[str, float]] = {}

    def signs(self, address: str) -> bool:
        """Whether it is to be asked: the Planetary Computer for what lies in Azure alone."""
        host = urlsplit(address).hostname or ""
        in_stores = address.partition(":")[0] in STORES
        return not in_stores and (
            self._service != SIGNING or host.endswith(".blob.core.windows.net")
        )

    def signed(self, address: str) -> str:
        """An address with a signature that is valid for a while yet.

        Raises:
            AddressError, NetworkError: If the service does not sign it.
        """
        known, end = self._signed.get(address, ("", 0.0))
        if known and time.time() < end - RENEW_S:
            return known
        mark = "&" if "?" in self._service else "?"
        text = text_at(f"{self._service}{mark}href={quote(address, safe='')}")
        try:
            answer = json.loads(text)
            found, expiry = str(answer["href"]), answer.get("msft:expiry")
            end = datetime.fromisoformat(expiry).timestamp() if expiry else time.time() + 600
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NetworkError(
                found=f"{hidden(self._service)} does not sign {hidden(address)}: its answer is "
                "no JSON object with href",
                expected="a service such as that of the Planetary Computer",
                fix="correct its address, or set sign to null for files that need no signature",
            ) from error
        if urlsplit(found)[:3] != urlsplit(address)[:3]:
            raise AddressError(
                found=f"{hidden(self._service)} makes {hidden(found)} of {hidden(address)}",
                expected="the same address with a signature behind it",
                fix="take another service",
            )
        self._signed[address] = found, end
        return found

    def forget(self, address: str) -> None:
        """Has the next request signed anew."""
        self._signed.pop(address, None)


class SignedFile(WebFile):
    """A file whose address is signed at each request, and anew where a signature is refused.

    Args:
        address: Its address without a signature.
        signer: Signs it.
    """

    def __init__(self, address: str, signer: Signer) -> None:
        super().__init__(address)
        self._plain, self._signer = address, signer

    def peek(self) -> State:
        """As of every file."""
        return self._signed(super().peek)

    def _fetch(self, start: int, end: int) -> tuple[bytes, State]:
        return self._signed(partial(super()._fetch, start, end))

    def _signed(self, request: Callable[[], T]) -> T:
        """Makes a request with a signature, and once more with a new one."""
        self.address = self._signer.signed(self._plain)
        try:
            return request()
        except AddressError:
            self._signer.forget(self._plain)
            self.address = self._signer.signed(self._plain)
            return request()
        finally:
            self.address = self._plain


def version_of(path: Path) -> str:
    """Which version of a file there is: another text for another one, without a byte of it.

    Args:
        path: The file, or the path of its address.

    Raises:
        RasterError: If there is no such file.
        AddressError, NetworkError: If it cannot be asked for.
    """
    if is_address(path):
        return remote_file(path).peek().hash()
    require_file(path, "source")
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns}"


def size_of(path: Path) -> int:
    """Size of a file, or of one at an address, in bytes; 0 where it is not told."""
    if is_address(path):
        return remote_file(path).peek().size or 0
    return path.stat().st_size


def text_at(address: str) -> str:
    """The text at an address.

    Raises:
        AddressError, NetworkError: As ``storage.remote.client.ask``.
    """

    def take(response: Response) -> str:
        length = response.headers.get("Content-Length", "")
        content = b""
        try:
            for part in chunks(response):
                content += part
                if len(content) > MOST_BYTES:
                    raise AddressError(
                        found=f"{hidden(address)} has more than {MOST_BYTES // 2**20} MB",
                        expected="a text such as a page of a catalogue",
                        fix="correct the address",
                    )
        except BrokenError as error:  # of a text its beginning is of no use
            raise BrokenError(str(error)) from error
        if length.isdigit() and len(content) != int(length):
            raise BrokenError(f"{len(content)} bytes came instead of {length}")
        if content.startswith((b"{", b"[")):
            try:
                json.loads(content)
            except ValueError as error:
                raise BrokenError("the answer is JSON that is cut short") from error
        return content.decode("utf-8", errors="replace")

    as_path(address)
    return ask(address, take)
