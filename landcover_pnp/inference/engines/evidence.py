"""The engine without a prior: what clusters and weak labels say on their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.inference.checks import require_within
from landcover_pnp.inference.registry import register_engine
from landcover_pnp.inference.step import Step
from landcover_pnp.legend import WORKING

if TYPE_CHECKING:
    from landcover_pnp.inference.task import Task
    from landcover_pnp.prior.denoiser import Prior

_TINY = np.float32(1e-9)
"""Smallest probability: a class that left a pixel can come back."""


Report = Callable[[int, NDArray[np.float32]], None]


@dataclass(frozen=True)
class EvidenceSettings:
    """The engine without a prior: cluster votes and block matching in turn.

    Attributes:
        iterations: Rounds.
        radius_px: Box radius of the votes and of their weak block means, working pixels; the
            tiles' halo should be as wide.
        weak_share: Share s of the weak labels in each round, p^(1 - s) weak^s.
        match_radius_px: Radius of the boxes in which the result has the weak labels' shares,
            working pixels.
        spectral_indices: Whether the result is weighed by how green and red the image is, see
            ``index_borders.class_given_indices``.
        smooth_px: Radius of the boxes whose most probable classes have half a say in the result,
            which removes specks; 0 leaves them.
    """

    iterations: int = 5
    radius_px: int = 64
    weak_share: float = 0.3
    match_radius_px: int = 10
    spectral_indices: bool = True
    smooth_px: int = 0


@register_engine
class Evidence:
    """What clusters and weak labels say, without a prior; the baseline of every run."""

    name = "evidence"
    needs_prior = False
    Settings = EvidenceSettings

    def check(self, settings: EvidenceSettings, prior: Prior | None) -> None:  # noqa: ARG002
        """Refuses values that make no map."""
        from_0_up = ("iterations", "radius_px", "match_radius_px", "smooth_px")
        require_within(self.name, settings, 0, float("inf"), *from_0_up)
        require_within(self.name, settings, 0, 1, "weak_share")

    def run(self, task: Task[EvidenceSettings]) -> NDArray[np.float32]:
        """The map (class 5, y, x) of ``evidence_map``, weighed and smoothed as asked for."""

        def report(iteration: int, p: NDArray[np.float32]) -> None:
            if task.callback:
                task.callback(Step(iteration, 0, 0.0, {}, task.with_no_data(p)))

        o, own = task.observations, task.settings
        p = evidence_map(o.clusters, o.weak_labels, o.valid, own, report)
        if own.spectral_indices and o.spectral_indices is not None:
            p = _beside_water(p * o.spectral_indices, p, o.valid)
        return smoothed(p, o.valid, own.smooth_px) if own.smooth_px else p


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
    from landcover_pnp.box_filter import box_sum  # scipy: --help lists this engine without it

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
    from landcover_pnp.box_filter import box_sum

    weak_box = box_sum(np.where(valid, weak_labels, np.float32(0)), radius_px)
    p_box = np.maximum(box_sum(p, radius_px), _TINY)
    return _normalised(np.asarray(p * (weak_box / p_box), np.float32), valid)


def smoothed(
    p: NDArray[np.float32], valid: NDArray[np.bool_], radius_px: int
) -> NDArray[np.float32]:
    """A map without its specks, beside the same water.

    Half of it is the share of each class among the land labels around, a logarithmic opinion
    pool (Genest & Zidek 1986): sqrt(p box(labels)).

    Args:
        p: (class, y, x) probabilities, 0 where not valid.
        valid: (y, x) pixels that count in the boxes.
        radius_px: Radius of the boxes.

    Returns:
        (class, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.
    """
    from landcover_pnp.box_filter import box_mean

    land = p.copy()
    land[WORKING.index("water")] = 0
    labels = land.argmax(axis=0) == np.arange(len(p))[:, None, None]
    around = box_mean(labels.astype(np.float32), radius_px, valid)
    return _beside_water(np.sqrt(land * around), p, valid)


def _beside_water(
    land: NDArray[np.float32], p: NDArray[np.float32], valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The land of one map beside the water of another: dark ground would become water."""
    water = WORKING.index("water")
    land = land.copy()
    land[water] = 0
    q = _normalised(land, valid) * (1 - p[water])
    q[water] = p[water]
    return _normalised(q, valid)


def _normalised(p: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Divides by the sum over classes; 0 where not valid."""
    p = np.maximum(p, _TINY)
    normalise(p, out=p)
    p *= valid
    return p
