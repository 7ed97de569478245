"""The map for a web page: one PMTiles archive of PNG tiles in the legend's colours.

Tiles are those of the web's usual grid (EPSG:3857, 256 pixels). An archive lies on any server that
answers ranges; a page reads the tiles it shows out of it (PMTiles specification, version 3).
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from landcover_pnp.errors import GridError
from landcover_pnp.grid import Box
from landcover_pnp.legend import Legend
from landcover_pnp.products.footprint import Degrees
from landcover_pnp.products.packages import require_package
from landcover_pnp.products.page import hex_colour
from landcover_pnp.products.qgis_layout import Bounds
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.raster import open_raster, read

ARCHIVE = "landcover.pmtiles"
"""Name of the archive among the products."""

TILE_PX = 256
"""Side of a tile."""

MOST_ZOOM = 24
"""Deepest level: pixels of a centimetre."""

WEB_MERCATOR = "EPSG:3857"

HALF_M = math.pi * 6_378_137.0
"""Half the side of the square that EPSG:3857 makes of the earth."""

MOST_LATITUDE = 85.0511287
"""Where that square ends."""


@dataclass(frozen=True)
class Zooms:
    """The levels of an archive.

    Attributes:
        first: The deepest one whose tile is no smaller than the map: it shows all of it.
        last: The first one whose pixels are no larger than the map's.
    """

    first: int
    last: int

    @classmethod
    def of(cls, pixel_m: float, latitude: float, extent_m: float) -> Zooms:
        """Levels of a map.

        Args:
            pixel_m: Side of its pixels on the ground.
            latitude: Degrees; the grid stretches the ground there by 1 / cos.
            extent_m: Its longer side in EPSG:3857.
        """
        ground_m = 2 * HALF_M * math.cos(math.radians(latitude)) / TILE_PX
        last = min(MOST_ZOOM, max(0, math.ceil(math.log2(ground_m / pixel_m) - 1e-9)))
        return cls(min(last, max(0, math.floor(math.log2(2 * HALF_M / extent_m)))), last)


def require_web_tiles(bbox: Degrees) -> None:
    """Refuses a map that cannot be on the web's grid, and an environment without PMTiles.

    Args:
        bbox: West, south, east, north of the map.

    Raises:
        GridError: If it lies across the antimeridian, or beyond the grid.
        RequestError: If the package is not installed.
    """
    west, south, east, north = bbox
    if west > east or max(-south, north) > MOST_LATITUDE:
        raise GridError(
            found=f"a map from {west} {south} to {east} {north} degrees",
            expected=f"one on one side of the antimeridian, between {MOST_LATITUDE} degrees south "
            "and north, where the web's grid of tiles is",
            fix="publish it without --web_tiles, or map the two sides apart by an area",
        )
    require_package("pmtiles", "web tiles")


def write_web_tiles(
    path: Path,
    classes: Path,
    legend: Legend,
    title: str,
    attribution: Sequence[str],
    bbox: Degrees,
) -> Path:
    """Writes the archive; the same map gives the same bytes.

    A tile's pixel has the class of the map's pixel under its centre (nearest neighbour); on levels
    coarser than the map, of its overview, which is the most frequent class. Tiles without data are
    left out, but for the first.

    Args:
        path: The archive.
        classes: Class map with overviews.
        legend: Its legend.
        title: Title of the map.
        attribution: Sources to be named.
        bbox: West, south, east, north of the map, see ``require_web_tiles``.

    Returns:
        The archive.

    Raises:
        RasterError: If the map cannot be read.
        RunError: If the archive cannot be written.
    """
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import Writer

    west, south, east, north = bbox
    with open_raster(classes, "class map") as source:
        factors, pixel_m = source.overviews(1), float(min(source.res))
        bounds: Bounds = transform_bounds(source.crs, WEB_MERCATOR, *source.bounds)
    extent_m = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    zooms = Zooms.of(pixel_m, (south + north) / 2, extent_m)
    with completed(path) as partial, partial.open("wb") as file:
        writer = Writer(file)
        for zoom in range(zooms.first, zooms.last + 1):
            coarser = 2.0 ** (zooms.last - zoom)
            fitting = [n for n, factor in enumerate(factors) if factor <= coarser]
            level = {"overview_level": fitting[-1]} if fitting else {}
            with rasterio.open(classes, **level) as source:
                tiles = _Level(source, zoom, bounds)
                order = sorted((zxy_to_tileid(zoom, x, y), x, y) for x, y in tiles.places)
                for number, x, y in order:  # in the order of the curve that tiles are found by
                    codes = tiles.codes(x, y)
                    # An archive has one tile at least.
                    if codes.any() or (zoom, x, y) == (zooms.first, *order[0][1:]):
                        writer.write_tile(number, png(codes, legend))
        corners = {
            f"{end}_{axis}_e7": round(value * 1e7)
            for end, place in (("min", (west, south)), ("max", (east, north)))
            for axis, value in zip(("lon", "lat"), place, strict=True)
        }
        writer.finalize(
            {
                "tile_type": TileType.PNG,
                "tile_compression": Compression.NONE,
                **corners,
                "center_zoom": zooms.first,
                "center_lon_e7": round((west + east) / 2 * 1e7),
                "center_lat_e7": round((south + north) / 2 * 1e7),
            },
            {
                "name": title,
                "type": "overlay",
                # Pages show it as HTML.
                "attribution": "; ".join(attribution).replace("<", "&lt;"),
                "legend": {c.name: hex_colour(c.colour) for c in legend.classes},
            },
        )
    return path


def png(codes: NDArray[np.uint8], legend: Legend) -> bytes:
    """Codes (y, x) as a paletted PNG; no data is transparent."""
    picture = Image.fromarray(legend.numbers(codes)).convert("P")
    colours = [0, 0, 0]
    for c in legend.classes:
        colours += c.colour
    picture.putpalette(colours)
    file = io.BytesIO()
    picture.save(file, format="png", transparency=0, bits=4)
    return file.getvalue()


class _Level:
    """Tiles of one level of the grid.

    Args:
        source: The map, open.
        zoom: The level.
        bounds: Left, bottom, right, top of the map in EPSG:3857.

    Attributes:
        places: Column and row of each tile that the map may reach.
    """

    def __init__(self, source: DatasetReader, zoom: int, bounds: Bounds) -> None:
        side_m, last = 2 * HALF_M / 2**zoom, 2**zoom - 1

        def place(distance_m: float) -> int:
            return int(min(last, max(0, math.floor(distance_m / side_m))))

        left, bottom, right, top = bounds
        columns = range(place(HALF_M + left), place(HALF_M + right) + 1)
        rows = range(place(HALF_M - top), place(HALF_M - bottom) + 1)
        self.places = tuple(itertools.product(columns, rows))
        self._first = columns[0], rows[0]
        pixel_m = side_m / TILE_PX
        x_m, y_m = columns[0] * side_m - HALF_M, HALF_M - rows[0] * side_m
        self._view = WarpedVRT(
            source,
            crs=WEB_MERCATOR,
            transform=Affine(pixel_m, 0, x_m, 0, -pixel_m, y_m),
            width=len(columns) * TILE_PX,
            height=len(rows) * TILE_PX,
            resampling=Resampling.nearest,
        )

    def codes(self, x: int, y: int) -> NDArray[np.uint8]:
        """(TILE_PX, TILE_PX) codes of a tile, 0 = no data."""
        left, top = (x - self._first[0]) * TILE_PX, (y - self._first[1]) * TILE_PX
        return np.asarray(read(self._view, 1, Box(top, top + TILE_PX, left, left + TILE_PX)))
