import ast
import re
from pathlib import Path

import numpy as np
import pytest

from landcover_pnp import legend as legend_module
from landcover_pnp.errors import LegendError
from landcover_pnp.legend import (
    ENVIROATLAS,
    LEGENDS,
    WORKING,
    Legend,
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
