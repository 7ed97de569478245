import ast
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp import legend as legend_module
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


FITS_BOTH = {11, 12}


@given(st.dictionaries(st.integers(-2, 100), st.integers(1, 9), max_size=5))
def test_values_are_read_as_what_they_can_only_be(counts: dict[int, int]) -> None:
    found = counts.keys() - {0}
    codes, indices = found <= set(NLCD.codes), found <= set(NLCD_INDEX.codes)
    if not found or (codes and not indices):
        assert nlcd_legend(counts, "f") is NLCD
    elif indices and not codes:
        assert nlcd_legend(counts, "f") is NLCD_INDEX
    else:
        with pytest.raises(LegendError) as refused:
            nlcd_legend(counts, "f")
        assert ("nlcd_values" in refused.value.fix) == codes
        assert all(
            f"{value} ({n} px)" in refused.value.found for value, n in counts.items() if value
        )


@given(st.dictionaries(st.sampled_from(sorted(FITS_BOTH)), st.integers(1, 9), min_size=1))
def test_values_that_fit_both_are_what_the_setting_says(counts: dict[int, int]) -> None:
    for values in (counts, {**counts, 0: 5}):
        with pytest.raises(LegendError, match="both codes and indices"):
            nlcd_legend(values, "f")
        assert nlcd_legend(values, "f", "codes") is NLCD
        assert nlcd_legend(values, "f", "indices") is NLCD_INDEX


@pytest.mark.parametrize("value", range(1, 256))
def test_a_setting_that_the_values_contradict_is_refused(value: int) -> None:
    for word, legend in (("codes", NLCD), ("indices", NLCD_INDEX)):
        if value in legend.codes:
            assert nlcd_legend({value: 3}, "f", word) is legend
        else:
            with pytest.raises(LegendError, match=rf"nlcd_values: {word}.*{value} \(3 px\)"):
                nlcd_legend({value: 3}, "f", word)


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


@pytest.mark.parametrize("legend", LEGENDS.values(), ids=LEGENDS)
def test_positions_and_codes_of_classes_go_by_name(legend: Legend) -> None:
    for position, found in enumerate(legend.classes):
        assert legend.index(found.name) == position
        assert legend.code(found.name) == found.code
    with pytest.raises(LegendError, match="did you mean"):
        legend.index(legend.names[0] + "s")


def test_no_module_counts_classes_by_itself() -> None:
    """Where a class stands is the legend's to know."""
    classes = re.compile("_?(WATER|IMPERVIOUS|SOIL|BARREN|TREES|FOREST|GRASS)")
    package = Path(legend_module.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign):
                names = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
                numbers = [n for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
                told = any(isinstance(n.value, int) for n in numbers)
                assert not (told and any(map(classes.fullmatch, names))), f"{path}: {names}"
