"""Denoising diffusion implicit models (Song, Meng & Ermon 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    predict_clean,
    require_range,
    require_start,
)


@torch.no_grad()
def ddim(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    stochasticity: float = 0.0,
) -> Tensor:
    """Samples in a few steps: the probability flow of the model, solved to first order.

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last.
        noise: Fresh noise, asked for only where ``stochasticity`` is above 0.
        stochasticity: eta of eq. 16: 0 is deterministic in x, 1 is ancestral.

    Returns:
        Samples, the shape of ``x``.

    Raises:
        SamplerError: If x or levels do not fit the model, or stochasticity is not 0 to 1.
        TileError: If a prediction is not finite.
    """
    require_start(model, x, levels)
    require_range("stochasticity", stochasticity, 0, 1)
    for t, t_next in pairwise(levels):
        x0 = predict_clean(model, x, t)
        fresh = noise(x) if stochasticity else None
        x = model.schedule.ddim_step(x, x0, t, t_next, fresh, stochasticity)
    return x
