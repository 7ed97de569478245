"""Colour and texture: what a forest sees of a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ROWS = 32
"""Rows that are summed along x at a time: they stay in the processor's nearest cache."""


def feature_count(bands: int, radii: int) -> int:
    """Features of ``texture``: colours and contrasts, and in each box both and the deviation."""
    colours = 2 * bands - 1
    return colours + radii * (colours + 1)


def texture(image: Floats, radii_px: Sequence[int]) -> Floats:
    """Colours, their contrasts, and both in boxes.

    Args:
        image: (band, y, x) float32 in 0..1.
        radii_px: Radii of the boxes; nothing outside the borders counts.

    Returns:
        (feature, y, x) float32: bands and normalised differences of neighbouring bands, then for
        each radius their box means and the box standard deviation of brightness.
    """
    bands, *shape = image.shape
    colours = 2 * bands - 1
    found = np.empty((feature_count(bands, len(radii_px)), *shape), np.float32)
    found[:bands], ratios = image, found[bands:colours]
    total = image[1:] + image[:-1]
    ratios[:] = 0
    np.divide(np.diff(image, axis=0), total, out=ratios, where=total > 0)
    boxes = BoxMeans((shape[0], shape[1]), radii_px)
    blocks = found[colours:].reshape(len(radii_px), colours + 1, *shape)
    for colour in range(colours):
        boxes.of(found[colour], blocks[:, colour])
    boxes.of(np.square(image.mean(axis=0)), blocks[:, colours])
    for block in blocks:  # the mean of the bands' means is that of their mean
        deviation = block[colours]
        deviation -= np.square(block[:bands].mean(axis=0))
        np.sqrt(np.maximum(deviation, 0, out=deviation), out=deviation)
    return found


class BoxMeans:
    """Means over windows of (2 radius + 1)^2 pixels, of many planes and several radii at once.

    Sums of 2, 4, 8, ... neighbours are made once, and a window of any width is the sum of a few of
    those: a vector addition each. Every pixel's window is added up in the same order, wherever the
    plane around it begins, so that its mean has the same bits in any plane that holds its window.

    Args:
        shape: (y, x) of the planes.
        radii_px: Radii of the windows; nothing outside the borders counts.
    """

    def __init__(self, shape: tuple[int, int], radii_px: Sequence[int]) -> None:
        height, width = shape
        self._radii, self._reach = list(radii_px), max(radii_px)
        levels = (2 * self._reach + 1).bit_length()
        self._across = np.zeros((levels, _ROWS, width + 2 * self._reach), np.float32)
        self._down = np.empty((levels, height + 2 * self._reach, width), np.float32)
        self._lines = [np.zeros((height + 2 * r, width), np.float32) for r in radii_px]
        self._shares = [
            np.outer(_inverse_counts(height, r), _inverse_counts(width, r)).astype(np.float32)
            for r in radii_px
        ]

    def of(self, plane: Floats, out: Floats) -> None:
        """The means of one plane.

        Args:
            plane: (y, x) float32.
            out: (radius, y, x) float32 that takes them.
        """
        height, width = plane.shape
        for top in range(0, height, _ROWS):
            rows = min(_ROWS, height - top)
            part = self._across[:, :rows]
            part[0, :, self._reach : self._reach + width] = plane[top : top + rows]
            levels = _doubled(part.swapaxes(1, 2))
            for radius, lines in zip(self._radii, self._lines, strict=True):
                target = lines[radius + top : radius + top + rows].T
                _added(levels, self._reach - radius, 2 * radius + 1, target)
        for radius, lines, share, mean in zip(
            self._radii, self._lines, self._shares, out, strict=True
        ):
            part = self._down[: (2 * radius + 1).bit_length(), : len(lines)]
            part[0] = lines
            _added(_doubled(part), 0, 2 * radius + 1, mean)
            mean *= share


def _inverse_counts(size: int, radius: int) -> NDArray[np.float64]:
    """1 / the pixels of a line within a radius of each: (size,) float64."""
    at = np.arange(size)
    return 1 / (np.minimum(at + radius, size - 1) - np.maximum(at - radius, 0) + 1)


def _doubled(levels: Floats) -> Floats:
    """Fills (level, line, other): from 1 up, sums of 2^level lines of level 0 from each on."""
    left = levels.shape[1]
    for level in range(1, len(levels)):
        half = 1 << (level - 1)
        left -= half
        below = levels[level - 1]
        np.add(below[:left], below[half : half + left], out=levels[level, :left])
    return levels


def _added(levels: Floats, first: int, count: int, out: Floats) -> None:
    """Sums of ``count`` lines, the first of them ``first`` behind each line of ``out``."""
    size, wholes = len(out), [k for k in reversed(range(len(levels))) if count >> k & 1]
    for number, level in enumerate(wholes):
        part = levels[level, first : first + size]
        if number == 0:
            out[:] = part
        else:
            out += part
        first += 1 << level
