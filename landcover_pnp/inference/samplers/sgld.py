"""Stochastic gradient Langevin dynamics (Welling & Teh 2011)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.denoising_error import denoising_error
from landcover_pnp.inference.samplers.likelihood import LogLikelihood, slope_of
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    require_finite_values,
    require_start,
    require_steps,
)


def sgld(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    log_likelihood: LogLikelihood | None = None,
    step_size: float | Sequence[float] = 1e-2,
) -> Tensor:
    """Samples clean x from prior times likelihood: Algorithm 1 whose steps add noise.

    Each step noises x to the level of the step, so that the prior's gradient is a random one,
    whose mean is the score of the prior smoothed by that level. Exact as levels and step sizes
    fall; a fixed step e leaves about e / 4 of a variance too much where the density is narrow.

    Args:
        model: The model.
        x: (batch, channel, ...) clean x to start from.
        levels: Noise level of each step, 1..T, falling or all the same.
        noise: Fresh noise.
        log_likelihood: log p(y | x) of each item; None samples the prior.
        step_size: epsilon, one or one a step.

    Returns:
        The last x of each chain.

    Raises:
        SamplerError: If x, levels or step sizes do not fit.
        ConstraintError: If the log likelihood is none.
        TileError: If a value is not finite.
    """
    require_start(model, x, [model.schedule.steps, 0])
    require_steps(levels, model.schedule.steps)
    sizes = [step_size] * len(levels) if isinstance(step_size, float | int) else [*step_size]
    if len(sizes) != len(levels) or min(sizes) <= 0:
        raise SamplerError(
            found=f"{len(levels)} noise levels and {len(sizes)} step sizes from {min(sizes)}",
            expected="as many of both, sizes above 0",
            fix="give one step size, or one a step",
        )
    for t, epsilon in zip(levels, sizes, strict=True):
        _, slope = denoising_error(model, x, noise(x), t, 1.0, "score")
        if log_likelihood:
            slope = slope - slope_of(log_likelihood, x)
        x = x - epsilon / 2 * slope + math.sqrt(epsilon) * noise(x)
        require_finite_values(f"x at t = {t}", x)
    return x.detach()
