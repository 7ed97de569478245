"""Aerial images on disk: which bands they have, and which of them are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, MemoryFile

from landcover_pnp.errors import DamagedError, RasterError
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
from landcover_pnp.storage.raster import FILE_TAG, name_of, open_raster, read

SOFT_SHARE = 0.02
"""An alpha band is neither none nor full on no more of its pixels, those at soft edges."""

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
"""Tags of the first three bands, in the order in which they are used."""


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
                view.update_tags(**{FILE_TAG: str(path)})
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
