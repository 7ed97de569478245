"""Accuracy and areas estimated from a stratified random sample (Olofsson et al. 2014).

P. Olofsson, G. M. Foody, M. Herold, S. V. Stehman, C. E. Woodcock, M. A. Wulder, "Good practices
for estimating area and assessing accuracy of land change", Remote Sensing of Environment 148, 2014.
The strata are the classes of the map; numbers of equations are those of the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RequestError

Z_95 = 1.96
"""Standard errors on each side of an estimate that make its 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """An estimated quantity.

    Attributes:
        value: The estimate; NaN where the sample tells nothing.
        standard_error: Its standard error, in the same unit.
        low: Lower end of the 95 % interval, not below 0.
        high: Upper end of the 95 % interval, not above the largest possible value.
    """

    value: float
    standard_error: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, variance: float, most: float) -> Estimate:
        """An estimate with the interval that its variance gives.

        Args:
            value: The estimate.
            variance: Its variance.
            most: The largest possible value.
        """
        error = float(np.sqrt(variance))
        ends = np.clip([value - Z_95 * error, value + Z_95 * error], 0, most)
        return cls(float(value), error, float(ends[0]), float(ends[1]))

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval before it is cut at what is possible."""
        return Z_95 * self.standard_error


@dataclass(frozen=True, eq=False)
class AreaEstimates:
    """What a sample says of a map and of the ground.

    Attributes:
        proportions: (map class, reference class) float64 estimated shares of the ground, sum to 1.
        overall: Overall accuracy, 0..1.
        users: User's accuracy by class, 0..1; NaN for a class that is not mapped.
        producers: Producer's accuracy by class, 0..1; NaN for a class that the reference lacks.
        shares: Share of the ground by reference class, 0..1.
    """

    proportions: NDArray[np.float64]
    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    shares: tuple[Estimate, ...]


def estimate_areas(counts: NDArray[np.integer], pixels: NDArray[np.integer]) -> AreaEstimates:
    """Estimates accuracy and class shares from a stratified random sample.

    A stratum all of whose pixels are in the sample has no sampling error; the paper's equations,
    which take the ground for endless, are followed in all others.

    Args:
        counts: (map class, reference class) sampled pixels.
        pixels: (map class,) pixels of the map.

    Returns:
        The estimates.

    Raises:
        RequestError: If a mapped class has fewer than two points of the sample, unless it has
            but one pixel: then its variance cannot be told.
    """
    n = counts.sum(axis=1).astype(np.float64)
    _require_points(n, pixels)
    mapped = np.asarray(pixels, np.float64)
    total = mapped.sum()
    weights = mapped / total
    shares = counts / np.maximum(n, 1)[:, None]
    # n_ij / n_i (1 - n_ij / n_i) / (n_i - 1), the variance of a share in its stratum.
    known = np.where(n < mapped, 1 / np.maximum(n - 1, 1), 0.0)
    variances = shares * (1 - shares) * known[:, None]
    proportions = weights[:, None] * shares  # eq. 4
    right, accuracy = np.diagonal(proportions), np.diagonal(shares)
    overall = Estimate.of(
        right.sum(),  # eq. 1
        (weights**2 * np.diagonal(variances)).sum(),  # eq. 5
        1.0,
    )
    users = tuple(
        Estimate.of(u if w else np.nan, v if w else np.nan, 1.0)  # eqs. 2 and 6
        for u, v, w in zip(accuracy, np.diagonal(variances), weights, strict=True)
    )
    ground = proportions.sum(axis=0)  # eq. 9
    # eq. 10: W_i p_ik - p_ik^2 over n_i - 1
    spread = (weights[:, None] ** 2 * variances).sum(axis=0)
    found = tuple(Estimate.of(p, v, 1.0) for p, v in zip(ground, spread, strict=True))
    producers = tuple(
        _producers(k, right, ground, mapped, variances) for k in range(counts.shape[1])
    )
    return AreaEstimates(proportions, overall, users, producers, found)


def _producers(
    k: int,
    right: NDArray[np.float64],
    ground: NDArray[np.float64],
    mapped: NDArray[np.float64],
    variances: NDArray[np.float64],
) -> Estimate:
    """Producer's accuracy of a reference class, eqs. 3 and 7."""
    if not ground[k]:
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    accuracy = right[k] / ground[k]
    there = ground[k] * mapped.sum()  # eq. 8
    spread = mapped**2 * variances[:, k]
    others = spread.sum() - spread[k]
    variance = ((1 - accuracy) ** 2 * spread[k] + accuracy**2 * others) / there**2
    return Estimate.of(accuracy, variance, 1.0)


def _require_points(n: NDArray[np.float64], pixels: NDArray[np.integer]) -> None:
    short = (n < np.minimum(pixels, 2)) | (n > pixels)
    if short.any():
        i = int(np.flatnonzero(short)[0])
        raise RequestError(
            found=f"{int(n[i])} points of the sample in class {i + 1} of the map, which has "
            f"{int(pixels[i])} pixels",
            expected="at least two points in each class of the map, each in a pixel of its own",
            fix="draw the sample by `landcover sample`, which sees to it",
        )
