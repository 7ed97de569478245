"""Object stores, read through GDAL's virtual file systems: it knows all their credentials.

rasterio has no function for the bytes of a file, so the C interface of the GDAL that it has loaded
is called: https://gdal.org/en/stable/api/cpl.html#cpl-vsi-h.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from landcover_pnp.config.addresses import hidden
from landcover_pnp.errors import AddressError, LandcoverError, NetworkError
from landcover_pnp.storage.remote.client import AGAIN, PATIENCE
from landcover_pnp.storage.remote.state import State

SYSTEMS = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}
"""GDAL's virtual file systems by the schemes of addresses."""

OPTIONS = {
    "GDAL_HTTP_MAX_RETRY": f"{PATIENCE.tries}",
    "GDAL_HTTP_RETRY_DELAY": f"{PATIENCE.first_wait_s:g}",
    "GDAL_HTTP_CONNECTTIMEOUT": f"{PATIENCE.connect_s:g}",
    "GDAL_HTTP_LOW_SPEED_TIME": f"{PATIENCE.silence_s:g}",
    "GDAL_HTTP_LOW_SPEED_LIMIT": f"{PATIENCE.slowest_bytes_s:g}",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_USE_HEAD": "YES",
    "VSI_CACHE": "FALSE",
}
"""How GDAL is to behave towards servers, unless the user's variables say otherwise."""

_SEEK_SET = 0
_STATUS = re.compile(r"HTTP response code: (\d+)")
_UNREACHED = ("resolve host", "connect to", "timed out", "reset by peer")


@dataclass(frozen=True)
class StoreObject:
    """One version of an object.

    Attributes:
        address: Its address.
        name: Its name in GDAL's virtual file system.
        state: Size, ETag and date.
    """

    address: str
    name: str
    state: State

    @classmethod
    def found(cls, address: str) -> StoreObject:
        """Asks for an object.

        Raises:
            AddressError: If it is missing or may not be read.
            NetworkError: If the store does not answer.
        """
        scheme, _, rest = address.partition("://")
        name, gdal = SYSTEMS[scheme] + rest, _gdal()
        with _speaking(gdal):
            gdal.VSICurlPartialClearCache(name.encode())
            listed = gdal.VSIGetFileMetadata(name.encode(), b"HEADERS", None)
            if not listed:
                raise _failed(address, gdal)
            headers = dict(_pairs(listed))
            gdal.CSLDestroy(listed)
        # The store is asked for a part, and its answer tells the whole behind a slash.
        whole = headers.get("content-range", "").rpartition("/")[2]
        length = whole or headers.get("content-length", "")
        size = int(length) if length.isdigit() else None
        return cls(
            address, name, State(size, headers.get("etag", ""), headers.get("last-modified", ""))
        )

    def read(self, start: int, size: int) -> bytes:
        """Reads a part, shorter at the end.

        Raises:
            AddressError, NetworkError: As ``found``.
        """
        size = min(size, (self.state.size or 0) - start)
        gdal, buffer = _gdal(), ctypes.create_string_buffer(max(size, 1))
        with _speaking(gdal):
            file = gdal.VSIFOpenExL(self.name.encode(), b"rb", 1)
            if not file:
                raise _failed(self.address, gdal)
            try:
                gdal.VSIFSeekL(file, start, _SEEK_SET)
                got = gdal.VSIFReadL(buffer, 1, size, file)
                if got != size:
                    raise _failed(self.address, gdal, f"{got} bytes came instead of {size}")
            finally:
                gdal.VSIFCloseL(file)
        return buffer.raw[:size]


@cache
def _gdal() -> Any:
    """The functions of rasterio's GDAL: a symbol is looked for in what a library is linked to."""
    import rasterio._base

    gdal = ctypes.CDLL(rasterio._base.__file__)
    text, size, pointer = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
    gdal.VSIGetFileMetadata.restype = pointer
    gdal.VSIGetFileMetadata.argtypes = [text, text, pointer]
    gdal.CSLDestroy.restype = None
    gdal.CSLDestroy.argtypes = [pointer]
    gdal.VSIFOpenExL.restype = pointer
    gdal.VSIFOpenExL.argtypes = [text, text, ctypes.c_int]
    gdal.VSIFSeekL.argtypes = [pointer, ctypes.c_uint64, ctypes.c_int]
    gdal.VSIFReadL.restype = size
    gdal.VSIFReadL.argtypes = [pointer, size, size, pointer]
    gdal.VSIFCloseL.argtypes = [pointer]
    gdal.VSICurlPartialClearCache.argtypes = [text]
    gdal.VSICurlPartialClearCache.restype = None
    gdal.CPLGetLastErrorMsg.restype = text
    gdal.VSIGetLastErrorMsg.restype = text
    gdal.CPLGetConfigOption.restype = text
    gdal.CPLGetConfigOption.argtypes = [text, text]
    gdal.CPLSetThreadLocalConfigOption.argtypes = [text, text]
    gdal.CPLPushErrorHandler.argtypes = [pointer]
    return gdal


@contextmanager
def _speaking(gdal: Any) -> Iterator[None]:
    """GDAL with our options where the user has none, and quiet: it would print names."""
    ours = [key.encode() for key in OPTIONS if not gdal.CPLGetConfigOption(key.encode(), None)]
    for key in ours:
        gdal.CPLSetThreadLocalConfigOption(key, OPTIONS[key.decode()].encode())
    gdal.CPLPushErrorHandler(ctypes.cast(gdal.CPLQuietErrorHandler, ctypes.c_void_p))
    gdal.CPLErrorReset()
    gdal.VSIErrorReset()
    try:
        yield
    finally:
        gdal.CPLPopErrorHandler()
        for key in ours:
            gdal.CPLSetThreadLocalConfigOption(key, None)


def _pairs(listed: int) -> Iterator[tuple[str, str]]:
    """Keys in lower case and values of GDAL's list of texts ``KEY=VALUE``."""
    entries = ctypes.cast(listed, ctypes.POINTER(ctypes.c_char_p))
    number = 0
    while (entry := entries[number]) is not None:
        key, _, value = entry.decode(errors="replace").partition("=")
        yield key.strip().lower(), value.strip()
        number += 1


def _failed(address: str, gdal: Any, what: str = "") -> LandcoverError:
    """The error for what GDAL says of an object."""
    said = (gdal.VSIGetLastErrorMsg() or gdal.CPLGetLastErrorMsg() or b"").decode(errors="replace")
    said = hidden(said) or what or "nothing is there, or it may not be read"
    status = _STATUS.search(said)
    code = int(status[1]) if status else 0
    if code in (404, 410):
        return AddressError(f"{address}: {said}", "the address of an object", "correct it")
    if not (what or code in AGAIN or any(word in said for word in _UNREACHED)):
        return AddressError(
            found=f"{address}: {said}",
            expected="an object that may be read",
            fix="set the credentials in GDAL's variables, such as AWS_ACCESS_KEY_ID, "
            "GS_ACCESS_KEY_ID or AZURE_STORAGE_ACCOUNT; of public data "
            "AWS_NO_SIGN_REQUEST=YES, GS_NO_SIGN_REQUEST=YES or AZURE_NO_SIGN_REQUEST=YES",
        )
    return NetworkError(
        found=f"{address} cannot be read: {said}",
        expected="a store that answers",
        fix="repeat the command when it does; what has been done is kept",
    )
