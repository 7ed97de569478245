"""NLCD of a synthetic city, as it follows from land cover: by shares of 30 m cells."""

from __future__ import annotations

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter

from landcover_pnp.legend import ENVIROATLAS
from landcover_pnp.scenes.settings import Look

CRS = "EPSG:5070"
"""Conus Albers, in which NLCD is published."""

CELL_M = 30.0
"""Side of an NLCD cell."""

_IMPERVIOUS, _WATER = ENVIROATLAS.code("impervious"), ENVIROATLAS.code("water")

# NLCD code of cells where one EnviroAtlas class prevails; desert is shrub land to NLCD.
_NATURAL: dict[Look, dict[int, int]] = {
    "humid_east": {10: 11, 30: 31, 40: 41, 52: 52, 70: 81, 80: 82, 91: 90, 92: 95},
    "piedmont": {10: 11, 30: 31, 40: 43, 52: 52, 70: 71, 80: 81, 91: 90, 92: 95},
    "hill_country": {10: 11, 30: 31, 40: 42, 52: 52, 70: 71, 80: 81, 91: 90, 92: 95},
    "desert": {10: 11, 30: 52, 40: 52, 52: 52, 70: 71, 80: 82, 91: 90, 92: 95},
}

# Forest that NLCD takes for another kind.
_MISTAKEN = {41: 43, 42: 41, 43: 42}


def nlcd_geobox(city: GeoBox) -> GeoBox:
    """The NLCD cells that touch a city; edges lie on multiples of 30 m."""
    bounds = transform_bounds(str(city.crs), CRS, *city.boundingbox.bbox, densify_pts=21)
    left, bottom, right, top = np.array(bounds) / CELL_M
    x0, y0, x1, y1 = np.floor(left), np.floor(bottom), np.ceil(right), np.ceil(top)
    affine = Affine(CELL_M, 0, x0 * CELL_M, 0, -CELL_M, y1 * CELL_M)
    return GeoBox((int(y1 - y0), int(x1 - x0)), affine, CRS)


def class_shares(
    labels: NDArray[np.uint8], codes: list[int], city: GeoBox, cells: GeoBox
) -> NDArray[np.float32]:
    """Shares of classes in NLCD cells.

    Args:
        labels: (y, x) uint8.
        codes: Label codes.
        city: Grid of the labels.
        cells: Grid of the cells.

    Returns:
        (class, y, x) float32 of what the labels cover of a cell, nan where they do not.
    """
    shares = np.full((len(codes), *cells.shape), np.nan, np.float32)
    for share, code in zip(shares, codes, strict=True):
        reproject(
            (labels == code).astype(np.float32),
            share,
            src_transform=city.transform,
            src_crs=str(city.crs),
            dst_transform=cells.transform,
            dst_crs=str(cells.crs),
            dst_nodata=np.nan,
            resampling=Resampling.average,
        )
    return shares


def draw_nlcd(
    look: Look, labels: NDArray[np.uint8], city: GeoBox, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], GeoBox]:
    """Derives NLCD from labels, with errors like NLCD's own.

    Developed cells get 21 below 20 % impervious, 22 from 20, 23 from 50 and 24 from 80 %
    (NLCD's legend); a cell is developed where pavement or roofs are in it or around it. Other
    cells get the class that covers most of them. As in the imperviousness NLCD is made from,
    shares are somewhat smoothed and noisy; some natural cells are confused.

    Args:
        look: Decides which forest, and that open desert is shrub land.
        labels: (y, x) uint8 EnviroAtlas codes.
        city: Their grid.
        rng: Source of randomness.

    Returns:
        (y, x) uint8 NLCD codes at 30 m, full to the corners, and their grid.
    """
    cells = nlcd_geobox(city)
    natural = _NATURAL[look]
    shares = class_shares(labels, [_IMPERVIOUS, *natural], city, cells)
    unseen = np.isnan(shares[0])
    nearest = distance_transform_edt(unseen, return_distances=False, return_indices=True)
    shares = shares[:, *nearest]
    impervious = shares[0]

    smooth = 0.7 * shares + 0.3 * gaussian_filter(shares, (0.0, 0.7, 0.7))
    codes = np.array(list(natural.values()), np.uint8)[smooth[1:].argmax(axis=0)]
    confused = rng.random(codes.shape) < 0.08
    for forest, other in _MISTAKEN.items():
        codes[confused & (codes == forest)] = other
    strayed = rng.random(codes.shape) < 0.04
    codes[strayed] = np.roll(codes, rng.choice([-1, 1], 2), (0, 1))[strayed]

    developed = (impervious > 0.1) | (uniform_filter(impervious, 3) > 0.15)
    developed &= shares[1 + list(natural).index(_WATER)] < 0.5
    estimate = smooth[0] + rng.normal(0.0, 0.05, codes.shape)
    intensity = np.array([21, 22, 23, 24], np.uint8)[np.digitize(estimate, [0.2, 0.5, 0.8])]
    return np.where(developed, intensity, codes).astype(np.uint8), cells
