"""The rims of holes in maps that are finer than a prior: they go on from the map's own pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.legend import CLASS_COUNT

REACH = 4
"""How far the map's own pixels reach into a hole, in pixels of the prior: chosen of 1, 2 and 4 in
Pittsburgh and in Durham alike (benchmarks/holes.py)."""

_MOST_STEPS = 200
_EXACT = 1e-3

Floats = NDArray[np.float32]


def continued(
    p: Floats, codes: NDArray[np.uint8], hidden: NDArray[np.bool_], reach_px: float
) -> Floats:
    """Probabilities of a prior, drawn towards the known pixels around.

    Each hidden pixel is the mean of its four neighbours and, with the weight tau = 1 / reach^2,
    of what the prior says of it: Laplace's equation with a screen, whose solution forgets the rim
    over the reach. By conjugate gradients (Hestenes & Stiefel 1952).

    Args:
        p: (class, y, x) float32 of the prior, at the map's pixels.
        codes: (y, x) uint8 working classes, 0 = none.
        hidden: (y, x) bool pixels whose classes are not known.
        reach_px: The reach, pixels of the map.

    Returns:
        (class, y, x) float32: sums to 1 at hidden pixels where ``p`` does; 1 for the class of
        known ones, 0 elsewhere.
    """
    seen = np.where(hidden, 0, codes)
    each = np.arange(1, CLASS_COUNT + 1, dtype=np.uint8)[:, None, None]
    known = np.equal(seen, each).astype(np.float32)
    free = hidden.astype(np.float32)
    degree = _around((seen > 0).astype(np.float32) + free)
    screen = np.maximum(degree, 1) / np.float32(reach_px**2)
    diagonal = np.where(hidden, degree + screen, 1).astype(np.float32)

    def applied(x: Floats) -> Floats:
        return np.asarray(free * (diagonal * x - _around(x)), np.float32)

    x = np.asarray(p * free, np.float32)
    wanted = np.asarray(free * (_around(known) + screen * p), np.float32)
    residual = np.asarray(wanted - applied(x), np.float32)
    step = np.asarray(residual / diagonal, np.float32)
    size = _dot(residual, step)
    target = _EXACT**2 * _dot(wanted, wanted / diagonal)
    for _ in range(_MOST_STEPS):
        if size <= target:
            break
        moved = applied(step)
        length = np.float32(size / _dot(step, moved))
        x += length * step
        residual -= length * moved
        scaled = residual / diagonal
        before, size = size, _dot(residual, scaled)
        step = np.asarray(scaled + np.float32(size / before) * step, np.float32)
    return known + np.maximum(x, 0)


def _around(x: Floats) -> Floats:
    """Sum of the four neighbours; beyond the edge there are none."""
    total = np.zeros_like(x)
    total[..., 1:, :] += x[..., :-1, :]
    total[..., :-1, :] += x[..., 1:, :]
    total[..., 1:] += x[..., :-1]
    total[..., :-1] += x[..., 1:]
    return total


def _dot(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.vdot(a, b))
