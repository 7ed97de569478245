"""Holes filled without a prior, from what lies around them: what a prior has to beat.

Each method's share of ``_mixed`` and its other numbers were chosen by the negative log-likelihood
in holes of Pittsburgh's labels and of synthetic cities (benchmarks/filling.py --choose).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_sum
from landcover_pnp.evaluation.holes import Fill
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, WORKING

Labels = NDArray[np.uint8]
Hidden = NDArray[np.bool_]
Probabilities = NDArray[np.float64]

_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def nearest(codes: Labels, hidden: Hidden, mixed: float = 0.4) -> Probabilities:  # noqa: ARG001
    """The class of the nearest visible pixel.

    Args:
        codes: (y, x) uint8, 0 where hidden or without data.
        hidden: (y, x) bool.
        mixed: Share of the visible pixels' class shares in the probabilities.

    Returns:
        (class 5, y, x), sums to 1.
    """
    _, (y, x) = ndimage.distance_transform_edt(codes == NO_DATA, return_indices=True)
    return _mixed(_one_hot(codes[y, x]), codes, mixed)


def harmonic(codes: Labels, hidden: Hidden, mixed: float = 0.02) -> Probabilities:
    """The mean of the four neighbours at every hidden pixel: Laplace's equation, solved.

    It is what a mean repeated without end comes to. The rim of the map, and pixels without data,
    let nothing through.

    Args:
        codes: As of ``nearest``.
        hidden: As of ``nearest``.
        mixed: As of ``nearest``.

    Returns:
        As of ``nearest``.
    """
    number = np.full(codes.shape, -1)
    ys, xs = np.nonzero(hidden)
    number[ys, xs] = np.arange(len(ys))
    padded = np.pad(number, 1, constant_values=-1)
    around = np.pad(codes, 1)
    degree, given = np.zeros(len(ys)), np.zeros((len(ys), CLASS_COUNT))
    rows, columns = [], []
    for dy, dx in _SIDES:
        other = padded[ys + 1 + dy, xs + 1 + dx]
        code = around[ys + 1 + dy, xs + 1 + dx]
        rows.append(np.nonzero(other >= 0)[0])
        columns.append(other[other >= 0])
        known = np.nonzero((other < 0) & (code != NO_DATA))[0]
        np.add.at(given, (known, code[known] - 1), 1)
        degree += (other >= 0) | ((other < 0) & (code != NO_DATA))
    i, j = np.concatenate(rows), np.concatenate(columns)
    # Holes that touch nothing visible get the class shares: a small pull keeps them solvable.
    given += 1e-6 * _shares(codes)
    system = coo_matrix((np.full(len(i), -1.0), (i, j)), (len(ys), len(ys))).tocsc()
    system.setdiag(degree + 1e-6)
    p = _one_hot(codes)
    p[:, ys, xs] = np.maximum(spsolve(system.tocsc(), given).reshape(given.shape), 0).T
    return _mixed(normalise(p), codes, mixed)


def majority(
    codes: Labels,
    hidden: Hidden,  # noqa: ARG001
    radius_px: int = 1,
    mixed: float = 0.2,
) -> Probabilities:
    """The class shares of the visible pixels in a box; wider where a box shows none.

    Args:
        codes: As of ``nearest``.
        hidden: As of ``nearest``.
        radius_px: Radius of the smallest box; it doubles.
        mixed: As of ``nearest``.

    Returns:
        As of ``nearest``, of which the largest is the majority.
    """
    known = _one_hot(codes).astype(np.float32)
    p, radius = np.zeros(known.shape), radius_px
    while True:
        counts = box_sum(known, radius)
        empty = (p.sum(0) == 0) & (counts.sum(0) > 0.5)
        p[:, empty] = counts[:, empty]
        if (p.sum(0) > 0).all() or radius > max(codes.shape):
            return _mixed(normalise(np.maximum(p, 1e-12)), codes, mixed)
        radius *= 2


def potts(
    codes: Labels,
    hidden: Hidden,
    weight: float = 0.5,
    sigma_px: float = 1.0,
    mixed: float = 0.02,
    iterations: int = 20,
) -> Probabilities:
    """A conditional random field: Potts potentials that fall with distance, by mean field.

    Each round sets q(class) proportional to u(class) exp(weight sum_j k(i - j) q_j(class)), k a
    Gaussian that sums to 1 (Kraehenbuehl & Koltun 2011, arXiv 1210.5644, algorithm 1); half of
    the old q stays. The unary u is the harmonic fill, visible pixels are held.

    Args:
        codes: As of ``nearest``.
        hidden: As of ``nearest``.
        weight: Weight of the neighbours.
        sigma_px: Width of the Gaussian, pixels.
        mixed: As of ``nearest``.
        iterations: Rounds.

    Returns:
        As of ``nearest``.
    """
    q = harmonic(codes, hidden, mixed)
    unary = np.log(np.maximum(q[:, hidden], 1e-12))
    q[:, ~hidden] = _one_hot(codes)[:, ~hidden]
    for _ in range(iterations):
        around = ndimage.gaussian_filter(q, (0, sigma_px, sigma_px), mode="nearest")
        logits = unary + weight * around[:, hidden]
        new = np.exp(logits - logits.max(0))
        q[:, hidden] = (q[:, hidden] + new / new.sum(0)) / 2
    return _mixed(q, codes, mixed)


BASELINES: dict[str, Fill] = {
    "nearest class": nearest,
    "majority filter": majority,
    "harmonic fill": harmonic,
    "conditional random field": potts,
}
"""The methods, by what tables call them."""


def _one_hot(codes: Labels) -> Probabilities:
    """(class 5, y, x), 0 where there is no data."""
    return np.stack([codes == code for code in WORKING.codes]).astype(np.float64)


def _shares(codes: Labels) -> Probabilities:
    """(class 5,) shares of the visible pixels, of each class one more."""
    counts = np.bincount(codes[codes != NO_DATA], minlength=CLASS_COUNT + 1)[1:] + 1.0
    return np.asarray(counts / counts.sum())


def _mixed(p: Probabilities, codes: Labels, share: float) -> Probabilities:
    """Probabilities with a share of the visible pixels' class shares: nothing is impossible."""
    return (1 - share) * p + share * _shares(codes)[:, None, None]
