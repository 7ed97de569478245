"""Requests to web servers: asked again where a fault may pass, and in plain words where not."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions
from requests import Response

from landcover_pnp.config.addresses import WEB, hidden
from landcover_pnp.errors import AddressError, LandcoverError, NetworkError
from landcover_pnp.storage.remote.policy import GuardedAdapter, require_public_name
from landcover_pnp.version import __version__

T = TypeVar("T")

MOST_REDIRECTS = 5
PORTS = {"https": 443, "http": 80}
AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which a server may well do what it is asked."""

CHUNK = 2**16
"""Bytes of an answer that are taken at a time."""

sleep = time.sleep
"""Waiting between two tries; tests replace it."""


@dataclass(frozen=True)
class Patience:
    """How long a server is borne with.

    Attributes:
        tries: Times that a request is made without a byte in answer before it is given up.
        first_wait_s: Wait before the second; each further one is twice as long.
        longest_wait_s: Longest wait, whatever the server asks for.
        connect_s: Time for a connection.
        silence_s: Time without a byte after which a connection counts as lost.
        slow_s: Time after which its speed counts.
        slowest_bytes_s: A connection that is slower, in the mean, counts as lost.
    """

    tries: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    connect_s: float = 10.0
    silence_s: float = 30.0
    slow_s: float = 60.0
    slowest_bytes_s: float = 1000.0


PATIENCE = Patience()


class BrokenError(Exception):
    """An answer that is not whole; asked again, it may be.

    Args:
        reason: What is wrong with it.
        progress: Whether there is more now than after any try before.
    """

    def __init__(self, reason: str, *, progress: bool = False) -> None:
        super().__init__(reason)
        self.progress = progress


def ask(
    address: str,
    take: Callable[[Response], T],
    headers: Callable[[], Mapping[str, str]] = dict,
    patience: Patience | None = None,
    method: str = "GET",
) -> T:
    """Asks a server, again where a fault may pass.

    Args:
        address: An address with the scheme https or http; secrets in it are never said.
        take: What is made of the answer, whose status is 2xx or 416; may raise ``BrokenError``.
        headers: Headers of the request, called before each.
        patience: How long faults are borne with; None is ``PATIENCE``.
        method: ``HEAD`` asks for what is said of a file alone.

    Returns:
        What ``take`` returns.

    Raises:
        AddressError: If the address, or one that the server sends it on to, may not be opened,
            or the server refuses the request.
        NetworkError: If it does not do what it is asked, also when asked again.
    """
    patience = patience or PATIENCE
    failed, wait_s = 0, patience.first_wait_s
    while True:
        told_s, progress = None, False
        try:
            with _answer(address, headers(), patience, method) as response:
                if response.ok or response.status_code == 416:
                    return take(response)
                if response.status_code not in AGAIN:
                    raise refusal(address, response)
                told_s = _retry_after(response)
                reason = f"the server answers {response.status_code} {response.reason or ''}"
        except BrokenError as error:
            reason, progress = str(error), error.progress
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, requests.exceptions.InvalidURL):
                raise _unreadable(address, str(error)) from error
            reason = _cause(error)
        failed, wait_s = (0, patience.first_wait_s) if progress else (failed + 1, wait_s)
        if failed >= patience.tries:
            raise NetworkError(
                found=f"{hidden(address)} cannot be read: {hidden(reason.strip())}, "
                f"{failed} times in a row",
                expected="a server that answers",
                fix="repeat the command when it does; what has been done is kept",
            )
        sleep(min(wait_s if told_s is None else told_s, patience.longest_wait_s))
        wait_s *= 2 * random.uniform(0.9, 1.1)  # noqa: S311, so that not all ask at once


def chunks(response: Response, patience: Patience | None = None) -> Iterator[bytes]:
    """The bytes of an answer.

    Raises:
        BrokenError: If they come too slowly, or break off.
    """
    patience = patience or PATIENCE
    begun, got = time.monotonic(), 0
    try:
        while chunk := response.raw.read1(CHUNK):
            got += len(chunk)
            yield chunk
            passed_s = time.monotonic() - begun
            if passed_s > patience.slow_s and got < passed_s * patience.slowest_bytes_s:
                raise BrokenError(f"only {got} bytes came in {passed_s:.0f} s")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BrokenError(_cause(error)) from error


