"""Laws of the nearest map that meets constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from landcover_pnp.errors import ConstraintError, TileError
from landcover_pnp.inference.constraints import Weight
from landcover_pnp.inference.nearest_map import nearest_map

torch.set_num_threads(1)

SHAPE = (12, 16)
VALID = torch.ones(SHAPE, dtype=torch.bool)
FEW = settings(max_examples=5, deadline=None)


class Term:
    """A constraint made of a function."""

    name = "term"

    def __init__(self, call: Callable[[Tensor], Tensor], weight: Weight = 100.0) -> None:
        self.call, self.weight = call, weight

    def __call__(self, probabilities: Tensor) -> Tensor:
        return self.call(probabilities)


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    """A map (channel 6, y, x) without no data, and a polygon (y, x) bool."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.zeros(6, *SHAPE)
    p[1:] = (2 * torch.randn(5, *SHAPE, generator=generator)).softmax(0)
    polygon = torch.zeros(SHAPE, dtype=torch.bool)
    polygon[2:10, 3:13] = torch.rand(8, 10, generator=generator) < 0.8
    return p, polygon


@FEW
@given(st.integers(0, 999), st.integers(1, 5), st.floats(-8, 8))
def test_a_mean_moves_log_odds_by_its_weight(seed: int, channel: int, weight: float) -> None:
    p, polygon = drawn(seed)
    term = Term(lambda q: (q[channel] * polygon).mean(), lambda *_: weight)
    expected = p.clone()
    expected[channel] *= torch.where(polygon, np.exp(-weight), 1.0)
    found = nearest_map(p, VALID, [term])
    torch.testing.assert_close(found, expected / expected.sum(0), rtol=1e-3, atol=1e-5)
    assert torch.equal(found[:, ~polygon], p[:, ~polygon])


@FEW
@given(st.integers(0, 999), st.integers(1, 5), st.floats(0.0, 1.0), st.booleans())
def test_a_share_is_met_by_the_pixels_that_are_nearest_to_it(
    seed: int, channel: int, share: float, at_least: bool
) -> None:
    p, polygon = drawn(seed)
    sign = 1 if at_least else -1
    term = Term(lambda q: torch.relu(sign * (share - q[channel][polygon].mean())))
    before, after = (q[1:].argmax(0) + 1 for q in (p, nearest_map(p, VALID, [term])))
    there = (after == channel)[polygon].float().mean()
    assert sign * (there - share) > -1 / polygon.sum()  # one pixel
    changed = before != after
    assert not changed[~polygon].any()
    others = torch.cat([p[1:channel], p[channel + 1 :]]).amax(0)
    margin = sign * (others / p[channel]).log()[polygon]  # what it takes to change a pixel
    left = (margin > 0) & ~changed[polygon]
    if changed.any() and left.any():
        assert margin[changed[polygon]].max() <= margin[left].min() + 1e-4


@FEW
@given(st.integers(0, 999))
def test_a_table_of_areas_is_met(seed: int) -> None:
    p, _ = drawn(seed)
    parcels = torch.arange(SHAPE[0])[:, None] // 6 * 2 + torch.arange(SHAPE[1]) // 8
    table = torch.tensor([3.0, 20.0, 0.0, 48.0])

    def misses(q: Tensor) -> Tensor:
        areas = torch.stack([q[2][parcels == k].sum() for k in range(4)])
        return (areas - table).abs().mean() / 48

    found = nearest_map(p, VALID, [Term(misses, 1000.0)])
    areas = [int((found.argmax(0) == 2)[parcels == k].sum()) for k in range(4)]
    np.testing.assert_allclose(areas, table, atol=1)


def test_a_map_that_meets_them_stays() -> None:
    p, polygon = drawn(0)
    p[0], p[1:] = 0.1, 0.9 * p[1:]
    met = Term(lambda q: torch.relu(q[4][polygon].mean() - 1))
    assert torch.equal(nearest_map(p, VALID, [met]), p)


def test_two_constraints_hold_at_once_and_pixels_without_data_are_no_class() -> None:
    p, polygon = drawn(1)
    valid = VALID.clone()
    valid[:, ::3] = False
    water = Term(lambda q: q[1].mean())
    trees = Term(lambda q: torch.relu(0.5 - q[4][polygon].sum() / (polygon & valid).sum()))
    trees.name = "trees"
    labels = nearest_map(p, valid, [water, trees]).argmax(0)
    assert not (labels == 1)[valid].any()
    assert (labels == 4)[polygon & valid].float().mean() >= 0.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda q: (q.argmax(0) == 1).float().mean(), ConstraintError, "'term' has no gradient"),
        (lambda q: q[1], ConstraintError, "'term' returns a value of shape"),
        (lambda q: q[1].mean() * float("nan"), TileError, "'term' is nan at step 0"),
        (lambda q: (0 * q[1]).sum().sqrt(), TileError, "'gradient' is nan at step 0"),
    ],
)
def test_what_is_no_constraint_is_named(
    call: Callable[[Tensor], Tensor], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        nearest_map(drawn(0)[0], VALID, [Term(call)])


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (lambda q: q[1].mean(), "has no name and has the weight None"),
        (Term(lambda q: q[1].mean(), float("nan")), "has the weight nan"),
        (Term(lambda q: q[1].mean(), "heavy"), "has the weight 'heavy'"),
        (type("Silent", (), {"name": "silent", "weight": 1.0})(), "cannot be called"),
        (Term(lambda q: q[1].mean(), lambda i: 1.0), "'term' has a weight that fails at step 0"),  # type: ignore[arg-type,misc]
        (Term(lambda q: q[1].mean(), lambda *_: float("nan")), "'term' has the weight nan at step"),
        (Term(lambda q: q[1].mean(), lambda *_: None), "'term' has the weight None at step 0"),  # type: ignore[arg-type,return-value]
    ],
)
def test_a_constraint_without_its_parts_is_refused(constraint: Any, message: str) -> None:
    with pytest.raises(ConstraintError, match=message):
        nearest_map(drawn(0)[0], VALID, [constraint])
