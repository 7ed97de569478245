"""The one door to inference: evidence in, probabilities out, by the engine named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.errors import GridError, PriorError, SettingsError, nearest
from landcover_pnp.inference.algorithm1 import Callback, algorithm1
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.constraints import Constraint, MutualInformation, WeakLabelKL
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
        callback: Called at every step of an engine that has the paper's steps.

    Returns:
        (class 5, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.

    Raises:
        SettingsError: On an engine that is not known.
        PriorError: If the engine needs a prior and there is none.
        TileError: If a term of the inference is not finite.
    """
    engine = _engine(settings.engine)
    if engine.needs_prior and prior is None:
        raise PriorError(
            found=f"the engine {settings.engine!r} without a prior",
            expected="a prior, such as the shipped one, Prior.load()",
            way_out="load a prior, or take the engine 'evidence', which needs none",
        )
    valid = evidence.valid
    if not valid.any():
        return np.zeros((CLASS_COUNT, *valid.shape), np.float32)
    known = Evidence(
        np.where(valid, evidence.clusters, 0).astype(np.float32),
        np.where(valid, evidence.weak_labels, 0).astype(np.float32),
        valid,
        evidence.origin,
    )
    probabilities = engine.infer(known, settings, prior, seed, callback) * valid
    probabilities /= np.where(valid, probabilities.sum(axis=0), 1)
    return probabilities


def needs_prior(engine: str) -> bool:
    """Whether an engine needs a prior.

    Raises:
        SettingsError: On an engine that is not known.
    """
    return _engine(engine).needs_prior


class _Engine(NamedTuple):
    """A way to combine prior and evidence; its result need not be masked or normalised."""

    infer: Callable[
        [Evidence, InferenceSettings, Prior | None, int, Callback | None], NDArray[np.float32]
    ]
    needs_prior: bool


def _evidence(
    evidence: Evidence,
    settings: InferenceSettings,
    _prior: Prior | None,
    _seed: int,
    _callback: Callback | None,
) -> NDArray[np.float32]:
    return evidence_map(evidence.clusters, evidence.weak_labels, evidence.valid, settings.evidence)


def _algorithm1(
    evidence: Evidence,
    settings: InferenceSettings,
    prior: Prior | None,
    seed: int,
    callback: Callback | None,
) -> NDArray[np.float32]:
    if prior is None:
        raise TypeError("infer() lets no engine that needs a prior begin without one")
    s, valid = settings.algorithm1, torch.from_numpy(evidence.valid)
    weak_labels = _with_no_data(torch.from_numpy(evidence.weak_labels))
    terms: list[Constraint] = [
        MutualInformation(
            torch.from_numpy(evidence.clusters), valid, s.radius_px, -s.mutual_information_weight
        ),
        WeakLabelKL(
            weak_labels,
            valid,
            s.radius_px,
            s.weak_label_weight,
            blocks=s.weak_label_blocks,
            origin=evidence.origin,
        ),
    ]
    canvas = Canvas(evidence.origin, evidence.valid.shape, seed)
    result = algorithm1(weak_labels, valid, terms, prior, canvas, s, callback)
    return np.asarray(result[1:].numpy(), np.float32)


def _with_no_data(classes: Tensor) -> Tensor:
    """(class 5, y, x) -> (channel 6, y, x): the prior's channel 0, no data, is in front."""
    return torch.cat([torch.zeros_like(classes[:1]), classes])


_ENGINES = {
    "evidence": _Engine(_evidence, needs_prior=False),
    "algorithm1": _Engine(_algorithm1, needs_prior=True),
}


def _engine(name: str) -> _Engine:
    if name not in _ENGINES:
        raise SettingsError(
            found=f"the engine {name!r}",
            expected="one of " + ", ".join(_ENGINES),
            way_out=nearest(name, _ENGINES),
        )
    return _ENGINES[name]
