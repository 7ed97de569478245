"""Ancestral sampling (Ho et al. 2020, Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    predict_clean,
    require_start,
)


@torch.no_grad()
def ddpm(model: NoisePredictor, x: Tensor, levels: Sequence[int], noise: Noise) -> Tensor:
    """Samples by ancestral steps: exact where the model is, as the levels become dense.

    A step over several levels draws from q(x_s | x_t, x0) with the predicted x0, which for
    neighbouring levels is Algorithm 2 with the posterior variance (eq. 7).

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last.
        noise: Fresh noise.

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
    return x
