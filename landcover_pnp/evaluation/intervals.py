"""Confidence intervals of scores, by a bootstrap over cells of ground instead of pixels.

Neighbouring pixels err together: resampled one by one they would promise a precision that is not
there. Cells of 30 m, the pixel of NLCD, are drawn whole (block bootstrap: Hall 1985; Efron &
Tibshirani 1993, section 8.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from landcover_pnp.errors import RequestError
from landcover_pnp.evaluation.cell_scores import CELL_M
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.evaluation.truth_legend import Scheme

DRAWS = 1000
"""Bootstrap samples of an interval."""

Measures = Callable[[Scores], Mapping[str, float]]
"""From scores to numbers by name, the same names for all scores; NaN where there is none."""


class Interval(NamedTuple):
    """A measure and where it lies.

    Attributes:
        value: The measure of all cells together.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def bootstrap(
    measures: Measures,
    cells: Scores,
    seed: int,
    *,
    draws: int = DRAWS,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of measures over resampled cells.

    Args:
        measures: What is measured.
        cells: Scores whose confusion has a leading cell axis, (cell, truth, predicted).
        seed: Seed of the draws.
        draws: Bootstrap samples.
        level: Probability that the intervals are meant to have.

    Returns:
        Interval by measure; all NaN where the measure is NaN for all cells together.

    Raises:
        RequestError: If fewer than two cells hold truth: nothing can be resampled.
    """
    whole = measures(Scores(cells.confusion.sum(axis=0), cells.scheme))
    resampled = _resampled(cells.confusion, cells.scheme, seed, draws)
    samples = [measures(Scores(confusion, cells.scheme)) for confusion in resampled]
    return {name: _interval(whole[name], [s[name] for s in samples], level) for name in whole}


def paired_differences(
    measures: Measures,
    cells: Scores,
    other: Scores,
    seed: int,
    *,
    draws: int = DRAWS,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of measures' gains over another method, both on the same resampled cells.

    Args:
        measures: What is measured.
        cells: Scores by cell of the method.
        other: Scores by the same cells of the method it is compared with.
        seed: Seed of the draws.
        draws: Bootstrap samples.
        level: Probability that the intervals are meant to have.

    Returns:
        Interval of ``measure(cells) - measure(other)`` by measure.

    Raises:
        RequestError: As ``bootstrap``.
        ValueError: If the two do not have the same cells.
    """
    if not np.array_equal(cells.confusion.sum(axis=2), other.confusion.sum(axis=2)):
        raise ValueError("the methods were not scored on the same truth, cell by cell")
    both = np.concatenate([cells.confusion, other.confusion], axis=2)
    width = cells.confusion.shape[2]

    def differences(confusion: NDArray[np.int64]) -> dict[str, float]:
        first = measures(Scores(confusion[:, :width], cells.scheme))
        second = measures(Scores(confusion[:, width:], cells.scheme))
        return {name: first[name] - second[name] for name in first}

    whole = differences(both.sum(axis=0))
    resampled = _resampled(both, cells.scheme, seed, draws)
    samples = [differences(sample) for sample in resampled]
    return {name: _interval(whole[name], [s[name] for s in samples], level) for name in whole}


def over_seeds(values: NDArray[np.float64]) -> Interval:
    """Mean of a measure over seeds, and the 95 % t interval of that mean.

    Args:
        values: (seed,) one value a seed.

    Raises:
        RequestError: With fewer than two seeds.
    """
    if len(values) < 2:
        raise RequestError(
            found=f"an interval over {len(values)} seed",
            expected="at least two seeds",
            fix="name several, such as --seeds '[0, 1, 2]'",
        )
    mean = float(values.mean())
    half = float(student_t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def _resampled(
    confusion: NDArray[np.int64], scheme: Scheme, seed: int, draws: int
) -> Iterator[NDArray[np.int64]]:
    """Pooled confusion matrices of cells drawn with replacement, (truth, predicted) each."""
    # As published, what is predicted where truth is ignored still counts in the unions.
    counting = confusion if scheme == "published" else confusion[:, 1:]
    confusion = confusion[counting.any(axis=(1, 2))]
    if len(confusion) < 2:
        raise RequestError(
            found=f"{len(confusion)} cells of {CELL_M:g} m with truth",
            expected="at least two, to resample them",
            fix="score a larger area",
        )
    rng = np.random.default_rng(seed)
    flat = confusion.reshape(len(confusion), -1)
    for _ in range(draws):
        times = np.bincount(rng.integers(len(flat), size=len(flat)), minlength=len(flat))
        yield (times @ flat).reshape(confusion.shape[1:])


def _interval(value: float, samples: Sequence[float], level: float) -> Interval:
    if np.isnan(value):
        return Interval(value, value, value)
    low, high = np.nanquantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))
