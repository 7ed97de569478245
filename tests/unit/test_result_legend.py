"""Legends of the map: what is refused, what their classes are made of, what two of them share."""

import copy
import itertools
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from inputs import two_halves, write_tif
from legend_files import (
    COARSE,
    GRASS,
    IMPERVIOUS,
    LEGENDS,
    SOIL,
    TREES,
    WATER,
    as_values,
    write_legend,
)

from landcover_pnp.config import load_settings, plain
from landcover_pnp.errors import DamagedError, LegendError, PriorError, SettingsError
from landcover_pnp.evaluation.scores import evaluate_map, score, table
from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING, LandClass, Legend
from landcover_pnp.legends.result_legend import (
    BUILDINGS_APART,
    FIVE,
    GROUND,
    ResultClass,
    ResultLegend,
)
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.folder import require_serves
from landcover_pnp.products.area_columns import SHARES, class_columns, share_columns
from landcover_pnp.products.result_classes import ResultClasses
from landcover_pnp.products.stac import described_classes
from landcover_pnp.storage.map_legend import TAG, legend_of, legend_tags
from landcover_pnp.storage.probabilities import encode


@st.composite
def legends(draw: st.DrawFn) -> ResultLegend:
    """Any legend: the ground shared out among two to six classes, codes in any order."""
    ground = list(draw(st.permutations(GROUND if draw(st.booleans()) else WORKING.names)))
    cuts = draw(st.sets(st.integers(1, len(ground) - 1), min_size=1))
    ends = [0, *sorted(cuts), len(ground)]
    parts = [ground[a:b] for a, b in itertools.pairwise(ends)]
    codes = draw(
        st.lists(st.integers(1, 255), min_size=len(parts), max_size=len(parts), unique=True)
    )
    return ResultLegend(
        "drawn",
        [
            ResultClass(c, f"class {i} x", [i, 0, 0], p)
            for i, (c, p) in enumerate(zip(codes, parts, strict=True))
        ],
    )


