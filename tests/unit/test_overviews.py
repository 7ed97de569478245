"""Overviews of published truth and errors hold the classes of these and no others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legends.result_legend import FIVE
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.products.rasters import PRODUCTS, write_products
from landcover_pnp.products.truth_layers import write_truth
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, encode

GRID = GeoBox((600, 700), Affine(4, 0, 586_000, 0, -4, 4_476_000), "EPSG:26917")
WHOLE = Box(0, 600, 0, 700)


def stripes() -> NDArray[np.uint8]:
    """(y, x) classes 1 and 5, one pixel wide: any average of both is another class."""
    return np.where(np.indices((600, 700)).sum(axis=0) % 3, 1, 5).astype(np.uint8)


def write_probabilities(path: Path) -> None:
    p = np.full((5, 600, 700), 0.02, np.float32)
    np.put_along_axis(p, stripes()[None].astype(int) - 1, 0.92, axis=0)
    stored = encode(p)
    write_raster(path, GRID, BAND, [(box, stored[:, *box.within(WHOLE)]) for box in blocks(WHOLE)])


def levels(path: Path) -> tuple[set[int], set[int]]:
    """Values of a raster, and of its first overview."""
    with rasterio.open(path) as source:
        assert source.overviews(1), "no overview to judge"
        values = set(np.unique(source.read()).tolist())
    with rasterio.open(path, overview_level=0) as overview:
        return values, set(np.unique(overview.read()).tolist())


def test_overviews_of_truth_and_errors_invent_no_class(tmp_path: Path) -> None:
    write_probabilities(tmp_path / "map.tif")
    write_products(tmp_path, tmp_path, products={"landcover": PRODUCTS["landcover"]})

    def truth(box: Box) -> NDArray[np.uint8]:
        return np.roll(stripes(), 1, axis=1)[box.within(WHOLE)]

    scene = SimpleNamespace(truth_legend="working", truth=truth, geobox=GRID, extent=WHOLE)
    run: Any = SimpleNamespace(scene=scene, truth_legend=SharedLegend.of(FIVE, FIVE))
    write_truth(run, tmp_path)
    for stem in ("truth", "errors"):
        values, seen = levels(tmp_path / f"{stem}.tif")
        assert seen <= values, stem
