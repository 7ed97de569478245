"""Samplers of posteriors, and restorers, against posteriors that are known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from gaussian_prior import COVARIANCE, MEAN, GaussianPrior, assert_samples, moments, start
from torch import Tensor

from landcover_pnp.errors import ConstraintError, LandcoverError, SamplerError, TileError
from landcover_pnp.inference.samplers.algorithm1 import Descent
from landcover_pnp.inference.samplers.ddim import ddim
from landcover_pnp.inference.samplers.ddpm import ddpm
from landcover_pnp.inference.samplers.dps import dps
from landcover_pnp.inference.samplers.guidance import ClassifierFree, ClassifierGuided
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.inference.samplers.red_diff import red_diff
from landcover_pnp.inference.samplers.score_sde import langevin_step, predictor_corrector
from landcover_pnp.inference.samplers.sgld import sgld
from landcover_pnp.inference.samplers.smc_diff import effective_share, smc_diff
from landcover_pnp.inference.samplers.universal import Universal, universal_guidance

PRIOR = GaussianPrior()
OPERATOR = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, -1]]).double()
Y, VARIANCE = torch.tensor([1.5, 0.2]).double(), 0.1
POSTERIOR = PRIOR.given(OPERATOR, Y, VARIANCE)


def observe(x: Tensor) -> Tensor:
    return x @ OPERATOR.T


def log_likelihood(x: Tensor) -> Tensor:
    return -(observe(x) - Y).square().sum(1) / (2 * VARIANCE)


def noisy_log_likelihood(x_t: Tensor, t: int) -> Tensor:
    """log p(y | x_t): a normal around the observed E[x0 | x_t], as wide as x0 is unknown."""
    abar = PRIOR.schedule.alpha_bar(t)
    gain = abar.sqrt() * COVARIANCE @ torch.linalg.inv(PRIOR.noisy_covariance(t))
    mean = MEAN + (x_t - abar.sqrt() * MEAN) @ gain.T
    unknown = COVARIANCE - abar.sqrt() * gain @ COVARIANCE
    spread = OPERATOR @ unknown @ OPERATOR.T + VARIANCE * torch.eye(2).double()
    apart = observe(mean) - Y
    return -(apart @ torch.linalg.inv(spread) * apart).sum(1) / 2


# ---- correctors and Langevin ----


def test_the_corrector_brings_x_back_to_the_density_of_its_level() -> None:
    t = 400
    level = replace(PRIOR, mean=PRIOR.schedule.alpha_bar(t).sqrt() * MEAN)
    level = replace(level, covariance=PRIOR.noisy_covariance(t))
    x, noise = 2 + 0 * start(4000), seeded(2)
    for _ in range(150):
        x = langevin_step(PRIOR, x, t, noise, snr=0.2)
    assert_samples(x, level, bias=0.05)


def test_predictor_and_corrector_sample_the_prior() -> None:
    samples = predictor_corrector(PRIOR, start(4000), levels(1000, 100), seeded(1), snr=0.1)
    assert_samples(samples, PRIOR, bias=0.03)


def test_correctors_mend_steps_over_many_levels() -> None:
    """Ten steps alone leave a covariance wrong by 0.3."""
    few, x = levels(1000, 10), start(4000)
    errors = [
        (moments(sampled)[1] - COVARIANCE).abs().max()
        for sampled in (
            ddpm(PRIOR, x, few, seeded(1)),
            predictor_corrector(PRIOR, x, few, seeded(1), corrections=8, snr=0.3),
        )
    ]
    assert errors[1] < 0.5 * errors[0], errors


WIDE = replace(PRIOR, covariance=0.4 * COVARIANCE + 0.2 * torch.eye(4).double())


@pytest.mark.parametrize("observed", [True, False])
def test_sgld_samples_prior_times_likelihood(observed: bool) -> None:
    expected = WIDE.given(OPERATOR, Y, VARIANCE) if observed else WIDE
    likelihood = log_likelihood if observed else None
    given = {"log_likelihood": likelihood, "step_size": 0.02}
    samples = sgld(WIDE, start(3000), [20] * 400, seeded(1), **given)  # type: ignore[arg-type]
    assert_samples(samples, expected, bias=0.03)


# ---- guidance ----


@pytest.mark.parametrize("t", [1, 100, 500, 1000])
def test_a_guided_model_is_the_model_of_the_posterior(t: int) -> None:
    guided = ClassifierGuided(PRIOR, noisy_log_likelihood)
    expected = POSTERIOR.predict_noise(start(9), t)
    torch.testing.assert_close(guided.predict_noise(start(9), t), expected)
    free = ClassifierFree(POSTERIOR, PRIOR, strength=0.0)
    torch.testing.assert_close(free.predict_noise(start(9), t), expected)


def test_a_guided_model_samples_the_posterior() -> None:
    guided = ClassifierGuided(PRIOR, noisy_log_likelihood)
    assert_samples(ddpm(guided, start(3000), levels(1000, 300), seeded(1)), POSTERIOR, bias=0.02)


def test_strength_extrapolates_from_the_model_without_condition() -> None:
    x, t = start(5), 300
    given, free = POSTERIOR.predict_noise(x, t), PRIOR.predict_noise(x, t)
    for w in (-1.0, 0.5, 3.0):
        eps = ClassifierFree(POSTERIOR, PRIOR, w).predict_noise(x, t)
        torch.testing.assert_close(eps, free + (1 + w) * (given - free))


def test_a_stronger_guide_narrows_what_is_sampled() -> None:
    def sampled(scale: float) -> Tensor:
        guided = ClassifierGuided(PRIOR, noisy_log_likelihood, scale)
        return observe(ddim(guided, start(500), levels(1000, 50), seeded(1)))

    assert sampled(3.0).std(0).max() < 0.7 * sampled(1.0).std(0).max()


def misfit(x: Tensor) -> float:
    return float((observe(x) - Y).square().mean().sqrt())


def test_universal_guidance_pulls_both_ways_and_more_so_by_recurrence() -> None:
    x, few = start(400), levels(1000, 60)

    def sampled(**guidance: float) -> Tensor:
        return universal_guidance(
            PRIOR,
            x,
            few,
            seeded(1),
            log_likelihood=log_likelihood,
            guidance=Universal(**guidance),  # type: ignore[arg-type]
        )

    none = sampled(forward=0)
    torch.testing.assert_close(none, ddpm(PRIOR, x, few, seeded(1)))
    forward, again = sampled(), sampled(recurrences=3)
    backward = sampled(forward=0, backward_steps=5, backward_rate=0.02)
    assert misfit(forward) < 0.3 * misfit(none)
    assert misfit(backward) < 0.5 * misfit(none)
    once, thrice = ((moments(s)[0] - POSTERIOR.mean).norm() for s in (forward, again))
    assert thrice < 0.5 * once < 0.1
    # The part of x that the observation says nothing of stays a sample of the prior.
    apart = torch.tensor([0.0, 0, 1, 1]).double()
    assert (forward @ apart).std() > 0.7 * (none @ apart).std()


def test_universal_guidance_without_its_forward_part_needs_no_gradient_of_the_model() -> None:
    class Detached(GaussianPrior):
        def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
            assert not x_t.requires_grad
            return super().predict_noise(x_t, t)

    guidance = Universal(forward=0, backward_steps=1)
    given = {"log_likelihood": log_likelihood, "guidance": guidance}
    universal_guidance(Detached(), start(2), [9, 0], seeded(0), **given)  # type: ignore[arg-type]


# ---- restorers ----


def test_dps_meets_the_observation_near_the_posterior_s_mean() -> None:
    """Not exact: zeta alone says how closely y is met, so that variances are not the posterior's.

    They are .02 where the posterior's is .05, and right where little is observed.
    """
    samples = dps(PRIOR, start(1000), levels(1000, 200), seeded(1), observe=observe, y=Y, zeta=0.1)
    assert misfit(samples) < 0.2
    mean, covariance = moments(samples)
    assert (mean - POSTERIOR.mean).norm() < 0.15 * (MEAN - POSTERIOR.mean).norm()
    ratio = covariance.diagonal() / POSTERIOR.covariance.diagonal()
    assert (ratio[:2] < 0.6).all(), "observed, narrow"
    assert (ratio[2:] - 1).abs().max() < 0.2, "hardly observed"


@pytest.mark.parametrize("t", [150, 400])
def test_red_diff_stands_where_its_two_slopes_cancel(t: int) -> None:
    """lambda (1 - abar) C_t^-1 (x - m) and the likelihood's, at one level."""
    abar = float(PRIOR.schedule.alpha_bar(t))
    pull = 2.0 * (1 - abar) * torch.linalg.inv(PRIOR.noisy_covariance(t))
    data = OPERATOR.T @ OPERATOR / VARIANCE
    right = pull @ MEAN + OPERATOR.T @ Y / VARIANCE
    expected = torch.linalg.solve(pull + data, right)
    fine = Descent(5e-2, 1e-3, (0.9, 0.999))

    class OneLevel(GaussianPrior):
        """Whatever the level, the one that is tested."""

        def predict_noise(self, x_t: Tensor, _t: int) -> Tensor:
            return super().predict_noise(x_t, t)

    class Held(type(PRIOR.schedule)):  # type: ignore[misc]
        """A schedule whose clean share is that of the level."""

        def alpha_bar(self, level: int | Tensor) -> Tensor:
            return super().alpha_bar(t if level else 0)

    prior = OneLevel(schedule=Held())
    given = {"log_likelihood": log_likelihood, "weight": 2.0, "descent": fine}
    x = red_diff(prior, start(64), levels(1000, 500), seeded(1), **given)  # type: ignore[arg-type]
    assert (x.mean(0) - expected).abs().max() < 0.06


