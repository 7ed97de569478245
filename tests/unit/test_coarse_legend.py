import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from landcover_pnp.config import load_settings, plain
from landcover_pnp.errors import RequestError, SettingsError
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, SHIPPED, CoarseLegend
from landcover_pnp.pipeline.plan import files_of
from landcover_pnp.pipeline.settings import MapSettings

TEXTS = {  # water, impervious, soil, trees, grass, as version 0.2.0 had them
    11: (0.875, 0.0, 0.0625, 0.0, 0.0625),
    12: (0.2, 0.2, 0.2, 0.2, 0.2),
    21: (0.0, 0.10, 0.0, 0.25, 0.65),
    22: (0.0, 0.35, 0.0, 0.325, 0.325),
    23: (0.0, 0.65, 0.0, 0.175, 0.175),
    24: (0.0, 0.90, 0.0, 0.05, 0.05),
    31: (0.0, 0.0, 0.925, 0.0, 0.075),
    41: (0.0, 0.0, 0.0, 0.8, 0.2),
    42: (0.0, 0.0, 0.0, 0.8, 0.2),
    43: (0.0, 0.0, 0.0, 0.8, 0.2),
    52: (0.0, 0.0, 0.2, 0.6, 0.2),
    71: (0.0, 0.0, 0.0, 0.1, 0.9),
    81: (0.0, 0.0, 0.0, 0.1, 0.9),
    82: (0.0, 0.0, 0.1, 0.0, 0.9),
    90: (0.1, 0.0, 0.0, 0.8, 0.1),
    95: (0.1, 0.0, 0.0, 0.9, 0.0),
}

PUBLISHED = {
    "nlcd": [11, 12, 21, 22, 23, 24, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95],
    "worldcover": [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100],
    "esri": [1, 2, 4, 5, 7, 8, 9, 10, 11],
    "dynamic_world": list(range(9)),
    "ccap": list(range(1, 26)),
    "corine": [
        *(111, 112, 121, 122, 123, 124, 131, 132, 133, 141, 142),
        *(211, 212, 213, 221, 222, 223, 231, 241, 242, 243, 244),
        *(311, 312, 313, 321, 322, 323, 324, 331, 332, 333, 334, 335),
        *(411, 412, 421, 422, 423, 511, 512, 521, 522, 523),
    ],
}
"""The codes of each product, by its own documents."""


def test_nlcd_is_what_it_was_to_the_byte() -> None:
    legend = CoarseLegend.load("nlcd")
    before = 0.95 * np.array([TEXTS[code] for code in TEXTS]) + 0.05 / CLASS_COUNT
    assert legend.definitions.tobytes() == before.tobytes()
    assert legend.codes == tuple(TEXTS)
    assert legend.blur == (31, 101)


def test_every_shipped_legend_has_a_name_and_every_name_a_legend() -> None:
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == set(COARSE_NAMES) == set(PUBLISHED)


@pytest.mark.parametrize("name", COARSE_NAMES)
def test_shipped_legends_are_those_of_the_products(name: str) -> None:
    legend = CoarseLegend.load(name)
    assert legend.name == name
    assert list(legend.codes) == PUBLISHED[name]
    assert legend.has_zero == (name == "dynamic_world")
    assert legend.numbered.codes == tuple(range(1, len(legend.classes) + 1))
    p = legend.definitions
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p > 0).all()
    likeliest = {"water": "water", "barren": "soil and barren", "forest": "trees and forest"}
    for row, role in zip(p, legend.roles, strict=True):
        if role in likeliest:
            assert row.argmax() == WORKING.index(likeliest[role])
        if role == "none":  # says nothing
            np.testing.assert_allclose(row, 1 / CLASS_COUNT)
        impervious = row[WORKING.index("impervious")]
        assert role in ("developed", "none") or impervious < 0.25
    assert {"water", "developed", "barren", "forest", "cultivated", "wetland"} <= set(legend.roles)


def small(**changes: Any) -> dict[str, Any]:
    """A user's own legend of two classes, as a tree."""
    classes = [
        {"code": 7, "name": "park", "colour": [0, 9, 0], "role": "grass"},
        {"code": 300, "name": "town", "colour": [9, 0, 0], "role": "developed"},
    ]
    classes[0]["cover"] = {"trees and forest": 0.4, "grass and herbaceous": 0.6}
    classes[1]["cover"] = {"impervious": 1.0}
    tree = {"name": "own", "title": "Own", "product": "My map", "source": "me", "resolution_m": 20}
    return {**tree, "classes": classes, **changes}


def stored(tree: dict[str, Any], folder: Path) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_a_users_own_legend_is_read(tmp_path: Path) -> None:
    legend = CoarseLegend.load(stored(small(doubt=0.1), tmp_path))
    assert legend.codes == (7, 300)
    assert legend.blur == (20, 66)
    np.testing.assert_allclose(legend.definitions[0], [0.02, 0.02, 0.02, 0.38, 0.56])
    assert plain(legend) == {
        **small(doubt=0.1, resolution_m=20.0),
        "blur_m": None,
        "kernel_m": None,
        "indices": False,
    }


