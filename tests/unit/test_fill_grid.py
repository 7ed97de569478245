"""Pixels of maps and of priors: every size of the one finds its place in the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, TileGrid, blocks
from landcover_pnp.pipeline.fill_grid import Axis, FillGrid, majority
from landcover_pnp.pipeline.fill_rims import continued

SIZES = [0.3, 0.5, 1.0, 1.37, 1.6, 2.0, 2.7, 3.0, 3.9, 4.0, 4.3, 5.0, 6.0, 8.0, 10.0, 30.0]


def grid_of(height: int, width: int, pixel_m: float) -> FillGrid:
    box = (0.0, 0.0, width * pixel_m, height * pixel_m)
    geobox = GeoBox.from_bbox(box, "EPSG:26917", shape=(height, width))
    return FillGrid.of(geobox, (pixel_m, pixel_m), 4.0)


@pytest.mark.parametrize("pixel_m", SIZES)
def test_working_pixels_have_the_prior_s_size_to_a_tenth(pixel_m: float) -> None:
    grid = grid_of(50, 70, pixel_m)
    assert 3.6 <= abs(grid.geobox.resolution.x) <= 4.4
    height, width = grid.geobox.shape
    assert height * abs(grid.geobox.resolution.y) >= 50 * pixel_m - 1e-6
    assert width * abs(grid.geobox.resolution.x) >= 70 * pixel_m - 1e-6


@given(st.integers(1, 90), st.floats(0.2, 40), st.integers(3, 40))
@examples(max_examples=200, deadline=None)
def test_windows_of_working_pixels_partition_the_map(size: int, pixel_m: float, core: int) -> None:
    axis = Axis.of(size, pixel_m, 4.0)
    core = -(-core // axis.parts) * axis.parts
    ranges = [axis.fine_range(at, at + core) for at in range(0, axis.working_size, core)]
    pixels = [y for start, stop in ranges for y in range(start, stop)]
    assert pixels == list(range(size))
    for at, (start, stop) in zip(range(0, axis.working_size, core), ranges, strict=True):
        assert all(at <= w < at + core for w in axis.working(start, stop))


@pytest.mark.parametrize("pixel_m", SIZES)
def test_counts_do_not_depend_on_the_parts_they_are_made_in(pixel_m: float) -> None:
    random, grid = np.random.default_rng(0), grid_of(61, 47, pixel_m)
    codes = random.integers(0, 6, (61, 47)).astype(np.uint8)
    hidden = random.random((61, 47)) < 0.4
    out = Box(0, int(grid.geobox.shape[0]), 0, int(grid.geobox.shape[1]))
    whole = grid.counted(Box(0, 61, 0, 47), codes, hidden, out)
    parts = np.zeros_like(whole)
    for box in blocks(Box(0, 61, 0, 47), 13):
        parts += grid.counted(
            box, codes[box.within(Box(0, 61, 0, 47))], hidden[box.within(Box(0, 61, 0, 47))], out
        )
    np.testing.assert_array_equal(whole, parts)
    if pixel_m <= 4.4:
        assert whole.sum() == ((codes > 0) | hidden).sum()


@pytest.mark.parametrize("pixel_m", SIZES)
def test_every_hidden_pixel_gets_what_the_prior_says_where_it_lies(pixel_m: float) -> None:
    """A window of whatever place: known and hidden pixels come back where they were."""
    random, grid = np.random.default_rng(1), grid_of(80, 80, pixel_m)
    codes = random.integers(1, 6, (20, 20)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    hidden = random.random((80, 80)) < 0.3
    extent, side = Box(0, 80, 0, 80), 2 * grid.parts * 8
    tiles = TileGrid(grid.geobox, side, 0)
    answered = np.zeros((80, 80), bool)
    for tile in tiles:
        shown, to_fill = majority(grid.counted(extent, codes, hidden, tile.core))
        p = np.equal(shown, np.arange(1, 6)[:, None, None]) + 0.2 * to_fill
        fine = grid.fine(tile.core)
        found = grid.to_fine(p.astype(np.float32), tile.core, fine)
        inside = fine.within(extent)
        assert (found.sum(axis=0)[hidden[inside]] > 0).all()
        answered[inside] = True
    assert answered.all()


@pytest.mark.parametrize("reach", [4.0, 12.0])
def test_a_hole_goes_on_from_the_known_pixels_as_far_as_they_reach(reach: float) -> None:
    """In a row the solution is known: the rim fades as exp(-k x), cosh k = 1 + 1 / reach^2."""
    codes, hidden = np.full((1, 400), 2, np.uint8), np.zeros((1, 400), np.bool_)
    hidden[:, 100:] = True
    p = np.zeros((5, 1, 400), np.float32)
    p[3] = 1
    found = continued(p, codes, hidden, reach)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-2)
    x = np.arange(1, 60)
    exact = np.exp(-x * np.arccosh(1 + 1 / reach**2))
    np.testing.assert_allclose(found[1, 0, 99 + x], exact, atol=5e-3)
    np.testing.assert_array_equal(found[:, 0, :100].argmax(axis=0), 1)
    assert continued(p, codes * 0, np.ones_like(hidden), reach)[3].min() > 0.99


def test_a_pixel_of_the_prior_is_hidden_where_less_than_half_of_it_is_known() -> None:
    counted = np.zeros((6, 1, 5))
    counted[1, 0], counted[5, 0] = [3, 1, 2, 0, 0], [1, 3, 2, 4, 0]
    codes, hidden = majority(counted)
    np.testing.assert_array_equal(codes, [[2, 0, 2, 0, 0]])
    np.testing.assert_array_equal(hidden, [[False, True, False, True, False]])