HIDDEN = torch.tensor([False, True, True, True])
KNOWN = torch.tensor([2.0, float("nan"), 0, 0]).double()
GIVEN = PRIOR.given(torch.eye(4).double()[:1], torch.tensor([2.0]).double(), 0.0)


def test_smc_diff_fills_as_the_posterior_does() -> None:
    """As many particles as make the error of one path small: .03."""
    given = {"known": KNOWN, "hidden": HIDDEN}
    samples = smc_diff(PRIOR, start(4000), levels(1000, 400), seeded(1), **given)  # type: ignore[arg-type]
    assert (samples[:, 0] == 2).all()
    mean, covariance = moments(samples)
    assert (mean - GIVEN.mean).abs().max() < 0.08
    assert (covariance - GIVEN.covariance).abs().max() < 0.05


def test_the_effective_share_is_one_of_equal_particles_and_one_nth_of_a_single_one() -> None:
    assert effective_share(torch.zeros(50)) == pytest.approx(1)
    assert effective_share(torch.tensor([0.0, *[-1e9] * 49])) == pytest.approx(1 / 50)


# ---- bad input ----


@pytest.mark.parametrize(
    ("likelihood", "error", "says"),
    [
        (lambda x: x.sum(), ConstraintError, r"returns a value of shape \(\)"),
        (lambda x: 1.0, ConstraintError, "returns a value <class 'float'>"),
        (lambda x: log_likelihood(x).detach(), ConstraintError, "has no gradient in x"),
        (lambda x: log_likelihood(x[:, :3]), ConstraintError, r"fails on x of shape \(2, 4\)"),
        (lambda x: log_likelihood(x) * math.nan, TileError, "log likelihood is not finite"),
        (lambda x: (0 * x).sum(1).sqrt(), TileError, "gradient of the log likelihood is not"),
    ],
)
def test_a_log_likelihood_that_is_none_is_refused(
    likelihood: object, error: type[LandcoverError], says: str
) -> None:
    given = {"log_likelihood": likelihood}
    for sampler in (universal_guidance, red_diff):
        if error is ConstraintError or sampler is universal_guidance:
            with pytest.raises(error, match=says):
                sampler(PRIOR, start(2), [9, 0], seeded(0), **given)  # type: ignore[arg-type]
    with pytest.raises(error, match=says):
        sgld(PRIOR, start(2), [9], seeded(0), **given)  # type: ignore[arg-type]
    with pytest.raises(error, match=says):
        ClassifierGuided(PRIOR, lambda x, t: likelihood(x)).predict_noise(start(2), 9)  # type: ignore[operator]


