"""Arithmetic of arrays that many folders share: shares of a sum, means of blocks."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating[Any])


def normalise(
    p: NDArray[Float],
    axis: int | None = 0,
    *,
    floor: float | None = None,
    out: NDArray[Float] | None = None,
) -> NDArray[Float]:
    """Divides by the sum, so that what is left are shares.

    Args:
        p: Floats from 0 up, such as (class, y, x) probabilities up to a factor.
        axis: The axis they are summed over; None sums all.
        floor: Smallest sum that is divided by; what sums to less comes out smaller. None is the
            smallest normal number: only what is 0 everywhere stays 0.
        out: Where the result goes, such as ``p`` itself; None makes a new array.

    Returns:
        Floats like ``p`` that sum to 1, or to 0 where ``p`` does.
    """
    total = p.sum(axis=axis, keepdims=True)
    smallest = np.finfo(p.dtype).tiny if floor is None else p.dtype.type(floor)
    shares: NDArray[Float] = np.divide(p, np.maximum(total, smallest), out=out)
    return shares


def block_mean(fine: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Means of square blocks.

    Args:
        fine: (..., y * factor, x * factor) numbers.
        factor: Side of a block.

    Returns:
        (..., y, x) float32.
    """
    *before, height, width = fine.shape
    blocks = fine.reshape(*before, height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float32))