def refusal(address: str, response: Response) -> LandcoverError:
    """The error for an answer that will stay the same."""
    code, said = response.status_code, f"{hidden(address)}: the server answers "
    said += f"{response.status_code} {hidden(response.reason or '')}".strip()
    if code in (401, 403):
        return AddressError(
            found=f"{said}: it may not be read, or no longer",
            expected="an address that may be read: a public one, one whose signature has not "
            "expired, or credentials for it",
            fix="sign the address anew, or set the credentials in the variables of GDAL, such as "
            "GDAL_HTTP_BEARER, GDAL_HTTP_USERPWD, AWS_ACCESS_KEY_ID or AZURE_STORAGE_SAS_TOKEN",
        )
    if code in (404, 410):
        return AddressError(f"{said}: nothing is there", "the address of a file", "correct it")
    return AddressError(
        said, "an address that answers a request for a file", "look at it in a browser"
    )


_own = threading.local()


def _session() -> requests.Session:
    """The session of this thread and process: connections are kept, and shared with nobody."""
    if getattr(_own, "pid", None) != os.getpid():
        session = requests.Session()
        for scheme in WEB:
            session.mount(f"{scheme}://", GuardedAdapter())
        session.headers = requests.structures.CaseInsensitiveDict(
            {"User-Agent": f"landcover-pnp/{__version__}", "Accept-Encoding": "identity"}
        )
        _own.session, _own.pid = session, os.getpid()
    found: requests.Session = _own.session
    return found


@contextmanager
def _answer(
    address: str, headers: Mapping[str, str], patience: Patience, method: str
) -> Iterator[Response]:
    """The answer to a request, wherever the server sends it on to."""
    first, now = urlsplit(address), address
    for _ in range(MOST_REDIRECTS + 1):
        try:
            parts = urlsplit(now)
            port = parts.port or PORTS[parts.scheme]
        except ValueError as error:
            raise _unreadable(address, f"it leads to {now}: {error}") from error
        require_public_name(parts.hostname or "", port)
        same = (parts.scheme, parts.netloc) == (first.scheme, first.netloc)
        response = _session().request(
            method,
            now,
            headers={**headers, **(_credentials() if same else {})},
            stream=True,
            allow_redirects=False,
            timeout=(patience.connect_s, patience.silence_s),
        )
        try:
            if not response.is_redirect:
                yield response
                return
            after = urljoin(now, response.headers["Location"])
        finally:
            response.close()
        onto = urlsplit(after).scheme
        if onto not in WEB or (parts.scheme, onto) == ("https", "http"):
            raise AddressError(
                found=f"{hidden(address)} sends on to {hidden(after)}",
                expected="a server that sends a request on to https alone",
                fix="name the address where the file is",
            )
        now = after
    raise _unreadable(address, f"it sends on more than {MOST_REDIRECTS} times")


def _credentials() -> dict[str, str]:
    """Headers by the variables of GDAL, for the host that the user names alone."""
    found = {}
    given = os.environ.get("GDAL_HTTP_HEADERS", "")
    for line in given.replace("\\r\\n", "\n").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    if bearer := os.environ.get("GDAL_HTTP_BEARER"):
        found["Authorization"] = f"Bearer {bearer}"
    elif user := os.environ.get("GDAL_HTTP_USERPWD"):
        found["Authorization"] = requests.auth._basic_auth_str(*user.partition(":")[::2])
    return found


def _retry_after(response: Response) -> float | None:
    """Seconds after which a server wants to be asked again; None if it does not say."""
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _cause(error: BaseException) -> str:
    """What a library's error says in the end, without the objects that it names."""
    seen = error
    while (inner := seen.__cause__ or seen.__context__ or _reason(seen)) is not None:
        seen = inner
    if isinstance(seen, TimeoutError) or isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(seen, ConnectionError) and seen.strerror:
        return seen.strerror.lower()
    if isinstance(seen, urllib3.exceptions.IncompleteRead):
        return "the answer was cut short"
    return str(seen) or type(seen).__name__


def _reason(error: BaseException) -> BaseException | None:
    found = getattr(error, "reason", None) or next(iter(error.args), None)
    return found if isinstance(found, BaseException) else None


def _unreadable(address: str, why: str) -> AddressError:
    return AddressError(f"{hidden(address)}: {hidden(why)}", "an address", "correct it")
