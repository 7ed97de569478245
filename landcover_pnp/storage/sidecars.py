"""What an input consists of: the file that is named, and all that the drivers read beside it."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from rasterio.errors import NotGeoreferencedWarning

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import RasterError
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.remote.ranges import remote_file

SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".idm", ".ind")
"""Endings of the files that OGR reads as one shapefile, whichever of them is named.

OGR tells of no vector file which others it reads. That there are no more, for any format that is
read, is a law in ``tests/laws``.
"""

UNFINISHED = ("-wal", "-journal")
"""Writes to a database that are not in its own file yet. The index of them, ``-shm``, says nothing
of its own, and every look at the database changes it."""

METADATA = (".aux.xml", ".aux")
"""What GDAL knows of a file in a format that cannot say it."""

_STATISTICS = re.compile(
    rb"<Histograms>.*?</Histograms>|<MDI key=\"STATISTICS_[^\"]*\">[^<]*</MDI>", re.DOTALL
)
_EMPTY = re.compile(rb"<(Metadata|PAMRasterBand)\b[^>]*>\s*</\1>|<PAMRasterBand\b[^>]*/>|\s+")


def part_hashes(path: Path, hash_of: Callable[[Path], str]) -> dict[str, str]:
    """What the drivers read of an input, as hashes: another where any of it changes.

    Of a file at an address the server tells whether it is still the same: its size, ETag and date
    take the place of its bytes.

    A file that appears beside the input counts as a change as one that vanishes does. Statistics
    that QGIS or gdalinfo leave beside a raster change no pixel and count as nothing.

    Args:
        path: A raster, vector file, folder such as a file geodatabase, or list.
        hash_of: SHA-256 of a file; may remember it as long as the file stays the same.

    Returns:
        Hash by part: ``""`` is the file itself, ``.tfw`` or ``.tif.msk`` what its name ends in
        in place of the input's own ending, ``/a0001.gdbtable`` a file in the folder.
    """
    if is_address(path):
        return {"": remote_file(path).hash()}
    hashes = {}
    for part in parts(path):
        known = _knowledge(part) if part.name.lower().endswith(".aux.xml") else None
        if known is None:
            hashes[_ending(path, part)] = hash_of(part)
        elif known:
            hashes[_ending(path, part)] = hashlib.sha256(known).hexdigest()
    return hashes


def parts(path: Path) -> list[Path]:
    """The files that an input consists of: what GDAL lists for a raster, what lies beside a vector.

    Overviews are not among them: all reading is at full resolution, which a law holds.

    Args:
        path: A raster, vector file, folder or list.

    Returns:
        The files, the input itself first where it is one.
    """
    if path.is_dir():
        # Whoever looks at a geodatabase leaves locks in it.
        return sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".lock")
    listed = _listed_by_gdal(path) or _beside(path)
    return [path, *sorted(p for p in listed if p.name != path.name)]


def _listed_by_gdal(path: Path) -> list[Path]:
    """Files that GDAL reads of a raster; none of what is no raster."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with open_raster(path, "input") as source:
                files = [Path(name) for name in source.files]
    except RasterError:
        return []
    return [file for file in files if file.suffix.lower() != ".ovr" and file.is_file()]


def _beside(path: Path) -> Iterator[Path]:
    """Files that OGR reads of a vector file besides itself."""
    together = SHAPEFILE if path.suffix.lower() in SHAPEFILE else ()
    names = {path.stem.casefold() + ending for ending in together}
    names |= {path.name.casefold() + ending for ending in METADATA}
    unfinished = {path.name + ending for ending in UNFINISHED}
    with suppress(PermissionError):  # a folder that one may enter, but not look at
        for file in filter(Path.is_file, path.parent.iterdir()):
            # A database that was closed in order may leave an empty one.
            begun = file.name in unfinished and file.stat().st_size > 0
            if begun or file.name.casefold() in names:
                yield file


def _ending(path: Path, part: Path) -> str:
    if part == path:
        return ""
    if part.is_relative_to(path):
        return "/" + part.relative_to(path).as_posix()
    return part.name.removeprefix(path.stem)


def _knowledge(file: Path) -> bytes | None:
    """What GDAL's knowledge of a raster says without statistics, nothing if it is no more.

    Returns:
        Text that differs where anything differs that can change a pixel; None if it is no such.
    """
    text = file.read_bytes()
    if not text.lstrip().startswith(b"<PAMDataset"):
        return None
    before = b""
    text = _STATISTICS.sub(b"", text)
    while text != before:
        before, text = text, _EMPTY.sub(b" ", text)
    text = text.strip()
    return b"" if re.fullmatch(rb"<PAMDataset> ?</PAMDataset>|<PAMDataset ?/>", text) else text