def wrong(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    values = copy.deepcopy(as_values(COARSE))
    change(values)
    return values


def classes_of(values: dict[str, Any]) -> list[dict[str, Any]]:
    return list(values["classes"])


BAD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a working class left out": (lambda v: v["classes"].pop(0), f"no class .* holds {SOIL}"),
    "a class claimed twice": (
        lambda v: v["classes"][0]["of"].append(WATER),
        r"'water' stands 2 times .*'other', '水面'",
    ),
    "a class claimed twice by one": (
        lambda v: v["classes"][0]["of"].append(SOIL),
        "'soil and barren' stands 2 times",
    ),
    "buildings claimed twice": (
        lambda v: v["classes"][0]["of"].append("buildings"),
        "'buildings' stands 2 times",
    ),
    "a class that is not known": (
        lambda v: v["classes"][0]["of"].append("tree and forest"),
        "no class 'tree and forest', did you mean 'trees and forest'",
    ),
    "a class of nothing": (lambda v: v["classes"][0].update(of=[]), r"of is \[\]"),
    "code 0": (lambda v: v["classes"][0].update(code=0), "code is 0"),
    "code 256": (lambda v: v["classes"][0].update(code=256), "code is 256"),
    "codes that stand twice": (lambda v: v["classes"][0].update(code=10), r"same code: 10 \(2"),
    "names that stand twice": (
        lambda v: v["classes"][0].update(name="sealed"),
        "same name: sealed",
    ),
    "names that differ by case and blanks": (
        lambda v: v["classes"][0].update(name=" SEALED "),
        "same name: sealed",
    ),
    "a name that is a number": (lambda v: v["classes"][0].update(name="10"), "name is '10'"),
    "no name": (lambda v: v["classes"][0].update(name=" "), "name is ' '"),
    "a name with a control character": (
        lambda v: v["classes"][0].update(name="a\x07"),
        r"control character U\+0007",
    ),
    "a colour out of range": (lambda v: v["classes"][0].update(colour=[0, 0, 256]), "colour is"),
    "a colour of two": (lambda v: v["classes"][0].update(colour=[0, 0]), "colour is"),
    "one class alone": (lambda v: v.update(classes=v["classes"][:1]), "1 classes in the legend"),
    "300 classes": (
        lambda v: v.update(
            classes=[{**v["classes"][0], "code": i % 255 + 1, "name": f"n {i}"} for i in range(300)]
        ),
        r"300 classes in the legend[\s\S]*2 to 6 classes",
    ),
    "a key that is not known": (lambda v: v["classes"][0].update(color=[0, 0, 0]), "color"),
    "a key that is missing": (lambda v: v["classes"][0].pop("colour"), "colour"),
    "no classes": (lambda v: v.pop("classes"), "classes"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_legends_are_refused_with_what_is_wrong(name: str, tmp_path: Path) -> None:
    change, said = BAD[name]
    path = write_legend(tmp_path / "own.yaml", wrong(change))
    with pytest.raises(SettingsError, match=said) as refused:
        ResultLegend.load(path)
    assert refused.value.expected and refused.value.fix


def test_unknown_legends_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'buildings'"):
        ResultLegend.load("building")
    with pytest.raises(SettingsError, match=r"no legend 'none\.yaml'"):
        ResultLegend.load(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    with pytest.raises(SettingsError):
        ResultLegend.load(tmp_path / "list.yaml")


def test_a_legend_s_path_counts_from_the_configuration(tmp_path: Path) -> None:
    write_legend(tmp_path / "own.yaml")
    (tmp_path / "map.yaml").write_text(
        "{scene: {rasters: {image: a.tif, coarse: b.tif}}, legend: own.yaml}"
    )
    assert ResultLegend.load(load_settings(MapSettings, tmp_path / "map.yaml").legend) == COARSE
    (tmp_path / "map.yaml").write_text(
        "{scene: {rasters: {image: a.tif, coarse: b.tif}}, legend: buildings}"
    )
    settings = load_settings(MapSettings, tmp_path / "map.yaml")
    assert ResultLegend.load(settings.legend) == BUILDINGS_APART
    assert ResultLegend.load(MapSettings.legend).legend is WORKING


def drawn_probabilities(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(5, 0.5), 40).T.reshape(5, 5, 8).astype(np.float32)
    p[:, 0, 0] = 0
    roofs = rng.choice(np.array([0, 0.25, 0.5, 0.75, 1], np.float32), (5, 8))
    return p, roofs


@given(legends(), st.integers(0, 99))
def test_probabilities_are_shared_out_and_none_is_lost(legend: ResultLegend, seed: int) -> None:
    p, roofs = drawn_probabilities(seed)
    q = legend.of_working(p, roofs if legend.needs_buildings else None)
    assert q.shape == (len(legend.classes), *p.shape[1:])
    np.testing.assert_allclose(q.sum(axis=0), p.sum(axis=0), atol=1e-6)
    for place, c in enumerate(sorted(legend.classes, key=lambda c: c.code)):
        held = [p[WORKING.index(name)] for name in c.of if name in WORKING.names]
        expected = np.sum(held, axis=0) if held else np.zeros(p.shape[1:])
        if legend.needs_buildings and IMPERVIOUS in c.of:
            expected = expected - np.where(roofs > 0.5, p[1], 0)
        if legend.needs_buildings and "buildings" in c.of:
            expected = expected + np.where(roofs > 0.5, p[1], 0)
        np.testing.assert_allclose(q[place], expected, atol=1e-6)


def test_a_roof_is_more_than_half_of_a_pixel() -> None:
    p = np.zeros((5, 1, 3), np.float32)
    p[1] = 1
    q = BUILDINGS_APART.of_working(p, np.array([[0.49, 0.5, 0.51]], np.float32))
    assert q[5].tolist() == [[0, 0, 1]] and q[1].tolist() == [[1, 1, 0]]


def test_a_roof_on_a_finer_grid_lies_where_its_share_is_one_half(tmp_path: Path) -> None:
    """Buildings cover the left half of the third of four pixels: their edge lies at 2.5 pixels."""
    stored = np.array([[255, 255, 128, 0]] * 4, np.uint8)
    write_tif(tmp_path / "buildings.tif", stored, 4.0)
    p = np.zeros((5, 16, 16), np.float32)
    p[1] = 1
    path = write_tif(tmp_path / "map.tif", encode(p), 1.0)
    result = ResultClasses(BUILDINGS_APART, tmp_path / "buildings.tif")
    with rasterio.open(path) as source, result.probabilities(source) as window:
        whole = window(Box(0, 16, 0, 16))
        parts = [window(Box(0, 16, x, x + 4)) for x in range(0, 16, 4)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)
    np.testing.assert_array_equal(whole[5].argmin(axis=1), np.full(16, 10))
    np.testing.assert_array_equal(whole[1], 1 - whole[5])


@given(legends())
def test_a_raster_says_its_legend(legend: ResultLegend) -> None:
    source: Any = SimpleNamespace(tags=lambda: legend_tags(legend), name="map.tif")
    assert legend_of(source).ordered == legend.ordered
    assert bool(legend_tags(legend)) != legend.is_working


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        "{" * 100_000,
        '{"name": "x", "classes": 5}',
        '{"name": "x", "classes": [5]}',
        '{"name": "x", "classes": [{"code": 1}]}',
        json.dumps({**plain(COARSE), "more": 1}),
        json.dumps({**plain(COARSE), "name": 5}),
        json.dumps(plain(COARSE)).replace("200,", '"200",', 1),
        json.dumps(plain(COARSE)).replace("200,", "200.5,", 1),
        json.dumps(plain(COARSE)).replace("[200, 190, 120]", '["a", 190, 120]'),
        json.dumps(plain(COARSE)).replace('"other"', "5"),
        json.dumps(plain(COARSE)).replace('["soil and barren"]', '[["water"]]'),
        json.dumps(plain(COARSE)).replace('["soil and barren"]', "null"),
        json.dumps(plain(COARSE)).replace('["soil and barren"]', "[]"),
    ],
)
def test_metadata_that_is_no_legend_is_named(text: str, tmp_path: Path) -> None:
    path = write_tif(tmp_path / "map.tif", two_halves(1, 2, 8))
    with rasterio.open(path, "r+") as target:
        target.update_tags(**{TAG: text})
    with rasterio.open(path) as source, pytest.raises(DamagedError, match="no legend of a map"):
        legend_of(source)


# ---- what two legends share -----------------------------------------------------------------


@given(legends(), legends())
def test_what_two_legends_share_is_the_finest_that_both_can_tell(
    first: ResultLegend, second: ResultLegend
) -> None:
    ground = {
        (a, b)
        for i, a in enumerate(first.legend.codes)
        for j, b in enumerate(second.legend.codes)
        if first.ground[i] & second.ground[j]
    }
    groups = linked(ground)
    if len(groups) == 1:
        with pytest.raises(LegendError, match="no two classes"):
            SharedLegend.of(first, second)
        return
    shared = SharedLegend.of(first, second)
    assert {frozenset(g) for g in groups} == {
        frozenset(
            [("a", a) for a, code in shared.first.items() if code == c.code]
            + [("b", b) for b, code in shared.second.items() if code == c.code]
        )
        for c in shared.legend.classes
    }
    assert list(shared.legend.codes) == sorted(set(shared.first.values()))
    assert len(set(shared.legend.names)) == len(shared.legend.names)
    assert len(shared.merged) == sum(
        list(shared.first.values()).count(c) > 1 for c in shared.legend.codes
    )


def linked(pairs: set[tuple[int, int]]) -> list[set[tuple[str, int]]]:
    """Codes of both that hang together, by walking from each."""
    left = [{("a", a), ("b", b)} for a, b in pairs]
    groups: list[set[tuple[str, int]]] = []
    while left:
        group = left.pop()
        grown = True
        while grown:
            meeting = [part for part in left if part & group]
            left = [part for part in left if not part & group]
            group = group.union(*meeting)
            grown = bool(meeting)
        groups.append(group)
    return groups


def test_shared_classes_keep_the_map_s_names_where_they_can() -> None:
    assert SharedLegend.of(FIVE, FIVE).legend.classes == WORKING.classes
    own = SharedLegend.of(COARSE, FIVE)
    assert own.legend.classes == COARSE.legend.classes and own.merged == ()
    apart = SharedLegend.of(BUILDINGS_APART, FIVE)
    assert apart.legend.classes == WORKING.classes
    assert apart.merged == ("other impervious + buildings",)
    assert apart.first == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 2}
    roofs_and_water = ResultLegend(
        "odd",
        [
            ResultClass(1, "roofs, ponds", [1, 1, 1], ["buildings", WATER]),
            ResultClass(2, "paved", [2, 2, 2], [IMPERVIOUS]),
            ResultClass(3, "green", [3, 3, 3], [SOIL, TREES, GRASS]),
        ],
    )
    odd = SharedLegend.of(roofs_and_water, FIVE)
    assert odd.legend.names == ("roofs, ponds + paved", "green")


