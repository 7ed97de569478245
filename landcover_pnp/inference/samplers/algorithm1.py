"""Algorithm 1 of Graikos et al. 2022 on any x = f(y), as point estimate or normal q(x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.denoising_error import Gradient, denoising_error
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    require_finite_values,
    require_fits,
    require_start,
    require_steps,
)
from landcover_pnp.inference.samplers.parametrisation import Parametrisation
from landcover_pnp.inference.samplers.terms import values_of, weights_of
from landcover_pnp.inference.step import Callback, Step, described, require_finite

if TYPE_CHECKING:
    from landcover_pnp.inference.constraints import Constraint

PriorTerm = Callable[[Tensor, int, int], tuple[float, Tensor]]
"""(x without gradient, step i, noise level t) -> the prior's term and its gradient in x."""


@dataclass(frozen=True)
class Descent:
    """How Adam moves y.

    Attributes:
        learning_rate: At the first step, falling linearly; from 0.
        learning_rate_end: Factor of it after the last step, 0 to 1.
        betas: Decays of Adam's two averages, from 0 to below 1.

    Raises:
        SamplerError: If Adam cannot take such steps.
    """

    learning_rate: float = 5e-3
    learning_rate_end: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.999)

    def __post_init__(self) -> None:
        betas = tuple(map(float, self.betas))  # torch refuses a whole number beside another one
        object.__setattr__(self, "betas", betas)
        rate, end = self.learning_rate, self.learning_rate_end
        decays = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
        if not (0 <= rate < math.inf and 0 <= end <= 1 and decays):
            raise SamplerError(
                found=f"learning_rate {rate}, learning_rate_end {end}, betas {betas}",
                expected="a finite rate from 0, a factor from 0 to 1, two decays from 0 to below 1",
                fix="correct the one that is none, or leave it out",
            )


class Found(NamedTuple):
    """What Algorithm 1 found.

    Attributes:
        eta: y, or the mean of q.
        sigma: Standard deviation of q, the shape of ``eta``; None of a point estimate.
    """

    eta: Tensor
    sigma: Tensor | None = None


def algorithm1(
    model: NoisePredictor,
    y: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    constraints: Sequence[Constraint] = (),
    parametrisation: Parametrisation | None = None,
    gradient: Gradient = "jacobian",
    sigma: Tensor | None = None,
    entropy: float = 1.0,
    descent: Descent | None = None,
    callback: Callback | None = None,
) -> Found:
    """Finds x = f(y) that the prior finds likely and the constraints allow.

    Each step noises x to the level of the step, asks the model for the noise and moves y down

        mse(eps, eps_theta(sqrt(abar_t) x + sqrt(1 - abar_t) eps, t)) + sum_c w_c c(x)

    For a q(y) = N(eta, sigma^2) instead of a point, y is drawn from q at every step and -entropy
    sum(log sigma) is added, q's negative entropy but for a constant (section 3 of the paper). With
    the gradient ``score`` that is the evidence lower bound in nats, and entropy 1 is right.

    Args:
        model: The model, over x.
        y: Where to start: (batch, channel, ...), or any latent that ``parametrisation`` takes.
        levels: Noise level of each step, 1..T; see ``levels.annealed``.
        noise: Fresh noise.
        constraints: Each returns a scalar, which for independent items is a sum over the batch;
            a weight is a factor of w = (S - i) / S or a function of (i, S).
        parametrisation: x = f(y), and what constraints see; None is x = y.
        gradient: How the prior's gradient is taken. ``score`` is a sum, the other two a mean
            over the values of each item.
        sigma: Standard deviation of q to start from, broadcasting to y; None for a point.
        entropy: Weight of q's entropy.
        descent: Step lengths.
        callback: Called at every step; its ``probabilities`` are what constraints see.

    Returns:
        y, or mean and standard deviation of q.

    Raises:
        SamplerError: If x, levels or sigma do not fit the model.
        ConstraintError: If a constraint is none; names it.
        TileError: If a term or gradient is not finite; names it, the step and the last finite one.
    """
    parametrisation = parametrisation or Parametrisation()
    x = parametrisation.draw(y)
    require_start(model, x, [model.schedule.steps, 0])
    require_steps(levels, model.schedule.steps)
    require_finite_values("y", y)
    if sigma is not None:
        require_fits("sigma", sigma, y)
        if not bool((sigma > 0).all()):
            raise SamplerError(
                found=f"a standard deviation sigma of {float(sigma.min()):g}",
                expected="values above 0: their logarithm is optimised",
                fix="leave sigma out for a point estimate",
            )
    term = partial(_prior_term, model, noise, gradient)
    return descend(
        term,
        y,
        levels,
        constraints=constraints,
        parametrisation=parametrisation,
        descent=descent or Descent(),
        sigma=sigma,
        entropy=entropy,
        noise=noise,
        callback=callback,
    )


