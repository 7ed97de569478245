"""Laws of landscape metrics: known landscapes, invariances, distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from landcover_pnp.prior.landscape import describe, distances, nearest_agreement

maps_strategy = arrays(np.uint8, (3, 9, 9), elements=st.integers(0, 5)).filter(
    lambda maps: all(m.any() for m in maps)
)


def test_a_pond_in_a_field() -> None:
    labels = np.full((1, 8, 8), 5, np.uint8)
    labels[0, 2:4, 3:6] = 1
    look = describe(labels, 10.0)
    assert look.shares == pytest.approx([6 / 64, 0, 0, 0, 58 / 64])
    assert look.adjacency[0, 4] == 1
    assert look.patch_density == pytest.approx(2 / 0.0064)
    assert look.edge_density == pytest.approx(10 * 10 / 0.64)  # ten pixel sides
    assert look.mean_patch == pytest.approx(3200)
    assert look.patch_size[0, 2] == 0.5  # 6 pixels: octave 4 to 7
    assert look.patch_size[4, 5] == 0.5
    assert look.patch_edge[0, 3] == 0.5  # 10 sides: 1 + 10 in octave 8 to 15


def test_patches_touch_by_sides_and_unlabelled_ground_is_no_neighbour() -> None:
    labels = np.array([[[4, 5], [5, 4]]], np.uint8)
    assert describe(labels, 1.0).patch_density == pytest.approx(4 / 4e-6)
    labels = np.array([[[4, 0], [0, 5]]], np.uint8)
    look = describe(labels, 1.0)
    assert look.edge_density == 0
    assert look.patch_density == pytest.approx(2 / 2e-6)
    assert look.adjacency.sum() == 0


@given(maps_strategy, st.integers(0, 3), st.booleans())
def test_turning_maps_changes_nothing(maps: NDArray[np.uint8], turns: int, mirrored: bool) -> None:
    turned = np.rot90(maps, turns, (1, 2))
    turned = turned.transpose(0, 2, 1) if mirrored else turned
    assert distances(describe(maps, 4.0), describe(turned, 4.0))["all"] == pytest.approx(0)


@given(maps_strategy, maps_strategy)
def test_distances_are_symmetric_and_bounded(
    one: NDArray[np.uint8], other: NDArray[np.uint8]
) -> None:
    there = distances(describe(one, 4.0), describe(other, 4.0))
    back = distances(describe(other, 4.0), describe(one, 4.0))
    assert there == pytest.approx(back)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in there.values())


def test_nothing_in_common_is_far_away() -> None:
    rng = np.random.default_rng(0)
    salt = rng.integers(1, 3, (8, 16, 16), np.uint8)
    blocks = np.kron(rng.integers(4, 6, (8, 2, 2), np.uint8), np.ones((8, 8), np.uint8))
    assert distances(describe(salt, 4.0), describe(blocks, 4.0))["all"] > 0.95


@given(st.integers(0, 3), st.booleans(), st.integers(0, 4))
def test_a_turned_copy_is_found(turns: int, mirrored: bool, changed: int) -> None:
    rng = np.random.default_rng(1)
    training = rng.integers(1, 6, (5, 12, 12), np.uint8)
    copy = np.rot90(training[2], turns).copy()
    copy = copy.T if mirrored else copy
    copy[:changed, 0] = 6 - copy[:changed, 0]
    expected = 1 - np.count_nonzero(copy[:changed, 0] != 6 - copy[:changed, 0]) / 144
    [agreement] = nearest_agreement(copy[None], training)
    assert agreement == pytest.approx(expected)


def test_strangers_agree_little() -> None:
    rng = np.random.default_rng(2)
    maps = rng.integers(1, 6, (10, 16, 16), np.uint8)
    assert nearest_agreement(maps[:5], maps[5:]).max() < 0.4
