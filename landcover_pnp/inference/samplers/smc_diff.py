"""SMC-Diff: particles that are resampled by the mismatch (Trippe et al. 2023, Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError, TileError
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    predict_clean,
    renoise,
    require_start,
)
from landcover_pnp.inference.samplers.repaint import hiding
from landcover_pnp.prior.noise import NoiseSchedule


@torch.no_grad()
def smc_diff(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    known: Tensor,
    hidden: Tensor,
    resample_below: float = 0.5,
) -> Tensor:
    """Fills what is hidden of one x by particles, exact as their number grows.

    The known part is noised once, level by level. At each step a particle is weighed by how
    likely the model would have stepped to the known part that is there; particles are resampled
    where the weights have become uneven. With many known values a few particles, or one, carry
    all the weight: then all samples are alike.

    Args:
        model: The model.
        x: (particle, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward pass of all particles each.
        noise: Fresh noise.
        known: Clean values, of a shape that broadcasts to (1, channel, ...).
        hidden: Bool, likewise: what is to be filled.
        resample_below: Effective share of particles under which they are resampled.

    Returns:
        Samples, the shape of ``x``; the known values as they are given.

    Raises:
        SamplerError: If x, levels, known or hidden do not fit the model or each other.
        TileError: If a known value or a prediction is not finite, or all particles have died.
    """
    require_start(model, x, levels)
    if len(x) < 2:
        raise SamplerError(
            found="1 particle",
            expected="2 or more, or no mismatch can choose among them",
            fix="give x a larger batch; replacement does with one",
        )
    hidden, known = hiding(x[:1], hidden, known)
    path = _noised(model.schedule, known, levels, noise)
    log_weights = x.new_zeros(len(x))
    for (t, t_next), here, there in zip(pairwise(levels), path, path[1:], strict=False):
        x = torch.where(hidden, x, here)
        mean, variance = _step(model, x, t, t_next)
        if variance > 0:
            misfit = torch.where(hidden, 0, there - mean).flatten(1).square().sum(1)
            log_weights = log_weights - misfit / (2 * variance)
            log_weights, chosen = _resampled(log_weights, resample_below, noise, t)
            mean = mean[chosen]
        x = mean + variance**0.5 * noise(mean)
    _, chosen = _resampled(log_weights, 1.0, noise, 0)
    return torch.where(hidden, x[chosen], known)


def effective_share(log_weights: Tensor) -> float:
    """1 / (n sum w^2) of the normalised weights: 1 where all are alike, 1 / n where one has all."""
    w = log_weights.softmax(0)
    return float(1 / (len(w) * w.square().sum()))


def _noised(
    schedule: NoiseSchedule, known: Tensor, levels: Sequence[int], noise: Noise
) -> list[Tensor]:
    """One path of the forward process at all levels, in their order."""
    path = [known]
    for above, t in pairwise(reversed(levels)):
        path.append(renoise(schedule, path[-1], above, t, noise))
    return path[::-1]


def _step(model: NoisePredictor, x: Tensor, t: int, t_next: int) -> tuple[Tensor, float]:
    """Mean and variance of the model's step from t to t_next."""
    x0 = predict_clean(model, x, t)
    mean = model.schedule.ddim_step(x, x0, t, t_next, torch.zeros_like(x), stochasticity=1.0)
    abar, abar_next = (float(model.schedule.alpha_bar(level)) for level in (t, t_next))
    return mean, (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)


def _resampled(log_weights: Tensor, below: float, noise: Noise, t: int) -> tuple[Tensor, Tensor]:
    """New log weights and the particles chosen, systematically, if weights are uneven.

    Raises:
        TileError: If no particle has a weight above 0.
    """
    n = len(log_weights)
    if not log_weights.isfinite().any() or log_weights.isnan().any():
        raise TileError(
            found=f"all {n} particles have died at t = {t}: none could have led to the known part",
            expected="a particle with a weight above 0",
            fix="look for known values far from all that the prior has seen, or take more "
            "particles and more noise levels",
        )
    if effective_share(log_weights) >= below:
        return log_weights, torch.arange(n, device=log_weights.device)
    ends = log_weights.softmax(0).cumsum(0)
    offset = torch.special.ndtr(noise(log_weights.new_zeros(1)))  # uniform
    places = (torch.arange(n, device=ends.device) + offset) / n
    chosen = torch.searchsorted(ends, places.clamp_max(float(ends[-1]))).clamp_max(n - 1)
    return torch.zeros_like(log_weights), chosen
