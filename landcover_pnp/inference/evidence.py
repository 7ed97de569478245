"""The engine without a prior: what clusters and weak labels say on their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.box_filter import box_sum
from landcover_pnp.inference.settings import EvidenceSettings

_TINY = np.float32(1e-9)
"""Smallest probability: a class that left a pixel can come back."""


Report = Callable[[int, NDArray[np.float32]], None]


def evidence_map(
    clusters: NDArray[np.float32],
    weak_labels: NDArray[np.float32],
    valid: NDArray[np.bool_],
    settings: EvidenceSettings,
    report: Report | None = None,
) -> NDArray[np.float32]:
    """Lets clusters vote on classes and matches the weak labels' block means, in turn.

    A cluster c votes in a box with the class shares of its pixels there, and a pixel x gets
    the votes of its clusters,

        vote(l | x) = sum_c r(c | x) box(p_l r_c)(x) / box(r_c)(x).

    Each round takes p <- p^(1 - s) weak^s vote, normalised, with s the share that the weak
    labels keep, so that what they say of a pixel does not fade over the rounds. It then scales
    every class by box(weak_l) / box(p_l), so that the map keeps the weak labels' shares in each
    box while its pixels become certain.

    What a colour means holds over hundreds of metres, so the votes are counted in wide boxes;
    a last matching in small ones puts each class where the weak labels have seen it.

    Args:
        clusters: (cluster, y, x) responsibilities, sum to 1 where valid.
        weak_labels: (class, y, x) probabilities, sum to 1 where valid.
        valid: (y, x) pixels that count in the boxes.
        settings: Rounds, boxes, share of the weak labels.
        report: Called with the number of each round and the probabilities before it.

    Returns:
        (class, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.
    """
    r = np.where(valid, clusters, np.float32(0))
    p = weak = np.where(valid, weak_labels, np.float32(0))
    r_box = np.maximum(box_sum(r, settings.radius_px), _TINY)
    kept = np.maximum(weak, _TINY) ** np.float32(settings.weak_share)
    for iteration in range(settings.iterations):
        if report:
            report(iteration, p)
        vote = np.zeros_like(p)
        for r_c, r_c_box in zip(r, r_box, strict=True):
            vote += box_sum(p * r_c, settings.radius_px) * (r_c / r_c_box)
        p = _normalised(p ** np.float32(1 - settings.weak_share) * kept * vote, valid)
        p = match_shares(p, weak, valid, settings.radius_px)
    return match_shares(p, weak, valid, settings.match_radius_px)


def match_shares(
    p: NDArray[np.float32],
    weak_labels: NDArray[np.float32],
    valid: NDArray[np.bool_],
    radius_px: int,
) -> NDArray[np.float32]:
    """Scales every class by box(weak_l) / box(p_l).

    This is one step of iterative proportional fitting (Deming & Stephan 1940); more of them fit
    the weak labels' errors too.

    Args:
        p: (class, y, x) probabilities, 0 where not valid.
        weak_labels: (class, y, x) probabilities, sum to 1 where valid.
        valid: (y, x) pixels that count in the boxes.
        radius_px: Radius of the boxes.

    Returns:
        (class, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere; in each box the
        classes have about the weak labels' shares.
    """
    weak_box = box_sum(np.where(valid, weak_labels, np.float32(0)), radius_px)
    p_box = np.maximum(box_sum(p, radius_px), _TINY)
    return _normalised(np.asarray(p * (weak_box / p_box), np.float32), valid)


def _normalised(p: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Divides by the sum over classes; 0 where not valid."""
    p = np.maximum(p, _TINY)
    p /= p.sum(axis=0)
    p *= valid
    return p
