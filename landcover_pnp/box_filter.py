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
    means = mean_across(x, radius, np.empty_like(x))
    return sum_down(means, radius, np.empty_like(x))


def mean_across(x: NDArray[Float], radius: int, out: NDArray[Float]) -> NDArray[Float]:
    """The first half of a box sum: running means along x.

    SciPy's C does it without Python's lock, so that another thread can work beside it.

    Args:
        x: (..., y, x) float32 or float64, finite.
        radius: Radius of the window in pixels, at least 0.
        out: (..., y, x) that takes the means; may be ``x`` itself.

    Returns:
        ``out``.
    """
    uniform_filter1d(x, _width(x.shape[-1], radius), axis=-1, output=out, mode="constant")
    return out


def sum_down(means: NDArray[Float], radius: int, out: NDArray[Float]) -> NDArray[Float]:
    """The second half of a box sum: running sums along y.

    One vector addition a row, over all columns and leading axes at once, is kinder to the cache
    than C's strides; threads cannot share it.

    Args:
        means: (..., y, x) of ``mean_across``.
        radius: The same radius.
        out: (..., y, x) that takes the sums; not ``means``.

    Returns:
        ``out``.
    """
    rows = means.shape[-2]
    down, width = min(radius, rows - 1), _width(means.shape[-1], radius)
    window = means[..., :down, :].sum(axis=-2, dtype=np.float64)
    for row in range(rows):
        if row + down < rows:
            window += means[..., row + down, :]
        if row > down:
            window -= means[..., row - down - 1, :]
        np.multiply(window, width, out=out[..., row, :], casting="same_kind")
    return out


def _width(size: int, radius: int) -> int:
    """Width of the window, no wider than a line of pixels needs."""
    return 2 * min(radius, size - 1) + 1


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
