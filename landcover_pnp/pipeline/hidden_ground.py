"""Unsure pixels of a map counted as missing: what the prior is shown of it, and what comes back.

    q(l) is proportional to p(l | pixels that are known) p(l | image)^lambda

The prior knows pixels of its own size; the map's are counted into them and its answer brought back
as ``landcover fill`` does. The second factor is each pixel's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.grid import Box
from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.fill_grid import FillGrid, majority

Floats = NDArray[np.float32]

LEAST = 1e-3
"""Smallest probability that the prior gives a class: its pixels are not the map's."""

_TINY = 1e-9
"""Smallest evidence, as in ``inference.hidden_map``."""


def unsure(p: Floats, below: float) -> NDArray[np.bool_]:
    """Pixels with data whose likeliest class has less than a probability: (y, x) bool."""
    return np.asarray(p.any(axis=0) & (p.max(axis=0) < below))


@dataclass(frozen=True, eq=False)
class Shown:
    """A window of a map as a prior is shown it.

    Attributes:
        codes: (y, x) uint8 working classes of the prior's pixels, 0 where not known.
        hidden: (y, x) bool pixels to fill.
        evidence: (class, y, x) float32 mean probabilities of the map's hidden pixels in each; 0
            where there are none.
    """

    codes: NDArray[np.uint8]
    hidden: NDArray[np.bool_]
    evidence: Floats

    @classmethod
    def of(
        cls, pixels: FillGrid, parts: Iterable[tuple[Box, Floats, NDArray[np.bool_]]], out: Box
    ) -> Shown:
        """Counts the pixels of a map.

        Args:
            pixels: The pixels of map and prior.
            parts: Boxes of the map that make up the window, each with its probabilities
                (class, y, x), 0 without data, and its hidden pixels (y, x).
            out: The window, working pixels.
        """
        counted = np.zeros((CLASS_COUNT + 1, *out.shape))
        told = np.zeros((CLASS_COUNT, *out.shape))
        for box, p, hidden in parts:
            codes = np.where(p.any(axis=0), p.argmax(axis=0) + 1, 0).astype(np.uint8)
            counted += pixels.counted(box, codes, hidden, out)
            told += pixels.summed(box, np.where(hidden, p, 0), out)
        codes, to_fill = majority(counted)
        return cls(codes, to_fill, normalise(told).astype(np.float32))


def asked(
    prior: Any, shown: Shown, settings: FillSettings, seed: int, origin: tuple[int, int]
) -> Floats:
    """What the prior says of a window, without the evidence that it has weighed.

    Args:
        prior: A masked prior.
        shown: The window.
        settings: How pixels are filled. Weak labels whose shares hidden pixels get are the
            evidence itself, to a power above 1 as it is believed: shares that it does not have
            after that would make a class of 0.1 % all of what the prior says.
        seed: Seed of the run.
        origin: Row and column of the window's first pixel.

    Returns:
        (class, y, x) float32: sums to 1 at hidden pixels, 1 for the class of known ones, 0 where
        there is no data.

    Raises:
        TileError: If the prior predicts values that are not finite.
    """
    evidence, weight = shown.evidence.astype(np.float64), settings.evidence_weight
    p = fill(
        prior,
        shown.codes,
        shown.hidden,
        shown.evidence,
        settings,
        seed,
        origin,
        weak_labels=normalise(evidence ** max(weight, 1.0)).astype(np.float32),
        view_px=max(shown.hidden.shape),
    )
    # In float64: to the power 10 the smallest evidence is 0 in float32.
    message = normalise(p / np.maximum(evidence, _TINY) ** weight)
    return np.where(shown.hidden, message, p).astype(np.float32)


def completed(p: Floats, message: Floats, hidden: NDArray[np.bool_], weight: float) -> Floats:
    """A map whose hidden pixels are filled.

    Args:
        p: (class, y, x) probabilities of the map.
        message: (class, y, x) what the prior says at its pixels.
        hidden: (y, x) bool.
        weight: Power lambda of what the map itself says.

    Returns:
        (class, y, x) float32, those of ``p`` where nothing is hidden.
    """
    q = np.maximum(normalise(message), LEAST) * np.maximum(p, _TINY) ** np.float32(weight)
    return np.where(hidden, normalise(q), p).astype(np.float32)