# ---- scores ---------------------------------------------------------------------------------


def write_map(path: Path, legend: ResultLegend, codes: Any) -> Path:
    write_tif(path, codes)
    with rasterio.open(path, "r+") as target:
        target.update_tags(**legend_tags(legend))
    return path


def test_truth_is_coarsened_to_the_legend_of_the_map(tmp_path: Path) -> None:
    mapped = write_map(tmp_path / "map.tif", COARSE, two_halves(20, 10))
    truth = write_tif(tmp_path / "truth.tif", two_halves(5, 2))
    scores = evaluate_map(mapped, truth, WORKING, "five_classes")
    assert scores.accuracy == 1 and scores.classes == COARSE.legend.names and scores.merged == ()
    assert scores.iou[0] == scores.iou[1] == 1 and np.isnan(scores.iou[2:]).all()
    text = table({"map": scores})
    assert "IoU 水面" in text and "IoU sealed" in text
    wrong_truth = write_tif(tmp_path / "wrong.tif", two_halves(5, 3))
    assert evaluate_map(mapped, wrong_truth, WORKING, "five_classes").accuracy == 0.5


def test_buildings_are_scored_where_the_truth_tells_them(tmp_path: Path) -> None:
    mapped = write_map(tmp_path / "map.tif", BUILDINGS_APART, two_halves(6, 2))
    five = write_tif(tmp_path / "five.tif", two_halves(2, 2))
    together = evaluate_map(mapped, five, WORKING, "five_classes")
    assert together.accuracy == 1 and together.classes == WORKING.names
    assert together.merged == ("other impervious + buildings",)
    apart = write_tif(tmp_path / "apart.tif", two_halves(6, 6))
    told = evaluate_map(mapped, apart, BUILDINGS_APART, "five_classes")
    assert told.accuracy == 0.5 and told.merged == () and told.classes[5] == "buildings"


