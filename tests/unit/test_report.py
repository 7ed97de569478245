"""Figures and pictures of a report are those of the ground and of the legend."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING
from landcover_pnp.products.pictures import at_pixels
from landcover_pnp.products.rasters import EXTRAS, PRODUCTS, write_products
from landcover_pnp.products.report import class_rows
from landcover_pnp.products.viewer import scale_bar
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, PROBABILITY_ONE

CLASSES = {name: p for name, p in {**PRODUCTS, **EXTRAS}.items() if p.band.legend is WORKING}


@pytest.mark.parametrize("sides_m", [(4.0, 4.0), (2.0, 5.0), (5.0, 2.0)])
def test_hectares_are_by_both_sides_of_a_pixel(
    tmp_path: Path, sides_m: tuple[float, float]
) -> None:
    codes = np.random.default_rng(0).integers(0, 6, (40, 60), dtype=np.uint8)
    paths = [tmp_path / "classes.tif", tmp_path / "confidence.tif"]
    for path in paths:
        transform = rasterio.Affine(sides_m[0], 0, 500_000, 0, -sides_m[1], 4_000_000)
        with rasterio.open(
            path, "w", driver="GTiff", width=60, height=40, count=1, dtype="uint8",
            crs="EPSG:26917", transform=transform,
        ) as target:  # fmt: skip
            target.write(codes, 1)
    rows = class_rows(*paths)
    pixel_ha = sides_m[0] * sides_m[1] / 1e4
    for row, code in zip(rows[:-1], WORKING.codes, strict=True):
        assert float(str(row[1])) == pytest.approx((codes == code).sum() * pixel_ha, abs=0.006)
    assert float(str(rows[-1][1])) == pytest.approx((codes > 0).sum() * pixel_ha, abs=0.006)


def test_overviews_of_every_class_product_hold_its_classes_alone(tmp_path: Path) -> None:
    size = 1100
    geobox = GeoBox.from_bbox((0, 0, 4 * size, 4 * size), "EPSG:26917", resolution=4)
    likeliest = np.where(np.indices((size, size)).sum(axis=0) % 3, 0, 4)
    p = np.where(np.arange(5)[:, None, None] == likeliest, PROBABILITY_ONE, 0).astype(np.uint16)
    for method in {product.method for product in CLASSES.values()}:
        path = tmp_path / "probabilities" / f"{method}.tif"
        write_raster(path, geobox, BAND, [(Box(0, size, 0, size), p)])
    written = write_products(tmp_path / "probabilities", tmp_path, products=CLASSES)
    assert len(written) == len(CLASSES) >= 4
    for path in written:
        with rasterio.open(path) as source:
            known, levels = set(np.unique(source.read())), len(source.overviews(1))
        assert levels
        for level in range(levels):
            with rasterio.open(path, overview_level=level) as overview:
                assert set(np.unique(overview.read())) <= known


@given(width_m=st.floats(10, 1e6))
def test_the_scale_bar_is_a_round_length_that_fits(width_m: float) -> None:
    bar = scale_bar(width_m)
    number, unit = bar["text"].split()
    length_m = float(number) * {"m": 1, "km": 1000}[unit]
    assert float(bar["percent"]) == pytest.approx(100 * length_m / width_m, abs=1e-3)
    assert 9.9 < float(bar["percent"]) < 25.001
    assert f"{length_m:.0e}"[0] in "125"


@given(had=st.integers(1, 40), wanted=st.integers(1, 40))
def test_other_pixels_show_what_lies_under_their_centres(had: int, wanted: int) -> None:
    codes = np.arange(had, dtype=np.uint8)[:, None].repeat(3, axis=1)
    places = [Fraction(2 * i + 1, 2 * wanted) * had for i in range(wanted)]
    shown = at_pixels(codes, (wanted, 5))
    np.testing.assert_array_equal(shown[:, 4], [math.floor(place) for place in places])
