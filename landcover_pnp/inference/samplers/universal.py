"""Universal guidance: any loss of the predicted clean x (Bansal et al. 2023, Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.inference.samplers.likelihood import (
    LogLikelihood,
    finite_slope,
    log_likelihood_of,
    slope_of,
)
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    eps_theta,
    renoise,
    require_start,
)


@dataclass(frozen=True)
class Universal:
    """How strongly, and by which ways, the observations pull.

    Attributes:
        forward: Scale of the gradient through the network; 0 takes none.
        backward_steps: Gradient steps on the predicted clean x; 0 takes none.
        backward_rate: Their length.
        recurrences: How often each step is made, with noise added back in between.
        stochasticity: eta of the DDIM steps.
    """

    forward: float = 1.0
    backward_steps: int = 0
    backward_rate: float = 0.1
    recurrences: int = 1
    stochasticity: float = 1.0


def universal_guidance(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    log_likelihood: LogLikelihood,
    guidance: Universal | None = None,
) -> Tensor:
    """Samples from the prior while a classifier of clean x pulls. Not exact.

    Forward: the noise is moved by the gradient of the log likelihood of the predicted clean x,
    through the network. Backward: the predicted clean x itself is moved, without the network.
    Recurrence: the step is undone by noise and made again, so that x can follow: nearer to the
    posterior, not to y.

    Args:
        model: The model; differentiable in x_t for the forward part.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; ``recurrences`` forward passes each.
        noise: Fresh noise.
        log_likelihood: log p(y | x) of each item's clean x.
        guidance: Strengths; None is forward guidance alone.

    Returns:
        Samples, the shape of ``x``.

    Raises:
        SamplerError: If x or levels do not fit the model.
        ConstraintError: If the log likelihood is none.
        TileError: If a value is not finite.
    """
    require_start(model, x, levels)
    g, schedule = guidance or Universal(), model.schedule
    for t, t_next in pairwise(levels):
        for again in range(g.recurrences):
            if again:
                x = renoise(schedule, x, t_next, t, noise)
            x0 = _pulled(model, x, t, log_likelihood, g)
            fresh = noise(x) if g.stochasticity else None
            x = schedule.ddim_step(x, x0, t, t_next, fresh, g.stochasticity)
    return x


def _pulled(
    model: NoisePredictor, x: Tensor, t: int, log_likelihood: LogLikelihood, g: Universal
) -> Tensor:
    """The predicted clean x after forward and backward guidance."""
    through = g.forward != 0
    sigma = math.sqrt(1 - float(model.schedule.alpha_bar(t)))
    with torch.set_grad_enabled(through):
        x_t = x.detach().requires_grad_(through)
        eps = eps_theta(model, x_t, t)
        if through:
            value = log_likelihood_of(log_likelihood, model.schedule.predict_clean(x_t, eps, t))
            eps = eps - g.forward * sigma * finite_slope(value, x_t)
    x0 = model.schedule.predict_clean(x, eps.detach(), t)
    for _ in range(g.backward_steps):
        x0 = x0 + g.backward_rate * slope_of(log_likelihood, x0)
    return x0
