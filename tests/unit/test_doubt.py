"""Doubt: 0 where all agree, high where sources contradict each other, and never by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inputs import NLCD, numbered

from landcover_pnp.arrays import normalise
from landcover_pnp.evidence.contradictions import (
    ANCHORS,
    KINDS,
    WEIGHTS,
    anchor_conflicts,
    combined,
    conflict,
    label_conflict,
    matrix_conflict,
    percent,
    strongest,
)
from landcover_pnp.evidence.looks import LOOKS, ClassesByLook, Looks, look_features
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import CLASS_COUNT, WORKING

SHAPE = (4, 5)
RAW = arrays(np.float32, (CLASS_COUNT, *SHAPE), elements=st.floats(0.0625, 1, width=32))
PARTS = st.dictionaries(
    st.sampled_from(KINDS),
    arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32)),
    min_size=1,
)
UNIFORM = np.full(CLASS_COUNT, 1 / CLASS_COUNT)


def only(name: str, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    p = np.zeros((CLASS_COUNT, *shape), np.float32)
    p[WORKING.index(name)] = 1
    return p


@given(RAW, RAW)
def test_contradictions_are_symmetric_and_knowing_nothing_contradicts_nobody(
    a: np.ndarray, b: np.ndarray
) -> None:
    p, q = normalise(a), normalise(b)
    found = conflict(p, q, UNIFORM)
    assert (found >= 0).all()
    assert (found <= 1).all()
    np.testing.assert_allclose(found, conflict(q, p, UNIFORM), atol=1e-6)
    shares = p.mean(axis=(1, 2))
    ignorant = np.broadcast_to(shares[:, None, None], p.shape).astype(np.float32)
    np.testing.assert_allclose(conflict(ignorant, q, shares), 0, atol=1e-5)


def test_certain_sources_agree_or_contradict_each_other() -> None:
    for one in WORKING.names:
        for other in WORKING.names:
            expected = 0.0 if one == other else 1.0
            assert (conflict(only(one), only(other), UNIFORM) == expected).all()


@given(PARTS)
def test_doubt_is_at_least_that_of_each_contradiction(parts: dict[str, np.ndarray]) -> None:
    doubt = combined(parts)
    for name, part in parts.items():
        assert (doubt >= WEIGHTS[name] * part - 1e-6).all()
    assert (doubt <= 1).all()
    least = combined({name: np.zeros_like(part) for name, part in parts.items()})
    assert not least.any()
    named = strongest(parts)
    told = np.stack([WEIGHTS[name] * part for name, part in parts.items()]).max(axis=0)
    for y, x in np.ndindex(SHAPE):
        if told[y, x] == 0:
            assert named[y, x] == 0
        else:
            name = KINDS[named[y, x] - 1]
            assert WEIGHTS[name] * parts[name][y, x] == told[y, x]


def test_percent_has_no_data_where_the_map_has_none() -> None:
    valid = np.array([[True, False]])
    assert percent(np.array([[0.426, 0.9]], np.float32), valid).tolist() == [[43, 255]]


@pytest.mark.parametrize("layer", ANCHORS)
def test_objects_contradict_what_they_are_not(layer: str) -> None:
    right = only(ANCHORS[layer])
    wrong = only("trees and forest")
    none = dict.fromkeys(ANCHORS)
    whole = {**none, layer: np.ones(SHAPE, np.float32)}
    edge = {**none, layer: np.full(SHAPE, 0.4, np.float32)}
    for coverage, looks, p, expected in (
        (whole, right, right, (0, 0)),
        (whole, wrong, right, (1, 0)),
        (whole, right, wrong, (0, 1)),
        (edge, wrong, wrong, (0, 0)),
        (none, wrong, wrong, (0, 0)),
    ):
        found = anchor_conflicts(coverage, looks, p, UNIFORM)
        assert [part.min() for part in found] == list(expected)
        assert [part.max() for part in found] == list(expected)


@given(RAW, arrays(np.uint8, SHAPE, elements=st.integers(0, CLASS_COUNT)))
def test_a_user_s_labels_contradict_a_map_of_other_classes(
    raw: np.ndarray, labels: np.ndarray
) -> None:
    p = normalise(raw)
    found = label_conflict(labels, p)
    for y, x in np.ndindex(SHAPE):
        code = labels[y, x]
        expected = 1 - p[code - 1, y, x] if code else 0
        assert found[y, x] == pytest.approx(expected, abs=1e-6)


def test_matrices_contradict_each_other_by_the_rows_that_differ() -> None:
    one = np.tile(UNIFORM, (len(NLCD.codes), 1))
    other = one.copy()
    other[NLCD.codes.index(22)] = np.eye(CLASS_COUNT)[0]
    codes = np.array([[22, 41, 0]])
    found = matrix_conflict(numbered(codes), one, other)
    np.testing.assert_allclose(found, [[0.8, 0, 0]], atol=1e-6)


def scene(side: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(image, labels): pavement and trees in halves, with their colours."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(side) < side // 2, 1, 3)[None].repeat(side, 0)
    colours = np.array([[0.1, 0.2, 0.3], [0.6, 0.6, 0.6], [0.7, 0.5, 0.4], [0.2, 0.4, 0.2]])
    image = colours[labels].transpose(2, 0, 1) + rng.normal(0, 0.03, (3, side, side))
    return image.astype(np.float32), labels


def looked_at(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes of the look elsewhere, how new it is, and the map itself."""
    side = labels.shape[0]
    valid = np.ones(labels.shape, bool)
    features = look_features(image, valid)
    looks = Looks.of(features.reshape(len(features), -1)[:, ::3])
    p = np.eye(CLASS_COUNT, dtype=np.float32)[:, labels]
    extent = Box(0, side, 0, side)
    windows = [
        (box, looks.number(features[:, *box.within(extent)]), p[:, *box.within(extent)])
        for box in blocks(extent, 50)
    ]
    known = ClassesByLook.of(extent, len(looks.centres), windows)
    shares, new = known.elsewhere(extent, looks.number(features))
    assert known.counts.sum() == pytest.approx(side * side)
    return shares, new, p