def test_models_of_other_channels_do_not_guide_each_other() -> None:
    three = GaussianPrior(torch.zeros(3).double(), torch.eye(3).double())
    with pytest.raises(SamplerError, match="models of 4 and 3 channels"):
        ClassifierFree(PRIOR, three)


def test_step_sizes_are_checked() -> None:
    with pytest.raises(SamplerError, match="2 noise levels and 1 step sizes"):
        sgld(PRIOR, start(2), [9, 9], seeded(0), step_size=[0.1])
    with pytest.raises(SamplerError, match="step sizes from 0"):
        sgld(PRIOR, start(2), [9], seeded(0), step_size=0)
    with pytest.raises(SamplerError, match="the noise level 0"):
        sgld(PRIOR, start(2), [9, 0], seeded(0))


def test_particles_that_all_die_are_said() -> None:
    far = {"known": torch.tensor([1e200, 0, 0, 0], dtype=torch.float64), "hidden": HIDDEN}
    with pytest.raises(TileError, match="all 20 particles have died at t = "):
        smc_diff(PRIOR, start(20), levels(1000, 10), seeded(0), **far)  # type: ignore[arg-type]
    one = {"known": KNOWN, "hidden": HIDDEN}
    with pytest.raises(SamplerError, match="1 particle"):
        smc_diff(PRIOR, start(1), levels(1000, 10), seeded(0), **one)  # type: ignore[arg-type]


def test_an_observation_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConstraintError, match="fails on x of shape"):
        dps(PRIOR, start(2), [9, 0], seeded(0), observe=observe, y=torch.zeros(3).double())
    with pytest.raises(TileError, match="of y are not finite"):
        dps(PRIOR, start(2), [9, 0], seeded(0), observe=observe, y=torch.tensor([math.nan, 0]))
