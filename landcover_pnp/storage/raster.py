"""Rasters on disk, read: checked before use, by window, seen on any grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import DamagedError, LandcoverError, RasterError
from landcover_pnp.grid import BLOCK_PX, Box
from landcover_pnp.storage.bands import (
    ORDER,
    BandName,
    BandNames,
    Bands,
    choose_bands,
    described,
    name_bands,
)
from landcover_pnp.storage.raster_files import fault_at, open_raster_file, plain_name

CACHE_BYTES = 128 * 2**20
"""GDAL's block cache in one process: by default it grows with the machine's memory."""

SOFT_SHARE = 0.02
"""An alpha band is neither none nor full on no more of its pixels, those at soft edges."""

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
"""Tags of the first three bands, in the order in which they are used."""

_FILE = "LANDCOVER_PNP_FILE"
"""Tag of a view in memory: the file it shows."""


def small_cache() -> rasterio.Env:
    """A context in which GDAL keeps few blocks in memory, if it has not begun to already."""
    return rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)


@contextmanager
def open_raster(path: Path, what: str) -> Iterator[DatasetReader]:
    """Opens a raster for reading.

    Args:
        path: The file.
        what: What the file is meant to be, named in messages (``imagery``, ``NLCD``, ...).

    Yields:
        The open dataset.

    Raises:
        RasterError: As ``raster_files.open_raster_file``: if it is missing, not a raster, or
            refers to other files.
        NetworkError: If a server that it is on does not answer as it should.
    """
    with open_raster_file(path, what) as source:
        yield source


@contextmanager
def open_image(path: Path, bands: Sequence[BandName] | None = None) -> Iterator[DatasetReader]:
    """Opens an aerial image, with bands that are tagged alpha and are none set right.

    GDAL tags a fourth band as alpha where a writer did not say what it is, and most NAIP files
    carry that tag on their near infrared: taken at its word, dark water would be no data.

    Args:
        path: The file.
        bands: What its bands are, where the user says so.

    Yields:
        The open dataset, or a view of it in memory with the right tags.

    Raises:
        RasterError: As ``open_raster`` and ``name_bands``.
        DamagedError: If a tagged band is damaged and what can be read of it does not tell.
    """
    with open_raster(path, "imagery") as source:
        masks = _masks(source, bands)
        right = [
            ColorInterp.alpha
            if mask
            else ColorInterp.undefined
            if tag == ColorInterp.alpha
            else tag
            for mask, tag in zip(masks, source.colorinterp, strict=True)
        ]
        if right == list(source.colorinterp):
            yield source
            return
        with MemoryFile(filename=f"{path.name}.vrt") as memory:
            rasterio.shutil.copy(source, memory.name, driver="VRT")
            with rasterio.open(memory.name, "r+") as view:
                view.colorinterp = right
                view.update_tags(**{_FILE: str(path)})
            with rasterio.open(memory.name) as view:
                yield view


def _masks(source: DatasetReader, bands: Sequence[BandName] | None) -> list[bool]:
    """Which bands of an image are masks: those that are called so, but for a guess of GDAL's."""
    masks = [name == "alpha" for name in _named(source, bands).names]
    guessed = bands is None and source.count == 4 and described(source.descriptions[3]) is None
    if masks[3:] == [True] and guessed:
        masks[3] = _is_alpha(source, 4)
    return masks


def _named(source: DatasetReader, bands: Sequence[BandName] | None) -> BandNames:
    tags = [colour.name for colour in source.colorinterp]
    return name_bands(name_of(source), tags, source.descriptions, bands)


