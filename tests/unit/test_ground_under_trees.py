"""The ground under crowns: what is seen is held, what is mapped counts, trees are no ground."""

import numpy as np
import pytest
from masked_priors import independent, known

from landcover_pnp.evidence.ground_objects import (
    KINDS,
    TREES,
    GroundObjects,
    count_kinds,
    object_kinds,
)
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.inference.ground_under_trees import ground_under_trees, visible_ground
from landcover_pnp.legend import WORKING
from landcover_pnp.products.under_trees import GROUND_LEGEND, ground_classes

SETTINGS = FillSettings(evidence_weight=1.0, steps=2)
PLAIN = known(independent(0.05, 0.2, 0.05, 0.5, 0.2))


def one_hot(codes: np.ndarray) -> np.ndarray:
    return (codes == np.arange(1, 6)[:, None, None]).astype(np.float32)


def test_what_is_mapped_is_told_apart() -> None:
    roads = np.array([[0, 0.3, 0.9, 0, 0.9]], np.float32)
    water = np.array([[0, 0, 0, 0.8, 0.9]], np.float32)
    kinds = object_kinds({"roads": roads, "buildings": None, "water": water}, (1, 5))
    assert [KINDS[k] for k in kinds[0]] == [KINDS[0], KINDS[1], KINDS[2], KINDS[3], KINDS[2]]
    assert (object_kinds({}, (2, 3)) == 0).all()


def test_what_objects_say_is_counted_where_ground_is_seen() -> None:
    kinds = np.repeat(np.array([[0], [2]], np.uint8), 100, axis=1)
    codes = np.array([[2] * 20 + [5] * 70 + [0] * 10, [2] * 90 + [5] * 5 + [0] * 5], np.uint8)
    hidden = codes == 0
    halves = (slice(0, 50), slice(50, 100))
    counts = count_kinds((kinds[:, h], codes[:, h], hidden[:, h]) for h in halves)
    assert counts.sum() == 200
    assert counts[:, TREES].tolist() == [10, 0, 5, 0]
    assert (counts[0, 1], counts[2, 1], counts[2, 4]) == (20, 90, 5)
    likely = GroundObjects.of(counts).likelihoods(np.arange(4, dtype=np.uint8)[None])[:, 0].T
    assert (likely[:, TREES] == 0).all()
    assert likely[0, 4] > likely[0, 1]
    assert likely[2, 1] > 5 * likely[2, 4]
    # Nothing was seen of the others: they say nothing.
    assert likely[3, 1] == pytest.approx(likely[3, 4])


def test_crowns_hide_sealed_ground_as_seldom_as_where_it_is_mapped() -> None:
    counts = np.zeros((4, 5), np.int64)
    counts[2, [1, TREES]] = 9000, 1000
    counts[0, [1, 4, TREES]] = 9000, 10_000, 71_000
    objects = GroundObjects.of(counts)
    assert objects.hidden_odds == pytest.approx(1 / 9, rel=0.01)
    codes = np.tile(np.array([2, 0, 0, 0], np.uint8), (41, 11))  # a quarter sealed, the rest hidden
    expected = objects.expected(np.zeros_like(codes), codes, codes == 0)
    np.testing.assert_allclose(expected.sum(axis=0), 1, rtol=1e-5)
    assert (expected[TREES] == 0).all()
    # In 21 columns around this one, 6 are sealed and seen, 15 hidden.
    assert expected[1, 20, 22] == pytest.approx(1 / 9 * 6 / 15, rel=0.01)
    road = np.full_like(codes, 2)
    assert objects.expected(road, codes, codes == 0)[1].min() > 0.9


def test_where_nothing_is_mapped_a_tenth_is_taken() -> None:
    assert GroundObjects.of(np.zeros((4, 5), np.int64)).hidden_odds == pytest.approx(0.1)


def test_ground_is_seen_where_trees_cover_no_more_than_half_a_pixel() -> None:
    p = np.zeros((5, 1, 4), np.float32)
    p[TREES, 0] = [0.4, 0.6, 0.0, 1.0]
    p[1, 0] = [0.6, 0.4, 0.0, 0.0]
    codes, hidden = visible_ground(p)
    assert codes[0].tolist() == [2, 0, 0, 0]
    assert hidden[0].tolist() == [False, True, False, True]


def test_seen_ground_is_held_and_hidden_ground_is_never_trees() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, (24, 24)).astype(np.uint8)
    even = np.ones((5, 24, 24), np.float32)
    even[TREES] = 0
    shares = np.zeros((5, 24, 24), np.float32)
    shares[[1, 4]] = [[[0.25]], [[0.75]]]
    ground = ground_under_trees(PLAIN, one_hot(codes), even, shares, SETTINGS, 0, (0, 0))
    trees = codes == TREES + 1
    np.testing.assert_array_equal(ground.hidden, trees)
    np.testing.assert_array_equal(ground.codes[~trees], codes[~trees])
    assert not (ground.codes == TREES + 1).any()
    assert (ground.codes[trees] > 0).all()
    # The prior alone would say 0.4: what crowns hide is sealed as seldom as it was told.
    np.testing.assert_allclose(ground.impervious[trees], 0.25, atol=0.01)


def test_a_mapped_street_goes_on_under_crowns() -> None:
    codes = np.full((24, 24), TREES + 1, np.uint8)
    road = np.zeros((24, 24), np.uint8)
    road[10:12] = 2
    counts = np.zeros((4, 5), np.int64)
    counts[0, [1, 4]], counts[2, [1, 4]] = (20, 80), (95, 5)
    objects = GroundObjects.of(counts)
    p, likelihoods = one_hot(codes), objects.likelihoods(road)
    shares = objects.expected(road, *visible_ground(p))
    ground = ground_under_trees(PLAIN, p, likelihoods, shares, SETTINGS, 0, (0, 0))
    assert (ground.codes[10:12] == 2).all()
    assert (ground.impervious[10:12] > 0.6).all()
    assert (ground.impervious[:10] < 0.3).all()


def test_inferred_ground_never_has_the_name_of_what_is_seen() -> None:
    codes = np.array([[0, 1, 2, 3, 5, 2, 5, 1, 0]], np.uint8)
    hidden = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1]], bool)
    found = ground_classes(codes, hidden)[0].tolist()
    assert found == [0, 1, 2, 3, 3, 4, 5, 5, 0]
    inferred = {c.code for c in GROUND_LEGEND.classes if "inferred" in c.name}
    assert inferred == {4, 5}
    assert not set(GROUND_LEGEND.names[3:]) & set(WORKING.names)
