"""Fusion: p(class | image) with the weak labels again, and with what spectral indices say.

    q(l | x) = p(l | image, x) weak(l | x) / p(l),

Bayes' rule for an image and a weak label that are independent given the class, at the image's
resolution. Water stays as a teacher has mapped it: shadows and dark roofs look like it, it is rare,
and its few wrong pixels would train a student more of their kind in each round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_mean
from landcover_pnp.evidence.index_borders import IndexBorders, class_given_image
from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING
from landcover_pnp.student.mapped_scene import MappedScene

Floats = NDArray[np.float32]

_TINY = 1e-6
_WATER = WORKING.index("water")


def weak_evidence(
    mapped_scene: MappedScene, box: Box, image: Floats, borders: IndexBorders | None
) -> Floats:
    """Weak labels of a window at the image's resolution, weighted by spectral indices.

    Args:
        mapped_scene: The run.
        box: Working pixels.
        image: (band, fine y, fine x) of the box.
        borders: Borders of the spectral indices; None where they do not count.

    Returns:
        (class, fine y, fine x) float32, sums to 1, or 0 without data.
    """
    p = mapped_scene.upsampled(mapped_scene.probabilities("weak_labels", box))
    if borders is None:
        return p
    return normalise(p * class_given_image(box_mean(image, mapped_scene.fine.factor), borders))


def mapped_water(mapped_scene: MappedScene, box: Box, teacher: str) -> Floats:
    """p(water) of a run's map at the image's resolution: (fine y, fine x) float32."""
    return mapped_scene.upsampled(mapped_scene.probabilities(teacher, box)[_WATER])


def fuse(p: Floats, weak: Floats, share: Floats, water: Floats) -> Floats:
    """p(l | image) weak(l) / p(l) of the land, normalised beside the water.

    Args:
        p: (class, y, x) of the image model, sums to 1.
        weak: (class, y, x) weak labels.
        share: (class,) mean of ``p`` over the city.
        water: (y, x) probability of water, which stays.

    Returns:
        (class, y, x) float32, sums to 1; 0 where the weak labels are.
    """
    land = np.asarray(p * weak / np.maximum(share, _TINY)[:, None, None], np.float32)
    land[_WATER] = 0
    q = normalise(land) * (1 - water)
    q[_WATER] = water * weak.any(axis=0)
    return normalise(q)
