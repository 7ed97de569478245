import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.errors import LegendError
from landcover_pnp.legend import (
    ENVIROATLAS,
    LEGENDS,
    NLCD,
    NLCD_INDEX,
    WORKING,
    Legend,
    nlcd_legend,
    to_nlcd_codes,
    to_working,
)


def test_the_contract_of_the_working_legend() -> None:
    assert WORKING.codes == (1, 2, 3, 4, 5)
    assert WORKING.colormap[0] == (0, 0, 0, 0)
    assert WORKING.colormap[1] == (0, 197, 255, 255)
    assert len(ENVIROATLAS.codes) + 1 == 11


@pytest.mark.parametrize("code", range(256))
def test_every_byte_is_translated_or_refused(code: int) -> None:
    labels = np.full((2, 3), code, np.uint8)
    expected = {0: 0, 10: 1, 20: 2, 30: 3, 40: 4, 52: 4, 70: 5, 80: 5, 82: 5, 91: 4, 92: 4}
    if code in expected:
        assert (to_working(labels, ENVIROATLAS) == expected[code]).all()
    else:
        with pytest.raises(LegendError, match=rf"{code} \(6 px\)"):
            to_working(labels, ENVIROATLAS)


@pytest.mark.parametrize("value", [-1, 256, 1000])
def test_values_beyond_a_byte_are_refused(value: int) -> None:
    with pytest.raises(LegendError, match=rf"{value} \(1 px\)"):
        to_working(np.array([[value]]), ENVIROATLAS)


@given(st.dictionaries(st.sampled_from(NLCD.codes), st.integers(1, 9), min_size=1))
def test_codes_are_read_as_codes(counts: dict[int, int]) -> None:
    assert nlcd_legend(counts, "f") is NLCD


@given(st.dictionaries(st.sampled_from(NLCD_INDEX.codes), st.integers(1, 9), min_size=1))
def test_indices_are_read_as_indices_unless_all_could_be_codes(counts: dict[int, int]) -> None:
    expected = NLCD if counts.keys() <= {11, 12} else NLCD_INDEX
    assert nlcd_legend(counts, "f") is expected


def test_codes_mixed_with_indices_are_refused_with_counts() -> None:
    with pytest.raises(LegendError, match=r"3 \(7 px\), 9 \(1 px\)"):
        nlcd_legend({21: 5, 3: 7, 9: 1, 0: 2}, "f")


def test_indices_become_codes() -> None:
    indices = np.arange(17).reshape(1, 17)
    codes = to_nlcd_codes(indices, NLCD_INDEX)
    assert codes.tolist() == [[0, *NLCD.codes]]
    assert (to_nlcd_codes(codes, NLCD) == codes).all()


@pytest.mark.parametrize("legend", LEGENDS.values(), ids=LEGENDS)
def test_codes_and_names_are_unique(legend: Legend) -> None:
    assert len(set(legend.codes)) == len(set(legend.names)) == len(legend.classes)
