"""Masked priors for tests: tiny ones, and one whose joint distribution is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landcover_pnp.prior.masked_network import MaskedNetworkSettings, MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior

TINY = MaskedNetworkSettings(crop_px=8, channels=(8, 16), blocks=(1, 1), head_channels=8)


def tiny_masked(seed: int = 0) -> MaskedPrior:
    """A prior of random weights, those of its last layer too, which training starts at 0."""
    network = MaskedUNet(TINY, seed=seed)
    with torch.no_grad():
        draw = torch.Generator().manual_seed(seed)
        network.leave.weight.copy_(0.3 * torch.randn(network.leave.weight.shape, generator=draw))
    return MaskedPrior(network, TINY.resolution_m, TINY.crop_px)


@dataclass(frozen=True, eq=False, kw_only=True)
class Known(MaskedPrior):
    """A prior whose conditional distributions are known.

    Attributes:
        conditionals: (batch, y, x) codes to (batch, class 5, y, x) probabilities.
    """

    conditionals: Callable[[Tensor], Tensor]

    def predict_classes(self, codes: Tensor) -> Tensor:
        return self.conditionals(codes)


def known(conditionals: Callable[[Tensor], Tensor], crop_px: int = 8) -> Known:
    """A prior with these conditional distributions."""
    return Known(tiny_masked().network, 4.0, crop_px, conditionals=conditionals)


def independent(*shares: float) -> Callable[[Tensor], Tensor]:
    """Conditionals of pixels that know nothing of each other."""

    def conditionals(codes: Tensor) -> Tensor:
        p = torch.tensor(shares, dtype=torch.float32)[:, None, None]
        return p.expand(len(codes), 5, *codes.shape[1:])

    return conditionals


def in_pairs(share: float, alike: float) -> Callable[[Tensor], Tensor]:
    """Conditionals of water and impervious ground in pairs of neighbours, 0 and 1, 2 and 3, ...

    Args:
        share: Probability of water.
        alike: Probability of the neighbour of a water pixel being water; that of the neighbour of
            an impervious one follows from it, as both have the same share.
    """
    after_impervious = share * (1 - alike) / (1 - share)

    def conditionals(codes: Tensor) -> Tensor:
        neighbour = codes.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
        water = torch.full(codes.shape, share)
        water[neighbour == 1] = alike
        water[neighbour == 2] = after_impervious
        rest = torch.zeros(len(codes), 3, *codes.shape[1:])
        return torch.cat([torch.stack([water, 1 - water], 1), rest], 1)

    return conditionals
