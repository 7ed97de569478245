"""The prior's term of Algorithm 1: how badly the noise in x_t is told, and its gradient in x."""

from __future__ import annotations

import math
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.prior.noise import NoiseSchedule

Gradient = Literal["jacobian", "red_diff", "score"]
"""Ways to take the gradient of the prior's term.

- ``jacobian``: of mse(eps, eps_theta(x_t, t)), through the network (Graikos et al. 2022). About two
  and a half forward passes. Its strength varies with t, and it is no log density: with a
  correlated prior the optimum under a constraint is near the mode, not at it.
- ``red_diff``: 2 sqrt(1 / abar_t - 1) (eps_theta - eps), the network counting as a constant
  (RED-diff, Mardani et al. 2024, section 4; score distillation, Poole et al. 2023). One forward
  pass.
- ``score``: minus the score of the noised prior, sqrt(abar_t / (1 - abar_t)) (eps_theta - (1 -
  abar_t) eps), summed, not averaged: as t falls to 0 the gradient of -log p(x), in nats.
  Constraints that are minus log likelihoods then weigh 1. The noise subtracted has mean 0; so
  much of it cancels all noise of a prior of variance 1.
"""


class _Predictor(Protocol):
    @property
    def schedule(self) -> NoiseSchedule: ...

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor: ...


def denoising_error(
    model: _Predictor, x: Tensor, eps: Tensor, t: int, share: Tensor | float, gradient: Gradient
) -> tuple[float, Tensor]:
    """Weighted squared error of the predicted noise, and a gradient in x.

    Args:
        model: The model, differentiable in x_t for ``jacobian``.
        x: (batch, channel, ...) without gradient.
        eps: Standard normal noise of its shape.
        t: Noise level, 1..T.
        share: Weight of each value, broadcasting to x: 1 / (their number) gives a mean.
        gradient: Which gradient.

    Returns:
        sum(share (eps - eps_theta)^2), and the gradient, the shape of x.

    Raises:
        SamplerError: If the model predicts another shape, or has no gradient where it is needed.
    """
    abar = float(model.schedule.alpha_bar(t))
    through = gradient == "jacobian"
    with torch.set_grad_enabled(through):
        x_t = model.schedule.add_noise(x, eps, t).requires_grad_(through)
        eps_theta = model.predict_noise(x_t, t)
        if eps_theta.shape != x.shape or (through and not eps_theta.requires_grad):
            raise SamplerError(
                found=f"predicted noise of shape {tuple(eps_theta.shape)}, "
                f"{'with' if eps_theta.requires_grad else 'without'} gradient",
                expected=f"the shape {tuple(x.shape)}" + (", with gradient" if through else ""),
                fix="correct predict_noise, or take the gradient 'red_diff', which needs none "
                "through the network",
            )
        residual = eps - eps_theta
        error = (residual.square() * share).sum()
    if gradient == "jacobian":
        (to_x,) = torch.autograd.grad(error, x_t)
        return error.item(), math.sqrt(abar) * to_x
    if gradient == "red_diff":
        return error.item(), -2 * math.sqrt(1 / abar - 1) * residual * share
    if gradient == "score":
        return error.item(), math.sqrt(abar / (1 - abar)) * (eps_theta - (1 - abar) * eps) * share
    raise SamplerError(
        found=f"the gradient {gradient!r}",
        expected=" or ".join(map(repr, get_args(Gradient))),
        fix="take one of these",
    )
