"""Addresses of inputs: how a path holds one, and what of it is said and stored.

What follows the ``?`` of an address is often a key to the data: the path holds its hash in its
place, and the text itself stays in the environment of this process and of those it starts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from landcover_pnp.errors import SettingsError

QUERIES = "LANDCOVER_QUERIES"
"""Environment variable of the queries that this process has been given, JSON by their hashes."""

WEB = ("https", "http")
"""Schemes of web servers."""

STORES = ("s3", "gs", "az")
"""Schemes of object stores; what follows is the bucket (or container) and the name in it."""

FORMS = "https://HOST/PATH, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"
"""Addresses that are read, for messages."""

_ADDRESS = re.compile(rf"({'|'.join(WEB + STORES)}):/+(?=[^/])", re.IGNORECASE)
_HASHED = "query-"
_HASH = re.compile(_HASHED + "[0-9a-f]{16}")
_HASHED_QUERY = re.compile(rf"\?{_HASH.pattern}$")
_SECRETS = re.compile(r"((?:https?|s3|gs|az):/+)(?:[^\s/?#'\"<>]*@)?([^\s?#'\"<>]*)\?[^\s'\"<>]+")
_USERS = re.compile(r"(\w+:/+)[^\s/?#'\"<>]*@")
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")


def is_address(path: str | Path) -> bool:
    """Whether a path, or the text of one, is an address that can be read."""
    return _ADDRESS.match(str(path)) is not None


def as_path(address: str, name: str = "address") -> Path:
    """The path that stands for an address in settings.

    Args:
        address: As the user wrote it.
        name: Name of the setting, for messages.

    Returns:
        A path of which ``address_of`` makes the same address again, but for a slash at its end.

    Raises:
        SettingsError: If it is no address, holds a password, or is not written plainly.
    """
    fault = _fault(address)
    if fault:
        raise SettingsError(
            found=f"{name} is {_bare(address)}, an address {fault}",
            expected=FORMS,
            fix="correct the address; a password belongs in the environment variable "
            "GDAL_HTTP_USERPWD, or in ~/.netrc",
        )
    scheme, _, rest = address.partition("://")
    rest, mark, query = rest.partition("?")
    if not mark:
        rest = rest.removesuffix("/")  # a folder
    else:
        rest += f"?{_HASHED}{_kept(query)}"
    return Path(f"{scheme.lower()}://{rest}")


def address_of(path: str | Path) -> str | None:
    """The address that a path stands for, with its query; None for a local path.

    Raises:
        SettingsError: If the query is not known to this process.
    """
    plain = shown(path)
    if plain is None:
        return None
    before, _, token = plain.partition("?")
    if not token:
        return plain
    query = _known().get(token.removeprefix(_HASHED))
    if query is None:
        raise SettingsError(
            found=f"{before} without what followed the ? in it: that may be a key, and is not "
            "stored",
            expected="the whole address",
            fix="repeat the command with the configuration, or the option, that holds it",
        )
    return f"{before}?{query}"


def shown(path: str | Path) -> str | None:
    """The address that a path stands for as messages and records say it; None for a local path."""
    match = _ADDRESS.match(str(path))
    return f"{match[1]}://{str(path)[match.end() :]}" if match else None


def without_query(value: Any) -> Any:
    """An address as a setting holds it, without the hash of its query; other values as they are.

    A signature that is renewed makes no other request of the same one.
    """
    return _HASHED_QUERY.sub("", value) if isinstance(value, str) else value


def hidden(text: str) -> str:
    """A text without the queries and passwords of the addresses in it."""
    return _USERS.sub(r"\1***@", _SECRETS.sub(r"\1\2?***", text))


def _bare(address: str) -> str:
    """What is said of an address that nobody has looked at: nothing that could be a secret."""
    scheme, mark, rest = address.partition("://")
    before, question, _ = rest.partition("?")
    host, slash, path = before.partition("/")
    user, at, host = host.rpartition("@")
    return f"{scheme}{mark}{'***@' if user or at else ''}{host}{slash}{path}{question and '?***'}"


def _fault(address: str) -> str:
    """What is wrong with an address; empty if nothing is."""
    if not is_address(address) or "://" not in address:
        return "that is none"
    if re.search(r"[\x00-\x20\x7f\\'\"<>]", address):
        return "with a space or a character that no address has: write it as %20 or the like"
    scheme, _, rest = address.partition("://")
    plain, mark, _ = rest.partition("?")
    if "#" in rest:
        return "with a # in it: write it as %23"
    if "@" in plain.partition("/")[0]:
        return "with a user's name or password"
    host, *names = (plain if mark else plain.removesuffix("/")).split("/")
    if any(name in ("", ".", "..") for name in names):
        return "with an empty part or dots in its path"
    if scheme.lower() in STORES:
        return "with a ? in it" if mark else "" if _BUCKET.fullmatch(host) else "without a bucket"
    try:
        parts = urlsplit(address)
        return "" if parts.hostname and parts.port != 0 else "without a host"
    except ValueError:
        return "without a proper host or port"


def _kept(query: str) -> str:
    """Remembers a query; returns its hash."""
    if _HASH.fullmatch(query):
        return query.removeprefix(_HASHED)
    token = hashlib.sha256(query.encode()).hexdigest()[:16]
    os.environ[QUERIES] = json.dumps({**_known(), token: query})
    return token


def _known() -> dict[str, str]:
    known: dict[str, str] = json.loads(os.environ.get(QUERIES, "{}"))
    return known
