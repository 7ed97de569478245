"""Which pixels of a training crop are hidden: single ones, squares, stripes, half planes, streets.

Numpy alone, so that it trains on a bare machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""(y, x) True = hidden."""

LARGEST_M = 128.0
"""Side of the largest hidden squares, metres."""

_STRIPE_M = (4.0, 48.0)
"""Width of hidden stripes, metres."""

_STREET_M = (6.0, 20.0)
"""Width of hidden streets, metres."""


class Crop(NamedTuple):
    """A crop of which something is to be hidden.

    Attributes:
        codes: (y, x) uint8, 0 = unlabelled.
        resolution_m: Pixel side, metres.
    """

    codes: NDArray[np.uint8]
    resolution_m: float

    @property
    def shape(self) -> tuple[int, ...]:
        """(y, x)."""
        return self.codes.shape


def hide(codes: NDArray[np.uint8], resolution_m: float, rng: np.random.Generator) -> Mask:
    """Draws what is hidden of a crop.

    Of a shape, at times only a share of the pixels is hidden: what a fill sees that has come half
    way.

    Args:
        codes: (y, x) uint8, 0 = unlabelled.
        resolution_m: Pixel side, metres.
        rng: Source of randomness.

    Returns:
        (y, x) bool; at least one labelled pixel is hidden where there is one.
    """
    pattern = _PATTERNS[rng.choice(len(_PATTERNS), p=_SHARES)]
    hidden = pattern(Crop(codes, resolution_m), rng)
    if pattern is not pixels and rng.random() < 0.4:
        hidden &= rng.random(codes.shape) < rng.uniform(0.1, 1.0)
    if not (hidden & (codes > 0)).any():
        hidden |= rng.random(codes.shape) < 0.5
        hidden |= not (hidden & (codes > 0)).any()
    return hidden


def pixels(crop: Crop, rng: np.random.Generator) -> Mask:
    """Single pixels at a rate between none and all: the forward process of masked diffusion."""
    return rng.random(crop.shape) < rng.uniform(0.02, 1.0)


def squares(crop: Crop, rng: np.random.Generator) -> Mask:
    """Squares of one size, two pixels to ``LARGEST_M``, on up to half of the crop."""
    hidden = np.zeros(crop.shape, bool)
    most = min(LARGEST_M / crop.resolution_m, 0.75 * min(crop.shape))
    side = min(round(2.0 * (most / 2.0) ** rng.uniform(0.0, 1.0)), *crop.shape)
    room = max(1, int(0.5 * crop.codes.size / side**2))
    for _ in range(int(rng.integers(max(1, room // 4), room + 1))):
        y, x = (int(rng.integers(0, n - side + 1)) for n in crop.shape)
        hidden[y : y + side, x : x + side] = True
    return hidden


def stripes(crop: Crop, rng: np.random.Generator) -> Mask:
    """Parallel stripes at any angle."""
    across, _ = _turned(crop.shape, rng)
    width = rng.uniform(*_STRIPE_M) / crop.resolution_m
    return np.mod(across + rng.uniform(0, 100), width * rng.uniform(1.5, 6.0)) < width


def half_plane(crop: Crop, rng: np.random.Generator) -> Mask:
    """One side of a straight line, a fifth to four fifths of the crop."""
    across, _ = _turned(crop.shape, rng)
    return across < np.quantile(across, rng.uniform(0.2, 0.8))


def streets(crop: Crop, rng: np.random.Generator) -> Mask:
    """Bent bands of the width of streets, as crowns or shadows hide them."""
    hidden = np.zeros(crop.shape, bool)
    for _ in range(int(rng.integers(1, 5))):
        across, along = _turned(crop.shape, rng)
        bend = rng.uniform(0.0, 6.0) * np.sin(along / rng.uniform(6.0, 20.0) + rng.uniform(0, 6.3))
        middle = rng.uniform(-0.4, 0.4) * min(crop.shape)
        hidden |= np.abs(across - middle - bend) < rng.uniform(*_STREET_M) / crop.resolution_m / 2
    return hidden


def borders(crop: Crop, rng: np.random.Generator) -> Mask:
    """Pixels beside another class, where maps are in doubt, and some of the others."""
    codes, unlike = crop.codes, np.zeros(crop.shape, bool)
    down, right = codes[1:] != codes[:-1], codes[:, 1:] != codes[:, :-1]
    unlike[1:] |= down
    unlike[:-1] |= down
    unlike[:, 1:] |= right
    unlike[:, :-1] |= right
    draw = rng.random(crop.shape)
    return np.where(unlike, draw < rng.uniform(0.3, 1.0), draw < rng.uniform(0.0, 0.3))


Pattern = Callable[[Crop, np.random.Generator], Mask]
"""A way to hide a part of a crop."""

_PATTERNS: tuple[Pattern, ...] = (pixels, squares, stripes, half_plane, streets, borders)

_SHARES = (0.25, 0.45, 0.08, 0.07, 0.07, 0.08)
"""How often each is drawn."""


def _turned(
    shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(y, x) coordinates across and along a random direction, in pixels from the centre."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    cos, sin = np.cos(turn), np.sin(turn)
    return cos * y[:, None] + sin * x, cos * x - sin * y[:, None]
