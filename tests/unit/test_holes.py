"""Laws of hidden squares and stripes, and of the methods that fill them without a prior."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from landcover_pnp.evaluation.hole_baselines import BASELINES, _shares, harmonic, majority, potts
from landcover_pnp.evaluation.holes import (
    KINDS,
    STRIPES,
    class_table,
    fill_table,
    holes,
    score_fills,
)

Labels = NDArray[np.uint8]


def patches(seed: int = 0, side: int = 64) -> Labels:
    """Blocks of classes, a stripe without any."""
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(1, 6, (side // 8, side // 8)), np.ones((8, 8)))
    labels[:, :3] = 0
    return labels.astype(np.uint8)


CASES = list(holes({"a": patches(), "b": patches(1, 80)}, 4.0, 3, 0))


def test_holes_are_of_the_size_they_say_and_the_same_for_every_method() -> None:
    again = list(holes({"a": patches(), "b": patches(1, 80)}, 4.0, 3, 0))
    assert [h.hidden.tobytes() for h in again] == [h.hidden.tobytes() for h in CASES]
    other = list(holes({"a": patches(), "b": patches(1, 80)}, 4.0, 3, 1))
    assert [h.hidden.tobytes() for h in other] != [h.hidden.tobytes() for h in CASES]
    assert [h.kind for h in CASES] == [kind for kind in KINDS for _ in range(6)]
    for hole in CASES:
        assert not hole.visible[hole.hidden].any()
        assert (hole.visible == hole.labels)[~hole.hidden].all()
        if hole.kind == STRIPES:
            assert 0.2 < hole.hidden.mean() < 0.4
            lines = (
                hole.hidden if hole.hidden[0].all() or not hole.hidden[0].any() else hole.hidden.T
            )
            assert (lines == lines[:, :1]).all()
        else:
            side = int(hole.kind.removesuffix(" m")) // 4
            ys, xs = np.nonzero(hole.hidden)
            assert len(ys) == side**2
            assert np.ptp(ys) == np.ptp(xs) == side - 1


def test_a_hole_that_leaves_nothing_visible_is_left_out() -> None:
    small = np.full((8, 8), 4, np.uint8)
    assert {h.kind for h in holes({"small": small}, 4.0, 2, 0)} <= {"16 m", STRIPES}
    assert not list(holes({"none": np.zeros((64, 64), np.uint8)}, 4.0, 2, 0))


def test_a_fill_that_knows_the_map_is_right_and_one_that_knows_shares_pays_for_them() -> None:
    truth = {hole.visible.tobytes(): hole.labels for hole in CASES}
    shares = np.array([0.1, 0.2, 0.3, 0.15, 0.25])

    def knowing(codes: Labels, hidden: NDArray[np.bool_]) -> NDArray[np.floating]:
        return np.stack([truth[codes.tobytes()] == code for code in range(1, 6)]).astype(float)

    def blind(codes: Labels, hidden: NDArray[np.bool_]) -> NDArray[np.floating]:
        return np.broadcast_to(shares[:, None, None], (5, *codes.shape))

    found, guessed = score_fills(knowing, CASES), score_fills(blind, CASES)
    assert list(found) == list(KINDS)
    for kind in KINDS:
        assert found[kind].mean_accuracy == found[kind].pooled.mean_iou == 1
        assert found[kind].mean_nll == 0
        there = ~np.isnan(guessed[kind].class_nll)
        assert guessed[kind].class_nll[there] == pytest.approx(-np.log(shares[there]))
        by_hole = [
            -np.log(shares[h.labels[h.hidden & (h.labels > 0)] - 1]).mean()
            for h in CASES
            if (h.kind, h.scene) == (kind, "a")
        ]
        assert guessed[kind].nll["a"] == pytest.approx(np.mean(by_hole))
        alone = guessed[kind].without("b")
        assert set(alone.accuracy) == set(alone.scores) == {"a"}
        assert alone.mean_nll == pytest.approx(guessed[kind].nll["a"])
        assert alone.pooled.pixels < guessed[kind].pooled.pixels
    assert "1.000 / 1.000 / 0.000" in fill_table({"knowing": found})
    assert "1.000 / 0.000" in class_table({"knowing": found}, "16 m")


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_gives_probabilities_and_fills_a_plain_map_with_its_class(name: str) -> None:
    for hole in CASES[::3]:
        p = BASELINES[name](hole.visible, hole.hidden)
        assert p.shape == (5, *hole.labels.shape)
        np.testing.assert_allclose(p.sum(0)[hole.hidden], 1)
        assert (p > 0).all()
    plain = np.full((20, 20), 3, np.uint8)
    plain[5:12, 6:15] = 0
    assert (BASELINES[name](plain, plain == 0).argmax(0) == 2).all()


@pytest.mark.parametrize("name", ["harmonic fill", "majority filter", "conditional random field"])
def test_a_turned_map_is_filled_alike(name: str) -> None:
    hole = CASES[13]
    p = BASELINES[name](hole.visible, hole.hidden)
    turned = BASELINES[name](np.rot90(hole.visible).copy(), np.rot90(hole.hidden).copy())
    np.testing.assert_allclose(turned, np.rot90(p, axes=(1, 2)), atol=1e-5)


@given(st.integers(0, 1000), st.integers(2, 9))
def test_harmonic_fill_is_where_a_repeated_mean_ends(seed: int, side: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(1, 6, (14, 13)).astype(np.uint8)
    hidden = np.zeros(codes.shape, bool)
    y, x = (
        random.integers(0, 14 - side, endpoint=True),
        random.integers(0, 13 - side, endpoint=True),
    )
    hidden[y : y + side, x : x + side] = True
    hidden |= random.random(codes.shape) < 0.1
    codes[random.random(codes.shape) < 0.1] = 0
    codes[hidden] = 0
    if not (codes > 0).any():
        return
    p = harmonic(codes, hidden, mixed=0.0)
    open_ground = np.pad(hidden | (codes > 0), 1)
    padded = np.pad(p, ((0, 0), (1, 1), (1, 1))) * open_ground
    moves = [np.roll(padded, shift, axis) for axis in (1, 2) for shift in (1, -1)]
    there = [np.roll(open_ground, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    means = sum(moves) / np.maximum(sum(map(np.asarray, there)), 1)
    touching = hidden & (sum(map(np.asarray, there)) > 0)[1:-1, 1:-1]
    np.testing.assert_allclose(means[:, 1:-1, 1:-1][:, touching], p[:, touching], atol=2e-3)


def test_harmonic_fill_between_two_walls_is_a_ramp() -> None:
    codes = np.zeros((5, 9), np.uint8)
    codes[:, 0], codes[:, -1] = 1, 4
    p = harmonic(codes, codes == 0, mixed=0.0)
    np.testing.assert_allclose(p[0], np.broadcast_to(np.linspace(1, 0, 9), (5, 9)), atol=1e-4)
    np.testing.assert_allclose(p[3], 1 - p[0], atol=1e-4)


def test_a_majority_is_of_the_smallest_box_that_shows_anything() -> None:
    codes = np.zeros((9, 9), np.uint8)
    codes[0, :3], codes[8, 8] = 5, 2
    p = majority(codes, codes == 0, radius_px=1, mixed=0.0)
    assert p[:, 1, 1].argmax() == 4
    assert p[:, 7, 7].argmax() == 1
    assert p[:, 4, 4].argmax() == 4  # three of grass, one impervious


def test_a_random_field_without_weight_is_its_unary_and_with_it_is_surer() -> None:
    hole = CASES[8]
    unary = harmonic(hole.visible, hole.hidden, mixed=0.1)[:, hole.hidden]
    p = potts(hole.visible, hole.hidden, weight=0.0, mixed=0.1)[:, hole.hidden]
    np.testing.assert_allclose(p, 0.9 * unary + 0.1 * _shares(hole.visible)[:, None], atol=1e-4)
    surer = potts(hole.visible, hole.hidden, weight=3.0, mixed=0.1)[:, hole.hidden]
    assert surer.max(0).mean() > p.max(0).mean() + 0.05
    held = potts(hole.visible, hole.hidden, mixed=0.0)
    visible = hole.visible > 0
    assert (held.argmax(0) + 1)[visible].tolist() == hole.visible[visible].tolist()