def test_codes_that_a_map_s_legend_does_not_have_are_named(tmp_path: Path) -> None:
    mapped = write_map(tmp_path / "map.tif", COARSE, two_halves(20, 11))
    truth = write_tif(tmp_path / "truth.tif", two_halves(5, 2))
    with pytest.raises(LegendError, match=r"11 \(\d+ px\)"):
        evaluate_map(mapped, truth, WORKING, "five_classes")
    good = write_map(tmp_path / "good.tif", COARSE, two_halves(20, 10))
    with pytest.raises(LegendError, match=r"2 \(\d+ px\)"):
        evaluate_map(good, truth, COARSE, "five_classes")


def test_scores_of_different_classes_are_not_pooled() -> None:
    nothing = np.zeros(0, np.uint8)
    five = score(nothing, nothing, "five_classes")
    other = score(nothing, nothing, "five_classes", COARSE.legend.names)
    with pytest.raises(ValueError, match="cannot pool scores"):
        five + other


# ---- names in tables and catalogues ---------------------------------------------------------

_WORDS = ("mapped", "no_data", "confidence", "impervious", "Impervious", "tree_canopy", "trees")
_ODD = (*_WORDS, "impervious_low", "a b", "a c", "a_b", "a b_", "水", "Ä", "ä", "tree_canopy_high")


@given(legends(), st.integers(0, 999))
def test_columns_of_classes_are_never_taken_twice(legend: ResultLegend, seed: int) -> None:
    rng = random.Random(seed)
    names = rng.sample(_ODD, len(legend.classes))
    if len({" ".join(name.casefold().split()) for name in names}) < len(names):
        return
    named = [
        ResultClass(c.code, name, c.colour, c.of)
        for c, name in zip(legend.classes, names, strict=True)
    ]
    legend = ResultLegend("odd", named)
    columns = ["mapped_ha", "no_data_pct", "confidence_pct"]
    for key in class_columns(legend):
        columns += [f"{key}_ha", f"{key}_pct"]
    for share, name in SHARES.items():
        held = legend.holding(name)
        for column in share_columns(share) if held else ():
            own = class_columns(legend)[held[0]] == share and len(held) == 1
            columns += [] if own and column == f"{share}_pct" else [column]
    folded = [column.casefold() for column in columns]
    assert len(set(folded)) == len(folded), columns


def test_columns_of_the_working_classes_are_what_they_were() -> None:
    assert class_columns(FIVE) == ("water", "impervious", "soil", "trees", "grass")
    assert FIVE.holding(IMPERVIOUS) == (1,) and FIVE.holding(TREES) == (3,)
    assert BUILDINGS_APART.holding(IMPERVIOUS) == (1, 5)
    assert COARSE.holding(IMPERVIOUS) == (0,) and COARSE.holding(TREES) == ()


def test_classes_of_a_catalogue_have_values_and_names_of_their_own() -> None:
    names = ["no data", "水", "木", "a b", "a-b", "grass"]
    found = described_classes(names, [(0, 0, 0)] * 6, [0, 10, 20, 30, 40, 250])
    assert [c.value for c in found] == [0, 10, 20, 30, 40, 250]
    keys = [c.name for c in found]
    assert keys == ["no-data", "class-10", "class-20", "class-30", "class-40", "grass"]
    assert [c.description for c in found] == names


def test_a_prior_of_other_classes_serves_no_legend_of_these() -> None:
    others = Legend("roads", (LandClass(1, "road", (0, 0, 0)), LandClass(2, "no road", (1, 1, 1))))
    for legend in LEGENDS.values():
        with pytest.raises(PriorError, match=r"a prior of the legend 'roads'[\s\S]*evidence"):
            require_serves(others, legend)
        require_serves(WORKING, legend)


def test_the_document_s_legend_is_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    text = (root / "docs" / "legends.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```yaml\n")[1:] if "of: [" in part.split("```")[0])
    (tmp_path / "own.yaml").write_text(block.split("```")[0], encoding="utf-8")
    assert len(ResultLegend.load(tmp_path / "own.yaml").classes) == 4
    assert os.sep not in COARSE.name
