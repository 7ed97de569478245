"""Vector formats that are read: those whose files hold their features themselves.

OGR takes a file by its content, whatever it is called, and some formats name other files or
servers, which it then reads: a virtual format called ``roads.gpkg`` is opened as what it is. So the
content is looked at first. Names in upper case are those of OGR's drivers.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path

from landcover_pnp.config.addresses import is_address, shown
from landcover_pnp.errors import AddressError, RasterError
from landcover_pnp.storage.raster_files import driver_of, first_bytes, raster_driver
from landcover_pnp.storage.user_files import require_file

READ = "GeoPackage, shapefile, GeoJSON, FlatGeobuf, GeoParquet, KML or file geodatabase"
"""What messages call the formats."""

READ_BY_PARTS = "GeoPackage, FlatGeobuf or GeoParquet"
"""Those that are read at an address: of others the whole would have to be fetched each time."""

_GEODATABASE = "a00000001.gdbtable"
_PARQUET = b"PAR1"
_BY_PARTS = (b"SQLite format 3\0", b"fgb\x03", _PARQUET)
_BINARY = (*_BY_PARTS, b"\0\0\x27\x0a")
_HEAD = 2**20
"""Bytes of a text file in which OGR's drivers look for what makes it theirs, and more."""

_ELSEWHERE = re.compile(
    rb"<\s*OGR\w*DataSource|<\s*(?:\w+:)?WFS_Capabilities|<\s*VRTDataset|<\s*GDAL_WMS"
    rb"|gdal_streamed_alg|<!DOCTYPE|<!ENTITY",
    re.IGNORECASE,
)
"""Content by which a text is a virtual format, a service or a recipe, wherever it stands."""

_KML = re.compile(rb"(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:\w+:)?kml\b", re.DOTALL)
_LETTER = "(?:{0}|{1}|\\\\u00{2:02x}|\\\\u00{3:02x})"
_CRS = re.compile(
    (
        '"'
        + "".join(_LETTER.format(c, c.upper(), ord(c), ord(c.upper())) for c in "crs")
        + r'"\s*:'
    ).encode(),
    re.IGNORECASE,
)
"""The member of a GeoJSON object that says its CRS, its letters escaped or not."""

_CHUNK = 16 * 2**20
_LONGEST_CRS = 2**16


def is_vector(path: Path, what: str) -> bool:
    """Whether a file is in a vector format that is read.

    Args:
        path: The file, the folder of a file geodatabase, or one of shapefiles.
        what: What it is meant to be, named in messages.

    Returns:
        False for rasters, and for what is in no known format.

    Raises:
        RasterError: If it is no regular file, or refers to other files or addresses.
        AddressError, NetworkError: If it lies at an address and cannot be read there by parts.
    """
    if is_address(path):
        return _is_remote_vector(path, what)
    require_file(path, what, f"a vector file ({READ})", folder=_holds_layers(path))
    status = path.stat()
    elsewhere, vector = _look(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if elsewhere:
        raise RasterError(
            found=f"{path} ({what}) {elsewhere}",
            expected=f"a vector file that holds its features itself: {READ}",
            fix="make a GeoPackage of it, for example with ogr2ogr -f GPKG, if you trust it",
        )
    return vector


def is_parquet(path: Path) -> bool:
    """Whether a vector file is a GeoParquet file."""
    local = is_address(path) or path.is_file()
    return local and first_bytes(path, 4) == _PARQUET


def _is_remote_vector(path: Path, what: str) -> bool:
    head = first_bytes(path, 16)
    if head.startswith(_BY_PARTS) or driver_of(head) is not None:
        return driver_of(head) is None
    raise AddressError(
        found=f"{shown(path)} ({what}) is in no format that is read by parts",
        expected=f"the address of a GeoTIFF, {READ_BY_PARTS} file",
        fix="download the file, for example with curl -O, and name that; or make a FlatGeobuf of "
        "it with ogr2ogr -f FlatGeobuf",
    )


def _holds_layers(path: Path) -> bool:
    """Whether a path is a folder that is opened as a whole."""
    if not os.path.isdir(path):  # noqa: PTH112, which may raise
        return False
    return (path / _GEODATABASE).is_file() or any(path.glob("*.shp"))


def _begins(path: Path, starts: tuple[bytes, ...]) -> bool:
    with path.open("rb") as file:
        return file.read(16).startswith(starts)


@lru_cache(maxsize=64)
def _look(path: Path, _size: int, _modified: int, _changed: int) -> tuple[str, bool]:
    """How a file refers elsewhere, if it does, and whether it is in a format that is read."""
    if path.is_dir():
        return "", all(_begins(file, _BINARY) for file in path.glob("*.shp"))
    if raster_driver(path):
        return "", False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(_BINARY):
        return "", True
    found = _ELSEWHERE.search(head)
    if found:
        mark = found[0].decode(errors="replace")
        return f"is a virtual format or a service ({mark}), which is read from elsewhere", False
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x1e \t\r\n")
    if text.startswith(b"{"):
        link = _linked_crs(path)
        return (f"has its CRS at {link}" if link else ""), b'"type"' in text
    return "", _KML.match(text) is not None


def _linked_crs(path: Path) -> str:
    """Where a GeoJSON file's CRS is to be fetched from, empty if it is named."""
    with path.open("rb") as file:
        start, before = 0, b""
        while chunk := file.read(_CHUNK):
            text, at = before + chunk, start - len(before)
            plain = text.lower()
            if b'crs"' in plain or b"\\u00" in plain:
                for found in _CRS.finditer(text):
                    file.seek(at + found.end())
                    link = _link(file.read(_LONGEST_CRS))
                    if link:
                        return link
            start += len(chunk)
            before = text[-64:]
            file.seek(start)
    return ""


def _link(text: bytes) -> str:
    """The address in a CRS object of GeoJSON, which the text begins with; empty if it has none."""
    decoded = text.decode("utf-8", errors="replace").lstrip()
    if not decoded.startswith("{"):
        return ""
    try:
        crs, _ = json.JSONDecoder().raw_decode(decoded)
    except ValueError:
        return "an address that is not written as JSON"
    members = {str(key).lower(): value for key, value in crs.items()}
    if str(members.get("type")).lower() in ("name", "epsg", "ogc"):
        return ""
    return json.dumps(members.get("properties", members))
