"""Laws of the constraints; oracles are plain loops over windows and blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landcover_pnp.inference.constraints import (
    MutualInformation,
    WeakLabelKL,
    box_sum,
    weight_at,
)
from landcover_pnp.inference.relaxation import probabilities

FIXTURE = Path(__file__).parents[1] / "fixtures" / "algorithm1_terms.npz"
"""First part of a run recorded with the program released with Graikos et al. 2022."""

seeds = st.integers(0, 10_000)
radii = st.integers(0, 12)
sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))


def random_distribution(seed: int, channels: int, size: tuple[int, int]) -> Tensor:
    logits = torch.randn(channels, *size, generator=torch.Generator().manual_seed(seed))
    return (3 * logits).double().softmax(0)


def random_valid(seed: int, size: tuple[int, int]) -> Tensor:
    valid = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.7
    valid[0, 0] = True
    return valid


def window(values: Tensor, y: int, x: int, radius: int) -> Tensor:
    return values[
        ..., max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1
    ].flatten(-2)


def entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum()


def plain_mutual_information(p: Tensor, clusters: Tensor, valid: Tensor, radius: int) -> float:
    values = []
    for y, x in valid.nonzero().tolist():
        inside = window(valid, y, x, radius)
        labels, groups = (window(a, y, x, radius)[:, inside] for a in (p, clusters))
        joint = labels @ groups.T / inside.sum()
        both = entropy(joint.sum(0)) + entropy(joint.sum(1))
        values.append(((both - entropy(joint)) / both.clamp_min(1e-2)).item())
    return float(np.mean(values))


def plain_weak_label_kl(p: Tensor, weak: Tensor, valid: Tensor, radius: int) -> float:
    values = []
    for y, x in valid.nonzero().tolist():
        mean = window(p, y, x, radius)[:, window(valid, y, x, radius)].mean(1)
        at = weak[:, y, x]
        values.append((torch.xlogy(at, at) - at * mean.log()).mean().item())
    return float(np.mean(values))


def plain_block_kl(
    p: Tensor, weak: Tensor, valid: Tensor, radius: int, origin: tuple[int, int]
) -> float:
    side, (height, width) = 2 * radius + 1, valid.shape
    block = (torch.arange(height) + origin[0])[:, None] // side * 1000 + (
        torch.arange(width) + origin[1]
    ) // side
    total = 0.0
    for number in block[valid].unique():
        inside = valid & (block == number)
        at, mean = weak[:, inside].mean(1), p[:, inside].mean(1)
        total += (torch.xlogy(at, at) - at * mean.log()).mean().item() * inside.sum().item()
    return total / valid.sum().item()


# ---- box sums ----


@given(seeds, radii, sizes)
def test_box_sum_is_the_sum_over_the_window(seed: int, radius: int, size: tuple[int, int]) -> None:
    values = torch.randn(2, *size, generator=torch.Generator().manual_seed(seed)).double()
    sums = box_sum(values, radius)
    for y in range(size[0]):
        for x in range(size[1]):
            torch.testing.assert_close(sums[:, y, x], window(values, y, x, radius).sum(-1))


@given(seeds, radii, sizes)
def test_box_sum_is_its_own_adjoint(seed: int, radius: int, size: tuple[int, int]) -> None:
    a, b = random_distribution(seed, 3, size), random_distribution(seed + 1, 3, size)
    torch.testing.assert_close((box_sum(a, radius) * b).sum(), (a * box_sum(b, radius)).sum())
    a.requires_grad_()
    (box_sum(a, radius) * b).sum().backward()
    torch.testing.assert_close(a.grad, box_sum(b, radius))


def test_box_sum_keeps_float32_accuracy_on_a_large_canvas() -> None:
    generator = torch.Generator().manual_seed(0)
    values = 10 ** (-9 * torch.rand(1, 1024, 1024, generator=generator))
    values[:, :512] *= 1e-6
    sums, exact = box_sum(values, 15), box_sum(values.double(), 15)
    assert ((sums - exact) / exact).abs().max() < 1e-6


# ---- mutual information ----


@given(seeds, st.integers(0, 4), st.tuples(st.integers(1, 7), st.integers(1, 7)))
def test_mutual_information_is_that_of_the_plain_loop(
    seed: int, radius: int, size: tuple[int, int]
) -> None:
    p, clusters = random_distribution(seed, 6, size), random_distribution(seed + 1, 3, size)
    valid = random_valid(seed, size)
    value = MutualInformation(clusters, valid, radius)(p).item()
    assert value == pytest.approx(plain_mutual_information(p, clusters, valid, radius), abs=1e-9)


@given(seeds)
def test_mutual_information_does_not_know_the_order_of_labels_or_clusters(seed: int) -> None:
    p, clusters = random_distribution(seed, 6, (9, 8)), random_distribution(seed + 1, 5, (9, 8))
    valid = random_valid(seed, (9, 8))
    value = MutualInformation(clusters, valid, 3)(p)
    torch.testing.assert_close(MutualInformation(clusters.flip(0), valid, 3)(p.flip(0)), value)


def test_mutual_information_of_a_map_with_itself_is_one_half() -> None:
    labels = torch.randint(0, 3, (20, 20), generator=torch.Generator().manual_seed(0))
    one_hot = torch.eye(6)[labels].permute(2, 0, 1)
    value = MutualInformation(one_hot[:3], torch.ones(20, 20, dtype=torch.bool), 5)(one_hot)
    assert value.item() == pytest.approx(0.5, abs=1e-5)


def test_mutual_information_with_one_cluster_is_zero_and_pulls_nowhere() -> None:
    p = random_distribution(0, 6, (12, 12)).float().requires_grad_()
    value = MutualInformation(torch.ones(1, 12, 12), torch.ones(12, 12, dtype=torch.bool), 4)(p)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert p.grad is not None
    assert p.grad.abs().max() < 1e-5


# ---- weak labels ----


@given(seeds, st.integers(0, 4), sizes)
def test_weak_label_kl_is_that_of_the_plain_loop(
    seed: int, radius: int, size: tuple[int, int]
) -> None:
    p, weak = random_distribution(seed, 6, size), random_distribution(seed + 1, 6, size)
    valid = random_valid(seed, size)
    value = WeakLabelKL(weak, valid, radius)(p).item()
    assert value == pytest.approx(plain_weak_label_kl(p, weak, valid, radius), rel=1e-9)


@given(seeds, st.integers(0, 4), sizes, st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
def test_block_kl_is_that_of_the_plain_loop(
    seed: int, radius: int, size: tuple[int, int], origin: tuple[int, int]
) -> None:
    p, weak = random_distribution(seed, 6, size), random_distribution(seed + 1, 6, size)
    valid = random_valid(seed, size)
    value = WeakLabelKL(weak, valid, radius, blocks=True, origin=origin)(p).item()
    expected = plain_block_kl(p, weak, valid, radius, origin)
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(seeds, st.booleans())
def test_weak_label_kl_is_zero_where_the_means_agree_and_positive_elsewhere(
    seed: int, blocks: bool
) -> None:
    valid = torch.ones(9, 9, dtype=torch.bool)
    constant = random_distribution(seed, 6, (1, 1)).expand(6, 9, 9)
    kl = WeakLabelKL(constant, valid, 1, blocks=blocks)
    assert kl(constant).item() == pytest.approx(0, abs=1e-12)
    assert kl(random_distribution(seed + 1, 6, (9, 9))).item() > 0


# ---- both ----


def constraints(seed: int, valid: Tensor) -> list[MutualInformation | WeakLabelKL]:
    size = (valid.shape[0], valid.shape[1])
    clusters, weak = random_distribution(seed, 4, size), random_distribution(seed + 1, 6, size)
    return [
        MutualInformation(clusters, valid, 2),
        WeakLabelKL(weak, valid, 2),
        WeakLabelKL(weak, valid, 2, blocks=True, origin=(3, 1)),
    ]


@given(seeds)
def test_pixels_without_data_have_no_part(seed: int) -> None:
    valid = random_valid(seed, (8, 9))
    p = random_distribution(seed + 2, 6, (8, 9))
    other = torch.where(valid, p, random_distribution(seed + 3, 6, (8, 9)))
    for constraint in constraints(seed, valid):
        torch.testing.assert_close(constraint(other), constraint(p), rtol=0, atol=0)


def test_gradients_are_those_of_the_values() -> None:
    p = random_distribution(7, 6, (6, 5)).requires_grad_()
    for constraint in constraints(0, random_valid(0, (6, 5))):
        assert torch.autograd.gradcheck(constraint, p)


def test_gradients_are_finite_at_a_one_hot_map() -> None:
    labels = torch.randint(0, 6, (12, 12), generator=torch.Generator().manual_seed(0))
    p = torch.eye(6)[labels].permute(2, 0, 1).clone().requires_grad_()
    for constraint in constraints(0, torch.ones(12, 12, dtype=torch.bool)):
        (gradient,) = torch.autograd.grad(constraint(p), p)
        assert gradient.isfinite().all()


def test_recorded_terms_of_the_released_program() -> None:
    recorded = np.load(FIXTURE)
    clusters, weak = (torch.from_numpy(recorded[name]) for name in ("clusters", "weak"))
    valid = torch.ones(32, 32, dtype=torch.bool)
    information, kl = MutualInformation(clusters, valid), WeakLabelKL(weak, valid)
    for i, eta in enumerate(recorded["eta"]):
        p = probabilities(torch.from_numpy(eta), float(recorded["sigma"][i]))
        assert information(p).item() == pytest.approx(recorded["mi"][i], rel=1e-4)
        assert kl(p).item() == pytest.approx(recorded["kl"][i], rel=1e-4)
        step, steps = int(recorded["step"][i]), int(recorded["steps"])
        assert weight_at(kl.weight, step, steps) == pytest.approx(recorded["weight"][i])
        assert weight_at(information.weight, step, steps) == -weight_at(kl.weight, step, steps)


def test_a_weight_is_a_factor_or_a_schedule() -> None:
    assert [weight_at(2.0, i, 4) for i in range(4)] == [2.0, 1.5, 1.0, 0.5]
    assert weight_at(lambda step, steps: 10.0 * step / steps, 3, 4) == 7.5
