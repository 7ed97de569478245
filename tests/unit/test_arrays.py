"""Shares of a sum and means of blocks: laws, and what they were before they were one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.arrays import block_mean, normalise

SEEDS = st.integers(0, 2**32 - 1)


def some(seed: int, dtype: Any = np.float32) -> NDArray[Any]:
    """(5, 7, 9) from 0 up, a third of them 0, and no class at all at some pixels."""
    random = np.random.default_rng(seed)
    p = random.random((5, 7, 9)) * (random.random((5, 7, 9)) < 0.7) * 10.0 ** random.integers(-8, 8)
    return (p * (random.random((7, 9)) < 0.8)).astype(dtype)


@given(SEEDS, st.sampled_from([np.float32, np.float64]), st.sampled_from([0, 1, 2, -1, None]))
def test_shares_sum_to_1_or_to_0_where_there_is_nothing(seed: int, dtype: Any, axis: Any) -> None:
    p = some(seed, dtype)
    before = p.copy()
    shares = normalise(p, axis)
    assert shares.dtype == dtype
    np.testing.assert_allclose(shares.sum(axis=axis), p.any(axis=axis), rtol=1e-5)
    np.testing.assert_array_equal(p, before)
    assert normalise(p, axis, out=p) is p
    assert p.tobytes() == shares.tobytes()


@given(SEEDS)
def test_bytes_are_those_of_dividing_where_there_is_something(seed: int) -> None:
    p = some(seed)
    total = p.sum(axis=0)
    expected = p / np.where(total > 0, total, 1)
    assert normalise(p).tobytes() == expected.tobytes()
    floored = p / np.maximum(total, 1e-6)
    assert normalise(p, floor=1e-6).tobytes() == floored.tobytes()


@given(SEEDS, st.integers(1, 4), st.sampled_from([np.bool_, np.uint8, np.float32]))
def test_means_of_blocks(seed: int, factor: int, dtype: Any) -> None:
    random = np.random.default_rng(seed)
    fine = (random.random((2, 3 * factor, 5 * factor)) * 2).astype(dtype)
    means = block_mean(fine, factor)
    assert means.dtype == np.float32
    assert means.shape == (2, 3, 5)
    for y, x in np.ndindex(3, 5):
        block = fine[:, y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        np.testing.assert_allclose(means[:, y, x], block.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(block_mean(fine[0], factor), means[0])


def test_blocks_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="reshape"):
        block_mean(np.zeros((5, 4)), 2)
