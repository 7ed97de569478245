"""Predictor and corrector of the score SDE (Song et al. 2021, arXiv 2011.13456, Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    eps_theta,
    predict_clean,
    require_start,
)


@torch.no_grad()
def predictor_corrector(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    corrections: int = 1,
    snr: float = 0.16,
) -> Tensor:
    """Ancestral steps, each followed by Langevin steps at its level.

    Corrections bring x back to the model's density at the level, which steps over several levels
    leave. Exact as both the steps and ``snr`` become small.

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last, and
            ``corrections`` more.
        noise: Fresh noise.
        corrections: Langevin steps at each level but 0.
        snr: Ratio r of the norms of drift and noise that sets their length (Algorithm 5).

    Returns:
        Samples, the shape of ``x``.

    Raises:
        SamplerError: If x or levels do not fit the model.
        TileError: If a prediction is not finite.
    """
    require_start(model, x, levels)
    for t, t_next in pairwise(levels):
        x0 = predict_clean(model, x, t)
        x = model.schedule.ddim_step(x, x0, t, t_next, noise(x), stochasticity=1.0)
        for _ in range(corrections if t_next else 0):
            x = langevin_step(model, x, t_next, noise, snr)
    return x


def langevin_step(model: NoisePredictor, x: Tensor, t: int, noise: Noise, snr: float) -> Tensor:
    """One step of unadjusted Langevin dynamics in the density at level t.

    Its length is 2 (r |z| / |s|)^2 with the norms averaged over the batch (Song et al. 2021,
    Algorithm 5, without its factor alpha_t, which is nearly 1).

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at level t.
        t: Noise level, 1..T.
        noise: Fresh noise.
        snr: The ratio r.

    Returns:
        The next x, noisy at the same level.
    """
    score = -eps_theta(model, x, t) / math.sqrt(1 - float(model.schedule.alpha_bar(t)))
    z = noise(x)
    norms = [values.flatten(1).norm(dim=1).mean() for values in (z, score)]
    length = 2 * (snr * norms[0] / norms[1].clamp_min(1e-12)) ** 2
    moved: Tensor = x + length * score + (2 * length).sqrt() * z
    return moved
