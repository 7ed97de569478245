"""Spread of class shares about the truth, and intervals of sampled ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.evaluation.area_spread import (
    RARE,
    drawn_shares,
    log_shares,
    share_intervals,
    spread,
)

weights = st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda w: sum(w) > 0.1)


@given(weights, st.floats(0, 1), st.integers(2, 20), st.integers(0, 9))
def test_drawn_shares_are_shares(raw: list[float], width: float, count: int, seed: int) -> None:
    shares = np.array(raw) / sum(raw)
    drawn = drawn_shares(shares, width, count, seed)
    assert drawn.shape == (count, 5)
    assert (drawn >= 0).all()
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    assert (drawn[:, shares == 0] == 0).all()
    np.testing.assert_array_equal(drawn, drawn_shares(shares, width, count, seed))
    np.testing.assert_allclose(drawn_shares(shares, 0.0, count, seed), [shares] * count, atol=1e-12)


def test_few_samples_already_spread_as_many_would() -> None:
    """One in each of as many strata as there are samples, in every class."""
    shares = np.array([0.2, 0.5, 0.0, 0.3, 0.0])
    ends = []
    for seed in range(20):
        drawn = drawn_shares(shares, 0.3, 8, seed)
        # Before they are made to sum to 1 the ratio to the map is the error itself.
        ratio = (drawn[:, 0] + 1e-9) / (drawn[:, 1] + 1e-9)
        ends.append((ratio.min(), ratio.max()))
    low, high = np.array(ends).T
    assert (low < 0.4).all()
    assert (high > 0.4).all()


def test_the_spread_is_that_of_the_log_shares() -> None:
    truth = np.array([[0.5, 0.5], [0.1, 0.9]])
    off = np.exp(log_shares(truth) + np.array([[0.3, -0.3], [0.3, -0.3]])) - RARE
    assert spread(off, truth) == pytest.approx(0.3)
    assert spread(truth, truth) == 0


@pytest.mark.parametrize("count", [2, 4, 16])
def test_the_next_share_lies_in_the_interval_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(count)
    drawn = np.exp(rng.normal(np.log(0.2 + RARE), 0.3, (3000, count + 1))) - RARE
    inside = []
    for row in drawn:
        low, high = share_intervals(row[:-1, None], 0.9)
        inside.append(low[0] <= row[-1] <= high[0])
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


def test_an_absent_class_may_be_absent() -> None:
    rng = np.random.default_rng(0)
    rare = np.abs(rng.normal(0, 0.003, (16, 1)))
    low, high = share_intervals(rare)
    assert low[0] == 0 < high[0] < 0.02


def test_one_sample_gives_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two samples"):
        share_intervals(np.array([[0.5, 0.5]]))
