"""How differently two sets of crops are shaped, where they are equally built over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from landcover_pnp.evaluation.shapes import Shapes

WITHIN = 0.05
"""Largest difference of the impervious shares of two crops that are equally built over."""

RANGES = ((0.0, 0.12), (0.12, 0.3), (0.3, 0.5), (0.5, 0.85), (0.85, 1.0))
"""Ranges of the impervious share that crossing shares are told by."""

_NEAREST = 4


def of_equal_share(samples: Shapes, real: Shapes) -> tuple[Shapes, Shapes]:
    """Puts real crops of the same impervious share beside samples.

    Streets cross nearly all dense crops and a third of the leafy ones: samples are judged beside
    the real crops that are as densely built.

    Args:
        samples: Crops of samples.
        real: Real crops.

    Returns:
        The samples that have a real crop within ``WITHIN``, and for each of them its nearest real
        ones, four at most, repeated to four.
    """
    kept, partners = list[int](), list[int]()
    for i, share in enumerate(samples.impervious):
        apart = np.abs(real.impervious - share)
        order = np.argsort(apart, kind="stable")[:_NEAREST]
        near = order[apart[order] <= WITHIN]
        if len(near):
            kept.append(i)
            partners.extend(np.resize(near, _NEAREST).tolist())
    return samples.take(np.array(kept, np.int64)), real.take(np.array(partners, np.int64))


def shape_distances(one: Shapes, other: Shapes) -> dict[str, float]:
    """Distances from 0 (alike) to 1 (nothing in common).

    Args:
        one: Crops.
        other: Others, equally built over.

    Returns:
        By name, and their mean as ``all``: the difference of the crossing shares, and the
        Kolmogorov-Smirnov distance of the numbers of parts and roofs a square kilometre and of
        the roofs' areas; empty without any crops. Where one has roofs and the other none, their
        areas have nothing in common.
    """
    if not (len(one.crosses) and len(other.crosses)):
        return {}
    found = {
        "crossing share": abs(one.crossing_share - other.crossing_share),
        "parts": _kolmogorov(_per_km2(one, one.parts.sum(1)), _per_km2(other, other.parts.sum(1))),
        "roofs": _kolmogorov(_per_km2(one, one.roofs), _per_km2(other, other.roofs)),
        "roof areas": _kolmogorov(one.roof_m2, other.roof_m2),
    }
    return {**found, "all": float(np.mean(list(found.values())))}


def crossing_by_share(shapes: Shapes) -> list[tuple[int, float]]:
    """Number of crops and the share that streets cross, by ``RANGES``; NaN of none."""
    rows = []
    for low, high in RANGES:
        inside = (shapes.impervious >= low) & (shapes.impervious < high)
        if high == 1:
            inside |= shapes.impervious == 1
        crosses = shapes.crosses[inside]
        rows.append((len(crosses), float(crosses.mean()) if len(crosses) else float("nan")))
    return rows


def _per_km2(shapes: Shapes, counts: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.asarray(counts / shapes.area_km2)


def _kolmogorov(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if not (len(a) and len(b)):
        return float(len(a) != len(b))
    return float(ks_2samp(a, b, method="asymp").statistic)
