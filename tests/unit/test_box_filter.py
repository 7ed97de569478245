import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from landcover_pnp.box_filter import box_mean, box_sum

SEEDS = st.integers(0, 2**32 - 1)
RADII = st.integers(0, 30)
DTYPES = st.sampled_from([np.float32, np.float64])


@st.composite
def images(draw: st.DrawFn) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """An image (band, y, x) with values of very different size, and its valid pixels."""
    rng = np.random.default_rng(draw(SEEDS))
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    x = rng.normal(size=shape) * 10 ** rng.uniform(-3, 1, shape)
    valid = rng.random(shape[1:]) < draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    return x.astype(draw(DTYPES)), valid


def window(x: NDArray[np.generic], row: int, column: int, radius: int) -> NDArray[np.generic]:
    rows = slice(max(row - radius, 0), row + radius + 1)
    return x[..., rows, max(column - radius, 0) : column + radius + 1]


def tolerance(x: NDArray[np.floating]) -> float:
    return float(np.finfo(x.dtype).eps * np.abs(x).max() * x[0].size)


@given(images(), RADII)
def test_sums_and_means_equal_brute_force(
    image: tuple[NDArray[np.floating], NDArray[np.bool_]], radius: int
) -> None:
    x, valid = image
    sums, means = box_sum(x, radius), box_mean(x, radius, valid)
    assert sums.dtype == means.dtype == x.dtype
    for row, column in np.ndindex(valid.shape):
        around, inside = window(x, row, column, radius), window(valid, row, column, radius)
        expected = around.astype(np.float64).sum(axis=(1, 2))
        np.testing.assert_allclose(sums[:, row, column], expected, atol=tolerance(x))
        expected = around[:, inside].mean(axis=1) if inside.any() else np.zeros(len(x))
        np.testing.assert_allclose(means[:, row, column], expected, atol=tolerance(x))


@given(images(), RADII)
def test_means_stay_between_the_extremes_of_valid_pixels(
    image: tuple[NDArray[np.floating], NDArray[np.bool_]], radius: int
) -> None:
    x, valid = image
    valid[0, 0] = True
    reached = box_sum(valid.astype(np.float64), radius) > 0.5
    means = box_mean(x, radius, valid)[:, reached]
    assert means.min() >= x[:, valid].min() - tolerance(x)
    assert means.max() <= x[:, valid].max() + tolerance(x)


@given(images(), RADII, st.floats(-1e3, 1e3, width=32))
def test_a_constant_stays_constant(
    image: tuple[NDArray[np.floating], NDArray[np.bool_]], radius: int, value: float
) -> None:
    x = np.full_like(image[0], value)
    np.testing.assert_allclose(box_mean(x, radius), x, rtol=8 * np.finfo(x.dtype).eps)


@given(images(), RADII)
def test_what_is_not_valid_does_not_count(
    image: tuple[NDArray[np.floating], NDArray[np.bool_]], radius: int
) -> None:
    x, valid = image
    other = np.where(valid, x, x.dtype.type(np.nan))
    np.testing.assert_array_equal(box_mean(x, radius, valid), box_mean(other, radius, valid))


def test_a_window_without_valid_pixels_is_zero() -> None:
    x = np.full((7, 40), 3.3, np.float32)
    valid = np.zeros(x.shape, np.bool_)
    valid[:, :10] = True
    means = box_mean(x, 2, valid)
    np.testing.assert_allclose(means[:, :12], 3.3, rtol=1e-6)
    assert (means[:, 12:] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_sums_forget_large_values_far_away(dtype: DTypeLike) -> None:
    x = np.full((600, 600), 1e-3, dtype)
    x[:50, :50] = 1e4
    means = box_mean(x, 7)
    np.testing.assert_allclose(means[57:], 1e-3, rtol=1e-6)
    np.testing.assert_allclose(means[:, 57:], 1e-3, rtol=1e-6)


def test_the_cost_does_not_depend_on_the_radius() -> None:
    x = np.ones((4, 256, 256), np.float32)

    def seconds(radius: int) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            box_sum(x, radius)
            times.append(time.process_time() - start)
        return min(times)

    # k x k pooling would take 400 times as long, separable sums 20 times.
    assert seconds(60) < 3 * seconds(3)
