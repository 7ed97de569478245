"""Vector files at addresses, read by parts through the virtual file systems of pyogrio's GDAL.

The first request is ours: where the server sends it on to is looked at, and GDAL is given that
address. GDAL's own requests follow redirects that come later, to whatever machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pyogrio

from landcover_pnp.config.addresses import WEB, hidden, is_address
from landcover_pnp.storage.remote.ranges import remote_file
from landcover_pnp.storage.remote.state import State
from landcover_pnp.storage.remote.stores import OPTIONS, SYSTEMS

CREDENTIALS = ("GDAL_HTTP_HEADERS", "GDAL_HTTP_BEARER", "GDAL_HTTP_USERPWD", "GDAL_HTTP_COOKIE")
"""What GDAL would send to any web server, also to another than the one that the user names."""

_TRIVIAL = ("non conformant file extension", "Retrying again")
_seen: dict[str, State] = {}


@contextmanager
def opened_by_ogr(path: Path) -> Iterator[Path | str]:
    """What pyogrio is to open for a file: its path, or a name in a virtual file system.

    Args:
        path: A local path, or that of an address.

    Raises:
        AddressError, NetworkError: If the address cannot be read.
    """
    if not is_address(path):
        yield path
        return
    file = remote_file(path)
    state = file.state
    scheme, _, rest = file.address.partition("://")
    name = f"/vsicurl/{file.final}" if scheme in WEB else SYSTEMS[scheme] + rest
    if _seen.get(name) != state:
        pyogrio.vsi_curl_clear_cache(name)
        _seen[name] = state
    said: list[warnings.WarningMessage] = []
    options = {key: value for key, value in OPTIONS.items() if _unset(key)}
    if scheme in WEB and urlsplit(file.final)[:2] != urlsplit(file.address)[:2]:
        options |= dict.fromkeys(CREDENTIALS, "")
    pyogrio.set_gdal_config_options(options)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield name
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(options))
    for warning in said:  # they name the address with its query
        text = str(warning.message)
        if not any(part in text for part in _TRIVIAL):
            warnings.warn(hidden(text), warning.category, stacklevel=3)


def _unset(key: str) -> bool:
    return pyogrio.get_gdal_config_option(key) is None
