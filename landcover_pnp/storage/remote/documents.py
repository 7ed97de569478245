"""Texts at addresses, read whole: lists, catalogues and what searches answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from requests import Response

from landcover_pnp.config.addresses import WEB, address_of, shown
from landcover_pnp.errors import AddressError
from landcover_pnp.storage.remote.client import BrokenError, ask, chunks
from landcover_pnp.storage.remote.ranges import remote_file
from landcover_pnp.storage.remote.state import state_of

MOST_BYTES = 64 * 2**20
"""Largest text that is read."""


def read_document(
    path: Path, is_other: Callable[[bytes], bool] = lambda _: False, most_bytes: int = MOST_BYTES
) -> bytes:
    """Reads a text at an address; a server need not give parts of it.

    Args:
        path: Path of the address.
        is_other: Whether its first bytes show that it is no text that is meant.
        most_bytes: Largest text that is read.

    Returns:
        All of it; no more than its first bytes where ``is_other`` says so.

    Raises:
        AddressError: If it is larger, missing, or may not be opened.
        NetworkError: If the server fails.
    """
    address = address_of(path) or ""

    def take(response: Response) -> bytes:
        content, size = b"", state_of(response).size
        for chunk in chunks(response):
            content += chunk
            if is_other(content):
                return content
            if len(content) > most_bytes:
                raise _too_large(path, most_bytes)
        if size is not None and len(content) != size:
            raise BrokenError(f"{len(content)} bytes came instead of {size}")
        return content

    if address.partition(":")[0] in WEB:
        return ask(address, take)
    file = remote_file(path)
    head = file.read(0, 16)
    if is_other(head):
        return head
    if file.size > most_bytes:
        raise _too_large(path, most_bytes)
    return file.read(0, file.size)


def _too_large(path: Path, most_bytes: int) -> AddressError:
    return AddressError(
        found=f"{shown(path)} is larger than {most_bytes / 2**20:g} MB",
        expected="a list, a STAC item, item collection or search",
        fix="name the image itself, or a smaller list",
    )
