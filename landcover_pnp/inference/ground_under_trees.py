"""The ground that crowns hide, completed from what is seen around them and what is mapped there."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.inference.filling import VIEW_PX, FillSettings, fill
from landcover_pnp.legend import NO_DATA, WORKING

_TREES = WORKING.index("trees and forest")
_IMPERVIOUS = WORKING.index("impervious")
_SEEN = 0.5


class Ground(NamedTuple):
    """The ground of a window.

    Attributes:
        codes: (y, x) uint8 working classes, never trees; 0 = no data.
        hidden: (y, x) bool where it was not seen but inferred.
        impervious: (y, x) float32 probability of impervious ground, 0 without data.
    """

    codes: NDArray[np.uint8]
    hidden: NDArray[np.bool_]
    impervious: NDArray[np.float32]


def visible_ground(p: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The ground that is seen: the likeliest class where trees cover no more than half a pixel.

    Args:
        p: (class, y, x) float32 probabilities of a map, all 0 without data.

    Returns:
        (y, x) uint8 working classes, 0 where trees hide it, or without data; and (y, x) bool where
        they hide it.
    """
    ground = p.copy()
    ground[_TREES] = 0
    seen = p.any(axis=0) & (p[_TREES] <= _SEEN) & ground.any(axis=0)
    codes = np.where(seen, ground.argmax(axis=0) + 1, NO_DATA).astype(np.uint8)
    return codes, np.asarray(p.any(axis=0) & ~seen, np.bool_)


def ground_under_trees(
    prior: Any,
    p: NDArray[np.float32],
    likelihoods: NDArray[np.float32],
    expected: NDArray[np.float32],
    settings: FillSettings,
    seed: int,
    origin: tuple[int, int],
    view_px: int = VIEW_PX,
) -> Ground:
    """Hides what crowns cover, holds the rest, and completes it without trees.

    Args:
        prior: A masked prior.
        p: (class, y, x) float32 probabilities of the map, all 0 without data.
        likelihoods: (class, y, x) float32 what is mapped at each pixel says of its class, see
            ``evidence.ground_objects``; 0 for trees.
        expected: (class, y, x) float32 class shares that hidden ground has around each pixel.
        settings: How hidden pixels are filled; what is mapped, and the
            shares, count in full.
        seed: Seed of the run.
        origin: Position (y, x) of the window on the working grid.
        view_px: Side of the crops that the prior sees of a larger window.

    Returns:
        The ground.

    Raises:
        TileError: If the prior predicts values that are not finite.
    """
    codes, hidden = visible_ground(p)
    filled = fill(
        prior,
        codes,
        hidden,
        likelihoods,
        dataclasses.replace(settings, evidence_weight=1.0, share_weight=1.0),
        seed,
        origin,
        weak_labels=expected,
        view_px=view_px,
    )
    filled[_TREES] = 0
    total = filled.sum(axis=0)
    found = np.where(total > 0, filled.argmax(axis=0) + 1, NO_DATA).astype(np.uint8)
    share = np.divide(filled[_IMPERVIOUS], total, out=np.zeros_like(total), where=total > 0)
    return Ground(np.where(hidden, found, codes), hidden, share)
