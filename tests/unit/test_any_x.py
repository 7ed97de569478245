"""Algorithm 1 on arrays of any kind, against optima that are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from gaussian_prior import COVARIANCE, MEAN, GaussianPrior, start
from torch import Tensor

from landcover_pnp.errors import ConstraintError, LandcoverError, SamplerError, TileError
from landcover_pnp.inference.samplers.algorithm1 import Descent, Found, algorithm1
from landcover_pnp.inference.samplers.denoising_error import Gradient, denoising_error
from landcover_pnp.inference.samplers.levels import annealed
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.inference.samplers.parametrisation import Parametrisation, one_hot_relaxation
from landcover_pnp.inference.step import Step

PRIOR = GaussianPrior()
FINE = Descent(learning_rate=5e-2, learning_rate_end=1e-3, betas=(0.9, 0.999))
STEPS = 600
ANNEALED = [max(20, annealed(i, STEPS, 1000)) for i in range(STEPS)]
OPERATOR = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, -1]]).double()
SEEN, VARIANCE = torch.tensor([1.5, 0.2]).double(), 0.1


@dataclass
class Likelihood:
    """-log N(y; A x, v), summed over the batch, whatever the step."""

    operator: Tensor
    y: Tensor
    variance: float
    name: str = "likelihood"

    def weight(self, step: int, steps: int) -> float:
        return 1.0

    def __call__(self, x: Tensor) -> Tensor:
        return (x @ self.operator.T - self.y).square().sum() / (2 * self.variance)


LIKELIHOOD = Likelihood(OPERATOR, SEEN, VARIANCE)


def find(prior: GaussianPrior = PRIOR, items: int = 8, **changed: object) -> Found:
    given = {"constraints": [LIKELIHOOD], "gradient": "score", "descent": FINE, **changed}
    levels = given.pop("levels", ANNEALED)
    return algorithm1(prior, start(items), levels, seeded(1), **given)  # type: ignore[arg-type]


# ---- closed forms ----


def test_a_point_is_the_mode_of_the_posterior() -> None:
    """Every item finds it by itself: the batch is no average. Noise of Adam's steps is 0.02."""
    expected = PRIOR.given(OPERATOR, SEEN, VARIANCE).mean
    assert (expected - PRIOR.mean).abs().max() > 0.2
    found = find()
    assert found.sigma is None
    assert (found.eta - expected).abs().max() < 0.06


@pytest.mark.parametrize("gradient", ["jacobian", "red_diff", "score"])
def test_without_constraints_the_mode_is_the_prior_s(gradient: Gradient) -> None:
    """Items differ by 0.1, the noise of Adam's steps."""
    found = find(constraints=[], gradient=gradient, levels=[200] * STEPS, items=32)
    assert (found.eta.mean(0) - MEAN).abs().max() < 0.05


STRENGTH: dict[Gradient, Callable[[float, float, float], float]] = {
    "jacobian": lambda a, s, c: 2 * a**2 * s**2 / c**2 / 4,
    "red_diff": lambda a, s, c: 2 * s**2 / c / 4,
    "score": lambda a, s, c: a**2 / c,
}
"""Factor of eta - m in the expected gradient, by a^2 = abar, s^2 = 1 - abar, c = a^2 v + s^2."""


@pytest.mark.parametrize("gradient", STRENGTH)
@pytest.mark.parametrize("t", [5, 200, 600])
def test_the_expected_gradient_is_that_of_the_closed_form(gradient: Gradient, t: int) -> None:
    prior = replace(PRIOR, covariance=0.3 * torch.eye(4).double())
    eta, n = MEAN + torch.tensor([0.5, -1.0, 0.2, 0.0]).double(), 20_000
    share = 1.0 if gradient == "score" else 1 / 4
    _, slopes = denoising_error(prior, eta.expand(n, 4), start(n), t, share, gradient)
    abar = float(prior.schedule.alpha_bar(t))
    strength = STRENGTH[gradient](abar**0.5, (1 - abar) ** 0.5, 0.3 * abar + 1 - abar)
    error = 4 * slopes.std(0) / n**0.5
    assert ((slopes.mean(0) - strength * (eta - MEAN)).abs() <= error).all()


