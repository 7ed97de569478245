import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.evidence.coarse_classes import (
    DOUBT,
    SHARE_OF,
    CoarseClasses,
    Percentage,
    coarse_probabilities,
)
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.legends.coarse_legend import COARSE_NAMES, Blur, CoarseLegend

SEEDS = st.integers(0, 2**32 - 1)
LEGENDS = [CoarseLegend.load(name) for name in COARSE_NAMES]
SHAPE = (12, 9)
EVERYWHERE = np.ones(SHAPE, np.bool_)
SHARP = Blur(0.0, 0.0)


def drawn(legend: CoarseLegend, rng: np.random.Generator, missing: float = 0.0) -> CoarseClasses:
    """A map of random classes, some without data."""
    numbers = rng.integers(1, len(legend.classes) + 1, SHAPE).astype(np.uint8)
    numbers[rng.random(SHAPE) < missing] = 0
    return CoarseClasses(numbers, legend.definitions, SHARP)


def rows(map_: CoarseClasses) -> NDArray[np.float64]:
    """(class, y, x) of a map that is not blurred."""
    return np.concatenate([np.zeros((1, CLASS_COUNT)), map_.matrix]).T[:, map_.numbers]


@given(SEEDS, st.lists(st.sampled_from(LEGENDS), min_size=2, max_size=4))
def test_several_maps_are_the_geometric_mean_of_what_each_says(
    seed: int, legends: list[CoarseLegend]
) -> None:
    rng = np.random.default_rng(seed)
    maps = [drawn(legend, rng, 0.3) for legend in legends]
    p = coarse_probabilities(maps, {}, EVERYWHERE, 1.0)
    known = np.stack([map_.numbers > 0 for map_ in maps])
    product = np.ones_like(p, np.float64)
    for map_, there in zip(maps, known, strict=True):
        product *= np.where(there, rows(map_), 1)
    some = known.any(axis=0)
    mean = product ** (1 / np.maximum(known.sum(axis=0), 1))
    np.testing.assert_allclose(p, mean / mean.sum(axis=0) * some, atol=1e-5)
    assert (p.sum(axis=0)[~some] == 0).all()
    again = coarse_probabilities(maps[::-1], {}, EVERYWHERE, 1.0)
    np.testing.assert_allclose(again, p, atol=1e-6)


@given(SEEDS, st.sampled_from(LEGENDS))
def test_a_map_without_data_or_the_same_map_twice_changes_nothing(
    seed: int, legend: CoarseLegend
) -> None:
    map_ = drawn(legend, np.random.default_rng(seed), 0.2)
    alone = coarse_probabilities([map_], {}, EVERYWHERE, 1.0)
    empty = CoarseClasses(np.zeros(SHAPE, np.uint8), legend.definitions, SHARP)
    for maps in ([map_, empty], [map_, map_], [map_, map_, empty]):
        both = coarse_probabilities(maps, {}, EVERYWHERE, 1.0)
        np.testing.assert_allclose(both, alone, atol=1e-6)


def test_maps_that_rule_each_other_out_leave_probabilities() -> None:
    water, trees = np.eye(CLASS_COUNT)[[0]], np.eye(CLASS_COUNT)[[3]]
    maps = [CoarseClasses(np.ones(SHAPE, np.uint8), matrix, SHARP) for matrix in (water, trees)]
    p = coarse_probabilities(maps, {}, EVERYWHERE, 1.0)
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(p[0], p[3])
    assert (p[0] > 0.49).all()


def test_each_map_has_the_blur_of_its_legend() -> None:
    """A lone cell of built-up ground reaches as far as its map's pixel is wide."""
    side = 81
    reach = {}
    for name in ("worldcover", "nlcd", "corine"):
        legend = CoarseLegend.load(name)
        numbers = np.full((side, side), 1 + legend.roles.index("forest"), np.uint8)
        numbers[40, 40] = 1 + legend.roles.index("developed")
        map_ = CoarseClasses(numbers, legend.definitions, legend.blur)
        p = coarse_probabilities([map_], {}, np.ones(numbers.shape, np.bool_), 5.0)
        changed = np.flatnonzero(np.abs(p[1, 40] - p[1, 0, 0]) > 1e-7)
        reach[name] = (changed[-1] - changed[0]) * 5.0
    assert reach == {"worldcover": 30.0, "nlcd": 100.0, "corine": 330.0}


