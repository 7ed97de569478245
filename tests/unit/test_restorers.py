"""Linear observations, split Gibbs for categories, and cold diffusion."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from gaussian_prior import GaussianPrior, assert_samples, moments, start
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landcover_pnp.errors import LandcoverError, SamplerError, TileError
from landcover_pnp.inference.samplers.cold import block_averaging, cold_diffusion
from landcover_pnp.inference.samplers.ddrm import ddrm
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.linear import block_means, require_projection, visible
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.inference.samplers.split_gibbs import split_gibbs
from landcover_pnp.prior.unmasking import UnmaskSettings

PRIOR = GaussianPrior()

# ---- linear observations ----


@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
def test_block_means_are_a_projection_of_any_size(side: int, height: int, width: int) -> None:
    x = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(side)).double()
    project = block_means(side)
    require_projection(project, x)
    means = project(x)
    corner = x[..., :side, :side].mean((-2, -1))
    torch.testing.assert_close(means[..., 0, 0], corner)
    torch.testing.assert_close(means.sum((-2, -1)), x.sum((-2, -1)))


@dataclass(frozen=True)
class Pixels(GaussianPrior):
    """The known prior over the values of 2 x 2 pixels, one channel."""

    channels: int = 1  # type: ignore[misc]

    def noisy_covariance(self, t: int) -> Tensor:
        abar = self.schedule.alpha_bar(t)
        return abar * self.covariance + (1 - abar) * torch.eye(4, dtype=torch.float64)

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        return super().predict_noise(x_t.flatten(1), t).reshape(x_t.shape)


def test_ddrm_meets_block_means() -> None:
    y = torch.full((1, 1, 2, 2), 0.7).double()
    x = start(500).reshape(-1, 1, 2, 2)
    given = {"project": block_means(2), "y": y}
    samples = ddrm(Pixels(), x, levels(1000, 20), seeded(1), **given)  # type: ignore[arg-type]
    assert (samples.mean((-2, -1)) - 0.7).abs().max() < 1e-6
    assert samples.std(0).min() > 0.1


def test_ddrm_is_exact_where_observed_and_hidden_are_independent() -> None:
    covariance = torch.diag(torch.tensor([0.5, 0.3, 0.8, 0.4]).double())
    prior = GaussianPrior(covariance=covariance)
    y = torch.tensor([2.0, 0, 0, 0]).double()
    given, few = {"project": visible(y > 0), "y": y}, levels(1000, 200)
    samples = ddrm(prior, start(4000), few, seeded(1), eta=0.0, **given)  # type: ignore[arg-type]
    expected = prior.given(torch.eye(4).double()[:1], y[:1], 0.0)
    assert (samples[:, 0] == 2).all()
    assert_samples(samples, expected, bias=0.02)
    # With the paper's eta noise is new that should have stayed: variances come out too small.
    narrow = ddrm(prior, start(4000), few, seeded(1), **given)  # type: ignore[arg-type]
    ratio = moments(narrow)[1].diagonal()[1:] / expected.covariance.diagonal()[1:]
    assert ((ratio > 0.3) & (ratio < 0.9)).all()


def test_ddrm_weighs_noisy_observations_down() -> None:
    """Elsewhere it is not exact: the noise of y is met, its weight against the prior is not."""
    y, noise = torch.tensor([3.0, 0, 0, 0]).double(), seeded(1)
    given = {"project": visible(y > 0), "y": y}
    near = ddrm(PRIOR, start(2000), levels(1000, 50), noise, **given)  # type: ignore[arg-type]
    far = ddrm(PRIOR, start(2000), levels(1000, 50), noise, sigma_y=1.0, **given)  # type: ignore[arg-type]
    assert (near[:, 0] == 3).all()
    assert PRIOR.mean[0] < moments(far)[0][0] < 2.8


@pytest.mark.parametrize(
    ("operator", "says"),
    [
        (lambda x: x.square(), "is not linear"),
        (lambda x: x + 1, "is not linear"),
        (lambda x: x.clamp_min(0), "is not linear"),
        (lambda x: 2 * x, "is no projection"),
        (lambda x: x[:, :2], r"gives the shape \(1, 2\)"),
        (lambda x: x[:, :1].expand_as(x), "is not symmetric"),
        (lambda x: x * math.nan, "is not linear"),
    ],
)
def test_an_operator_that_is_no_observation_is_refused(
    operator: Callable[[Tensor], Tensor], says: str
) -> None:
    y = torch.zeros(4).double()
    with pytest.raises(SamplerError, match=f"the operator {says}"):
        ddrm(PRIOR, start(2), [9, 0], seeded(0), project=operator, y=y)


def test_an_observation_that_its_operator_could_not_give_is_refused() -> None:
    y = torch.tensor([1.0, 0, 0, 2.0]).double()
    known = visible(torch.tensor([True, False, False, False]))
    with pytest.raises(SamplerError, match=r"P\(y\) differs from it by 2"):
        ddrm(PRIOR, start(2), [9, 0], seeded(0), project=known, y=y)
    with pytest.raises(TileError, match="2 of 4 values of y"):
        ddrm(PRIOR, start(2), [9, 0], seeded(0), project=known, y=y / y)


# ---- categories ----


class Table:
    """Maps of 1 x 3 pixels and 2 classes whose probabilities stand in a table."""

    maps = torch.tensor(list(itertools.product((1, 2), repeat=3)))
    p = torch.tensor([0.30, 0.02, 0.05, 0.13, 0.10, 0.03, 0.07, 0.30]).double()

    def predict_classes(self, codes: Tensor) -> Tensor:
        fits = ((codes[:, None] == self.maps[:, None]) | (codes[:, None] == 0)).all((2, 3))
        weight = fits * self.p
        one_hot = torch.stack([self.maps == 1, self.maps == 2]).double()
        p = torch.einsum("bm,cmx->bcx", weight, one_hot) / weight.sum(1)[:, None, None]
        return p[:, :, None]


EVIDENCE = torch.tensor([[[0.9, 1.0, 0.2]], [[0.3, 1.0, 0.6]]]).double()
ONE_BY_ONE = UnmaskSettings(steps=8, order_noise=50.0)


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_split_gibbs_samples_prior_times_softened_evidence(rate: float) -> None:
    chains = 4000
    codes = torch.ones(chains, 1, 3, dtype=torch.int64)
    rates = [0.9] * 4 + [rate] * (25 if rate < 0.5 else 10)
    samples = split_gibbs(Table(), codes, rates, seeded(1), evidence=EVIDENCE, unmasking=ONE_BY_ONE)
    soft = (1 - rate) * EVIDENCE + rate * EVIDENCE.mean(0)
    likelihood = torch.stack([soft[Table.maps[:, i] - 1, 0, i] for i in range(3)]).prod(0)
    expected = Table.p * likelihood / (Table.p * likelihood).sum()
    found = (samples == Table.maps[:, None, None]).all((2, 3)).double().mean(1)
    error = 4 * (expected * (1 - expected) / chains).sqrt()
    assert ((found - expected).abs() <= error + 0.01).all(), (found, expected)
    assert (expected - Table.p).abs().max() > 0.05, "the evidence matters"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"codes": torch.zeros(1, 1, 3, dtype=torch.int64)}, "codes 0 to 0"),
        ({"codes": torch.full((1, 1, 3), 3)}, "codes 3 to 3"),
        ({"codes": torch.ones(1, 3, dtype=torch.int64)}, r"codes \(1, 3\)"),
        ({"evidence": EVIDENCE[..., :2]}, "of one size"),
        ({"evidence": -EVIDENCE}, "evidence from -1"),
        ({"evidence": 0 * EVIDENCE}, "above 0 for some class"),
        ({"evidence": EVIDENCE * math.nan}, "of evidence are not finite"),
        ({"rates": []}, "rates"),
        ({"rates": [0.0]}, "rates"),
    ],
)
def test_what_split_gibbs_is_given_is_checked(changed: dict[str, object], says: str) -> None:
    codes = torch.ones(1, 1, 3, dtype=torch.int64)
    given = {"codes": codes, "rates": [0.5], "evidence": EVIDENCE, **changed}
    with pytest.raises(LandcoverError, match=says):
        split_gibbs(Table(), noise=seeded(0), **given)  # type: ignore[arg-type]


# ---- cold diffusion ----


def test_cold_diffusion_keeps_the_block_means_that_it_starts_from() -> None:
    """Whatever the restorer says, also where blocks are cut off at the edge."""
    clean = torch.randn(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    x, noise = block_averaging(clean, 3), seeded(1)
    restored = cold_diffusion(lambda x, s: x + noise(x), x, [3, 2, 1, 0])
    torch.testing.assert_close(block_averaging(restored, 3), x, atol=1e-5, rtol=0)
    assert (restored - x).abs().max() > 0.5


def test_a_restorer_that_knows_the_clean_x_gives_it_back() -> None:
    clean = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    restored = cold_diffusion(lambda x, s: clean, block_averaging(clean, 2), [2, 1, 0])
    torch.testing.assert_close(restored, clean)


def test_errors_of_the_restorer_do_not_add_up() -> None:
    """A restorer that is off by a constant: averaging keeps constants, so nothing is left."""
    clean = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    restored = cold_diffusion(lambda x, s: clean + 0.3, block_averaging(clean, 2), [2, 1, 0])
    torch.testing.assert_close(restored, clean)


def test_what_cold_diffusion_is_given_is_checked() -> None:
    x = torch.zeros(1, 1, 4, 4)
    for wrong in ([], [0], [1, 2, 0], [2, 1]):
        with pytest.raises(SamplerError, match="severities"):
            cold_diffusion(lambda x, s: x, x, wrong)
    with pytest.raises(SamplerError, match=r"of shape \(1, 1, 4, 3\)"):
        cold_diffusion(lambda x, s: x[..., 1:], x, [1, 0])
    with pytest.raises(TileError, match="restored at severity 1"):
        cold_diffusion(lambda x, s: x * math.nan, x, [1, 0])


@pytest.mark.parametrize("wrong", [{"eta": 2.0}, {"eta_b": -1.0}, {"sigma_y": -1.0}])
def test_factors_of_ddrm_out_of_their_range_are_named(wrong: dict[str, float]) -> None:
    [name] = wrong
    with pytest.raises(SamplerError, match=f"{name} is"):
        ddrm(PRIOR, start(2), [9, 0], seeded(0), project=lambda v: v, y=torch.zeros(4), **wrong)