@given(st.lists(st.floats(0, 1), min_size=CLASS_COUNT, max_size=CLASS_COUNT))
@example([0.2, 0.2, 0.2, 0.2, 0.21])
@example([0.2, 0.2, 0.2, 0.2, 0.2])
def test_rows_must_sum_to_one(
    tmp_path_factory: pytest.TempPathFactory, shares: list[float]
) -> None:
    tree = small()
    tree["classes"][0]["cover"] = dict(zip(WORKING.names, shares, strict=True))
    path = stored(tree, tmp_path_factory.mktemp("legend"))
    if abs(sum(shares) - 1) > 1e-5:
        with pytest.raises(SettingsError, match=rf"code 7 \(park\): together {sum(shares):g}"):
            CoarseLegend.load(path)
    elif abs(sum(shares) - 1) < 1e-7:
        np.testing.assert_allclose(CoarseLegend.load(path).definitions.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("key", sorted(small()))
def test_missing_keys_are_named(key: str, tmp_path: Path) -> None:
    tree = small()
    del tree[key]
    with pytest.raises(SettingsError, match=rf"no value for {key} \(.*own\.yaml"):
        CoarseLegend.load(stored(tree, tmp_path))


@pytest.mark.parametrize("key", sorted(small()["classes"][1]))
def test_missing_keys_of_a_class_are_named(key: str, tmp_path: Path) -> None:
    tree = small()
    del tree["classes"][1][key]
    with pytest.raises(SettingsError, match=rf"no value for classes\[1\]\.{key} "):
        CoarseLegend.load(stored(tree, tmp_path))


WRONG = {
    "a code twice": ({"code": 7}, r"same code: 7 \(2 times\)"),
    "a name twice": ({"name": "park"}, r"same name: park \(2 times\)"),
    "a code below 0": ({"code": -1}, r"classes\[1\]\.code is -1"),
    "a code above 16 bits": ({"code": 70000}, r"classes\[1\]\.code is 70000"),
    "a code that is no number": ({"code": "urban"}, r"classes\[1\]\.code is urban"),
    "an unknown class": ({"cover": {"tree": 1.0}}, r"there is no class 'tree'"),
    "a share below 0": ({"cover": {"water": -0.5, "impervious": 1.5}}, r"code 300"),
    "no share": ({"cover": {}}, r"together 0"),
    "an unknown role": ({"role": "urban"}, r"classes\[1\]\.role is urban"),
    "two colours": ({"colour": [1, 2]}, r"colour is \[1, 2\]"),
    "a colour above 255": ({"colour": [1, 2, 256]}, r"colour is \[1, 2, 256\]"),
    "an unknown key": ({"shares": {}}, r"unknown key 'classes\[1\]\.shares'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_classes_are_refused_with_what_is_wrong(case: str, tmp_path: Path) -> None:
    changes, said = WRONG[case]
    tree = small()
    tree["classes"][1].update(changes)
    with pytest.raises(RequestError, match=said) as refusal:
        CoarseLegend.load(stored(tree, tmp_path))
    assert refusal.value.exit_code == 2
    assert refusal.value.fix


@pytest.mark.parametrize(
    "changes", [{"resolution_m": 0}, {"doubt": 1.5}, {"blur_m": -1}, {"classes": []}]
)
def test_numbers_outside_their_range_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(next(iter(changes)))):
        CoarseLegend.load(stored(small(**changes), tmp_path))


@pytest.mark.parametrize(
    ("wrong", "right"), [("wordcover", "worldcover"), ("NLCD", "nlcd"), ("dynamicworld", "dynamic")]
)
def test_an_unknown_legend_names_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(SettingsError, match=rf"no legend '{wrong}'.*[\s\S]*did you mean '{right}"):
        CoarseLegend.load(wrong)


@pytest.mark.parametrize("text", ["", "- 1", "name: [", "a: {b: !!python/name:os.system }"])
def test_what_is_no_legend_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"own\.yaml") as refusal:
        CoarseLegend.load(path)
    assert "configs" not in refusal.value.fix


def test_a_pipe_is_no_legend(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.yaml")
    with pytest.raises(SettingsError, match="special file"):
        CoarseLegend.load(tmp_path / "own.yaml")


def test_the_legend_in_the_documents_can_be_read(tmp_path: Path) -> None:
    text = (SHIPPED.parents[1] / "docs" / "legends.md").read_text(encoding="utf-8")
    text = text.partition("## Coarse maps")[2]
    scene, legend = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "own.yaml").write_text(legend)
    assert CoarseLegend.load(tmp_path / "own.yaml").codes == (100, 200)
    (tmp_path / "city.yaml").write_text(scene)
    settings = load_settings(MapSettings, tmp_path / "city.yaml")
    assert [file.legend for file in files_of(settings).coarse_maps] == ["worldcover", "corine"]
    assert set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == set(COARSE_NAMES)
