from pathlib import Path

import numpy as np
import pytest
from inputs import two_halves, write_tif
from rasterio.warp import transform

from landcover_pnp.evaluation.cell_scores import score_cells
from landcover_pnp.legend import ENVIROATLAS
from landcover_pnp.storage.georeference import pixel_sides_m
from landcover_pnp.storage.raster import open_raster

METRES, FEET, DEGREES = "EPSG:32129", "EPSG:2272", "EPSG:4269"
"""Pennsylvania in one projection and two units, and without projection."""

SIDE = 240
CORNER_M = (410_000.0, 126_000.0)
FOOT_M = 1200 / 3937  # US survey foot


def mapped(folder: Path) -> Path:
    """Probabilities of pixels of 1 m: trees on the left, impervious on the right, some wrong."""
    wrong = np.random.default_rng(0).random((SIDE, SIDE)) < 0.2
    trees = np.where((two_halves(1, 0, SIDE) > 0) ^ wrong, 40_000, 25_535)
    p = np.zeros((5, SIDE, SIDE), np.uint16)
    p[3], p[1] = trees, 65_535 - trees
    return write_tif(folder / "p.tif", p, crs=METRES, origin=CORNER_M, nodata=0)


def cells_of(folder: Path, side: float, crs: str, corner: tuple[float, float]) -> np.ndarray:
    truth = write_tif(folder / "truth.tif", two_halves(40, 20, SIDE), side, crs, corner)
    return score_cells(
        mapped(folder), truth, ENVIROATLAS, "five_classes", overlap=True
    ).cells.confusion


def test_cells_are_metres_also_where_truth_is_in_feet(tmp_path: Path) -> None:
    in_metres = cells_of(tmp_path, 1.0, METRES, CORNER_M)
    assert len(in_metres) == (SIDE / 30) ** 2
    corner_ft = (CORNER_M[0] / FOOT_M, CORNER_M[1] / FOOT_M)
    in_feet = cells_of(tmp_path, 1 / FOOT_M, FEET, corner_ft)
    np.testing.assert_array_equal(in_feet, in_metres)


def test_cells_are_metres_also_where_truth_is_in_degrees(tmp_path: Path) -> None:
    (x,), (y,) = transform(METRES, DEGREES, *[[v] for v in CORNER_M])
    side = 1e-5  # 0.85 m by 1.11 m
    confusion = cells_of(tmp_path, side, DEGREES, (x, y))
    with open_raster(tmp_path / "truth.tif", "truth") as source:
        width_m, height_m = pixel_sides_m(source)
    assert width_m == pytest.approx(side * 111_320 * np.cos(np.radians(y)), rel=0.005)
    assert height_m == pytest.approx(side * 111_030, rel=0.005)
    pixels = confusion.sum(axis=(1, 2)).max()
    assert pixels * width_m * height_m == pytest.approx(30**2, rel=0.05)
