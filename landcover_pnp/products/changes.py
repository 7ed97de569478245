"""What two class maps differ in: read on one grid, counted, and written as a raster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, WORKING, LandClass, Legend, remap
from landcover_pnp.legends.palettes import Palette, coloured
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.products.comparison_project import CHANGE
from landcover_pnp.products.qgis import Layer
from landcover_pnp.products.rasters import SOFTWARE
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.georeference import bounds_of, overlapping_bounds, require_projected
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import label_band, on_grid, open_raster, read, read_mask

UNCHANGED = 1
"""Value of the difference map where both maps have the same class."""

Labels = NDArray[np.uint8]
Reader = Callable[[Box], tuple[Labels, Labels]]


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Values of the difference map.

    Args:
        a: (y, x) uint8 numbers of classes 1 to 9, 0 = no data; those of the working classes are
            their codes.
        b: The same of the other map.

    Returns:
        (y, x) uint8: 0 where either has no data, 1 where both have the same class, else ten
        times the number of the class in A plus that in B.
    """
    changed = np.where(a == b, UNCHANGED, 10 * a + b)
    return np.where((a == NO_DATA) | (b == NO_DATA), NO_DATA, changed).astype(np.uint8)


def difference_legend(
    transitions: NDArray[np.int64], classes: Sequence[LandClass] = WORKING.classes
) -> Legend:
    """Legend of a difference map: the changes that occur, in the colour of the class in B."""
    changes = tuple(
        LandClass(10 * i + j, f"{a.name} to {b.name}", b.colour)
        for i, a in enumerate(classes, start=1)
        for j, b in enumerate(classes, start=1)
        if i != j and transitions[i - 1, j - 1]
    )
    return Legend("difference", (LandClass(UNCHANGED, "unchanged", (245, 245, 245)), *changes))


@contextmanager
def both_classes(
    a: Path, b: Path, palette: Palette
) -> Iterator[tuple[GeoBox, tuple[LandClass, ...], Reader, list[str]]]:
    """Opens two maps to be compared, on the grid of the first.

    Args:
        a: Map A.
        b: Map B, brought onto that grid by nearest neighbour.
        palette: Colours of the classes.

    Yields:
        The grid; the finest classes that both tell apart; what reads a window of both as their
        numbers (y, x), 0 = no data; what was done to the maps.
    """
    with open_raster(a, "map A") as first, open_raster(b, "map B") as second:
        for source, what in ((first, "map A"), (second, "map B")):
            label_band(source, what)
        require_projected(first, "map A")
        overlapping_bounds(second, "map B", bounds_of(first), first.crs)
        geobox = GeoBox.from_rio(first)
        legends = coloured(legend_of(first), palette), coloured(legend_of(second), palette)
        shared = SharedLegend.of(*legends)
        notes = []
        if not legends[0].tells_the_same(legends[1]):
            names = ", ".join(shared.legend.names)
            notes.append(
                f"legends {legends[0].name} (A) and {legends[1].name} (B): compared in the classes "
                f"that both tell apart: {names}"
            )
        if GeoBox.from_rio(second) != geobox:
            notes.append(f"{b} brought onto the grid of {a} by nearest neighbour")
        with on_grid(second, geobox, Resampling.nearest) as view:

            def numbers(source: DatasetReader | WarpedVRT, which: int, box: Box) -> Labels:
                codes = np.where(read_mask(source, box), read(source, 1, box), NO_DATA)
                table = (shared.first, shared.second)[which]
                known = remap(codes, legends[which].legend, table, str((a, b)[which]))
                return shared.legend.numbers(known)

            def pairs(box: Box) -> tuple[Labels, Labels]:
                return numbers(first, 0, box), numbers(view, 1, box)

            yield geobox, shared.legend.classes, pairs, notes


def change_layer(folder: Path, before: Path, after: Path, palette: Palette = "standard") -> Layer:
    """Writes ``change.tif``, what two maps of one grid differ in, with its style.

    Args:
        folder: Folder of the raster.
        before: Class map.
        after: Class map.
        palette: Colours of the classes.

    Returns:
        The layer.
    """
    path = folder / f"{CHANGE}.tif"
    with both_classes(before, after, palette) as (geobox, classes, pairs, _):
        legend = difference_legend(transitions_of(geobox, classes, pairs), classes)
        write_difference(path, geobox, legend, pairs)
    return Layer(CHANGE, f"./{path.name}", ClassStyle(legend), shown=False)


def transitions_of(
    geobox: GeoBox,
    classes: Sequence[LandClass],
    pairs: Reader,
    look: Callable[[Box, tuple[Labels, Labels]], None] = lambda *_: None,
) -> NDArray[np.int64]:
    """Pixels of each pair of classes.

    Args:
        geobox: The grid.
        classes: The classes.
        pairs: Reads a window of both maps.
        look: Sees each window too.

    Returns:
        (class of A, class of B) int64, where both have a class.
    """
    size = len(classes) + 1
    counts = np.zeros(size**2, np.int64)
    for box in blocks(_extent(geobox)):
        first, second = both = pairs(box)
        look(box, both)
        codes = first.astype(np.int64) * size + second
        counts += np.bincount(codes.ravel(), minlength=len(counts))
    return counts.reshape(size, -1)[1:, 1:]


def _extent(geobox: GeoBox) -> Box:
    height, width = geobox.shape
    return Box(0, int(height), 0, int(width))


def write_difference(path: Path, geobox: GeoBox, legend: Legend, pairs: Reader) -> None:
    """Writes a difference map with its QGIS style.

    Args:
        path: The raster.
        geobox: Its grid.
        legend: The changes that occur.
        pairs: Reads a window of both maps.

    Raises:
        RunError: If it cannot be written.
    """
    band = Band("uint8", ("difference",), nodata=NO_DATA, legend=legend, tags=SOFTWARE)
    with scratch(path) as plain:
        parts = ((box, difference(*pairs(box))[None]) for box in blocks(_extent(geobox)))
        write_raster(plain, geobox, band, parts)
        write_cog(path, plain, "mode")
    write_text(path.with_suffix(".qml"), qml(ClassStyle(legend)))
