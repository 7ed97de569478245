"""Holes filled by an unconditional model: replacement, and RePaint (Lugmayr et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.levels import resampled
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    predict_clean,
    renoise,
    require_fits,
    require_start,
)


def replacement(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    known: Tensor,
    hidden: Tensor,
) -> Tensor:
    """Ancestral sampling whose known part is replaced by noised truth at every level.

    Song et al. 2021 (score SDE, appendix I.2). Not exact: what is hidden sees the known part only
    through one noisy draw of it a level, so that it depends on it too little.

    Args:
        model: The model.
        x: As in ``repaint``.
        levels: As in ``repaint``.
        noise: As in ``repaint``.
        known: As in ``repaint``.
        hidden: As in ``repaint``.

    Returns:
        As ``repaint``.

    Raises:
        SamplerError: As ``repaint``.
        TileError: As ``repaint``.
    """
    return repaint(model, x, levels, noise, known=known, hidden=hidden, resamplings=1)


@torch.no_grad()
def repaint(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    known: Tensor,
    hidden: Tensor,
    resamplings: int = 4,
    jump: int = 1,
) -> Tensor:
    """Fills what is hidden (Lugmayr et al. 2022, Algorithm 1).

    At every level the known part is noised truth and the hidden part an ancestral step; the
    sampler then climbs ``jump`` levels again, so that both parts come to agree. Nearer to the
    posterior the more resamplings there are, exact in the limit of both many and dense levels.

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0.
        noise: Fresh noise.
        known: Clean values, of a shape that broadcasts to ``x``; what it holds where hidden
            counts nowhere.
        hidden: Bool, of a shape that broadcasts to ``x``: what is to be filled.
        resamplings: How often each stretch of levels is sampled; the forward passes are about
            the number of levels times this.
        jump: Length of a jump in steps of ``levels``.

    Returns:
        Samples, the shape of ``x``; the known values as they are given.

    Raises:
        SamplerError: If x, levels, known or hidden do not fit the model or each other.
        TileError: If a known value or a prediction is not finite.
    """
    require_start(model, x, levels)
    if not all(isinstance(count, int) and count >= 1 for count in (resamplings, jump)):
        raise SamplerError(
            found=f"{resamplings} resamplings with jumps of {jump}",
            expected="whole numbers from 1 up",
            fix="1 resampling is replacement; correct the number",
        )
    hidden, known = hiding(x, hidden, known)
    for t, t_next in pairwise(resampled(levels, resamplings, jump)):
        if t_next > t:
            x = renoise(model.schedule, x, t, t_next, noise)
            continue
        x0 = predict_clean(model, x, t)
        filled = model.schedule.ddim_step(x, x0, t, t_next, noise(x), stochasticity=1.0)
        x = torch.where(hidden, filled, model.schedule.add_noise(known, noise(x), t_next))
    return x


def hiding(x: Tensor, hidden: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """What is hidden, and the known values with 0 there: both of the shape of x.

    Raises:
        SamplerError: If one of them does not broadcast to x, or ``hidden`` is not of bools.
        TileError: If a value that is not hidden is not finite.
    """
    if hidden.dtype != torch.bool:
        raise SamplerError(
            found=f"hidden of {hidden.dtype}",
            expected="bool, True where x is to be filled",
            fix="compare it first: hidden == 1, or hidden > 0",
        )
    require_fits("hidden", hidden, x)
    require_fits("known", torch.zeros_like(known), x)
    values = torch.where(hidden, 0, known.to(x)).expand_as(x)
    require_fits("known", values, x)
    return hidden.expand_as(x), values