def test_a_normal_q_has_the_posterior_s_mean_and_conditional_variances() -> None:
    """The best independent normal: its precisions are the diagonal of the posterior's."""
    covariance = 0.4 * COVARIANCE + 0.2 * torch.eye(4).double()
    prior = replace(PRIOR, covariance=covariance)
    found = find(prior, items=48, sigma=torch.ones(4).double(), levels=[20] * STEPS)
    precision = torch.linalg.inv(covariance) + OPERATOR.T @ OPERATOR / VARIANCE
    expected = precision.diagonal() ** -0.5
    assert found.sigma is not None
    torch.testing.assert_close(found.sigma.mean(0), expected, rtol=0.05, atol=0)
    mean = prior.given(OPERATOR, SEEN, VARIANCE).mean
    assert (found.eta.mean(0) - mean).abs().max() < 0.05


def test_more_entropy_makes_q_wider() -> None:
    given = {"sigma": torch.ones(4).double(), "levels": [20] * STEPS, "items": 16}
    narrow, wide = (find(entropy=entropy, **given).sigma for entropy in (1.0, 4.0))
    assert narrow is not None
    assert wide is not None
    assert (wide.mean() / narrow.mean()).item() == pytest.approx(2, rel=0.1)


def test_a_latent_is_drawn_for_prior_and_constraints() -> None:
    """One number a item along a line in x: the mode on that line."""
    line = torch.tensor([1.0, 0.5, -0.5, 1.0]).double()
    found = algorithm1(
        PRIOR,
        torch.zeros(8, 1).double(),
        ANNEALED,
        seeded(1),
        constraints=[LIKELIHOOD],
        parametrisation=Parametrisation(draw=lambda y: y * line),
        gradient="score",
        descent=FINE,
    )
    precision = torch.linalg.inv(COVARIANCE) + OPERATOR.T @ OPERATOR / VARIANCE
    pull = torch.linalg.inv(COVARIANCE) @ MEAN + OPERATOR.T @ SEEN / VARIANCE
    assert (found.eta - line @ pull / (line @ precision @ line)).abs().max() < 0.05


def test_a_relaxed_one_hot_map_shows_its_probabilities() -> None:
    """Three channels of a map of any size; the constraint wants the second one everywhere."""
    prior = replace(PRIOR, mean=torch.zeros(3).double(), covariance=torch.eye(3).double())

    class OnPixels(GaussianPrior):
        def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
            return prior.predict_noise(x_t.movedim(1, -1), t).movedim(-1, 1)

    class Second:
        name, weight = "second", 1.0

        def __call__(self, p: Tensor) -> Tensor:
            torch.testing.assert_close(p.sum(1), torch.ones_like(p[:, 0]))
            return -p[:, 1].log().mean(dim=(1, 2)).sum()

    steps: list[Step] = []
    found = algorithm1(
        OnPixels(prior.mean, prior.covariance),
        torch.zeros(2, 3, 5, 7).double(),
        [1] * 60,
        seeded(1),
        constraints=[Second()],
        parametrisation=one_hot_relaxation(),
        descent=replace(FINE, learning_rate=0.1),
        callback=steps.append,
    )
    assert (found.eta.argmax(1) == 1).all()
    assert [s.sigma for s in steps[:2]] == pytest.approx([0.2, 0.2 * 59 / 60])
    assert steps[-1].probabilities[:, 1].min() > 0.9


def test_the_levels_of_a_short_run_fall_from_433() -> None:
    assert [annealed(i, 4, 1000, wave=30) for i in range(4)] == [433, 324, 216, 108]


# ---- bad input ----


