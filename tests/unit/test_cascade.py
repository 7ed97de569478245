"""Finer label maps from coarse ones: against a posterior in closed form, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from gaussian_prior import COVARIANCE, MEAN, GaussianPrior, assert_samples, start
from torch import Tensor

from landcover_pnp.errors import PriorError, SamplerError, TileError
from landcover_pnp.inference.samplers.cascade import cascade, super_resolve
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.prior.condition import CoarseMap, condition_of
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

torch.set_num_threads(1)

PRIOR = GaussianPrior()
COARSE = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]).double()
"""The coarse x: two means of two values each."""

Z = torch.tensor([[0.9, -0.4]]).double()


@dataclass(frozen=True)
class Each(GaussianPrior):
    """A normal distribution with a mean for each item."""

    @property
    def channels(self) -> int:
        return self.mean.shape[1]


class Exact:
    """The model of x given a coarse x with noise of level s, in closed form."""

    schedule = PRIOR.schedule

    def given(self, value: CoarseMap) -> GaussianPrior:
        abar = float(self.schedule.alpha_bar(value.s))
        observed = COARSE @ COVARIANCE @ COARSE.T + (1 - abar) / abar * torch.eye(2).double()
        gain = COVARIANCE @ COARSE.T @ torch.linalg.inv(observed)
        mean = MEAN + (value.z / abar**0.5 - COARSE @ MEAN) @ gain.T
        return Each(mean, COVARIANCE - gain @ COARSE @ COVARIANCE)


@pytest.mark.parametrize("s", [0, 150, 400])
def test_it_samples_x_given_a_coarse_x_as_noisy_as_it_is_told(s: int) -> None:
    """Over the noise of z too: the mean follows z by the gain, its noise widens the posterior."""
    x, z = start(4000), Z.expand(4000, -1)
    samples = cascade(Exact(), x, levels(1000, 300), seeded(1), z=z, s=s)
    variance = (1 - float(PRIOR.schedule.alpha_bar(s))) / float(PRIOR.schedule.alpha_bar(s))
    expected = PRIOR.given(COARSE, Z[0], variance)
    observed = COARSE @ COVARIANCE @ COARSE.T + variance * torch.eye(2).double()
    gain = COVARIANCE @ COARSE.T @ torch.linalg.inv(observed)
    wider = replace(expected, covariance=expected.covariance + variance * gain @ gain.T)
    assert_samples(samples, wider, bias=0.03)


SMALL = DenoiserSettings(
    crop_px=16,
    channels=[8, 16],
    head_channels=8,
    norm_groups=4,
    condition="coarse_map",
    prediction="residual",
)


def untrained(condition: str | None = "coarse_map", residual: float = 0.1) -> Prior:
    """Random weights, the last layer of the given spread."""
    prediction = SMALL.prediction if condition == "coarse_map" else "velocity"
    settings = replace(SMALL, condition=condition, prediction=prediction)
    schedule = NoiseSchedule()
    told = condition_of(condition, 4, schedule)
    network, draw = build_network(settings, 0), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(network.conv_out.weight, std=residual, generator=draw)
    return Prior(network, schedule, 1.0, 16, prediction, condition=told)


def test_a_map_comes_back_finer_and_as_often_as_asked() -> None:
    codes = np.random.default_rng(0).integers(1, 6, (5, 7)).astype(np.uint8)
    codes[1, 2] = 0
    few = levels(1000, 3)
    fine = super_resolve(untrained(), codes, few, seeded(0), samples=3)
    assert fine.shape == (3, 20, 28)
    assert fine.dtype == np.uint8
    assert ((fine == 0) == (codes == 0).repeat(4, 0).repeat(4, 1)).all()
    again = super_resolve(untrained(), codes, few, seeded(0), samples=3)
    np.testing.assert_array_equal(fine, again)
    assert (fine[0] != fine[1]).any()


@pytest.mark.parametrize("steps", [1, 7])
def test_without_a_residual_a_map_comes_back_upsampled(steps: int) -> None:
    codes = np.random.default_rng(0).integers(1, 6, (5, 7)).astype(np.uint8)
    prior, few = untrained(residual=0.0), levels(1000, steps)
    fine = super_resolve(prior, codes, few, seeded(0))
    np.testing.assert_array_equal(fine[0], codes.repeat(4, 0).repeat(4, 1))


def test_nothing_is_known_where_there_is_no_data() -> None:
    """The nearest class stands there: what lies beyond it does not see a hole."""
    codes = np.full((4, 4), 4, np.uint8)
    gaps = codes.copy()
    gaps[:, :2] = 0
    few = levels(1000, 3)
    whole, part = (super_resolve(untrained(), c, few, seeded(0)) for c in (codes, gaps))
    np.testing.assert_array_equal(whole[:, :, 8:], part[:, :, 8:])


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (np.full((4, 4), 6, np.uint8), r"with the codes \[6\]"),
        (np.zeros((4, 4), np.uint8), "without a class"),
        (np.ones((1, 4, 4), np.uint8), r"of shape \(1, 4, 4\)"),
    ],
)
def test_what_is_no_coarse_map_is_refused(codes: np.ndarray, says: str) -> None:
    with pytest.raises(SamplerError, match=says):
        super_resolve(untrained(), codes, [9, 0], seeded(0))


@pytest.mark.parametrize("condition", [None, "class_shares"])
def test_a_prior_that_is_told_no_coarse_map_is_refused(condition: str | None) -> None:
    with pytest.raises(PriorError, match="a condition of a coarse map"):
        super_resolve(untrained(condition), np.ones((4, 4), np.uint8), [9, 0], seeded(0))


def test_another_ratio_or_other_channels_are_refused() -> None:
    x: Tensor = torch.zeros(1, 6, 16, 16)
    for shape in ((1, 6, 8, 8), (1, 6, 16, 16), (1, 5, 4, 4)):
        with pytest.raises(PriorError, match=r"expected: a CoarseMap of shape \(1, 6, 4, 4\)"):
            cascade(untrained(), x, [9, 0], seeded(0), z=torch.zeros(shape))
    with pytest.raises(SamplerError, match="level -1 of the coarse map"):
        cascade(untrained(), x, [9, 0], seeded(0), z=x[..., :4, :4], s=-1)
    with pytest.raises(TileError, match="of z are not finite"):
        cascade(untrained(), x, [9, 0], seeded(0), z=x[..., :4, :4] / 0)
