"""Contradictions between the sources of a map, as doubt of its pixels.

A map may be sure and wrong: a pond that the coarse map calls developed looks like no pavement, and
the map calls it pavement with high confidence. Doubt is high where sources that should agree do
not, whatever the probabilities of the map say.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.legend import NO_DATA, WORKING

DOUBTFUL = 50
"""From this doubt on, in percent, ground counts as doubtful."""

NO_DOUBT_DATA = 255
"""Value of no data in a raster of doubt."""

ANCHORS = {"roads": "impervious", "buildings": "impervious", "water": "water"}
"""What the ground below mapped objects is."""

WEIGHTS = {
    "image and weak labels": 1.0,
    "image and map": 0.5,
    "weak labels and map": 0.5,
    "objects and image": 0.7,
    "objects and map": 0.7,
    "new look": 0.6,
    "matrix": 0.5,
    "engine and student": 0.5,
    "labels and map": 1.0,
}
"""How much doubt a full contradiction of each kind is, 0..1."""

KINDS = tuple(WEIGHTS)
"""Names of the contradictions, in the order of their numbers from 1."""

Floats = NDArray[np.float32]


def conflict(p: Floats, q: Floats, shares: NDArray[np.floating]) -> Floats:
    """How far two sources contradict each other about the class of a pixel.

    If both tell something, sum_l p(l) q(l) / share(l) is the likelihood ratio of their being about
    the same class rather than about any two pixels of the scene: the agreement that a student's
    rounds are judged by. Below 1 they contradict each other.

    Args:
        p: (class, y, x) probabilities by one source, sum to 1.
        q: (class, y, x) by another.
        shares: (class,) of the scene.

    Returns:
        (y, x) float32 in 0..1: 0 where they agree at least as well as chance, 1 where one rules
        out all that the other allows.
    """
    weights = 1 / np.maximum(np.asarray(shares, np.float32), np.float32(1e-3))
    ratio = np.einsum("cyx,cyx,c->yx", p, q, weights)
    return np.asarray(np.clip(1 - ratio, 0, 1), np.float32)


def anchor_conflicts(
    coverage: Mapping[str, Floats | None], looks: Floats, p: Floats, shares: NDArray[np.floating]
) -> tuple[Floats, Floats]:
    """How far mapped objects contradict the image, and the map.

    Args:
        coverage: (y, x) share of each pixel that roads, buildings and water cover, by layer.
        looks: (class, y, x) probabilities by the image.
        p: (class, y, x) probabilities of the map.
        shares: (class,) of the scene.

    Returns:
        Two arrays (y, x) float32 in 0..1.
    """
    by_image = np.zeros(p.shape[1:], np.float32)
    by_map = np.zeros(p.shape[1:], np.float32)
    for layer, name in ANCHORS.items():
        covered = coverage.get(layer)
        if covered is None:
            continue
        anchor = np.zeros_like(p)
        anchor[WORKING.index(name)] = 1
        # Half-covered pixels are edges, which are mixed whatever they are.
        certain = np.clip(2 * covered - 1, 0, 1)
        by_image = np.maximum(by_image, certain * conflict(anchor, looks, shares))
        by_map = np.maximum(by_map, certain * (1 - p[WORKING.index(name)]))
    return by_image, by_map


def label_conflict(labels: NDArray[np.integer], p: Floats) -> Floats:
    """How far a user's own labels contradict the map.

    Args:
        labels: (y, x) working classes, 0 = none.
        p: (class, y, x) probabilities of the map.

    Returns:
        (y, x) float32 in 0..1: what the map leaves to other classes, 0 without a label.
    """
    chosen = np.maximum(labels.astype(np.intp) - 1, 0)
    given = np.take_along_axis(p, chosen[None], axis=0)[0]
    return np.asarray(np.where(labels == NO_DATA, 0, np.clip(1 - given, 0, 1)), np.float32)


def matrix_conflict(
    numbers: NDArray[np.integer],
    one: NDArray[np.floating],
    other: NDArray[np.floating],
) -> Floats:
    """How far two sources of p(class | code) contradict each other.

    Args:
        numbers: (y, x) numbers of a coarse map's classes from 1, 0 = no data.
        one: (code class, class) rows sum to 1.
        other: The same by another source.

    Returns:
        (y, x) float32 in 0..1: half the sum of absolute differences of the rows.
    """
    by_class = np.abs(np.asarray(one) - other).sum(axis=1) / 2
    table = np.concatenate([[0], by_class]).astype(np.float32)
    return np.asarray(table[numbers])


def combined(parts: Mapping[str, Floats]) -> Floats:
    """Doubt by all contradictions together: 1 - product of (1 - weight times contradiction).

    Args:
        parts: (y, x) contradictions in 0..1 by their names in ``WEIGHTS``.

    Returns:
        (y, x) float32 in 0..1.
    """
    trust = [1 - np.float32(WEIGHTS[name]) * part for name, part in parts.items()]
    return np.asarray(1 - np.prod(trust, axis=0), np.float32)


def strongest(parts: Mapping[str, Floats]) -> NDArray[np.uint8]:
    """Which contradiction adds most to the doubt: (y, x) uint8, its place in ``KINDS`` from 1."""
    weighted = np.stack([WEIGHTS[name] * part for name, part in parts.items()])
    numbers = np.array([KINDS.index(name) + 1 for name in parts], np.uint8)
    return np.where(weighted.any(axis=0), numbers[weighted.argmax(axis=0)], np.uint8(0))


def percent(doubt: Floats, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Doubt in percent: (y, x) in 0..1 -> (y, x) uint8, 255 = no data."""
    whole = np.rint(100 * np.clip(doubt, 0, 1)).astype(np.uint8)
    return np.where(valid, whole, np.uint8(NO_DOUBT_DATA))
