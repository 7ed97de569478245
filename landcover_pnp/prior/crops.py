"""One-hot crops of label maps: where they are cut, how they are turned, what counts in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.utils.data import Dataset

from landcover_pnp.errors import SettingsError
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.prior.label_maps import LabelMap, majority, one_hot
from landcover_pnp.prior.settings import CropSettings

_FINEST = 4
"""Samples along a pixel's side, at most, among which its most frequent class is found."""

_LEAST_LABELLED = 0.5
"""Crops of which a smaller share is labelled are drawn again."""


class Crop(NamedTuple):
    """A crop, or a batch of them along a first axis.

    Attributes:
        x0: (channel, y, x) float32 of 0 and 1.
        labelled: (y, x) float32, 1 where the loss counts and 0 elsewhere.
        origin: Number of the map it was cut from, () int64.
    """

    x0: Tensor
    labelled: Tensor
    origin: Tensor


@dataclass(frozen=True, eq=False)
class LabelSource:
    """Label maps of one kind.

    Attributes:
        maps: The maps.
        weight: How often crops are drawn from it, relative to the other sources.
    """

    maps: Sequence[LabelMap]
    weight: float = 1.0


class LabelCrops(Dataset[Crop]):
    """Crops of label maps at random places, turned and mirrored at random.

    A crop depends on (seed, index) only, whatever process asks for it: a source by its weight,
    in it a class by its share (tempered by ``class_balance``), a pixel of that class, and that
    pixel anywhere in the crop. Near the edge of a map the crop is moved inside; where the map
    is too small for the turn or the scale, they give way.

    Args:
        sources: Sources of label maps.
        crop_px: Side of the crops, pixels.
        resolution_m: Pixel side of the crops, metres.
        count: Number of crops.
        seed: Seed.
        settings: Balance, turning, scale, resampling, and what unlabelled ground is.

    Attributes:
        maps: All maps; ``Crop.origin`` counts them.

    Raises:
        SettingsError: If a crop does not fit into one of the maps, or there is nothing to cut.
    """

    def __init__(
        self,
        sources: Sequence[LabelSource],
        crop_px: int,
        resolution_m: float,
        count: int,
        seed: int | tuple[int, ...],
        settings: CropSettings | None = None,
    ) -> None:
        self.maps = [m for source in sources for m in source.maps]
        require_room(self.maps, crop_px, resolution_m)
        self.crop_px = crop_px
        self.resolution_m = resolution_m
        self.count = count
        self.seed = seed
        self.settings = settings or CropSettings()
        self._strides = [max(1, int(resolution_m / m.resolution_m)) for m in self.maps]
        self._places = [
            {code: _pixels(m, k, code) for code in WORKING.codes}
            for m, k in zip(self.maps, self._strides, strict=True)
        ]
        first = np.cumsum([0, *(len(s.maps) for s in sources)])
        self._members = [range(a, b) for a, b in pairwise(first)]
        # (class, map) pixel counts of each source
        self._counts = [
            np.array([[len(self._places[i][c]) for i in members] for c in WORKING.codes], float)
            for members in self._members
        ]
        # What is labelled too sparsely to be met is not drawn from.
        weights = [s.weight * n.any() for s, n in zip(sources, self._counts, strict=True)]
        if not any(weights):
            raise SettingsError(
                found=f"{len(self.maps)} label maps with hardly any label",
                expected="label maps to cut crops from",
                fix="name other files in labels, or correct legend or remap",
            )
        self._weights = np.array(weights) / sum(weights)

    def __len__(self) -> int:
        """Number of crops."""
        return self.count

    def __getitem__(self, index: int) -> Crop:
        """The crop of a number."""
        number, labels = self.codes(index)
        labelled = labels != NO_DATA
        if self.settings.learn_unlabelled:
            labelled = np.ones_like(labelled)
        elif labelled.any() and not labelled.all():
            nearest = distance_transform_edt(~labelled, return_distances=False, return_indices=True)
            labels = labels[tuple(nearest)]
        return Crop(
            torch.from_numpy(one_hot(labels)),
            torch.from_numpy(labelled.astype(np.float32)),
            torch.tensor(number),
        )

    def codes(self, index: int) -> tuple[int, NDArray[np.uint8]]:
        """Number of the map, and (y, x) uint8 codes of the crop of a number, 0 = unlabelled."""
        rng = np.random.default_rng((*np.atleast_1d(self.seed), index))
        for _attempt in range(100):
            number, labels = self._cut(rng)
            if np.count_nonzero(labels) >= _LEAST_LABELLED * labels.size:
                break
        return number, labels

    def _cut(self, rng: np.random.Generator) -> tuple[int, NDArray[np.uint8]]:
        """A crop (y, x) as it comes, and the number of its map."""
        source = rng.choice(len(self._weights), p=self._weights)
        counts = self._counts[source]
        chances = (counts.sum(1) / counts.sum()) ** (1 - self.settings.class_balance)
        chances[counts.sum(1) == 0] = 0
        row = rng.choice(len(chances), p=chances / chances.sum())
        number = self._members[source][
            rng.choice(counts.shape[1], p=counts[row] / sum(counts[row]))
        ]
        whole, stride = self.maps[number], self._strides[number]
        places = self._places[number][WORKING.codes[row]]
        pixel = np.divmod(places[rng.integers(len(places))], -(-whole.labels.shape[1] // stride))
        turn, scale = _right_angle(rng.uniform(0, 2 * np.pi)), 1.0
        if self.settings.rotate:
            turn = rng.uniform(0, 2 * np.pi)
        if self.settings.scale_jitter > 1:
            scale = self.settings.scale_jitter ** rng.uniform(-1, 1)
        offset = rng.uniform(-0.5, 0.5, 2)
        mirrored = bool(rng.integers(2))
        anchor_m = (np.array(pixel) * stride + 0.5) * whole.resolution_m
        labels = cut(
            whole,
            anchor_m,
            offset,
            turn,
            scale,
            self.crop_px,
            self.resolution_m,
            self._finest(rng),
        )
        return number, labels.T if mirrored else labels

    def _finest(self, rng: np.random.Generator) -> int:
        """Samples along a pixel's side, at most, by the kind of resampling."""
        how = self.settings.resampling
        nearest = rng.integers(2) if how == "either" else how == "nearest"
        return 1 if nearest else _FINEST


def cut(
    whole: LabelMap,
    anchor_m: NDArray[np.float64],
    offset: NDArray[np.float64],
    turn: float,
    scale: float,
    crop_px: int,
    resolution_m: float,
    finest: int = _FINEST,
) -> NDArray[np.uint8]:
    """A square window of a label map, turned and scaled, at another resolution.

    Args:
        whole: The map.
        anchor_m: Row and column, in metres from the upper left corner, that the crop shows.
        offset: Where it shows them, rows and columns from its centre, -0.5 to 0.5.
        turn: Angle, radians. Given up for the next right angle where the window would not fit.
        scale: The window's size relative to ``crop_px * resolution_m``; at least so large that
            its pixels are no finer than the map's, and at most the map.
        crop_px: Side of the crop, pixels.
        resolution_m: Pixel side of the crop at scale 1, metres.
        finest: Samples along a pixel's side, at most, among which the most frequent class wins.

    Returns:
        (y, x) uint8, 0 = unlabelled.
    """
    extent_m = np.array(whole.labels.shape) * whole.resolution_m
    side_m = crop_px * max(resolution_m * scale, whole.resolution_m)
    if side_m * _reach(turn) > extent_m.min():
        turn = _right_angle(turn)
        side_m = min(side_m, extent_m.min())
    half_m = side_m * _reach(turn) / 2
    cos, sin = np.cos(turn), np.sin(turn)
    shift_m = side_m * np.array([[cos, -sin], [sin, cos]]) @ offset
    centre_m = np.clip(anchor_m - shift_m, half_m, np.maximum(half_m, extent_m - half_m))
    samples = int(np.clip(round(side_m / crop_px / whole.resolution_m), 1, finest))
    count = crop_px * samples
    steps_m = ((np.arange(count) + 0.5) / count - 0.5) * side_m
    rows_m = centre_m[0] + cos * steps_m[:, None] - sin * steps_m
    columns_m = centre_m[1] + sin * steps_m[:, None] + cos * steps_m
    rows, columns = (
        # Rounding can lead a hair's breadth out of the map.
        np.clip((place / whole.resolution_m).astype(np.int32), 0, n - 1)
        for place, n in zip((rows_m, columns_m), whole.labels.shape, strict=True)
    )
    return majority(whole.labels[rows, columns], samples)


def require_room(maps: Sequence[LabelMap], crop_px: int, resolution_m: float) -> None:
    """Refuses maps into which a crop never fits.

    Raises:
        SettingsError: Names the first such map and its size.
    """
    side_m = crop_px * resolution_m
    for label_map in maps:
        height_m, width_m = np.array(label_map.labels.shape) * label_map.resolution_m
        if min(height_m, width_m) < 0.999 * side_m:
            raise SettingsError(
                found=f"{label_map.name} covers {height_m:.0f} x {width_m:.0f} m",
                expected=f"label maps of {side_m:.0f} x {side_m:.0f} m or more: crops of "
                f"{crop_px} pixels of {resolution_m:g} m",
                fix="leave the file out (pattern), or train with a smaller denoiser.crop_px",
            )


def _reach(turn: float) -> float:
    """Side of the upright square around a turned square of side 1."""
    return float(abs(np.cos(turn)) + abs(np.sin(turn)) - 1e-9)


def _right_angle(turn: float) -> float:
    return float(np.round(turn / (np.pi / 2)) * (np.pi / 2))


def _pixels(label_map: LabelMap, stride: int, code: int) -> NDArray[np.int32]:
    """Pixels of a class in every ``stride``-th row and column, numbered in row-major order."""
    thinned = label_map.labels[::stride, ::stride]
    return np.flatnonzero(thinned == code).astype(np.int32)
