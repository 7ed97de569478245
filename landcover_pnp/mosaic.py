"""The mosaic: tiles blended into one map, and the GeoTIFFs made of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import rioxarray
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from landcover_pnp import __version__
from landcover_pnp.geotiff import Band, write_cog, write_raster
from landcover_pnp.grid import Box, Tile, TileGrid
from landcover_pnp.inference.tiles import BAND
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING
from landcover_pnp.raster import BLOCK_PX, blocks, open_raster, read

PERCENT_NO_DATA = 255
"""Value of no data in the confidence and entropy rasters, whose data is 0 to 100."""


@dataclass(frozen=True)
class TileResults:
    """Where the probabilities of a run's tiles lie.

    Attributes:
        grid: The tiles.
        folder: Folder of the tiles' rasters.
        done: Names of the tiles that are there; the others are no data in the map.
    """

    grid: TileGrid
    folder: Path
    done: Collection[str]

    def blended(self, tile: Tile, method: str) -> NDArray[np.float32]:
        """Probabilities in a tile's core, blended with the neighbours' overlap.

        Weights of missing neighbours are shared out among those that are there.

        Args:
            tile: The tile.
            method: One of ``tiles.METHODS``.

        Returns:
            (class, y, x) float32, sums to 1; 0 everywhere where there is no data.
        """
        total = np.zeros((CLASS_COUNT, *tile.core.shape), np.float32)
        if tile.id not in self.done:
            return total
        for neighbour in self.grid.neighbours(tile):
            part = neighbour.canvas.clip(tile.core)
            if neighbour.id not in self.done or part.is_empty:
                continue
            y, x = part.within(neighbour.canvas)
            with open_raster(self.folder / f"{neighbour.id}_{method}.tif", "tile") as source:
                p = read(source, source.indexes, Box(y.start, y.stop, x.start, x.stop))
            total[:, *part.within(tile.core)] += p * self.grid.blend_weights(neighbour)[y, x]
        mass = total.sum(axis=0)
        return np.asarray(np.divide(total, mass, out=total, where=mass > 0))


def blend_tiles(results: TileResults, method: str, path: Path) -> None:
    """Writes the blended probabilities of all tiles to one GeoTIFF.

    Args:
        results: The tiles.
        method: One of ``tiles.METHODS``.
        path: File to write: (class, y, x) uint16, 65535 = 1, all 0 = no data.

    Raises:
        RunError: If the file cannot be written.
    """

    def parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        for tile in results.grid:
            p = results.blended(tile, method)
            yield tile.core, np.rint(p * np.iinfo(np.uint16).max).astype(np.uint16)

    write_raster(path, results.grid.geobox, BAND, parts())


def classes(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Most probable class: (class, y, x) -> (y, x) uint8, 0 where all are 0."""
    best = probabilities.argmax(axis=0).astype(np.uint8) + np.uint8(1)
    return np.where(probabilities.any(axis=0), best, np.uint8(NO_DATA))


def confidence(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Largest probability in percent: (class, y, x) -> (y, x) uint8, 255 = no data."""
    percent = np.rint(100 * probabilities.max(axis=0)).astype(np.uint8)
    return np.where(probabilities.any(axis=0), percent, np.uint8(PERCENT_NO_DATA))


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Entropy in percent of that of a uniform distribution.

    Args:
        probabilities: (class, y, x) float32, sums to 1.

    Returns:
        (y, x) uint8, 0 = certain, 100 = knows nothing, 255 = no data.
    """
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    nats = -(probabilities * logs).sum(axis=0)
    percent = np.rint(100 * nats / np.log(CLASS_COUNT)).astype(np.uint8)
    return np.where(probabilities.any(axis=0), percent, np.uint8(PERCENT_NO_DATA))


CLASS_BAND = Band(
    "uint8",
    ("land cover",),
    nodata=NO_DATA,
    colormap=WORKING.colormap,
    categories={NO_DATA: "no data", **{c.code: c.name for c in WORKING.classes}},
    tags={"software": f"landcover-pnp {__version__}"},
)

PRODUCTS = {
    "landcover": ("map", classes, CLASS_BAND, "mode"),
    "confidence": (
        "map",
        confidence,
        Band("uint8", ("largest class probability, percent",), nodata=PERCENT_NO_DATA),
        "average",
    ),
    "entropy": (
        "map",
        entropy,
        Band("uint8", ("entropy, percent of its maximum",), nodata=PERCENT_NO_DATA),
        "average",
    ),
    "evidence": ("evidence", classes, CLASS_BAND, "mode"),
    "weak_labels": ("weak_labels", classes, CLASS_BAND, "mode"),
}
"""File stem of a product: method, function of the probabilities, format, overview rule."""


def write_products(probabilities: Path, out: Path) -> list[Path]:
    """Writes the map's GeoTIFFs from the blended probabilities.

    Args:
        probabilities: Folder with one file a method, from ``blend_tiles``.
        out: Folder of the products.

    Returns:
        Paths of the cloud-optimised GeoTIFFs in the order of ``PRODUCTS``.

    Raises:
        RunError: If a file cannot be written; older products stay as they were.
    """
    written = []
    with TemporaryDirectory(prefix=".partial-", dir=out) as scratch:
        for stem, (method, function, band, overviews) in PRODUCTS.items():
            plain, path = Path(scratch) / f"{stem}.tif", out / f"{stem}.tif"
            with open_raster(probabilities / f"{method}.tif", method) as source:
                write_raster(plain, GeoBox.from_rio(source), band, _pixels(source, function))
            write_cog(path, plain, overviews)
            written.append(path)
    return written


def open_products(run: Path) -> xr.Dataset:
    """A run's products as one dataset, read by dask as it is used.

    Args:
        run: Folder of a run with its products.

    Returns:
        One (y, x) variable a product, with coordinates in the CRS of the map; see each
        variable's ``long_name``, and ``PRODUCTS`` for the values of no data.
    """
    layers = {}
    for stem in PRODUCTS:
        opened = rioxarray.open_rasterio(run / f"{stem}.tif", chunks={"x": BLOCK_PX, "y": BLOCK_PX})
        layers[stem] = cast(xr.DataArray, opened).squeeze("band", drop=True)
    return xr.Dataset(layers)


def _pixels(
    source: DatasetReader, function: Callable[[NDArray[np.float32]], NDArray[np.uint8]]
) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
    for box in blocks(Box(0, source.height, 0, source.width)):
        p = read(source, source.indexes, box).astype(np.float32)
        mass = p.sum(axis=0)
        yield box, function(np.divide(p, mass, out=p, where=mass > 0))[None]