@dataclass
class Bad:
    """A constraint that is none."""

    what: Callable[[Tensor], object]
    name: str = "bad"
    weight: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        return self.what(x)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (lambda x: x.detach().mean(), "has no gradient"),
        (lambda x: (x > 0).double().mean(), "has no gradient"),
        (lambda x: torch.ones(()), "has no gradient"),
        (lambda x: x.mean().item(), "returns a value <class 'float'>"),
        (lambda x: np.float32(1), "returns a value <class 'numpy.float32'>"),
        (lambda x: x, r"of shape \(2, 4\)"),
        (lambda x: x.mean().reshape(1), r"of shape \(1,\)"),
        (lambda x: (x @ torch.ones(3, 3).double()).mean(), r"fails on a map of shape \(2, 4\)"),
        (lambda x: x.no_such_thing(), "AttributeError"),
    ],
)
def test_a_constraint_that_is_none_is_named(what: Callable[[Tensor], object], says: str) -> None:
    with pytest.raises(ConstraintError, match=f"the constraint 'bad' .*{says}"):
        find(items=2, constraints=[LIKELIHOOD, Bad(what)])


def test_a_constraint_of_other_channels_is_named() -> None:
    three = Bad(lambda x: x.mean())
    three.channels = 3  # type: ignore[attr-defined]
    with pytest.raises(ConstraintError, match=r"'bad' is for 3 channels, the map .* has 4"):
        find(constraints=[three])
    three.channels = 4  # type: ignore[attr-defined]
    find(constraints=[three], levels=[5])


def test_two_constraints_of_one_name_are_refused() -> None:
    with pytest.raises(ConstraintError, match="has the name of another one"):
        find(constraints=[LIKELIHOOD, LIKELIHOOD])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_not_finite_is_named_with_its_step(value: float) -> None:
    def burst(x: Tensor) -> Tensor:
        calls.append(1)
        return x.mean() * (value if len(calls) == 3 else 1)

    calls: list[int] = []
    with pytest.raises(TileError, match=r"'bad' is (nan|inf|-inf) at step 2 \(t = "):
        find(constraints=[Bad(burst)])


def test_a_gradient_that_is_not_finite_is_named() -> None:
    with pytest.raises(TileError, match="'gradient' is nan at step 0"):
        find(constraints=[Bad(lambda x: (0 * x).sum().sqrt())])


class Detached(GaussianPrior):
    """A prior whose network is called without gradient."""

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        return super().predict_noise(x_t, t).detach()


def test_a_prior_without_gradient_is_named_where_it_needs_one() -> None:
    with pytest.raises(SamplerError, match="without gradient"):
        find(Detached(), gradient="jacobian")
    find(Detached(), gradient="red_diff", levels=[5])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"levels": []}, "no noise level"),
        ({"levels": [5, 0]}, "the noise level 0"),
        ({"levels": [1001]}, "the noise level 1001"),
        ({"gradient": "newton"}, "the gradient 'newton'"),
        ({"sigma": torch.ones(3)}, r"sigma of shape \(3,\)"),
        ({"sigma": torch.tensor(float("nan"))}, "values of sigma are not finite"),
        ({"sigma": torch.tensor([1.0, 1, 0, 1])}, "sigma of 0"),
        ({"parametrisation": Parametrisation(draw=lambda y: y[:, :2])}, "a prior of 4 channels"),
    ],
)
def test_what_algorithm_1_is_given_is_checked(changed: dict[str, object], says: str) -> None:
    with pytest.raises(LandcoverError, match=says):
        find(**changed)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"learning_rate": rate} for rate in (-1e-3, float("nan"), float("inf"))),
        *({"learning_rate_end": end} for end in (-0.1, 1.5, float("nan"))),
        *({"betas": betas} for betas in ((0.9, 1.0), (-0.1, 0.9), (0.9,), (0.9, float("nan")))),
    ],
)
def test_steps_that_adam_cannot_take_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SamplerError, match=next(iter(wrong))):
        Descent(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("betas", [(0, 0.9), (0.9, 0), (0, 0)])
def test_whole_numbers_are_decays_too(betas: tuple[float, float]) -> None:
    as_floats = (float(betas[0]), float(betas[1]))
    found, same = (find(levels=[9] * 3, descent=Descent(betas=b)).eta for b in (betas, as_floats))
    assert torch.equal(found, same)
