"""The one door to inference: evidence in, probabilities out, by the engine named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from landcover_pnp.errors import GridError, PriorError, SettingsError, nearest
from landcover_pnp.inference.algorithm1 import Callback, algorithm1
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.constraints import Constraint, MutualInformation, WeakLabelKL
from landcover_pnp.inference.denoise import denoise
from landcover_pnp.inference.evidence import evidence_map
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.settings import InferenceSettings


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about a tile's canvas besides the prior.

    Attributes:
        clusters: (cluster, y, x) float32 responsibilities, sum to 1 where valid.
        weak_labels: (class 5, y, x) float32 probabilities, sum to 1 where valid.
        valid: (y, x) bool, False is no data; the other layers may hold anything there.
        origin: Absolute pixel position (y, x) of the canvas on the working grid.

    Raises:
        GridError: If the layers differ in size or the weak labels in classes.
    """

    clusters: NDArray[np.float32]
    weak_labels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    origin: tuple[int, int]

    def __post_init__(self) -> None:
        sizes = {self.clusters.shape[1:], self.weak_labels.shape[1:], self.valid.shape}
        if len(sizes) > 1 or len(self.weak_labels) != CLASS_COUNT:
            raise GridError(
                found=f"clusters {self.clusters.shape}, weak labels {self.weak_labels.shape}, "
                f"valid {self.valid.shape}",
                expected=f"(cluster, y, x), ({CLASS_COUNT}, y, x) and (y, x) of one canvas",
                way_out="cut all layers of the evidence with the same window",
            )


def infer(
    evidence: Evidence,
    settings: InferenceSettings,
    prior: Prior | None,
    seed: int,
    callback: Callback | None = None,
) -> NDArray[np.float32]:
    """Infers the map of one canvas.

    Args:
        evidence: Clusters and weak labels.
        settings: Engine and its settings.
        prior: The prior; None for an engine that needs none.
        seed: Seed of the run, the same for all its tiles.
        callback: Called at every step of ``algorithm1``; the others have none.

    Returns:
        (class 5, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.

    Raises:
        SettingsError: On an engine that is not known, or a noise level that the prior has not.
        PriorError: If the engine needs a prior and there is none.
        TileError: If a term of the inference is not finite.
    """
    name, valid = settings.engine, evidence.valid
    _require_known(name)
    if not valid.any():
        return np.zeros((CLASS_COUNT, *valid.shape), np.float32)
    known = Evidence(
        np.where(valid, evidence.clusters, 0).astype(np.float32),
        np.where(valid, evidence.weak_labels, 0).astype(np.float32),
        valid,
        evidence.origin,
    )
    if name in _WITH_PRIOR:
        if prior is None:
            raise PriorError(
                found=f"the engine {name!r} without a prior",
                expected="a prior, such as the shipped one, Prior.load()",
                way_out="load a prior, or take the engine 'evidence', which needs none",
            )
        canvas = Canvas(known.origin, valid.shape, seed, settings.view_px)
        # Channel 0 is the prior's no data.
        p = _WITH_PRIOR[name](known, settings, prior, canvas, callback)[1:].numpy()
    else:
        p = _evidence(known, settings)
    p = np.where(valid, p, 0)
    p /= np.where(valid, p.sum(axis=0), 1)
    return p


def needs_prior(engine: str) -> bool:
    """Whether an engine needs a prior.

    Raises:
        SettingsError: On an engine that is not known.
    """
    _require_known(engine)
    return engine in _WITH_PRIOR


def _evidence(evidence: Evidence, settings: InferenceSettings) -> NDArray[np.float32]:
    return evidence_map(evidence.clusters, evidence.weak_labels, evidence.valid, settings.evidence)


def _denoise(
    evidence: Evidence,
    settings: InferenceSettings,
    prior: Prior,
    canvas: Canvas,
    _callback: Callback | None,
) -> Tensor:
    _require_level("denoise.t", settings.denoise.t, prior)
    start = np.where(evidence.valid, _evidence(evidence, settings), 1 / CLASS_COUNT)
    return denoise(_with_no_data(start), prior, canvas, settings.denoise)


def _algorithm1(
    evidence: Evidence,
    settings: InferenceSettings,
    prior: Prior,
    canvas: Canvas,
    callback: Callback | None,
) -> Tensor:
    s, valid = settings.algorithm1, torch.from_numpy(evidence.valid)
    _require_level("algorithm1.clean_up_t", s.clean_up_t, prior)
    clusters, weak = torch.from_numpy(evidence.clusters), _with_no_data(evidence.weak_labels)
    terms: list[Constraint] = [
        MutualInformation(clusters, valid, s.radius_px, -s.mutual_information_weight),
        WeakLabelKL(
            weak,
            valid,
            s.radius_px,
            s.weak_label_weight,
            blocks=s.weak_label_blocks,
            origin=evidence.origin,
        ),
    ]
    return algorithm1(weak, valid, terms, prior, canvas, s, callback)


_WITH_PRIOR: dict[
    str, Callable[[Evidence, InferenceSettings, Prior, Canvas, Callback | None], Tensor]
] = {"denoise": _denoise, "algorithm1": _algorithm1}

_ENGINES = ("evidence", *_WITH_PRIOR)


def _with_no_data(classes: NDArray[np.float32]) -> Tensor:
    """(class 5, y, x) -> (channel 6, y, x): channel 0, no data, in front."""
    return functional.pad(torch.from_numpy(classes), (0, 0, 0, 0, 1, 0))


def _require_level(key: str, t: int, prior: Prior) -> None:
    if not 0 <= t <= prior.schedule.steps:
        raise SettingsError(
            found=f"inference.{key} is {t}",
            expected=f"a noise level of the prior, 0 to {prior.schedule.steps}",
            way_out=f"set inference.{key} within these",
        )


def _require_known(engine: str) -> None:
    if engine not in _ENGINES:
        raise SettingsError(
            found=f"the engine {engine!r}",
            expected="one of " + ", ".join(_ENGINES),
            way_out=nearest(engine, _ENGINES),
        )
