"""What pixels of the same look are elsewhere in a scene: a class by its look, without its place.

Looks are clusters of colour and contrast of the whole scene, many more than an engine has. What a
look means is counted in a map of the scene, but not around the pixel that is asked about: a pond
that is mapped as pavement must not vouch for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.box_filter import box_sum
from landcover_pnp.evidence.local_mixture import kmeans_centres
from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT

LOOKS = 48
"""Clusters of looks; fewer in a scene with less than ``_PIXELS_A_LOOK`` pixels for each."""

_PIXELS_A_LOOK = 40
_RARE_PX = 20
_FLAT = 0.01
_BLOCKS_ACROSS = 12
_BLOCK_PX = (4, 64)
_SEED = 0

Floats = NDArray[np.float32]


def look_features(image: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Colour and contrast of every pixel.

    Args:
        image: (band, y, x) float32 in 0..1.
        valid: (y, x) pixels with data.

    Returns:
        (band + 1, y, x) float32: the mean of each band over 3 x 3 valid pixels, and the logarithm
        of their standard deviation in brightness, which is low on water and high in crowns.
    """
    seen = valid.astype(np.float32)
    count = np.maximum(box_sum(seen, 1), 1)
    colours = box_sum(np.where(valid, image, np.float32(0)), 1) / count
    bright = np.where(valid, image.mean(axis=0), np.float32(0))
    mean = box_sum(bright, 1) / count
    variance = np.maximum(box_sum(bright * bright, 1) / count - mean * mean, 0)
    contrast = np.log(np.sqrt(variance) + np.float32(_FLAT))
    return np.concatenate([colours, contrast[None]]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Looks:
    """Looks of a scene.

    Attributes:
        centres: (look, feature) float32, of standardised features.
        middle: (feature,) float32 mean of the features.
        spread: (feature,) float32 standard deviation of the features.
    """

    centres: Floats
    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, sample: Floats) -> Self:
        """Finds the looks of a sample of a scene.

        Args:
            sample: (feature, n) of ``look_features``, at least one pixel.
        """
        middle = sample.mean(axis=1, dtype=np.float64)
        spread = np.maximum(sample.std(axis=1, dtype=np.float64), 1e-3)
        standard = ((sample.T - middle) / spread).astype(np.float64)
        count = int(np.clip(len(standard) // _PIXELS_A_LOOK, 1, LOOKS))
        centres = kmeans_centres(standard, count, _SEED)
        return cls(*(np.asarray(a, np.float32) for a in (centres, middle, spread)))

    def number(self, features: Floats) -> NDArray[np.intp]:
        """Numbers of the nearest looks: (feature, y, x) -> (y, x)."""
        shape = features.shape[1:]
        x = (features.reshape(len(features), -1).T - self.middle) / self.spread
        # |x - c|^2 without |x|^2, which is the same for all looks
        distance = (self.centres**2).sum(axis=1) - 2 * x @ self.centres.T
        return np.asarray(distance.argmin(axis=1).reshape(shape), np.intp)


@dataclass(frozen=True, eq=False)
class ClassesByLook:
    """Classes of a map by look, counted in blocks of a scene.

    Attributes:
        counts: (row, column, look, class) float32 sums of probabilities.
        block_px: Side of a block, pixels.
    """

    counts: Floats
    block_px: int

    @classmethod
    def of(
        cls,
        extent: Box,
        looks: int,
        windows: Iterable[tuple[Box, NDArray[np.intp], Floats]],
    ) -> Self:
        """Counts.

        Args:
            extent: All pixels of the scene.
            looks: Number of looks.
            windows: Boxes that partition it, each with its looks (y, x) and the probabilities
                (class, y, x) of a map, 0 without data.
        """
        side = int(np.clip(min(extent.shape) // _BLOCKS_ACROSS, *_BLOCK_PX))
        rows, columns = (-(-size // side) for size in extent.shape)
        counts = np.zeros((rows * columns * looks, CLASS_COUNT))
        for box, number, p in windows:
            y = np.arange(box.y0 - extent.y0, box.y1 - extent.y0) // side
            x = np.arange(box.x0 - extent.x0, box.x1 - extent.x0) // side
            at = ((y[:, None] * columns + x) * looks + number).ravel()
            for i in range(CLASS_COUNT):
                counts[:, i] += np.bincount(at, p[i].ravel(), len(counts))
        shaped = counts.reshape(rows, columns, looks, CLASS_COUNT)
        return cls(np.asarray(shaped, np.float32), side)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Class shares of the whole map, (class,); as many of each where it is empty."""
        total = self.counts.sum(axis=(0, 1, 2), dtype=np.float64) + 1e-6
        return np.asarray(total / total.sum(), np.float64)

    def elsewhere(self, box: Box, number: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Classes of pixels of the same look, outside of the block and those around it.

        Args:
            box: Pixels.
            number: (y, x) their looks.

        Returns:
            (class, y, x) float32 shares, sum to 1, drawn towards those of the whole map where
            few pixels have the look; and (y, x) float32 how new the look is, 1 where no pixel
            elsewhere has it, near 0 where hundreds have.
        """
        whole = self.counts.sum(axis=(0, 1), dtype=np.float64)
        shares = np.empty((CLASS_COUNT, *number.shape), np.float32)
        new = np.empty(number.shape, np.float32)
        side = self.block_px
        for r in range(box.y0 // side, -(-box.y1 // side)):
            for c in range(box.x0 // side, -(-box.x1 // side)):
                part = Box(r * side, (r + 1) * side, c * side, (c + 1) * side).clip(box)
                around = self.counts[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
                there = np.maximum(whole - around.sum(axis=(0, 1), dtype=np.float64), 0)
                total = there.sum(axis=1)
                known = (there + _RARE_PX * self.shares) / (total + _RARE_PX)[:, None]
                y, x = part.within(box)
                shares[:, y, x] = known.T[:, number[y, x]]
                new[y, x] = (_RARE_PX / (total + _RARE_PX))[number[y, x]]
        return shares, new
