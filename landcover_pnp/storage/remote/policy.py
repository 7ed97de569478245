"""Which machines may be asked: public ones, and those that the user allows.

An address can lead anywhere: a name may belong to a machine of the local network, and a server may
send a request on to another. So it is the machine that a connection has reached that is looked at,
each time, before anything is sent to it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from landcover_pnp.errors import AddressError

ALLOWED = "LANDCOVER_ALLOW_HOSTS"
"""Environment variable of hosts that may be asked though they are private: HOST or HOST:PORT, as
addresses name them, separated by commas."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(ip: str) -> bool:
    """Whether an IP address is one of the internet, no other address within it either."""
    found = ipaddress.ip_address(ip.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
        if found in _NAT64:
            inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        if not all(is_public(str(address)) for address in inner if address is not None):
            return False
    return found.is_global and not found.is_multicast


def is_allowed(host: str, port: int) -> bool:
    """Whether the user allows a host whatever machine it is."""
    allowed = {word.strip().casefold() for word in os.environ.get(ALLOWED, "").split(",")}
    name = host.strip("[]").casefold()
    return not allowed.isdisjoint({name, f"{name}:{port}", f"[{name}]", f"[{name}]:{port}"} - {""})


@contextmanager
def allowed(*hosts: str) -> Iterator[None]:
    """A context in which private hosts may be asked, by this process and those it starts."""
    before = os.environ.get(ALLOWED)
    os.environ[ALLOWED] = ",".join(filter(None, (before, *hosts)))
    try:
        yield
    finally:
        if before is None:
            del os.environ[ALLOWED]
        else:
            os.environ[ALLOWED] = before


def require_public(host: str, port: int, ip: str) -> None:
    """Refuses a machine of a local network.

    Args:
        host: Host, as the address names it.
        port: Its port.
        ip: IP address of the machine that it is.

    Raises:
        AddressError: If it is not public, and not allowed.
    """
    if not is_public(ip) and not is_allowed(host, port):
        raise AddressError(
            found=f"{host}:{port} is {ip}, a machine of this or a local network",
            expected="a server on the internet: an address, or a server that sends a request on, "
            "could otherwise reach what is not public",
            fix=f"if you trust it, allow it: {ALLOWED}={host}:{port}",
        )


def require_public_name(host: str, port: int) -> None:
    """Refuses a host whose name says that it is private; behind a proxy no more can be seen.

    Raises:
        AddressError: As ``require_public``.
    """
    plain = host.strip("[]").rstrip(".").casefold()
    if plain == "localhost" or plain.endswith(".localhost"):
        plain = "127.0.0.1"
    try:
        ip = str(ipaddress.ip_address(plain))
    except ValueError:
        return
    require_public(host, port, ip)


class _Guarded:
    """What both kinds of connections do: look at the machine before they speak to it."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()  # type: ignore[misc]
        try:
            host, port = self.host, self.port  # type: ignore[attr-defined]
            require_public(host, port, connection.getpeername()[0])
        except BaseException:
            connection.close()
            raise
        return connection


class _GuardedHTTP(_Guarded, HTTPConnection):
    pass


class _GuardedHTTPS(_Guarded, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


class GuardedAdapter(HTTPAdapter):
    """Connections of ``requests`` that look at the machine they have reached.

    Behind a proxy that the environment names it is the proxy that chooses the machine.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As of ``requests``, with guarded connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
