"""Probabilities whose classes are favoured or held back alike everywhere, to reach given shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise

Floats = NDArray[np.float32]

_FLOOR = 1e-6
_STEPS, _CLOSE = 200, 1e-5
_FARTHEST = 12.0


def tilt_to(p: Floats, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log factors by class that give probabilities a mean.

    Each pixel keeps what it says of the others' order: only the classes' odds change, by the same
    factor everywhere, as when the classes' frequencies alone were mistaken (Saerens, Latinne &
    Decaestecker 2002). Sure pixels hardly change, doubtful ones do.

    Args:
        p: (class, pixel) float32, each pixel sums to 1.
        shares: (class,) wanted means, sum to 1.

    Returns:
        (class,) log factors within +-12, the largest share's about 0.
    """
    log_p = np.log(np.maximum(p.astype(np.float64), _FLOOR))
    tilt = np.zeros(len(shares))
    wanted = np.log(np.maximum(shares, _FLOOR))
    for _ in range(_STEPS):
        weights = np.exp(log_p + tilt[:, None])
        mean = (weights / weights.sum(axis=0)).mean(axis=1)
        step = wanted - np.log(np.maximum(mean, _FLOOR))
        tilt += step
        tilt = np.clip(tilt - tilt[np.argmax(shares)], -_FARTHEST, _FARTHEST)
        if np.abs(step[shares > _FLOOR]).max() < _CLOSE:
            break
    return tilt


def tilted(p: Floats, tilt: NDArray[np.float64]) -> Floats:
    """Probabilities with the odds of their classes changed.

    Args:
        p: (class, y, x) float32, sums to 1, or all 0 without data.
        tilt: (class,) log factors.

    Returns:
        (class, y, x) float32, sums to 1, or all 0 without data.
    """
    floored = np.where(p.any(axis=0), np.maximum(p, np.float32(_FLOOR)), np.float32(0))
    return normalise(floored * np.exp(tilt).astype(np.float32)[:, None, None])
