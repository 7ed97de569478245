"""Image models: what turns colours into class probabilities, and the simplest, a forest.

They see the image at its own resolution and learn from soft targets on the coarser working grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.tree._tree import Tree

from landcover_pnp.arrays import normalise
from landcover_pnp.errors import RasterError
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.student.settings import ForestSettings
from landcover_pnp.student.stored_trees import rebuilt_trees, tree_arrays
from landcover_pnp.student.texture import feature_count, texture

_TINY = 1e-6

_PIXELS = 1 << 16
"""Pixels that the trees are asked about at a time: what they answer stays in a cache."""


@dataclass(frozen=True, eq=False)
class TrainingWindow:
    """One window to learn from.

    Attributes:
        image: (band, fine y, fine x) float32; the fine sides are whole multiples of the coarse.
        target: (class, y, x) float32, sums to 1 where ``weight`` is above 0.
        weight: (y, x) float32, how much a pixel counts; 0 where there is no data.
        detail: Target pixels along a working pixel: 1 of maps, more of truth, which is as fine as
            the image.
    """

    image: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]
    detail: int = 1

    @property
    def factor(self) -> int:
        """Fine pixels along a target pixel's side."""
        return int(self.image.shape[-1] // self.target.shape[-1])


class ImageModel(Protocol):
    """What turns an image into class probabilities."""

    def fit(self, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        """Learns from windows; a second call goes on from what was learned.

        Raises:
            RasterError: As ``require_pixels``.
        """

    def predict(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(band, y, x) in 0..1 -> (class, y, x) float32 probabilities at the same resolution."""

    @property
    def reach_px(self) -> int:
        """Fine pixels around a pixel that its prediction depends on."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it has learned, as plain arrays by name."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what ``arrays`` gave, instead of learning.

        Args:
            arrays: From a file that anybody may have written.

        Raises:
            ValueError: If they are not what a model of these settings can have learned.
        """


def require_pixels(training_windows: Sequence[TrainingWindow]) -> None:
    """Refuses training windows in which no pixel counts.

    Raises:
        RasterError: If no pixel of any window counts.
    """
    if not any(training_window.weight.any() for training_window in training_windows):
        raise RasterError(
            found=f"no pixel to learn from in {len(training_windows)} windows of the image: "
            "truth has no class there, or the map to learn from is nowhere surer than chance",
            expected="truth, or a map, that says something where the image has data",
            fix="check that truth and image show the same ground; leave out the methods that "
            "learn from it, or the block student",
        )


class Forest:
    """A forest of extremely randomised trees (Geurts et al. 2006) on colour and texture.

    A regression forest on class probabilities predicts, in each leaf, the weighted mean of its
    soft targets: the class probabilities themselves. Splits at random thresholds make a few shallow
    trees as good as many deep ones of a random forest, whose thresholds fit the targets' errors
    (``benchmarks/throughput.py``); a pixel costs what it takes to walk them.

    Args:
        settings: Trees, leaves, sample.
        fine_m: Side of the image's pixels in metres.
        bands: Bands of the image.
    """

    def __init__(self, settings: ForestSettings, fine_m: float, bands: int) -> None:
        self.settings = settings
        self.radii_px = [max(1, round(r / fine_m)) for r in settings.radii_m]
        self._bands = bands
        self._trees: list[Tree] = []
        self._leaves: list[NDArray[np.float32]] = []

    @property
    def reach_px(self) -> int:
        """Fine pixels around a pixel that its features depend on."""
        return max(self.radii_px)

    def fit(self, training_windows: Sequence[TrainingWindow], seed: int) -> None:
        """Fits a fresh forest to a sample of fine pixels, drawn by weight.

        Args:
            training_windows: Windows to learn from.
            seed: Seed of sample and trees.

        Raises:
            RasterError: As ``require_pixels``.
        """
        require_pixels(training_windows)
        x, y = self._sample(training_windows, np.random.default_rng(seed))
        forest = ExtraTreesRegressor(
            self.settings.trees,
            min_samples_leaf=self.settings.leaf_px,
            max_features=self.settings.features_share,
            random_state=seed,
            n_jobs=1,
        )
        forest.fit(x, y)
        self._take([estimator.tree_ for estimator in forest.estimators_])

    def _sample(
        self, training_windows: Sequence[TrainingWindow], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features (pixel, feature) and targets (pixel, class) of pixels drawn by weight."""
        x, y = [], []
        mass = sum(float(training_window.weight.sum()) for training_window in training_windows)
        for training_window in training_windows:
            weight = training_window.weight.ravel().astype(np.float64)
            wanted = round(self.settings.sample_px * weight.sum() / max(mass, _TINY))
            wanted = min(wanted, int((weight > 0).sum()))
            if not wanted:
                continue
            chosen = rng.choice(weight.size, wanted, replace=False, p=weight / weight.sum())
            row, column = np.unravel_index(chosen, training_window.weight.shape)
            inner = rng.integers(0, training_window.factor, (2, wanted))
            features = texture(training_window.image, self.radii_px)
            x.append(
                features[
                    :,
                    row * training_window.factor + inner[0],
                    column * training_window.factor + inner[1],
                ]
            )
            y.append(training_window.target[:, row, column])
        return np.concatenate(x, axis=1).T, np.concatenate(y, axis=1).T

    def predict(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of the trees: (band, y, x) -> (class, y, x) float32, sums to 1.

        Raises:
            RasterError: If the image has other bands.
            RuntimeError: Before the first fit.
        """
        if not self._trees:
            raise RuntimeError("an image model that has learned nothing predicts nothing")
        if len(image) != self._bands:  # the trees would read beyond the features they are given
            raise RasterError(
                found=f"an image of {len(image)} bands",
                expected=f"{self._bands} bands, as the forest has learned from",
                fix="map the scene again into another run folder",
            )
        features = texture(image, self.radii_px).reshape(-1, image[0].size).T
        total = np.zeros((len(features), CLASS_COUNT), np.float32)
        for first in range(0, len(features), _PIXELS):
            pixels = slice(first, first + _PIXELS)
            for tree, leaves in zip(self._trees, self._leaves, strict=True):
                total[pixels] += leaves[tree.apply(features[pixels])]
        return normalise(np.ascontiguousarray(total.T)).reshape(CLASS_COUNT, *image.shape[1:])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its trees, see ``stored_trees.tree_arrays``."""
        return tree_arrays(self._trees)

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes over trees, see ``stored_trees.rebuilt_trees``."""
        features = feature_count(self._bands, len(self.radii_px))
        self._take(rebuilt_trees(arrays, self.settings.trees, features, CLASS_COUNT))

    def _take(self, trees: list[Tree]) -> None:
        """Takes trees, and what their nodes say as (node, class) float32, which is half to read."""
        self._trees = trees
        self._leaves = [np.ascontiguousarray(tree.value[:, :, 0], np.float32) for tree in trees]
