"""How far the class shares of a map may be from the truth, and intervals from sampled shares.

Maps drawn from a prior vary as shapes vary; they share the systematic error of the probabilities
they are drawn with. That error is the same kind of number everywhere: the log ratio of true and
mapped share, with a constant added to both so that rare classes count by their absolute error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.9
"""Probability that the intervals are meant to have."""

RARE = 0.01
"""Share added before logarithms: errors of smaller shares count by their difference."""

SPREAD = 0.31
"""Spread of the log shares of maps by the default settings about the truth, of all scenes with
truth together (``benchmarks/area_intervals.py``, which also fits it without each scene in turn)."""

HOLE_SPREAD = 0.12
"""The same of the hidden ground of maps whose holes a prior fills, beyond what its samples vary by
themselves: chosen of 0, 0.12 and 0.25 without each scene (``benchmarks/hole_intervals.py``)."""


def log_shares(shares: Floats) -> Floats:
    """log(share + ``RARE``), any shape."""
    return np.log(np.asarray(shares, np.float64) + RARE)


def spread(mapped: Floats, truth: Floats) -> float:
    """Root mean square of log true share minus log mapped share.

    Args:
        mapped: (scene, class) shares, the means of the probabilities.
        truth: (scene, class) shares.

    Returns:
        One number for all classes: scenes with truth are too few for one each.
    """
    return float(np.sqrt(np.mean(np.square(log_shares(truth) - log_shares(mapped)))))


def drawn_shares(shares: Floats, spread: float, count: int, seed: int) -> Floats:
    """Random shares about those of a map, one set for each sample of it.

    Each class's log share gets an independent normal error; the sets are stratified (Latin
    hypercube; McKay, Beckman & Conover 1979), so that a few samples already spread as many would.

    Args:
        shares: (class,) of the map, sum to 1; a class that the map excludes stays so.
        spread: Standard deviation of the log shares, see ``spread``; 0 gives the shares.
        count: Number of samples.
        seed: Seed of the draw.

    Returns:
        (sample, class), each row sums to 1, no share below 0.
    """
    from scipy.special import ndtri  # a report only reads what was found

    rng = np.random.default_rng(seed)
    strata = np.stack([rng.permutation(count) for _ in shares], axis=1)
    z = ndtri((strata + rng.random(strata.shape)) / count)
    drawn = np.maximum(np.exp(log_shares(shares) + spread * z) - RARE, 0.0)
    drawn[:, np.asarray(shares) == 0] = 0.0
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def share_intervals(shares: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Intervals in which another share of the same kind lies with a probability.

    A prediction interval of normal log shares: with few samples it is wide, as it should be,
    where the range of few samples would be too narrow.

    Args:
        shares: (sample, class), at least two samples.
        level: The probability.

    Returns:
        Lower and upper ends, (class,) each, within 0 to 1.

    Raises:
        ValueError: If there are fewer than two samples.
    """
    from scipy.special import stdtrit

    count = len(shares)
    if count < 2:
        raise ValueError("an interval needs at least two samples")
    logs = log_shares(shares)
    mean, deviation = logs.mean(axis=0), logs.std(axis=0, ddof=1)
    reach = stdtrit(count - 1, (1 + level) / 2) * np.sqrt(1 + 1 / count) * deviation
    low, high = (np.clip(np.exp(mean + side * reach) - RARE, 0, 1) for side in (-1, 1))
    return low, high