def _is_alpha(source: DatasetReader, index: int) -> bool:
    """Whether a band is none or full but for soft edges, by the first part that tells."""
    if np.dtype(source.dtypes[index - 1]).kind not in "ui":
        return True
    extent = Box(0, source.height, 0, source.width)
    damage = None
    for y, x in product((2, 1, 3), repeat=2):  # quarters of the sides, the middle first
        y0, x0 = source.height * y // 4, source.width * x // 4
        part = Box(y0, y0, x0, x0).grow(BLOCK_PX // 2).clip(extent)
        try:
            values = read(source, index, part)
        except DamagedError as error:
            damage = damage or error
            continue
        # Some writers of 16 bits, older GDALs among them, have alpha end at 255.
        full = (values == np.iinfo(values.dtype).max) | (values == 255)
        if np.mean((values != 0) & ~full) > SOFT_SHARE:
            return False
        if np.mean(full) > SOFT_SHARE:
            return True
    if damage is not None:
        raise damage
    return True


def image_bands(source: DatasetReader, bands: Sequence[BandName] | None = None) -> list[int]:
    """Indices (from 1) of the colour bands of an aerial image, alpha left out.

    Returns:
        As ``read_bands``: red, green, blue and perhaps near infrared.

    Raises:
        RasterError: As ``read_bands``.
    """
    return list(read_bands(source, bands).indexes)


def read_bands(source: DatasetReader, bands: Sequence[BandName] | None = None) -> Bands:
    """The colour bands of an aerial image, and how they are known.

    Args:
        source: From ``open_image``.
        bands: What the file's bands are, where the user says so.

    Returns:
        The bands that are used.

    Raises:
        RasterError: If they are not of uint8 or uint16, or as ``name_bands`` and
            ``choose_bands``.
    """
    told = _named(source, bands)
    colours = [i for i, name in zip(source.indexes, told.names, strict=True) if name != "alpha"]
    unnamed = not set(told.names) & set(ORDER)
    if not unnamed or len(colours) in (3, 4):
        chosen = choose_bands(name_of(source), told)
        colours = sorted(chosen.indexes)
    types = sorted({source.dtypes[i - 1] for i in colours})
    if (unnamed and len(colours) not in (3, 4)) or types not in (["uint8"], ["uint16"]):
        raise RasterError(
            found=f"{name_of(source)} has {len(colours)} colour bands of {', '.join(types)}",
            expected="3 or 4 bands (R,G,B or R,G,B,NIR) of uint8 or uint16",
            fix="name its bands by scene.rasters.bands, or select and scale them, for example "
            "with gdal_translate -b 1 -b 2 -b 3 -ot Byte -scale",
        )
    return chosen


def unwritten_share(source: DatasetReader) -> float:
    """Share of a GeoTIFF's blocks that its writer never wrote: they read as no data or 0."""
    if source.driver != "GTiff":
        return 0.0
    height, width = source.block_shapes[0]
    rows, columns = -(-source.height // height), -(-source.width // width)
    missing = sum(
        source.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1) is None
        for y in range(rows)
        for x in range(columns)
    )
    return missing / int(rows * columns)


def label_band(source: DatasetReader, what: str) -> int:
    """Index of the one band of a raster of classes.

    Raises:
        RasterError: If it has several bands, or values that are no integers.
    """
    if source.count != 1 or np.dtype(source.dtypes[0]).kind not in "ui":
        raise RasterError(
            found=f"{name_of(source)} ({what}) has {source.count} bands of {source.dtypes[0]}",
            expected="one band of integer class values",
            fix="select the band, for example with gdal_translate -b 1 -ot Byte",
        )
    return 1


def read(source: DatasetReader | WarpedVRT, indexes: int | Sequence[int], box: Box) -> Any:
    """Reads a window.

    Args:
        source: Open raster, or its view on the working grid.
        indexes: One band for an array (y, x), or several for (band, y, x).
        box: Pixels to read, inside the raster.

    Returns:
        Array of the raster's dtype.

    Raises:
        RasterError: If the driver fails; names file, window and the driver's message.
    """
    try:
        return source.read(indexes, window=box.window)
    except RasterioError as error:
        raise damaged(source, box, error) from error


def read_mask(source: DatasetReader | WarpedVRT, box: Box) -> NDArray[np.bool_]:
    """Reads where a raster has data, as its nodata value, alpha or mask band says.

    Returns:
        (y, x) bool, True where there is data.

    Raises:
        RasterError: As ``read``.
    """
    try:
        valid = np.asarray(source.dataset_mask(window=box.window)) > 0
        if ColorInterp.alpha in source.colorinterp:
            # GDAL takes it for a mask beside one band or three only, not beside near infrared.
            alpha = source.colorinterp.index(ColorInterp.alpha) + 1
            valid &= source.read(alpha, window=box.window) > 0
    except RasterioError as error:
        raise damaged(source, box, error) from error
    return valid


def read_labels(source: DatasetReader | WarpedVRT, box: Box) -> NDArray[Any]:
    """Reads classes.

    Returns:
        (y, x) integers of the raster's dtype, 0 where it has no data.

    Raises:
        RasterError: As ``read``.
    """
    labels: NDArray[Any] = read(source, 1, box)
    labels[~read_mask(source, box)] = 0
    return labels


def damaged(source: DatasetReader | WarpedVRT, box: Box, error: BaseException) -> LandcoverError:
    """The error for pixels that cannot be read, with what first went wrong."""
    if fault := fault_at(name_of(source)):
        return fault
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return DamagedError(
        found=f"{name_of(source)} cannot be read at rows {box.y0} to {box.y1}, "
        f"columns {box.x0} to {box.x1}: {cause}",
        expected="a file whose pixels can all be read",
        fix="fetch the file again; `landcover check CONFIG` reads every pixel of all inputs",
    )


def name_of(source: DatasetReader | WarpedVRT) -> str:
    """The file that a dataset is, or is a view of, as messages name it."""
    if isinstance(source, WarpedVRT):
        source = source.src_dataset
    return plain_name(str(source.tags().get(_FILE, source.name)))


def on_grid(source: DatasetReader, geobox: GeoBox, resampling: Resampling) -> WarpedVRT:
    """A raster seen on the working grid, warped window by window as it is read.

    Positions are exact to a thousandth of a pixel: GDAL's usual tolerance of an eighth would
    make the result depend on the window.

    Args:
        source: Open raster.
        geobox: The working grid.
        resampling: Rule by which source pixels make a working pixel.

    Returns:
        The open view; outside the source it has no data.
    """
    has_mask = source.nodata is not None or ColorInterp.alpha in source.colorinterp
    return WarpedVRT(
        source,
        crs=str(geobox.crs),
        transform=geobox.transform,
        height=geobox.shape[0],
        width=geobox.shape[1],
        resampling=resampling,
        tolerance=0.001,
        add_alpha=not has_mask,
    )
