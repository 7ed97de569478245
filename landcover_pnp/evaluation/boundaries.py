"""Whether the boundaries of a map lie where those of the truth do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, WORKING


@dataclass(frozen=True, eq=False)
class Boundaries:
    """How well boundaries lie in place, by class.

    Attributes:
        found: (class 5,) boundary pixels of the map.
        right: (class 5,) those of them that the truth's boundary is near.
        there: (class 5,) boundary pixels of the truth.
        met: (class 5,) those of them that the map's boundary is near.
    """

    found: NDArray[np.int64]
    right: NDArray[np.int64]
    there: NDArray[np.int64]
    met: NDArray[np.int64]

    @property
    def f1(self) -> NDArray[np.float64]:
        """(class 5,) harmonic mean of precision and recall; NaN where the truth has no boundary.

        It is 0 where nothing of the map's is near the truth's, above all where it has none.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            precision, recall = self.right / self.found, self.met / self.there
            f1 = np.where(self.found > 0, 2 * precision * recall / (precision + recall), 0.0)
        f1 = np.nan_to_num(f1)
        return np.where(self.there > 0, f1, np.nan)

    @property
    def mean_f1(self) -> float:
        """Mean of ``f1`` over the classes that have a boundary in the truth; NaN without any."""
        present = self.f1[self.there > 0]
        return float(present.mean()) if present.size else float("nan")

    def __add__(self, other: Boundaries) -> Boundaries:
        """The boundaries of both areas."""
        mine, theirs = vars(self), vars(other)
        return Boundaries(**{key: mine[key] + theirs[key] for key in mine})


def boundaries(
    predicted: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    tolerance_px: int = 1,
    inside: Box | None = None,
) -> Boundaries:
    """Compares boundaries within a tolerance (Csurka et al. 2013, BMVC, section 3).

    A boundary pixel of a class is of that class and has a labelled neighbour of another one, by
    sides. It is right if such a pixel of the other map lies within the tolerance, rows and
    columns alike. Pixels that either map has no class for are taken out of both.

    Args:
        predicted: (y, x) uint8 working codes, 0 = no data.
        truth: (y, x) uint8 working codes, 0 = unlabelled.
        tolerance_px: How far a boundary may be off.
        inside: Box of the pixels that count; those around it are context. None counts all.

    Returns:
        The counts.
    """
    both = (predicted != 0) & (truth != 0)
    maps = [np.where(both, labels, np.uint8(0)) for labels in (predicted, truth)]
    edges = [_edges(labels) for labels in maps]
    whole = Box(0, truth.shape[0], 0, truth.shape[1])
    counted = (inside or whole).within(whole)
    size = 2 * tolerance_px + 1
    counts = np.zeros((4, CLASS_COUNT), np.int64)
    for row, code in enumerate(WORKING.codes):
        mine, theirs = (edge & (labels == code) for edge, labels in zip(edges, maps, strict=True))
        near_mine, near_theirs = (
            ndimage.maximum_filter(edge, size, mode="constant") for edge in (mine, theirs)
        )
        for i, pixels in enumerate((mine, mine & near_theirs, theirs, theirs & near_mine)):
            counts[i, row] = np.count_nonzero(pixels[counted])
    return Boundaries(*counts)


def _edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels with a labelled neighbour of another class, by sides."""
    edge = np.zeros(labels.shape, bool)
    for near, far in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[near], labels[far]
        unlike = (a != b) & (a > 0) & (b > 0)
        edge[near] |= unlike
        edge[far] |= unlike
    return edge
