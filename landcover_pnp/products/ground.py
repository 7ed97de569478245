"""Ground of a map that was not seen: filled by the prior, or corrected by the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, LandClass, Legend
from landcover_pnp.products.pictures import RGBA
from landcover_pnp.products.rasters import SOFTWARE
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import open_raster, read

SEEN, FILLED, CORRECTED = 1, 2, 3
"""Values of the raster; 0 is no data."""

GROUND = Legend(
    "ground",
    (
        LandClass(SEEN, "seen", (255, 255, 255)),
        LandClass(FILLED, "filled: not seen, or unsure, and completed", (152, 78, 163)),
        LandClass(CORRECTED, "corrected by hand", (228, 26, 28)),
    ),
)
"""How the ground of a map is known."""

LAYER = "filled_ground"
"""Layer of it in the GeoPackage of a map."""

HATCH_PX = 8
"""Distance of the lines in a picture."""

TITLE = "Filled and corrected ground"
"""What layers of it are called."""

UNSEEN = Legend("unseen", GROUND.classes[1:])
"""Its part that is hatched."""


def write_ground(
    path: Path, geobox: GeoBox, parts: Iterable[tuple[Box, NDArray[np.uint8]]]
) -> Path:
    """Writes how the ground of a map is known, with its QGIS style.

    Args:
        path: File to write.
        geobox: Grid of the map.
        parts: Windows that partition it, each with (y, x) uint8 values of ``GROUND``, 0 = no data.

    Returns:
        The file, a cloud-optimised GeoTIFF.

    Raises:
        RunError: If it cannot be written.
    """
    band = Band("uint8", (TITLE.lower(),), nodata=NO_DATA, legend=GROUND, tags=SOFTWARE)
    with scratch(path) as plain:
        write_raster(plain, geobox, band, ((box, values[None]) for box, values in parts))
        write_cog(path, plain, "mode")
    write_text(path.with_suffix(".qml"), qml(ClassStyle(UNSEEN)))
    return path


def hatched(picture: RGBA, ground: NDArray[np.uint8]) -> RGBA:
    """A picture of a map, hatched where its ground was not seen.

    Args:
        picture: (y, x, 4) uint8.
        ground: (y, x) values of ``GROUND`` of the same pixels.
    """
    y, x = np.indices(ground.shape)
    found = picture.copy()
    for c, along in zip(UNSEEN.classes, (x + y, x - y), strict=True):
        lines = (ground == c.code) & (along % HATCH_PX < 2)
        found[lines] = (*c.colour, 255)
    return found


def counted(hectares: Mapping[int, float]) -> Legend:
    """The hatched classes, each with its hectares in its name."""
    named = (
        LandClass(c.code, f"{c.name}, {hectares[c.code]:,.2f} ha", c.colour)
        for c in UNSEEN.classes
        if hectares[c.code]
    )
    return Legend(UNSEEN.name, tuple(named))


def ground_hectares(path: Path) -> dict[int, float]:
    """Hectares by value of a raster of ``write_ground``.

    Args:
        path: The raster.

    Returns:
        Hectares of filled and of corrected ground, by ``FILLED`` and ``CORRECTED``.
    """
    counts = np.zeros(256, np.int64)
    with open_raster(path, TITLE) as source:
        hectare_px = 1e4 / abs(source.res[0] * source.res[1])
        for box in blocks(Box(0, source.height, 0, source.width)):
            counts += np.bincount(read(source, 1, box).ravel(), minlength=256)
    return {value: float(counts[value]) / hectare_px for value in (FILLED, CORRECTED)}
