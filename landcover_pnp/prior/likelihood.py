"""How likely a masked prior finds label maps: a bound in bits a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.legend import NO_DATA
from landcover_pnp.prior.masked_network import HIDDEN
from landcover_pnp.prior.masked_prior import MaskedPrior

LEVELS = 8
"""Equal ranges of the hidden share over which the bound is averaged."""

_BATCH = 32
_TINY = 1e-12


@dataclass(frozen=True)
class Likelihood:
    """How likely a prior finds the labelled pixels of a set of maps.

    Attributes:
        hidden: Middle of each range of the hidden share.
        bits: Cross-entropy of the hidden pixels by range, bits a pixel.
        restored: Share of the hidden pixels whose class is the likeliest, by range.
        blind: Bits a pixel of a guess that knows nothing but the maps' class shares.
        standard_error: Of ``bits_per_pixel``, from one map to the other.
    """

    hidden: tuple[float, ...]
    bits: tuple[float, ...]
    restored: tuple[float, ...]
    blind: float
    standard_error: float

    @property
    def loss(self) -> float:
        """What a masked prior is trained to make small: ``bits_per_pixel``."""
        return self.bits_per_pixel

    @property
    def bits_per_pixel(self) -> float:
        """The bound on - log2 p(map) over its pixels: the mean of ``bits``."""
        return float(np.mean(self.bits))


def likelihood(prior: MaskedPrior, maps: NDArray[np.uint8], seed: int) -> Likelihood:
    """Bounds the negative log-likelihood of label maps.

    With k of n pixels hidden, k uniform in 1..n and the k at random, the mean cross-entropy of a
    hidden pixel given the visible ones is, in expectation, that of a pixel when all are revealed
    one by one in random order (Hoogeboom et al. 2022, arXiv 2110.02037, eq. 4), and the negative
    evidence bound of absorbing-state diffusion in continuous time (Sahoo et al. 2024,
    arXiv 2406.07524, eq. 10). It is the entropy of the maps where the prior is right. One k is
    drawn a map and level, from ``LEVELS`` equal ranges.

    Args:
        prior: The prior.
        maps: (map, y, x) uint8, 0 = unlabelled: such pixels stay hidden and do not count.
        seed: Seed of what is hidden.

    Returns:
        The bound, by share of hidden pixels.
    """
    random = np.random.default_rng([seed % 2**64, LEVELS])
    codes = torch.from_numpy(maps[np.any(maps != NO_DATA, (1, 2))].astype(np.int64))
    labelled = codes != NO_DATA
    counts = labelled.sum((1, 2))
    losses, hits = np.zeros((2, LEVELS, len(codes)))
    for level in range(LEVELS):
        share = torch.from_numpy((level + random.random(len(codes))) / LEVELS)
        rank = torch.from_numpy(random.random(codes.shape))
        hidden = _lowest(torch.where(labelled, rank, 2.0), (share * counts).ceil().clamp_min(1))
        for part in torch.split(torch.arange(len(codes)), _BATCH):
            p = prior.predict_classes(codes[part].masked_fill(hidden[part], HIDDEN)).cpu()
            true = (codes[part] - 1).clamp_min(0)
            loss = -p.gather(1, true[:, None])[:, 0].clamp_min(_TINY).log2()
            there, number = hidden[part], hidden[part].sum((1, 2))
            losses[level, part] = ((loss * there).sum((1, 2)) / number).numpy()
            hits[level, part] = (((p.argmax(1) == true) & there).sum((1, 2)) / number).numpy()
    bits = losses.mean(1)
    by_map = losses.mean(0)
    shares = np.bincount(codes[labelled].numpy())[1:] / int(labelled.sum())
    shares = shares[shares > 0]
    return Likelihood(
        tuple((level + 0.5) / LEVELS for level in range(LEVELS)),
        tuple(map(float, bits)),
        tuple(map(float, hits.mean(1))),
        float(-(shares * np.log2(shares)).sum()),
        float(by_map.std(ddof=1) / np.sqrt(len(by_map))) if len(by_map) > 1 else float("nan"),
    )


def _lowest(values: Tensor, counts: Tensor) -> Tensor:
    """The so many lowest pixels of each map: (map, y, x) bool."""
    flat = values.flatten(1)
    rank = flat.argsort(1).argsort(1)
    return (rank < counts[:, None]).reshape(values.shape)
