"""Pictures of a map lie where the map lies, to half a pixel, whatever the ratio of the two."""

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, blocks
from landcover_pnp.products.picture_grid import PictureGrid


def grid_of(height: int, width: int, sides_m: tuple[float, float] = (4, 4)) -> GeoBox:
    place = Affine(sides_m[0], 0, 5e5, 0, -sides_m[1], 4e6)
    return GeoBox((height, width), place, "EPSG:26917")


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    sides_m=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
    finest_m=st.sampled_from([math.inf, 0.25, 1.0, 1.36, 4.0]),
    most_px=st.integers(1, 20_000),
    side=st.integers(20, 200),
)
def test_each_pixel_shows_the_map_where_it_lies(
    shape: tuple[int, int],
    sides_m: tuple[float, float],
    finest_m: float,
    most_px: int,
    side: int,
) -> None:
    geobox = grid_of(*shape, sides_m)
    grid = PictureGrid.of(geobox, finest_m, most_px)
    assert math.prod(grid.shape) <= most_px
    place = ~geobox.transform * grid.geobox.transform
    for axis, size in enumerate(shape):
        values = np.broadcast_to(np.expand_dims(np.arange(size), 1 - axis), shape)
        picture = np.full(grid.shape, -1)
        for box in blocks(Box(0, shape[0], 0, shape[1]), side):
            grid.take(picture, values[box.y0 : box.y1, box.x0 : box.x1], box)
        assert picture.min() >= 0, "all of it is filled"
        step, first = (place.e, place.f) if axis == 0 else (place.a, place.c)
        centres = first + step * (np.arange(grid.shape[axis]) + 0.5)
        shown = picture.take(0, 1 - axis) + 0.5
        # Half a pixel of the picture, and at the edge of the map no further than its last pixel.
        off = np.abs(shown - np.minimum(centres, size - 0.5))
        assert off.max() <= max(0.5, step / 2) + 1e-6
        assert grid.shape[axis] * step >= size - 1e-6


@pytest.mark.parametrize(
    ("map_m", "image_m", "most_px", "expected_m"),
    [
        (0.3, 0.3, 10_000, 0.3),  # the map has the image's pixels
        (4.0, 1.0, 1_000_000, 1.0),  # no student: the image's are a quarter of the map's
        (4.08, 1.36, 1_000_000, 1.36),
        (4.0, 1.0, 80_000, 2.0),  # but for room
        (1.0, 1.0, 3_000, 2.0),
        (1.0, 4.0, 10_000, 1.0),  # only the prepared image is there
    ],
)
def test_pixels_are_the_finer_of_image_and_map_if_there_is_room(
    map_m: float, image_m: float, most_px: int, expected_m: float
) -> None:
    grid = PictureGrid.of(grid_of(100, 100, (map_m, map_m)), image_m, most_px)
    assert grid.resolution_m == pytest.approx(expected_m)
    assert grid.coarser.resolution_m > grid.resolution_m
