"""Laws of the relaxed one-hot map."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from landcover_pnp.inference.relaxation import SIGMA_END, SIGMA_START, probabilities, sigma_at

seeds = st.integers(0, 10_000)
sigmas = st.floats(SIGMA_END, SIGMA_START)


def random_eta(seed: int, spread: float = 0.3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1 / 6 + spread * torch.randn(6, 5, 7, generator=generator)


@given(seeds, sigmas)
def test_probabilities_are_a_distribution(seed: int, sigma: float) -> None:
    p = probabilities(random_eta(seed), sigma)
    assert (p > 0).all()
    torch.testing.assert_close(p.sum(0), torch.ones(5, 7))


@given(seeds, sigmas)
def test_probabilities_are_the_mass_between_one_half_and_three_halves(
    seed: int, sigma: float
) -> None:
    eta = random_eta(seed).double()
    mass = norm.cdf(1.5, eta, sigma) - norm.cdf(0.5, eta, sigma) + 1e-9
    torch.testing.assert_close(probabilities(eta, sigma), torch.from_numpy(mass / mass.sum(0)))


@given(seeds)
def test_float32_keeps_the_class_and_the_probabilities(seed: int) -> None:
    eta = random_eta(seed)
    p, exact = probabilities(eta, 0.1), probabilities(eta.double(), 0.1)
    # A step of float32's erf near 1 against the floor: exact only in absolute terms, where all
    # channels are unlikely.
    likely = (eta > 0.4).any(0)
    torch.testing.assert_close(
        p[:, likely], exact[:, likely].float(), rtol=1e-4, atol=1e-5, check_stride=False
    )


@given(seeds)
def test_the_channel_nearest_to_one_is_the_likeliest(seed: int) -> None:
    eta = random_eta(seed)
    p = probabilities(eta, SIGMA_START)
    assert torch.equal(p.argmax(0), (eta - 1).abs().argmin(0))


def test_a_narrow_relaxation_of_a_one_hot_map_is_certain() -> None:
    eta = torch.eye(6)[:, :, None]
    torch.testing.assert_close(probabilities(eta, SIGMA_END), eta, rtol=0, atol=1e-6)


def test_a_pixel_with_every_channel_far_from_one_is_undecided() -> None:
    torch.testing.assert_close(
        probabilities(torch.zeros(6, 1, 1), 0.02), torch.full((6, 1, 1), 1 / 6)
    )


def test_gradient_is_that_of_the_formula() -> None:
    eta = random_eta(0).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda e: probabilities(e, 0.2), eta)


@pytest.mark.parametrize("steps", [1, 40, 500])
def test_sigma_falls_linearly_and_stays_above_its_end(steps: int) -> None:
    sigmas = [sigma_at(i, steps) for i in range(steps)]
    assert sigmas[0] == SIGMA_START
    assert sigmas == sorted(sigmas, reverse=True)
    assert min(sigmas) >= SIGMA_END
    falls = [a - b for a, b in pairwise(sigmas) if b > SIGMA_END]
    assert falls == pytest.approx([SIGMA_START / steps] * len(falls))
