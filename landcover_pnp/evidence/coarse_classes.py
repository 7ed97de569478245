"""What coarse maps and percentages say of the classes around a pixel, each blurred, all combined.

Maps are combined by the geometric mean of their p(class | code), renormalised (the logarithmic
opinion pool, Genest & Zidek 1986): maps of the same satellites err together, so that two which say
the same are no surer than one, and a class must be likely in all of them. Where one has no data the
others speak. On real windows that does better than their product or their mean in most, see
docs/legends.md.
A percentage measures how much of the ground within tens of metres is of one class, and not where:
that class is scaled by its share against what the maps give it there, and the others by theirs, as
tables are raked to known margins (Deming & Stephan 1940). So a finer map keeps its detail, and the
others keep their proportions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from landcover_pnp.arrays import normalise
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING
from landcover_pnp.legends.coarse_legend import Blur

SHARE_OF = {
    "impervious": WORKING.index("impervious"),
    "canopy": WORKING.index("trees and forest"),
}
"""Position of the class that each kind of percentages measures."""

DOUBT = 0.05
"""Share of a percentage that is spread evenly over the classes, as of a legend's texts."""

_FLOOR = 1e-6
"""Least share of a class in one of several maps, and least share that is divided by."""


@dataclass(frozen=True, eq=False)
class CoarseClasses:
    """One coarse map in a window.

    Attributes:
        numbers: (y, x) uint8 numbers of its classes from 1, 0 = no data.
        matrix: (code class, class) p(class | code), rows sum to 1.
        blur: By how much it is blurred.
    """

    numbers: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    blur: Blur


@dataclass(frozen=True, eq=False)
class Percentage:
    """Percentages of one class in a window.

    Attributes:
        share: (y, x) float32 in 0..1, nan where there is none.
        blur: By how much they are blurred.
    """

    share: NDArray[np.float32]
    blur: Blur


def coarse_probabilities(
    maps: Sequence[CoarseClasses],
    percentages: Mapping[str, Percentage],
    valid: NDArray[np.bool_],
    resolution_m: float,
) -> NDArray[np.float32]:
    """Class probabilities by coarse maps and percentages.

    Args:
        maps: The coarse maps, at least one.
        percentages: Percentages by the names in ``SHARE_OF``.
        valid: (y, x) pixels that count.
        resolution_m: Pixel side in metres.

    Returns:
        (class, y, x) float32, sums to 1; 0 where nothing is known.
    """
    found = pooled([_blurred_classes(map_, valid, resolution_m) for map_ in maps])
    return _raked(found, percentages, valid, resolution_m) if percentages else found


def _blurred_classes(
    map_: CoarseClasses, valid: NDArray[np.bool_], resolution_m: float
) -> NDArray[np.float32]:
    """Expected classes of one map, blurred: (class, y, x), sums to 1, 0 where it has no data.

    Blurring one-hot codes and then applying p(class | code) is linear: here the expected classes
    are blurred, 5 layers instead of one for each code.
    """
    known = valid & (map_.numbers != NO_DATA)
    rows = np.concatenate([np.zeros_like(map_.matrix[:1]), map_.matrix])  # of no data the first
    expected = rows.T.astype(np.float32)[:, map_.numbers] * known
    blurred = _blurred(expected, map_.blur, resolution_m)
    # The sum over classes is the blurred validity: dividing by it counts out what is unknown.
    return normalise(blurred, out=blurred)


def pooled(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Several maps combined: the geometric mean of those that have data.

    Args:
        maps: (class, y, x) each, sums to 1 or, without data, to 0.

    Returns:
        (class, y, x) likewise; a single map as it is.
    """
    if len(maps) == 1:
        return maps[0]
    known = np.stack([p.any(axis=0) for p in maps])
    weights = known / np.maximum(known.sum(axis=0), 1)
    logs = sum(w * np.log(np.maximum(p, _FLOOR)) for w, p in zip(weights, maps, strict=True))
    return normalise(np.exp(logs).astype(np.float32) * known.any(axis=0))


def _raked(
    p: NDArray[np.float32],
    percentages: Mapping[str, Percentage],
    valid: NDArray[np.bool_],
    resolution_m: float,
) -> NDArray[np.float32]:
    """Classes (class, y, x) scaled once towards the shares of those that are measured.

    Shares that sum to more than 1, as of crowns above streets, are scaled to 1. Where the maps say
    nothing, classes that are not measured are as likely as each other.
    """
    silent = ~p.any(axis=0)
    expected = np.where(silent, np.float32(1 / CLASS_COUNT), p)
    wanted, given = np.zeros_like(p), np.zeros_like(p)
    measured = np.zeros(p.shape, np.bool_)
    for name, percentage in percentages.items():
        position = SHARE_OF[name]
        known = valid & np.isfinite(percentage.share)
        layers = [np.where(known, percentage.share, 0), expected[position] * known, known]
        share, mean, weight = _blurred(
            np.stack(layers, dtype=np.float32), percentage.blur, resolution_m
        )
        measured[position] = weight > 0
        for total, into in ((share, wanted), (mean, given)):
            np.divide(total, weight, out=into[position], where=measured[position])
    wanted = np.where(measured, (1 - DOUBT) * wanted + DOUBT / CLASS_COUNT, 0)
    wanted /= np.maximum(wanted.sum(axis=0), 1)
    rest = (1 - wanted.sum(axis=0)) / np.maximum(1 - given.sum(axis=0), _FLOOR)
    scale = np.where(measured, wanted / np.maximum(given, _FLOOR), rest)
    raked = normalise((expected * scale).astype(np.float32))
    return np.where(measured.any(axis=0), raked, p)


def _blurred(layers: NDArray[np.float32], blur: Blur, resolution_m: float) -> NDArray[np.float32]:
    """(layer, y, x) blurred; what lies outside counts as 0."""
    blurred: NDArray[np.float32] = gaussian_filter(
        layers,
        blur.sigma_m / resolution_m,
        radius=round(blur.kernel_m / 2 / resolution_m),
        mode="constant",
        axes=(1, 2),
    )
    return blurred
