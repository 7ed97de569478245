"""The one door to inference: evidence in, probabilities out, by the engine named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from landcover_pnp.errors import GridError, PriorError, SettingsError, nearest
from landcover_pnp.inference.algorithm1 import algorithm1
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.constraints import Constraint, named_constraints, require_names
from landcover_pnp.inference.denoise import denoise, keep_water
from landcover_pnp.inference.evidence import evidence_map
from landcover_pnp.inference.guided import guided
from landcover_pnp.inference.settings import RECIPES, Algorithm1Settings, InferenceSettings
from landcover_pnp.inference.step import Callback, Step
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.prior.denoiser import Prior

_VIEW_PX = 256
"""Side of the crops a prior sees of a larger canvas, unless the settings say otherwise."""


@dataclass(frozen=True, eq=False)
class Observations:
    """What is known about a tile's canvas besides the prior.

    Attributes:
        clusters: (cluster, y, x) float32 responsibilities, sum to 1 where valid.
        weak_labels: (class 5, y, x) float32 probabilities, sum to 1 where valid.
        valid: (y, x) bool, False is no data; the other layers may hold anything there.
        origin: Absolute pixel position (y, x) of the canvas on the working grid.
        spectral_indices: (class 5, y, x) float32 factors in 0..1, how well the image's spectral
            indices fit each class; None where they do not count.

    Raises:
        GridError: If the layers differ in size or the weak labels in classes.
    """

    clusters: NDArray[np.float32]
    weak_labels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    origin: tuple[int, int]
    spectral_indices: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        sizes = {self.clusters.shape[1:], self.weak_labels.shape[1:], self.valid.shape}
        if self.spectral_indices is not None:
            sizes.add(self.spectral_indices.shape[1:])
        if len(sizes) > 1 or len(self.weak_labels) != CLASS_COUNT:
            raise GridError(
                found=f"clusters {self.clusters.shape}, weak labels {self.weak_labels.shape}, "
                f"valid {self.valid.shape}",
                expected=f"(cluster, y, x), ({CLASS_COUNT}, y, x) and (y, x) of one canvas",
                fix="cut all layers of the evidence with the same window",
            )


@dataclass(frozen=True, eq=False)
class Task:
    """What an engine is given.

    Attributes:
        evidence: The evidence, 0 where not valid.
        settings: Settings of all engines.
        loaded: The prior; None only for an engine that needs none.
        seed: Seed of the run.
        own: Constraints besides the named ones.
        callback: Called at every step.
    """

    evidence: Observations
    settings: InferenceSettings
    loaded: Prior | None
    seed: int
    own: Sequence[Constraint]
    callback: Callback | None

    @property
    def prior(self) -> Prior:
        """The prior, of an engine that needs one: ``require_usable`` has seen that it is there."""
        return cast(Prior, self.loaded)

    @property
    def canvas(self) -> Canvas:
        """The canvas, where the prior's weights are."""
        e, s = self.evidence, self.settings
        device = self.prior.network.device
        view_px = s.view_px or _VIEW_PX
        return Canvas(e.origin, e.valid.shape, self.seed, view_px, s.precision, device)

    @property
    def valid(self) -> Tensor:
        """(y, x) bool."""
        return torch.from_numpy(self.evidence.valid).to(self.canvas.device)

    @property
    def weak_labels(self) -> Tensor:
        """(channel 6, y, x) float32, 0 where not valid."""
        return self.with_no_data(self.evidence.weak_labels)

    def constraints(self) -> list[Constraint]:
        """The named constraints and the user's own."""
        clusters = torch.from_numpy(self.evidence.clusters).to(self.canvas.device)
        named = named_constraints(
            clusters,
            self.weak_labels,
            self.valid,
            self.settings.constraints,
            self.evidence.origin,
        )
        return [*named, *self.own]

    def start(self, name: str) -> Tensor:
        """(channel 6, y, x) float32 map to start from: the weak labels or an engine's map.

        Where it is not valid, every class is as likely. The callback sees nothing of this engine.
        """
        starts = _ENGINES | {"weak_labels": lambda task: task.weak_labels}
        start = starts[name](replace(self, callback=None))
        start = torch.where(self.valid, start, 1 / CLASS_COUNT)
        start[0] = 0  # some of the prior's engines leave a share to no data
        return start / start.sum(0)

    def with_no_data(self, classes: NDArray[np.float32]) -> Tensor:
        """(class 5, y, x) -> (channel 6, y, x): channel 0, no data, in front."""
        device = self.loaded.network.device if self.loaded else torch.device("cpu")
        return functional.pad(torch.from_numpy(classes).to(device), (0, 0, 0, 0, 1, 0))


