"""Tiles of a picture put together are the picture, at each size."""

import numpy as np
import pytest
from pages import opened, together

from landcover_pnp.products.tile_pyramid import TILE_PX, Levels, pyramid, size_of, webp

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1), (512, 513), (700, 1100), (1030, 40)])
def test_tiles_of_classes_are_the_picture_at_each_size(shape: tuple[int, int]) -> None:
    picture = np.dstack([RNG.integers(0, 256, (*shape, 3)), np.full(shape, 255)]).astype(np.uint8)
    levels = pyramid(picture, exact=True)
    for number, level in enumerate(levels):
        rows, columns = (
            np.minimum(np.arange(-(-n // 2**number)) * 2**number + 2**number // 2, n - 1)
            for n in shape
        )
        whole = together(level)
        shown = whole[: len(rows), : len(columns)]
        np.testing.assert_array_equal(shown, picture[np.ix_(rows, columns)])
        opaque = whole[..., 3] > 0
        assert opaque.sum() == shown[..., 3].size, "the rest of the tiles is empty"
    assert max(together(levels[-1]).shape) == TILE_PX


def test_tiles_of_an_image_are_nearly_the_picture_and_small() -> None:
    y, x = np.indices((900, 700))
    picture = np.dstack([x // 4, y // 4, (x + y) // 8, np.full(x.shape, 255)]).astype(np.uint8)
    picture[:300, :200, 3] = 0
    levels = pyramid(picture, exact=False)
    finest, half = together(levels[0]), together(levels[1])
    seen = picture[..., 3] > 0
    assert np.abs(finest[:900, :700][seen].astype(int) - picture[seen]).mean() < 4
    assert (finest[:900, :700, 3] == picture[..., 3]).all(), "where there is data is exact"
    average = picture.reshape(450, 2, 350, 2, 4).mean(axis=(1, 3))
    inside = np.s_[170:430, 120:340]
    assert np.abs(half[inside].astype(int) - average[inside]).mean() < 4
    assert size_of(levels) < 0.1 * picture.size


def test_ground_without_data_costs_nothing() -> None:
    empty: Levels = pyramid(np.zeros((1100, 600, 4), np.uint8), exact=False)
    assert size_of(empty) == 0
    assert [len(level) for level in empty] == [3, 2, 1]


def test_equal_pixels_give_equal_texts() -> None:
    picture = RNG.integers(0, 256, (90, 80, 4)).astype(np.uint8)
    assert webp(picture, exact=True) == webp(picture.copy(), exact=True)
    np.testing.assert_array_equal(
        opened(webp(picture[..., :3], exact=True))[..., :3], picture[..., :3]
    )
