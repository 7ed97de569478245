"""Synthetic cities: seeded, procedural, written like the EnviroAtlas data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.warp import reproject

from landcover_pnp.errors import SettingsError
from landcover_pnp.grid import Box
from landcover_pnp.legend import ENVIROATLAS
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.settings import Look, SyntheticSettings
from landcover_pnp.scenes.synthetic.look import photograph
from landcover_pnp.scenes.synthetic.nlcd import draw_nlcd
from landcover_pnp.scenes.synthetic.plan import city_rng, draw_labels
from landcover_pnp.scenes.synthetic.survey import Survey, survey
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.geotiff import Band, write_raster
from landcover_pnp.storage.owned_folder import make_owned

TILE = "r0000c0000"
"""Name of the one tile of a synthetic city."""

SMALLEST_M = 120
"""Smallest side of a synthetic city in metres."""

# CRS and upper left corner of each look: Pittsburgh, Durham, Austin, Phoenix.
_PLACE: dict[Look, tuple[str, float, float]] = {
    "humid_east": ("EPSG:26917", 584_000.0, 4_478_000.0),
    "piedmont": ("EPSG:26917", 688_000.0, 3_986_000.0),
    "hill_country": ("EPSG:26914", 620_000.0, 3_351_000.0),
    "desert": ("EPSG:26912", 401_000.0, 3_713_000.0),
}


@dataclass(frozen=True)
class SyntheticSummary:
    """A synthetic city on disk.

    Attributes:
        folder: Folder of its files.
        city: Name of the city in the data set's layout.
        tile: Name of its tile.
        look: Climate and building style.
        class_shares: Share of the ground by EnviroAtlas class name, 0 to 1.
        objects: Number of roads, buildings and waters in the vector file.
    """

    folder: Path
    city: str
    tile: str
    look: Look
    class_shares: dict[str, float]
    objects: dict[str, int]


_FILES = (
    "a_naip.tif",
    "b_nlcd.tif",
    "c_roads.tif",
    "d_water.tif",
    "d1_waterways.tif",
    "d2_waterbodies.tif",
    "e_buildings.tif",
    "h_highres_labels.tif",
    "nlcd_30m.tif",
    "vectors.gpkg",
)


def write_city(settings: SyntheticSettings, root: Path) -> SyntheticSummary:
    """Draws a city and writes it as one tile of the EnviroAtlas layout.

    The folder ``<root>/<city>-test_tiles-debuffered`` gets the layers ``a_naip`` to
    ``h_highres_labels`` at 1 m, and beside them the same weak layers as a user has them:
    ``<tile>_nlcd_30m.tif`` (NLCD codes, EPSG:5070) and ``<tile>_vectors.gpkg`` (roads with
    ``width_m``, buildings, water).

    Args:
        settings: Look, size and seed; the same settings write the same bytes.
        root: Folder of the data set.

    Raises:
        SettingsError: If the city is too small.
        RunError: If a file cannot be written and read back.
    """
    look, side = settings.look, settings.width_m
    if side < SMALLEST_M:
        raise SettingsError(
            found=f"a synthetic city of {side} m",
            expected=f"at least {SMALLEST_M} m, the size of a few houses",
            fix="set width_m to several hundred metres or more",
        )
    rng = city_rng(look, settings.seed)
    plan = draw_labels(look, (side, side), rng)
    crs, x0, y0 = _PLACE[look]
    geobox = GeoBox((side, side), Affine(1, 0, x0, 0, -1, y0), crs)
    nlcd, cells = draw_nlcd(look, plan.labels, geobox, rng)
    vectors = survey(plan, geobox, rng)

    city = f"synthetic_{look}-{settings.seed}_1m"
    folder = root / f"{city}-test_tiles-debuffered"
    make_owned(folder, "synthetic city", *(f"{TILE}_{name}" for name in _FILES))

    def write(layer: str, grid: GeoBox, pixels: NDArray[np.uint8], *names: str) -> None:
        path = folder / f"{TILE}_{layer}.tif"
        whole = Box(0, grid.shape[0], 0, grid.shape[1])
        write_raster(path, grid, Band("uint8", names), [(whole, pixels.reshape(-1, *grid.shape))])

    write("a_naip", geobox, photograph(plan, rng), "red", "green", "blue", "near infrared")
    write("b_nlcd", geobox, _nlcd_indices(nlcd, cells, geobox), "NLCD index")
    water, streams = vectors.water.geometry, vectors.water["kind"] == "stream"
    areas = {
        "c_roads": vectors.roads.buffer(vectors.roads["width_m"] / 2),
        "d_water": water,
        "d1_waterways": water[streams],
        "d2_waterbodies": water[~streams],
        "e_buildings": vectors.buildings.geometry,
    }
    for layer, area in areas.items():
        write(layer, geobox, _presence(area, geobox), layer.partition("_")[2])
    write("h_highres_labels", geobox, plan.labels, "EnviroAtlas class")
    write("nlcd_30m", cells, nlcd, "NLCD class")
    _write_vectors(folder / f"{TILE}_vectors.gpkg", vectors)
    return SyntheticSummary(
        folder=folder,
        city=city,
        tile=TILE,
        look=look,
        class_shares={c.name: float((plan.labels == c.code).mean()) for c in ENVIROATLAS.classes},
        objects={name: len(frame) for name, frame in vectors._asdict().items()},
    )


def _write_vectors(path: Path, vectors: Survey) -> None:
    """Writes a GeoPackage with a layer for each kind of object."""
    # A GeoPackage keeps the time of writing; a fixed one makes the same seed the same bytes.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2010-01-01T00:00:00.000Z"})
    try:
        with completed(path) as partial:
            for layer, frame in vectors._asdict().items():
                frame.to_file(partial, layer=layer, driver="GPKG")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _presence(areas: gpd.GeoSeries, geobox: GeoBox) -> NDArray[np.uint8]:
    """(y, x) 1 where one of the polygons covers the centre of a pixel, else 0."""
    if areas.empty:
        return np.zeros(geobox.shape, np.uint8)
    burnt: NDArray[np.uint8] = rasterize(
        areas, geobox.shape, transform=geobox.transform, dtype="uint8"
    )
    return burnt


def _nlcd_indices(codes: NDArray[np.uint8], cells: GeoBox, city: GeoBox) -> NDArray[np.uint8]:
    """(y, x) indices 1..16 of the NLCD codes of the cells on the city's grid, by nearest."""
    of_nlcd = CoarseLegend.load("nlcd").codes
    index_of_code = np.zeros(256, np.uint8)
    index_of_code[list(of_nlcd)] = np.arange(1, len(of_nlcd) + 1)
    indices = np.zeros(city.shape, np.uint8)
    reproject(
        index_of_code[codes],
        indices,
        src_transform=cells.transform,
        src_crs=str(cells.crs),
        dst_transform=city.transform,
        dst_crs=str(city.crs),
        resampling=Resampling.nearest,
    )
    return indices
