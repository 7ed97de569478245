"""The relaxed one-hot label map eta and the probabilities it stands for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SIGMA_START = 0.2
SIGMA_END = 0.02
_FLOOR = 1e-9


def sigma_at(step: int, steps: int) -> float:
    """Width of the relaxation, falling linearly from 0.2 to 0.02 (Graikos et al. 2022, sec. 4).

    Args:
        step: Optimisation step i, 0 to S - 1.
        steps: Number of steps S.

    Returns:
        max(0.2 (S - i) / S, 0.02), in units of eta.
    """
    return max(SIGMA_START * (steps - step) / steps, SIGMA_END)


def probabilities(eta: Tensor, sigma: float) -> Tensor:
    """Class probabilities of a relaxed one-hot map.

    A channel near 1 is likely, one near 0 is not: p(l) is proportional to
    Phi((1.5 - eta_l) / sigma) - Phi((0.5 - eta_l) / sigma) + 1e-9, the mass that a normal
    distribution around eta_l has where values round to 1 (Graikos et al. 2022, section 4).

    Args:
        eta: (channel, y, x) float32, relaxed one-hot.
        sigma: Width of the relaxation, see ``sigma_at``.

    Returns:
        (channel, y, x) float32 probabilities, sum to 1; differentiable in ``eta``.
    """
    mass = _phi((1.5 - eta) / sigma) - _phi((0.5 - eta) / sigma) + _FLOOR
    return mass / mass.sum(0)


def as_probabilities(x0: Tensor) -> Tensor:
    """A predicted clean map (channel, y, x), read as the expected one-hot map: sums to 1.

    A denoiser may leave [0, 1] a little; no class becomes impossible.
    """
    share = x0.clamp_min(_FLOOR)
    return share / share.sum(0)


def one_hot(p: Tensor) -> Tensor:
    """The likeliest class of each pixel of (channel, y, x), as the maps a prior is trained on.

    Classes that are equally likely share a pixel.
    """
    likeliest = (p == p.amax(0)).to(p.dtype)
    return likeliest / likeliest.sum(0)


def _phi(z: Tensor) -> Tensor:
    """Distribution function of the standard normal.

    In the tails a float32 step of erf is sixty times the floor, and vectorised float32 erf
    differs by such steps between processors: the correctly rounded one is the same on all.
    """
    return 0.5 * (1 + (z.double() / math.sqrt(2)).erf().to(z.dtype))
