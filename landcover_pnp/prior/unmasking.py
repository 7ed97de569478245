"""Sampling of a masked prior: hidden pixels are revealed in a few steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landcover_pnp.config import require_positive, require_within
from landcover_pnp.prior.masked_network import HIDDEN
from landcover_pnp.prior.masked_prior import MaskedPrior

Noise = Callable[[int], Tensor]
"""Standard normal noise (batch, channel, y, x) of a step, one channel a class and one more."""

_TINY = 1e-20


@dataclass(frozen=True)
class UnmaskSettings:
    """How hidden pixels are revealed.

    Attributes:
        steps: Steps; each costs one forward pass.
        temperature: Of the classes, drawn from p^(1 / temperature): 1 draws what the prior says,
            less what it finds likely.
        order_noise: Factor of the Gumbel noise on the confidence log max p by which pixels are
            chosen: 0 takes the most confident ones first, large values a random order.
    """

    steps: int = 32
    temperature: float = 1.0
    order_noise: float = 1.0

    def __post_init__(self) -> None:
        """Refuses what reveals nothing."""
        require_within(self, 1, float("inf"), "steps")
        require_within(self, 0, float("inf"), "order_noise")
        require_positive(self, "temperature")


def unmask(prior: MaskedPrior, codes: Tensor, settings: UnmaskSettings, noise: Noise) -> Tensor:
    """Reveals all hidden pixels of a batch of maps.

    In each step the network is asked once, the pixels it is surest of are chosen, with noise on
    their order, and their classes are drawn, as in MaskGIT (Chang et al. 2022, arXiv 2202.04200):
    a cosine schedule, few pixels in the first steps. There a pixel is chosen by the probability
    of the class it has drawn, which favours frequent classes; here by its distribution, before
    anything is drawn, so that samples have the prior's class shares.

    Args:
        prior: The prior.
        codes: (batch, y, x) int64, 0 where hidden.
        settings: Steps, temperature and order.
        noise: Noise of a step, which ties what is drawn to the ground; on the prior's device.

    Returns:
        (batch, y, x) int64, 1 to 5 everywhere; pixels that were visible as they were.
    """
    codes = codes.clone()
    flat = codes.reshape(len(codes), -1)
    total = (flat == HIDDEN).sum(1)
    for step in range(settings.steps):
        hidden = flat == HIDDEN
        p = prior.predict_classes(flat.reshape(codes.shape)).flatten(2)
        gumbel = _gumbel(noise(step)).flatten(2)
        confidence = p.amax(1).clamp_min(_TINY).log() + settings.order_noise * gumbel[:, -1]
        order = torch.where(hidden, confidence, -math.inf).argsort(1, descending=True)
        left = (total * _share_left(step + 1, settings.steps)).long()
        rank = torch.empty_like(order).scatter_(1, order, _ranks(order))
        chosen = hidden & (rank < (hidden.sum(1) - left)[:, None])
        drawn = (p.clamp_min(_TINY).log() / settings.temperature + gumbel[:, :-1]).argmax(1) + 1
        flat = torch.where(chosen, drawn, flat)
    return flat.reshape(codes.shape)


def _share_left(step: int, steps: int) -> float:
    """Share of the hidden pixels that is hidden still after so many steps."""
    return math.cos(math.pi / 2 * step / steps) if step < steps else 0.0


def _ranks(order: Tensor) -> Tensor:
    return torch.arange(order.shape[1], device=order.device).expand_as(order)


def _gumbel(normal: Tensor) -> Tensor:
    """Standard Gumbel noise by the quantiles of standard normal noise."""
    uniform = torch.special.ndtr(normal.double()).clamp(1e-12, 1 - 1e-12)
    return -torch.log(-torch.log(uniform)).float()
