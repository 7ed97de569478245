"""What mapped objects say of the ground that crowns hide, learned where it is seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_sum
from landcover_pnp.legend import CLASS_COUNT, WORKING

TREES: Final = WORKING.index("trees and forest")
"""Position of the class that hides the ground."""

KINDS = ("nothing mapped", "partly a road or building", "a road or building", "water")
"""What may be mapped at a pixel, by the numbers of ``object_kinds``."""

RADIUS_PX = 10
"""Radius of the surroundings that shares are of, working pixels: 42 m, a lot and its street."""

Floats = NDArray[np.float64]

_IMPERVIOUS: Final = WORKING.index("impervious")
_BUILT = 2
_HALF = 0.5
_USUAL = 0.1
"""Sealed ground that crowns hide to that they do not, where nothing is mapped."""
_WEIGHT_PX = 20.0
"""Pixels that what is known of all ground counts for among those of a kind."""


def object_kinds(
    coverage: Mapping[str, NDArray[np.float32] | None], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """What is mapped at each pixel.

    Args:
        coverage: Share of each pixel that roads, buildings and water cover, (y, x) float32 each;
            None of a layer that the scene has not.
        shape: (y, x).

    Returns:
        (y, x) uint8 numbers of ``KINDS``.
    """

    def share(*layers: str) -> NDArray[np.float32]:
        most = np.zeros(shape, np.float32)
        for layer in layers:
            known = coverage.get(layer)
            most = most if known is None else np.maximum(most, known)
        return most

    built = share("roads", "buildings")
    kinds = np.where(built > _HALF, 2, np.where(built > 0, 1, 0))
    return np.where((share("water") > _HALF) & (built <= _HALF), 3, kinds).astype(np.uint8)


def count_kinds(
    parts: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]],
) -> NDArray[np.int64]:
    """Counts ground by what is mapped there.

    Args:
        parts: Of windows, kinds (y, x), classes (y, x) of the ground that is seen, 0 elsewhere,
            and where trees hide it (y, x).

    Returns:
        (kind, class) pixels; those of the class trees are hidden.
    """
    counts = np.zeros((len(KINDS), CLASS_COUNT), np.int64)
    for kinds, codes, hidden in parts:
        known = np.where(hidden, TREES + 1, codes).astype(np.intp)
        at = kinds.astype(np.intp)[known > 0] * CLASS_COUNT + known[known > 0] - 1
        counts += np.bincount(at, minlength=counts.size).reshape(counts.shape)
    return counts


@dataclass(frozen=True)
class GroundObjects:
    """What a map tells of its own ground, where it is seen and by what is mapped there.

    Attributes:
        shares: (class,) of the ground that is seen; 0 for trees, which are no ground.
        by_kind: (kind, class) the same by what is mapped.
        hidden_odds: Of sealed ground where it is mapped, pixels that crowns hide to those that
            they do not.
    """

    shares: Floats
    by_kind: Floats
    hidden_odds: float

    @classmethod
    def of(cls, counts: NDArray[np.int64]) -> Self:
        """From pixels (kind, class), see ``count_kinds``."""
        seen = counts.astype(np.float64)
        seen[:, TREES] = 0
        shares = seen.sum(axis=0) + 1.0
        shares[TREES] = 0
        shares /= shares.sum()
        by_kind = seen + _WEIGHT_PX * shares
        by_kind /= by_kind.sum(axis=1, keepdims=True)
        hidden, there = counts[_BUILT, TREES], seen[_BUILT].sum()
        odds = (hidden + _WEIGHT_PX * _USUAL) / (there + _WEIGHT_PX)
        return cls(shares, by_kind, float(odds))

    def likelihoods(self, kinds: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How much likelier each class is where something is mapped than elsewhere.

        Args:
            kinds: (y, x) of ``object_kinds``.

        Returns:
            (class, y, x) float32 p(class | kind) / p(class), 0 for trees.
        """
        whole = np.zeros_like(self.by_kind)
        ratios = np.divide(self.by_kind, self.shares, out=whole, where=self.shares > 0)
        ratios /= ratios.max(axis=1, keepdims=True)
        return np.moveaxis(ratios[kinds], -1, 0).astype(np.float32)

    def expected(
        self, kinds: NDArray[np.uint8], codes: NDArray[np.uint8], hidden: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Class shares of the hidden ground around each pixel.

        Crowns do not hide ground at random: trees stand where it is not sealed. As often as they
        hide mapped roads and buildings, they are taken to hide the sealed ground around that
        nobody has mapped; whatever else they hide there is of the other classes, as those are seen
        around.

        Args:
            kinds: (y, x) of ``object_kinds``.
            codes: (y, x) classes of the ground that is seen, 0 elsewhere.
            hidden: (y, x) where trees hide it.

        Returns:
            (class, y, x) float32, sums to 1; 0 for trees.
        """

        def around(where: NDArray[np.bool_]) -> NDArray[np.float32]:
            return np.rint(box_sum(where.astype(np.float32), RADIUS_PX))

        unmapped = kinds < _BUILT
        sealed = around((codes == _IMPERVIOUS + 1) & unmapped)
        share = self.hidden_odds * sealed / np.maximum(around(hidden & unmapped), 1)
        share = np.minimum(share, self.by_kind[_BUILT, _IMPERVIOUS])
        rest = np.array([around(codes == c + 1) for c in range(CLASS_COUNT)])
        rest += (_WEIGHT_PX * self.shares[:, None, None]).astype(np.float32)
        rest[[_IMPERVIOUS, TREES]] = 0
        found = normalise(rest) * (1 - share)
        found[_IMPERVIOUS] = share
        mapped = np.moveaxis(self.by_kind[kinds], -1, 0)
        return np.where(unmapped, found, mapped).astype(np.float32)
