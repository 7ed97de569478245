"""What a server says of a file: enough to know whether it is still the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from requests import Response

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class State:
    """The version of a file at an address.

    Attributes:
        size: Size in bytes; None where the server does not say.
        etag: Its ETag, empty where there is none; begins with ``W/`` where it is the same for
            versions that differ a little.
        modified: When it was changed, as the server writes it, or empty.
    """

    size: int | None
    etag: str = ""
    modified: str = ""

    @property
    def strong_etag(self) -> str:
        """The ETag, where it is another for every change of a byte."""
        return "" if self.etag.startswith("W/") else self.etag

    @property
    def tells(self) -> bool:
        """Whether it is another one for another version of the file."""
        return bool(self.etag or self.modified)

    def as_json(self) -> dict[str, Any]:
        """Its fields as JSON values."""
        return dataclasses.asdict(self)

    def hash(self, more: bytes = b"") -> str:
        """SHA-256 of what is known, in place of that of the file's bytes.

        Args:
            more: Bytes of the file, where the server tells too little.
        """
        text = json.dumps(self.as_json(), sort_keys=True).encode()
        return hashlib.sha256(text + more).hexdigest()


def state_of(response: Response) -> State:
    """What an answer says of the whole file, though it may hold only a part of it."""
    part, length = range_of(response), response.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if response.status_code in (206, 416):
        size = part[2] if part else None
    return State(size, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))


def range_of(response: Response) -> tuple[int, int, int | None] | None:
    """First byte, byte after the last, and size of the whole; None if the answer is no part."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if response.status_code != 206 or match is None:
        return None
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])
