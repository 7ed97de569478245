"""The relaxed one-hot label map eta and the probabilities it stands for."""

from __future__ import annotations

import torch
from torch import Tensor

SIGMA_START = 0.2
SIGMA_END = 0.02
_FLOOR = 1e-9


def sigma_at(step: int, steps: int) -> float:
    """Width of the relaxation, falling linearly from 0.2 to 0.02 (Graikos et al. 2022, 4).

    Args:
        step: Optimisation step i, 0 to S - 1.
        steps: Number of steps S.

    Returns:
        sigma, in units of eta.
    """
    return max(SIGMA_START * (steps - step) / steps, SIGMA_END)


def probabilities(eta: Tensor, sigma: float) -> Tensor:
    """Class probabilities of a relaxed one-hot map.

    A channel near 1 is likely, one near 0 is not: p(l) is proportional to
    Phi((1.5 - eta_l) / sigma) - Phi((0.5 - eta_l) / sigma) + 1e-9, the mass of a normal
    distribution around eta_l that rounds to 1 (Graikos et al. 2022, section 4). It is computed
    with both arguments mirrored, where float32 keeps the small tails.

    Args:
        eta: (channel, y, x) float, relaxed one-hot.
        sigma: Width of the relaxation, see ``sigma_at``.

    Returns:
        (channel, y, x) probabilities, sum to 1 over the channels; differentiable in ``eta``.
    """
    phi = torch.special.ndtr
    mass = phi((1.5 - eta) / sigma) - phi((0.5 - eta) / sigma) + _FLOOR
    return mass / mass.sum(0)
