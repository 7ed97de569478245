"""Calibration: whether a map that is 80 % sure is right in 80 % of the places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from landcover_pnp.arrays import normalise

BINS = 15
"""Bins of confidence, equally wide, from 0 to 1."""

_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Reliability:
    """How confident predictions were, and how often right, by bin of confidence.

    Attributes:
        pixels: (bin,) number of pixels.
        confidence: (bin,) sum of their largest probabilities.
        hits: (bin,) how many of them were right.
    """

    pixels: NDArray[np.int64]
    confidence: NDArray[np.float64]
    hits: NDArray[np.int64]

    def __add__(self, other: Reliability) -> Reliability:
        """Both areas together."""
        return Reliability(
            self.pixels + other.pixels,
            self.confidence + other.confidence,
            self.hits + other.hits,
        )

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, eq. 3), 0..1; NaN without pixels."""
        if not self.pixels.sum():
            return float("nan")
        return float(np.abs(self.confidence - self.hits).sum() / self.pixels.sum())


def reliability(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> Reliability:
    """Counts confidence and hits of a window.

    Args:
        probabilities: (class, ...) probabilities, sum to 1, or 0 where there is no data.
        truth: (...) working classes, 0 = no data.
    """
    seen = (truth > 0) & probabilities.any(axis=0)
    sure = probabilities.max(axis=0)[seen]
    right = probabilities.argmax(axis=0)[seen] + 1 == truth[seen]
    bins = np.minimum((sure * BINS).astype(np.intp), BINS - 1)
    return Reliability(
        np.bincount(bins, minlength=BINS),
        np.bincount(bins, weights=sure, minlength=BINS).astype(np.float64),
        np.bincount(bins[right], minlength=BINS),
    )


def tempered(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Probabilities made softer (T > 1) or sharper (T < 1): p^(1/T), normalised.

    Args:
        probabilities: (class, ...) probabilities; all 0 where there is no data, which stays.
        temperature: T, above 0. The most probable class never changes.

    Returns:
        (class, ...) float32.
    """
    known = probabilities.any(axis=0)
    logs = np.log(np.maximum(probabilities, _TINY)) / temperature
    powers = np.exp(logs - logs.max(axis=0))
    return np.asarray(np.where(known, normalise(powers), 0), np.float32)


def fit_temperature(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """Temperature of the smallest negative log likelihood (Guo et al. 2017, section 4.2).

    Args:
        probabilities: (class, pixel) of the source city.
        truth: (pixel,) its working classes, 0 = no data.

    Returns:
        T between 0.1 and 10; 1 without truth.
    """
    seen = (truth > 0) & probabilities.any(axis=0)
    if not seen.any():
        return 1.0
    logs = np.log(np.maximum(probabilities[:, seen], _TINY)).astype(np.float64)
    right = truth[seen] - 1

    def loss(log_t: float) -> float:
        scaled = logs / np.exp(log_t)
        top = scaled.max(axis=0)
        total = top + np.log(np.exp(scaled - top).sum(axis=0))
        return float((total - scaled[right, np.arange(len(right))]).mean())

    bounds = (np.log(0.1), np.log(10.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
