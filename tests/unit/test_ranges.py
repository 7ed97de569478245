"""Ranges of settings: their ends belong to them, and what lies beyond is refused."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.config.ranges import require_positive, require_within
from landcover_pnp.errors import SettingsError

NUMBERS = st.floats() | st.integers(-5, 15) | st.sampled_from([2, 10, 2.0, 10.0, 1.9999, 10.0001])


@given(NUMBERS, st.sampled_from([10.0, float("inf")]))
def test_a_range_holds_its_ends_and_what_lies_between(value: float, high: float) -> None:
    settings = SimpleNamespace(share=value, unset=None)
    if 2 <= value <= high:
        require_within(settings, 2, high, "share", "unset")
    else:
        with pytest.raises(SettingsError, match="share is"):
            require_within(settings, 2, high, "unset", "share")


@given(NUMBERS)
def test_positive_is_finite_and_above_nothing(value: float) -> None:
    settings = SimpleNamespace(width=value, unset=None)
    if 0 < value < float("inf"):
        require_positive(settings, "width", "unset")
    else:
        with pytest.raises(SettingsError, match="width is"):
            require_positive(settings, "unset", "width")
