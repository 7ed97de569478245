import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.errors import LegendError
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, CoarseLegend
from landcover_pnp.scenes.coarse_values import numbers, reading

LEGENDS = [CoarseLegend.load(name) for name in COARSE_NAMES]
NLCD = CoarseLegend.load("nlcd")
COUNTS = st.dictionaries(st.integers(-2, 130), st.integers(1, 9), max_size=5)


@given(st.sampled_from(LEGENDS), COUNTS)
def test_values_are_read_as_what_they_can_only_be(
    legend: CoarseLegend, counts: dict[int, int]
) -> None:
    found = set(counts) if legend.has_zero else counts.keys() - {0}
    codes = found <= set(legend.codes)
    indices = legend.indices and found <= set(range(1, len(legend.classes) + 1))
    if not found or (codes and not indices):
        word, table = reading(legend, counts, "f")
        assert word == "codes"
        assert table == {code: row + 1 for row, code in enumerate(legend.codes)}
    elif indices and not codes:
        word, table = reading(legend, counts, "f")
        assert word == "indices"
        assert all(table[value] == value for value in found)
    else:
        with pytest.raises(LegendError) as refused:
            reading(legend, counts, "f")
        assert ("_values: codes or indices" in refused.value.fix) == (codes and indices)
        known = {*legend.codes, *(range(1, len(legend.classes) + 1) if legend.indices else ())}
        wrong = found - known or found
        assert all(f"{value} ({counts[value]} px)" in refused.value.found for value in wrong)


@given(st.dictionaries(st.sampled_from([11, 12]), st.integers(1, 9), min_size=1))
def test_values_that_fit_both_are_what_the_setting_says(counts: dict[int, int]) -> None:
    for values in (counts, {**counts, 0: 5}):
        with pytest.raises(LegendError, match="both codes and indices"):
            reading(NLCD, values, "f")
        assert reading(NLCD, values, "f", "codes")[1][11] == 1
        assert reading(NLCD, values, "f", "indices")[1][11] == 11


@pytest.mark.parametrize("value", range(1, 256))
def test_a_setting_that_the_values_contradict_is_refused(value: int) -> None:
    for word, known in (("codes", NLCD.codes), ("indices", range(1, 17))):
        if value in known:
            assert reading(NLCD, {value: 3}, "f", word)[0] == word
        else:
            with pytest.raises(LegendError, match=rf"nlcd_values: {word}.*{value} \(3 px\)"):
                reading(NLCD, {value: 3}, "f", word)


@pytest.mark.parametrize("legend", LEGENDS, ids=COARSE_NAMES)
def test_only_some_legends_have_indices(legend: CoarseLegend) -> None:
    if legend.name in ("nlcd", "corine"):
        assert reading(legend, {1: 4}, "f", "indices")[1][1] == 1
    else:
        with pytest.raises(LegendError, match="to be read as indices"):
            reading(legend, {1: 4}, "f", "indices")


def test_corine_is_read_by_the_numbers_it_is_published_with() -> None:
    word, table = reading(CoarseLegend.load("corine"), {1: 5, 44: 2, 23: 1}, "f")
    codes = CoarseLegend.load("corine").codes
    assert word == "indices"
    assert [codes[table[value] - 1] for value in (1, 23, 44)] == [111, 311, 523]


def test_values_of_another_legend_name_it() -> None:
    with pytest.raises(LegendError, match=r"worldcover") as refused:
        reading(NLCD, {10: 5, 30: 7, 100: 1}, "map.tif")
    assert "weak_labels.legend" in refused.value.fix
    assert "30 (7 px), 100 (1 px)" in refused.value.found


@given(st.sampled_from(LEGENDS), st.integers(0, 2**32 - 1))
def test_every_value_becomes_the_number_of_its_class(legend: CoarseLegend, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice(np.array(legend.codes), (5, 7))
    known = rng.random(values.shape) < 0.7
    found = numbers(values, known, reading(legend, {}, "f")[1])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found == 0, ~known)
    np.testing.assert_array_equal(np.array((0, *legend.codes))[found][known], values[known])
