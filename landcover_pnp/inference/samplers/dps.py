"""Diffusion posterior sampling (Chung et al. 2023, arXiv 2209.14687, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.inference.samplers.likelihood import finite_slope, log_likelihood_of
from landcover_pnp.inference.samplers.linear import Operator
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    eps_theta,
    require_finite_values,
    require_start,
)


def dps(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    observe: Operator,
    y: Tensor,
    zeta: float = 1.0,
) -> Tensor:
    """Ancestral steps, each followed by one down |y - A(x0)|, through the network.

    A may be any differentiable operator. Not exact: p(y | x_t) is taken at the predicted clean
    x, and the step zeta / |y - A(x0)| times the gradient of the square is a rule of thumb.

    Args:
        model: The model, differentiable in x_t.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward and one backward pass each.
        noise: Fresh noise.
        observe: A: clean x to what is observed of it, (batch, ...).
        y: The observation, broadcasting to what A gives.
        zeta: Length of the steps: about as closely as it says y is met, in its own unit; 0.1 to
            1 in the paper.

    Returns:
        Samples, the shape of ``x``.

    Raises:
        SamplerError: If x or levels do not fit the model.
        ConstraintError: If A or y do not fit x, or A has no gradient.
        TileError: If a value is not finite.
    """
    require_start(model, x, levels)
    require_finite_values("y", y)

    def minus_distance(x0: Tensor) -> Tensor:
        # The root's gradient at 0 is not finite.
        return -(y - observe(x0)).flatten(1).square().sum(1).clamp_min(1e-24).sqrt()

    for t, t_next in pairwise(levels):
        with torch.enable_grad():
            x_t = x.detach().requires_grad_()
            x0 = model.schedule.predict_clean(x_t, eps_theta(model, x_t, t), t)
            # The gradient of the distance is that of its square over twice the distance.
            pull = 2 * finite_slope(log_likelihood_of(minus_distance, x0), x_t)
        x0 = x0.detach()
        x = model.schedule.ddim_step(x, x0, t, t_next, noise(x), stochasticity=1.0) + zeta * pull
    return x.detach()