@given(SEEDS, st.sampled_from(LEGENDS), st.sets(st.sampled_from(sorted(SHARE_OF)), min_size=1))
def test_a_measured_share_is_that_classs_and_the_rest_keeps_its_proportions(
    seed: int, legend: CoarseLegend, names: set[str]
) -> None:
    rng = np.random.default_rng(seed)
    map_ = drawn(legend, rng)
    shares = {name: (rng.random(SHAPE) / 2).astype(np.float32) for name in sorted(names)}
    for share in shares.values():
        share[:3] = np.nan
    percentages = {name: Percentage(share, SHARP) for name, share in shares.items()}
    alone = coarse_probabilities([map_], {}, EVERYWHERE, 1.0)
    p = coarse_probabilities([map_], percentages, EVERYWHERE, 1.0)
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(p[:, :3], alone[:, :3])
    for name, share in shares.items():
        wanted = (1 - DOUBT) * share[3:] + DOUBT / CLASS_COUNT
        np.testing.assert_allclose(p[SHARE_OF[name], 3:], wanted, atol=1e-5)
    others = [c for c in range(CLASS_COUNT) if c not in {SHARE_OF[name] for name in names}]
    before, after = alone[others, 3:], p[others, 3:]
    np.testing.assert_allclose(after / after.sum(axis=0), before / before.sum(axis=0), atol=1e-4)


@pytest.mark.parametrize("blur", [SHARP, Blur(8.0, 30.0)])
def test_shares_above_one_together_are_scaled_to_one(blur: Blur) -> None:
    even = np.full((1, CLASS_COUNT), 1 / CLASS_COUNT)
    map_ = CoarseClasses(np.ones(SHAPE, np.uint8), even, SHARP)
    full = {name: Percentage(np.ones(SHAPE, np.float32), blur) for name in SHARE_OF}
    p = coarse_probabilities([map_], full, EVERYWHERE, 1.0)
    np.testing.assert_allclose(p[list(SHARE_OF.values())], 0.5, atol=1e-6)
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-6)


def test_percentages_speak_where_the_map_has_no_data() -> None:
    empty = CoarseClasses(np.zeros(SHAPE, np.uint8), LEGENDS[0].definitions, SHARP)
    share = np.full(SHAPE, 0.4, np.float32)
    p = coarse_probabilities([empty], {"canopy": Percentage(share, SHARP)}, EVERYWHERE, 1.0)
    np.testing.assert_allclose(p[3], 0.39, atol=1e-6)
    np.testing.assert_allclose(p[[0, 1, 2, 4]], 0.61 / 4, atol=1e-6)


@given(st.floats(0.05, 0.95))
def test_percentages_leave_a_finer_map_its_detail(share: float) -> None:
    """They say how much of a class there is within their pixel, and not where."""
    side = 60
    legend = CoarseLegend.load("worldcover")
    built, trees = (1 + legend.roles.index(role) for role in ("developed", "forest"))
    stripes = np.where(np.arange(side) // 3 % 2, built, trees)
    numbers = np.broadcast_to(stripes, (side, side)).astype(np.uint8)
    map_ = CoarseClasses(numbers, legend.definitions, SHARP)
    valid = np.ones(numbers.shape, np.bool_)
    percent = Percentage(np.full(valid.shape, share, np.float32), Blur(30.0, 100.0))
    p = coarse_probabilities([map_], {"impervious": percent}, valid, 4.0)
    on, off = (p[1, 20:40, 20:40][:, numbers[30, 20:40] == n] for n in (built, trees))
    assert on.min() > 2 * off.max() or on.min() > 0.9  # as it was, or full
    wanted = (1 - DOUBT) * share + DOUBT / CLASS_COUNT
    middle = np.s_[1, 18:42, 18:42]
    before = coarse_probabilities([map_], {}, valid, 4.0)[middle].mean()
    assert abs(p[middle].mean() - wanted) <= abs(before - wanted) + 1e-3
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-5)