def infer(
    evidence: Observations,
    settings: InferenceSettings,
    prior: Prior | None,
    seed: int,
    callback: Callback | None = None,
    constraints: Sequence[Constraint] = (),
) -> NDArray[np.float32]:
    """Infers the map of one canvas.

    Args:
        evidence: Clusters and weak labels.
        settings: Engine and its settings.
        prior: The prior; None for an engine that needs none. All is computed where its weights
            are.
        seed: Seed of the run, the same for all its tiles.
        callback: Called at every step with the paper's quantities.
        constraints: Constraints of one's own, besides those that the settings name; they act in
            ``guided`` and ``algorithm1``.

    Returns:
        (class 5, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.

    Raises:
        SettingsError: On an engine or a constraint that is not known, or a noise level that the
            prior has not.
        PriorError: If the engine needs a prior and there is none.
        TileError: If a term of the inference is not finite.
    """
    valid = evidence.valid
    require_usable(settings, prior)
    if not valid.any():
        return np.zeros((CLASS_COUNT, *valid.shape), np.float32)
    known = Observations(
        np.where(valid, evidence.clusters, 0).astype(np.float32),
        np.where(valid, evidence.weak_labels, 0).astype(np.float32),
        valid,
        evidence.origin,
        evidence.spectral_indices,
    )
    task = Task(known, settings, prior, seed, constraints, callback)
    p = _ENGINES[settings.engine](task)[1:].cpu().numpy()  # channel 0 is the prior's no data
    p = np.where(valid, p, 0)
    p /= np.where(valid, p.sum(axis=0), 1)
    return p


def require_usable(settings: InferenceSettings, prior: Prior | None) -> None:
    """Refuses settings that no tile could be inferred with.

    Args:
        settings: Engine and its settings.
        prior: The prior; None for an engine that needs none.

    Raises:
        SettingsError: On an engine or a constraint that is not known, or a noise level that the
            prior has not.
        PriorError: If the engine needs a prior and there is none.
    """
    if not needs_prior(settings.engine):
        return
    if prior is None:
        raise PriorError(
            found=f"the engine {settings.engine!r} without a prior",
            expected="a prior, such as the shipped one, Prior.load()",
            fix="load a prior, or take the engine 'evidence', which needs none",
        )
    require_names(settings.constraints)
    levels = {
        "denoise.t": settings.denoise.t,
        "guided.start_t": settings.guided.start_t,
        "algorithm1.clean_up_t": _algorithm1_settings(settings).clean_up_t,
    }
    for key, t in levels.items():
        if not 0 <= t <= prior.schedule.steps:
            raise SettingsError(
                found=f"inference.{key} is {t}",
                expected=f"a noise level of the prior, 0 to {prior.schedule.steps}",
                fix=f"set inference.{key} within these",
            )


def needs_prior(engine: str) -> bool:
    """Whether an engine needs a prior.

    Raises:
        SettingsError: On an engine that is not known.
    """
    _require_known(engine)
    return engine != "evidence"


def uses_indices(settings: InferenceSettings) -> bool:
    """Whether an engine's map has what spectral indices say in it."""
    starts = {"denoise": True, "guided": settings.guided.start == "denoise"}
    return settings.denoise.spectral_indices and starts.get(settings.engine, False)


def _evidence(task: Task) -> Tensor:
    def report(iteration: int, p: NDArray[np.float32]) -> None:
        if task.callback:
            task.callback(Step(iteration, 0, 0.0, {}, task.with_no_data(p)))

    e = task.evidence
    p = evidence_map(e.clusters, e.weak_labels, e.valid, task.settings.evidence, report)
    return task.with_no_data(p)


def _denoise(task: Task) -> Tensor:
    s = task.settings.denoise
    start = task.start(s.start)
    if s.spectral_indices and task.evidence.spectral_indices is not None:
        start = keep_water(start * task.with_no_data(task.evidence.spectral_indices), start)
    return keep_water(denoise(start, task.prior, task.canvas, s, task.callback), start)


def _guided(task: Task) -> Tensor:
    s = task.settings.guided
    start = None if s.start == "noise" else task.start(s.start)
    return guided(start, task.constraints(), task.prior, task.canvas, s, task.callback)


def _algorithm1(task: Task) -> Tensor:
    s = _algorithm1_settings(task.settings)
    terms, canvas = task.constraints(), task.canvas
    if task.settings.view_px is None:
        canvas = replace(canvas, view_px=task.prior.crop_px)
    return algorithm1(task.weak_labels, task.valid, terms, task.prior, canvas, s, task.callback)


def _algorithm1_settings(settings: InferenceSettings) -> Algorithm1Settings:
    return RECIPES[settings.recipe] if settings.recipe else settings.algorithm1


_ENGINES: dict[str, Callable[[Task], Tensor]] = {
    "evidence": _evidence,
    "denoise": _denoise,
    "guided": _guided,
    "algorithm1": _algorithm1,
}


def _require_known(engine: str) -> None:
    if engine not in _ENGINES:
        raise SettingsError(
            found=f"the engine {engine!r}",
            expected="one of " + ", ".join(_ENGINES),
            fix=nearest(engine, _ENGINES),
        )
