"""Polygons of labels: nothing lost, nothing twice, whatever the labels are."""

from pathlib import Path

import geopandas
import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from inputs import write_tif
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy import ndimage

from landcover_pnp.products.polygons import (
    on_ground,
    patch_means,
    patches,
    sieved,
    simplified,
    staircases,
)
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.products.vectors import WINDOW_PX, write_polygons

LABELS = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)
)


def blobs(side: int, seed: int) -> np.ndarray:
    """(y, x) labels 1..3 in patches of natural shapes, with a hole of no data."""
    noise = np.random.default_rng(seed).normal(size=(3, side, side))
    labels = ndimage.gaussian_filter(noise, (0, 2.5, 2.5)).argmax(axis=0).astype(np.uint8) + 1
    labels[side // 3 : side // 2, side // 3 : side // 2] = 0
    return labels.astype(np.uint8)


@given(LABELS, st.floats(0, 5))
def test_polygons_cover_the_data_once_and_nothing_else(
    labels: np.ndarray, tolerance: float
) -> None:
    numbers = patches(labels)
    polygons = simplified(numbers, tolerance)
    assert len(polygons) == numbers.max()
    assert shapely.is_valid(polygons).all()
    np.testing.assert_allclose(shapely.area(polygons).sum(), (labels > 0).sum(), atol=1e-9)
    together = shapely.union_all(polygons)  # as large as the sum: no two overlap
    np.testing.assert_allclose(together.area, (labels > 0).sum(), atol=1e-9)
    valid = shapely.union_all(staircases(patches((labels > 0).astype(np.uint8))))
    assert together.symmetric_difference(valid).area < 1e-9
    if len(polygons):
        assert shapely.coverage_is_valid(polygons)


@given(LABELS)
def test_outlines_drawn_again_are_the_labels(labels: np.ndarray) -> None:
    numbers = patches(labels)
    drawn = np.zeros(labels.shape, np.int32)
    if numbers.any():
        outlines = enumerate(staircases(numbers), start=1)
        rasterize([(p, n) for n, p in outlines], out=drawn)
    np.testing.assert_array_equal(drawn, numbers)
    for number in range(1, numbers.max() + 1):
        assert len(np.unique(labels[numbers == number])) == 1


@given(LABELS, st.integers(0, 12))
def test_the_sieve_keeps_no_data_and_large_patches(labels: np.ndarray, size: int) -> None:
    merged = sieved(labels, size)
    np.testing.assert_array_equal(merged == 0, labels == 0)
    numbers = patches(labels)
    large = (np.bincount(numbers.ravel())[numbers] >= size) & (labels > 0)
    np.testing.assert_array_equal(merged[large], labels[large])
    assert patches(merged).max() <= numbers.max()


def test_the_sieve_drops_a_speck_and_its_polygon() -> None:
    labels = np.ones((9, 9), np.uint8)
    labels[4, 4:6] = 2
    assert (sieved(labels, 3) == 1).all()
    np.testing.assert_array_equal(sieved(labels, 2), labels)


def test_windows_meet_without_gap_or_overlap() -> None:
    labels = blobs(80, 1)
    transform = Affine(1.37, 0, 586_000.3, 0, -1.37, 4_476_000.1)
    parts = []
    for y in (0, 40):
        for x in (0, 40):
            numbers = patches(labels[y : y + 40, x : x + 40])
            parts.append(on_ground(simplified(numbers, 3.0), transform, (x, y)))
    polygons = np.concatenate(parts)
    area = (labels > 0).sum() * 1.37**2
    np.testing.assert_allclose(shapely.area(polygons).sum(), area, rtol=1e-9)
    np.testing.assert_allclose(shapely.union_all(polygons).area, area, rtol=1e-9)


def test_simplified_edges_are_a_fraction_of_the_staircases() -> None:
    labels = blobs(120, 2)
    raw = shapely.get_num_coordinates(staircases(patches(labels))).sum()
    few = shapely.get_num_coordinates(simplified(patches(sieved(labels, 13)), 3.0)).sum()
    assert few < raw / 5


@given(LABELS)
def test_means_of_patches(labels: np.ndarray) -> None:
    numbers = patches(labels)
    values = np.random.default_rng(0).normal(size=labels.shape)
    means = patch_means(values, numbers)
    for number, mean in enumerate(means, start=1):
        np.testing.assert_allclose(mean, values[numbers == number].mean())


def test_names_are_texts_where_the_first_window_is_empty(tmp_path: Path) -> None:
    labels = np.zeros((10, WINDOW_PX + 20), np.uint8)
    labels[:, WINDOW_PX:] = 4
    classes = write_tif(tmp_path / "map.tif", labels, nodata=0)
    confidence = write_tif(tmp_path / "confidence.tif", np.where(labels, 80, 255).astype(np.uint8))
    settings = PublishSettings(min_area_m2=4, simplify_m=1)
    write_polygons(tmp_path / "map.gpkg", classes, confidence, settings)
    table = geopandas.read_file(tmp_path / "map.gpkg", layer="landcover")
    assert table["name"].tolist() == ["trees and forest"]
    assert table["area_m2"].tolist() == [200]
