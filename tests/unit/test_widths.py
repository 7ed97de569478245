"""Widths as people write them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.scenes.widths import read_widths

FOOT = 0.3048
WRITTEN = {
    "8": 8, "8 m": 8, "8m": 8, " 8 M ": 8, "8.0 metres": 8, "12,5": 12.5, "12,5 m": 12.5,
    "12.5": 12.5, ".5": 0.5, "+6": 6, "24 ft": 24 * FOOT, "24ft.": 24 * FOOT, "24 feet": 24 * FOOT,
    "3'": 3 * FOOT, "3′": 3 * FOOT, "3’": 3 * FOOT, "7'6\"": 7.5 * FOOT, "7' 6\"": 7.5 * FOOT,
    "7 ft 6 in": 7.5 * FOOT, "7′6″": 7.5 * FOOT, "7'6''": 7.5 * FOOT, "36\"": 3 * FOOT,
    "30 in": 30 * FOOT / 12, "350 cm": 3.5, "0.01 km": 10, "4 yd": 12 * FOOT, "0,5 mi": 804.672,
    "6 meter": 6, "1,25": 1.25, "12,50": 12.5,
}  # fmt: skip
NO_WIDTHS = (
    "wide", "3-4", "3;4", "~5", "5 lanes", "1,200", "1,200 m", "-3", "0", "0 m", "nan", "inf",
    "1e3", "two", "m", "'", "5 m 3", "8 mm of rain", "3 x 4", "8..5", "1.2.3", True, -1, 0,
    math.inf, -math.inf,
)  # fmt: skip


@pytest.mark.parametrize(("text", "metres"), WRITTEN.items())
def test_what_is_a_width_is_read(text: str, metres: float) -> None:
    widths = read_widths([text])
    assert widths.metres[0] == pytest.approx(metres)
    assert not widths.unread


@pytest.mark.parametrize("value", NO_WIDTHS)
def test_what_is_none_is_counted(value: object) -> None:
    widths = read_widths([value])
    assert np.isnan(widths.metres[0])
    assert widths.unread == (str(value),)


@pytest.mark.parametrize("nothing", [None, math.nan, "", "  ", np.nan])
def test_nothing_is_not_given(nothing: object) -> None:
    widths = read_widths([nothing])
    assert np.isnan(widths.metres[0])
    assert not widths.unread


@given(
    st.lists(st.one_of(st.text(max_size=8), st.floats(), st.none(), st.sampled_from(list(WRITTEN))))
)
def test_every_value_is_a_width_or_nothing_or_counted(values: list[object]) -> None:
    widths = read_widths(values)
    known = widths.metres[~np.isnan(widths.metres)]
    assert (known > 0).all()
    assert np.isfinite(known).all()
    nothing = sum(v is None or v != v or (isinstance(v, str) and not v.strip()) for v in values)
    assert len(known) + len(widths.unread) + nothing == len(values)


@given(
    st.floats(0.01, 500).map(lambda v: round(v, 2)), st.sampled_from(["", " m", "m", " ft", "'"])
)
def test_a_number_and_a_unit_are_that_many(number: float, unit: str) -> None:
    for text in (f"{number}{unit}", f"{number}{unit}".replace(".", ",")):
        expected = number * (FOOT if unit in (" ft", "'") else 1)
        assert read_widths([text]).metres[0] == pytest.approx(expected)
