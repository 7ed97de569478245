"""Laws of what is hidden of a training crop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import label

from landcover_pnp.prior import hiding
from landcover_pnp.prior.hiding import LARGEST_M, Crop, hide

PATTERNS = hiding._PATTERNS


def some_codes(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 6, (height, width), np.uint8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.floats(0.5, 30))
@settings(max_examples=60)
def test_something_labelled_is_hidden_wherever_there_is_something(
    height: int, width: int, seed: int, resolution_m: float
) -> None:
    codes = some_codes(height, width, seed)
    hidden, again = (hide(codes, resolution_m, np.random.default_rng(seed)) for _ in range(2))
    assert hidden.shape == codes.shape
    assert hidden.dtype == bool
    assert np.array_equal(hidden, again)
    assert (hidden & (codes > 0)).any() or not codes.any()


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.__name__)
def test_every_pattern_hides_a_part(pattern: hiding.Pattern) -> None:
    crop = Crop(some_codes(64, 64).repeat(4, 0)[:64], 4.0)
    shares = [pattern(crop, np.random.default_rng(seed)).mean() for seed in range(40)]
    assert 0.02 < np.mean(shares) < 0.98
    assert np.std(shares) > 0.05


def test_every_pattern_is_drawn_and_squares_most() -> None:
    assert sum(hiding._SHARES) == pytest.approx(1)
    assert min(hiding._SHARES) > 0.05
    assert max(hiding._SHARES) == hiding._SHARES[PATTERNS.index(hiding.squares)]


def test_squares_are_of_all_sizes_up_to_the_largest() -> None:
    """The holes that a prior is judged by, 16 to 128 m, at any resolution."""
    for resolution_m, side in ((4.0, 64), (2.0, 128)):
        crop, widths = Crop(np.ones((side, side), np.uint8), resolution_m), []
        for seed in range(60):
            hidden = hiding.squares(crop, np.random.default_rng(seed))
            pieces, _ = label(hidden)
            rows = np.flatnonzero((pieces == 1).any(1))
            widths.append(len(rows) * resolution_m)
        assert min(widths) <= 16.0
        assert max(widths) > 64.0
        single = [w for w in widths if w <= LARGEST_M]
        assert len(single) > 30


def test_borders_are_hidden_more_than_the_inside() -> None:
    codes = np.ones((40, 40), np.uint8)
    codes[:, 20:] = 2
    hidden = np.mean(
        [hiding.borders(Crop(codes, 4.0), np.random.default_rng(s)) for s in range(50)], axis=0
    )
    assert hidden[:, 19:21].mean() > 0.5
    assert hidden[:, 25:].mean() < 0.25


def test_the_inside_of_a_shape_is_at_times_half_revealed() -> None:
    """A fill comes half way: it sees squares of which some pixels are known."""
    seen = set()
    for seed in range(200):
        hidden = hide(np.ones((48, 48), np.uint8), 4.0, np.random.default_rng(seed))
        _, count = label(hidden)
        seen.add("whole" if 0 < count < 4 else "scattered")
    assert seen == {"whole", "scattered"}