def test_a_look_means_what_it_is_elsewhere() -> None:
    image, labels = scene()
    image[:, 20:40, 20:40] = image[:, 20:40, 90:110]  # trees that are mapped as pavement
    shares, new, p = looked_at(image, labels)
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    inside = np.s_[24:36, 24:36]
    assert shares[3][inside].mean() > 0.8
    assert conflict(shares, p, shares.mean(axis=(1, 2)))[inside].mean() > 0.5
    assert new[inside].max() < 0.3
    assert conflict(shares, p, shares.mean(axis=(1, 2)))[60:, :50].mean() < 0.05


def test_what_looks_like_nothing_else_is_new_and_cannot_vouch_for_itself() -> None:
    image, labels = scene()
    image[:, 20:30, 20:34] = np.array([0.1, 0.2, 0.35], np.float32)[:, None, None]
    _, new, _ = looked_at(image, labels)
    assert new[21:29, 21:33].min() > 0.5
    assert np.median(new) < 0.2


@pytest.mark.parametrize("side", [1, 3, 17])
def test_scenes_of_a_few_pixels_have_looks(side: int) -> None:
    image, labels = scene(side)
    shares, new, _ = looked_at(image, labels)
    assert np.isfinite(shares).all()
    assert ((new > 0) & (new <= 1)).all()


def test_windows_and_order_change_no_count() -> None:
    image, labels = scene(70)
    features = look_features(image, np.ones(labels.shape, bool))
    looks = Looks.of(features.reshape(len(features), -1))
    assert len(looks.centres) <= LOOKS
    p = np.eye(CLASS_COUNT, dtype=np.float32)[:, labels]
    extent = Box(0, 70, 0, 70)
    counts = []
    for side in (70, 32, 9):
        windows = [
            (box, looks.number(features[:, *box.within(extent)]), p[:, *box.within(extent)])
            for box in blocks(extent, side)
        ]
        counts.append(ClassesByLook.of(extent, len(looks.centres), windows).counts)
    for other in counts[1:]:
        np.testing.assert_array_equal(counts[0], other)