def descend(
    term: PriorTerm,
    y: Tensor,
    levels: Sequence[int],
    *,
    constraints: Sequence[Constraint],
    parametrisation: Parametrisation,
    descent: Descent,
    scale: float = 1.0,
    channel_axis: int = 1,
    sigma: Tensor | None = None,
    entropy: float = 1.0,
    noise: Noise = torch.randn_like,
    callback: Callback | None = None,
) -> Found:
    """The loop of Algorithm 1, whatever computes the prior's term.

    Args:
        term: The prior's term and its gradient in x.
        y: As in ``algorithm1``.
        levels: As in ``algorithm1``.
        constraints: As in ``algorithm1``, and so what is not named here.
        parametrisation: x = f(y).
        descent: Step lengths.
        scale: Factor of all gradients: Adam's steps know it only beside its epsilon.
        channel_axis: Axis of the channels in what constraints see.
        sigma: Of q to start from.
        entropy: Weight of q's entropy.
        noise: Of q, where that is no point.
        callback: Called at every step.

    Returns:
        As ``algorithm1``, and raises the same.
    """
    eta, steps, last_finite = y.detach().clone().requires_grad_(), len(levels), "none"
    rho = None if sigma is None else sigma.to(eta).expand_as(eta).log().requires_grad_()
    moved = [eta] if rho is None else [eta, rho]
    adam = torch.optim.Adam(moved, lr=descent.learning_rate, betas=descent.betas)
    decay = torch.optim.lr_scheduler.LinearLR(
        adam, 1.0, descent.learning_rate_end, total_iters=steps
    )
    for step, t in enumerate(levels):
        drawn = eta if rho is None else eta + rho.exp() * noise(eta)
        x, width = parametrisation.draw(drawn), parametrisation.width_at(step, steps)
        mse, slope = term(x.detach(), step, t)
        seen = parametrisation.seen(x, width)
        values = values_of(constraints, seen, channel_axis)
        weights = [scale * weight for weight in weights_of(constraints, step, steps)]
        adam.zero_grad()
        torch.autograd.backward(
            [x, *values.values()], [scale * slope, *(seen.new_tensor(w) for w in weights)]
        )
        if rho is not None and rho.grad is not None:
            rho.grad -= scale * entropy
        losses = {"mse": mse} | {name: value.item() for name, value in values.items()}
        require_finite(losses | {"gradient": _sum(moved)}, step, t, last_finite)
        if callback:
            callback(Step(step, t, width, losses, seen.detach()))
        adam.step()
        decay.step()
        last_finite = described(step, losses)
    return Found(eta.detach(), None if rho is None else rho.detach().exp())


def _prior_term(
    model: NoisePredictor, noise: Noise, gradient: Gradient, x: Tensor, _step: int, t: int
) -> tuple[float, Tensor]:
    """A sum for ``score``, otherwise a mean over the values of each item."""
    share = 1.0 if gradient == "score" else 1 / x[0].numel()
    return denoising_error(model, x, noise(x), t, share, gradient)


def _sum(moved: Sequence[Tensor]) -> float:
    """Finite only if all gradients are."""
    return float(sum(0.0 if one.grad is None else one.grad.sum().item() for one in moved))
