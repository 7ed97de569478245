"""Predicted clean x that are corrected before a sampler goes on: thresholding and its kin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landcover_pnp.inference.samplers.model import NoisePredictor, predict_clean
from landcover_pnp.prior.noise import NoiseSchedule

Correction = Callable[[Tensor], Tensor]
"""Predicted clean x -> what is taken in its place, of the same shape."""


@dataclass(frozen=True)
class Corrected:
    """A model whose predicted clean x is corrected; its noise is what the corrected one implies.

    Attributes:
        model: The model.
        correction: Static thresholding is ``lambda x0: x0.clamp(0, 1)``.
    """

    model: NoisePredictor
    correction: Correction

    @property
    def schedule(self) -> NoiseSchedule:
        """The model's."""
        return self.model.schedule

    @property
    def channels(self) -> int:
        """The model's."""
        return self.model.channels

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """(x_t - sqrt(abar_t) x0) / sqrt(1 - abar_t) of the corrected x0."""
        x0 = self.correction(predict_clean(self.model, x_t, t))
        abar = float(self.schedule.alpha_bar(t))
        return (x_t - math.sqrt(abar) * x0) / math.sqrt(1 - abar)


def dynamic_threshold(percentile: float = 0.995) -> Correction:
    """Values squeezed into [-1, 1] (Saharia et al. 2022, section 2.3).

    Clipped at the given quantile of their magnitude, one a sample and at least 1, and divided by
    it: where many values saturate, all come inwards instead.

    Args:
        percentile: The quantile, 0 to 1.
    """

    def correct(x0: Tensor) -> Tensor:
        s = x0.flatten(1).abs().quantile(percentile, dim=1).clamp_min(1)
        s = s.reshape(-1, *(1,) * (x0.ndim - 1))
        return x0.clamp(-s, s) / s

    return correct


def simplex(x0: Tensor) -> Tensor:
    """The nearest probabilities, pixel by pixel: what one-hot maps and their means are.

    The Euclidean projection onto the simplex (Held, Wolfe & Crowder 1974; Duchi et al. 2008).

    Args:
        x0: (batch, channel, ...).

    Returns:
        The same shape, from 0 up, sums to 1 over the channels.
    """
    falling = x0.sort(dim=1, descending=True).values
    count = torch.arange(1, x0.shape[1] + 1, device=x0.device, dtype=x0.dtype)
    count = count.reshape(1, -1, *(1,) * (x0.ndim - 2))
    over = (falling.cumsum(1) - 1) / count
    used = (falling > over).sum(1, keepdim=True)  # the largest values stay above 0
    return (x0 - over.gather(1, used - 1)).clamp_min(0)
