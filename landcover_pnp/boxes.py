"""Box sums and box means over square windows, by running sums."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Float = TypeVar("Float", np.float32, np.float64)


def box_sum(x: NDArray[Float], radius: int) -> NDArray[Float]:
    """Sums over windows of (2 radius + 1)^2 pixels; nothing lies outside the borders.

    The cost does not depend on the radius. Running sums are kept in double precision, so a
    float32 result carries float32's rounding of the largest value in its row or column.

    Args:
        x: (..., y, x) float32 or float64, finite.
        radius: Radius of the window in pixels, at least 0.

    Returns:
        (..., y, x) of the dtype of ``x``.
    """
    rows, columns = x.shape[-2:]
    across, down = min(radius, columns - 1), min(radius, rows - 1)
    width = 2 * across + 1
    # Along x the running mean is serial, which needs C; along y it is one vector addition per
    # row, over all columns and leading axes at once, and kinder to the cache than C's strides.
    along_x = np.empty_like(x)
    uniform_filter1d(x, width, axis=-1, output=along_x, mode="constant")
    sums = np.empty_like(x)
    window = along_x[..., :down, :].sum(axis=-2, dtype=np.float64)
    for row in range(rows):
        if row + down < rows:
            window += along_x[..., row + down, :]
        if row > down:
            window -= along_x[..., row - down - 1, :]
        np.multiply(window, width, out=sums[..., row, :], casting="same_kind")
    return sums


def box_mean(
    x: NDArray[Float], radius: int, valid: NDArray[np.bool_] | None = None
) -> NDArray[Float]:
    """Means over the valid pixels in windows of (2 radius + 1)^2 pixels.

    Args:
        x: (..., y, x) float32 or float64, finite at valid pixels.
        radius: Radius of the window in pixels, at least 0.
        valid: (y, x) pixels that count; None means all. Nothing outside the borders counts.

    Returns:
        (..., y, x) of the dtype of ``x``; 0 where the window holds no valid pixel. A pixel
        that is not valid itself still gets the mean of the valid ones around it.
    """
    if valid is None:
        valid = np.ones(x.shape[-2:], np.bool_)
    else:
        x = np.where(valid, x, x.dtype.type(0))
    count = np.rint(box_sum(valid.astype(np.float64), radius))
    share = np.divide(1.0, count, out=np.zeros_like(count), where=count > 0)
    mean = box_sum(x, radius)
    mean *= share.astype(x.dtype)
    return mean
