"""GeoTIFF and JPEG 2000 files, opened: told by their content, and nothing in them is followed."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from landcover_pnp.config.addresses import is_address, shown
from landcover_pnp.errors import DamagedError, LandcoverError, RasterError
from landcover_pnp.storage.remote.ranges import RemoteFile, RemoteReader, remote_file
from landcover_pnp.storage.user_files import require_file

FORMATS = {
    "GTiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JP2OpenJPEG": (b"\0\0\0\x0cjP  \r\n", b"\xffO\xffQ"),
}
"""GDAL's drivers for files that hold their pixels themselves, and how such files begin."""

BESIDE = (".ovr", ".msk")
"""Endings of files beside a raster that GDAL opens with whatever driver takes them."""

OTHERS = (
    (b"<VRTDataset", "a virtual raster (VRT), which shows other files"),
    (b"<GDAL_WMS", "a description of a map service"),
    (b"<WMT_MS_Capabilities", "a description of a map service"),
    (b"\x89PNG", "a PNG picture, which does not say where it lies"),
    (b"\xff\xd8\xff", "a JPEG picture, which does not say where it lies"),
    (b"\x89HDF", "an HDF5 or netCDF file"),
    (b"EHFA_HEADER", "an ERDAS Imagine file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<html", "a web page, perhaps the error message of a failed download"),
    (b"<!doctype html", "a web page, perhaps the error message of a failed download"),
)
"""How files that are taken for rasters begin, and what they are."""

HEAD = 4096
"""Bytes of a file that tell what it is."""


def raster_driver(path: Path) -> str | None:
    """GDAL's driver for a file by its first bytes, None if it is no raster that is read here."""
    return driver_of(first_bytes(path, 16))


def driver_of(head: bytes) -> str | None:
    """The same by the bytes themselves."""
    found = (driver for driver, starts in FORMATS.items() if head.startswith(starts))
    return next(found, None)


def first_bytes(path: Path, size: int) -> bytes:
    """The beginning of a file, or of one at an address."""
    if is_address(path):
        return remote_file(path).read(0, size)
    with path.open("rb") as file:
        return file.read(size)


def open_raster_file(path: Path, what: str) -> DatasetReader:
    """Opens a raster that holds its pixels itself, on this machine or at an address.

    Of one at an address its parts are read as they are needed, and nothing beside it.

    Args:
        path: The file, or the path of an address.
        what: What it is meant to be, named in messages.

    Returns:
        The open dataset.

    Raises:
        RasterError: As ``open_local``.
        AddressError, NetworkError: If it cannot be fetched.
    """
    if not is_address(path):
        return open_local(path, what)
    file = remote_file(path)
    driver = raster_driver(path)
    if driver is None:
        raise _no_raster(path, what, f"it is {_other(path)}")
    return _opened(path, what, driver, file)


def _opened(path: Path, what: str, driver: str, file: RemoteFile | None = None) -> DatasetReader:
    """Opens a raster by its driver; refuses one that names its overviews."""
    name, options = str(shown(path) or path), {}
    if file is not None:

        def opener(wanted: str, mode: str = "rb") -> RemoteReader:  # noqa: ARG001
            if not wanted.endswith(name.rpartition("/")[2]):
                raise FileNotFoundError(wanted)
            return RemoteReader(file, quiet=True)

        options["opener"] = opener
    try:
        source = rasterio.open(name, driver=driver, **options)
        reference = source.tags(ns="OVERVIEWS").get("OVERVIEW_FILE")
    except RasterioError as error:
        if file is not None and file.error is not None:
            raise file.error from error
        raise _no_raster(path, what, str(error)) from error
    if reference is not None:
        source.close()
        raise RasterError(
            found=f"{name} ({what}) says that its overviews lie in {reference}",
            expected="a raster whose overviews lie in it, or beside it in a file .ovr",
            fix="make a copy without that reference: gdal_translate -of COG",
        )
    return source


_OPENER = re.compile(r"/vsiriopener_[0-9a-f]+/")


def plain_name(name: str) -> str:
    """The name of a dataset as messages say it: a path, or an address without its query."""
    name = _OPENER.sub("", name)
    return shown(name) or name


def fault_at(name: str) -> LandcoverError | None:
    """Why the last read of the file at an address failed, if it did; None for local files."""
    return remote_file(name).error if is_address(name) else None


def open_local(path: Path, what: str) -> DatasetReader:
    """Opens a raster that holds its pixels itself.

    Other formats can name files of this machine or addresses on a network, and GDAL would read
    them; so can the overviews and masks beside a file, and a file can name its overviews.

    Args:
        path: The file.
        what: What it is meant to be, named in messages.

    Returns:
        The open dataset.

    Raises:
        RasterError: If it is no regular file, or refers to another.
        DamagedError: If it is none of ``FORMATS``, or its header is damaged.
    """
    require_file(path, what, "a raster file")
    driver = raster_driver(path)
    if driver is None:
        raise _no_raster(path, what, f"it is {_other(path)}")
    for ending in BESIDE:
        beside = path.with_name(path.name + ending)
        if os.path.lexists(beside):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                open_local(beside, f"{ending} of {what}").close()
    return _opened(path, what, driver)


def _no_raster(path: Path, what: str, reason: str) -> DamagedError:
    return DamagedError(
        found=f"{shown(path) or path} ({what}) is not a raster that can be opened: {reason}",
        expected="a GeoTIFF, COG or JPEG 2000 file",
        fix="convert it, for example with gdal_translate; name the files of a mosaic by their "
        "folder or a .txt list; if it should be one of these, or a vector file, fetch it again: "
        "it may be cut short",
    )


def _other(path: Path) -> str:
    head = first_bytes(path, HEAD)
    if not head:
        return "empty"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    known = (
        kind
        for mark, kind in OTHERS
        if (mark.lower() in head.lower() if mark.startswith(b"<") else start.startswith(mark))
    )
    return next(known, "neither GeoTIFF nor JPEG 2000")
