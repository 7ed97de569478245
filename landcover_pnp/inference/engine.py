"""The one door to inference: observations in, probabilities out, by the engine named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.errors import ConstraintError, LandcoverError, PriorError, SettingsError
from landcover_pnp.inference.checks import prior_kinds
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.registry import OURS, engine, engine_names, package_of
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.inference.step import Callback
from landcover_pnp.inference.task import Task
from landcover_pnp.legend import CLASS_COUNT

if TYPE_CHECKING:
    from landcover_pnp.inference.constraints import Constraint
    from landcover_pnp.prior.folder import PriorKind
    from landcover_pnp.prior.loading import AnyPrior


def infer(
    observations: Observations,
    settings: InferenceSettings,
    prior: AnyPrior | None,
    seed: int,
    callback: Callback | None = None,
    constraints: Sequence[Constraint] = (),
) -> NDArray[np.float32]:
    """Infers the map of one canvas.

    Args:
        observations: Clusters and weak labels.
        settings: Engine and its settings.
        prior: The prior; None for an engine that needs none. All is computed where its weights
            are.
        seed: Seed of the run, the same for all its tiles.
        callback: Called at every step with the paper's quantities.
        constraints: Constraints of one's own, besides those that the settings name. They hold in
            the map of every engine, see ``nearest_map``; those that weigh constraints on their
            way, ``guided`` and ``algorithm1``, weigh these too.

    Returns:
        (class 5, y, x) float32 probabilities: sum to 1 where valid, 0 elsewhere.

    Raises:
        SettingsError: On an engine that is not known, settings that it refuses, or
            ``hide_below``, which is that of runs.
        PriorError: If the engine needs a prior and there is none.
        ConstraintError: If a constraint is none; names it.
        TileError: If a term of the inference is not finite, or what the engine returns are no
            probabilities.
    """
    if settings.hide_below:
        raise SettingsError(
            found=f"inference.hide_below is {settings.hide_below} for a canvas by itself",
            expected="0: it hides pixels of the map that a run ends with",
            fix="map a scene, or fill the pixels of this map by inference.filling.fill",
        )
    names = [settings.engine_or_default]
    return infer_each(names, observations, settings, prior, seed, callback, constraints)[names[0]]


def infer_each(
    engines: Sequence[str],
    observations: Observations,
    settings: InferenceSettings,
    prior: AnyPrior | None,
    seed: int,
    callback: Callback | None = None,
    constraints: Sequence[Constraint] = (),
) -> dict[str, NDArray[np.float32]]:
    """Infers the maps of one canvas by several engines, none of which does its work twice.

    Args:
        engines: Names of the engines; one that others start from had better be before them.
        observations: As in ``infer``.
        settings: As in ``infer``.
        prior: As in ``infer``.
        seed: As in ``infer``.
        callback: As in ``infer``, of the settings' engine.
        constraints: As in ``infer``.

    Returns:
        Maps as of ``infer``, by engine.

    Raises:
        SettingsError: As ``infer``.
        PriorError: As ``infer``.
        ConstraintError: As ``infer``.
        TileError: As ``infer``.
    """
    valid = observations.valid
    require_usable(settings, prior, *engines)
    if not isinstance(constraints, Sequence):
        raise ConstraintError(
            found=f"constraints that are {constraints!r}",
            expected="a list of constraints",
            fix="put one constraint into brackets: constraints=[constraint]",
        )
    if not valid.any():
        return {name: np.zeros((CLASS_COUNT, *valid.shape), np.float32) for name in engines}
    task = Task(observations.masked, None, settings, prior, seed, constraints)
    found = {}
    for name in engines:
        told = callback if name == settings.engine_or_default else None
        p = task.classes_by(name, told)
        if constraints:
            p = _constrained(task, name)
        found[name] = normalise(np.where(valid, p, np.float32(0)))
    return found


def _constrained(task: Task[Any], name: str) -> NDArray[np.float32]:
    """(class 5, y, x) float32 map of an engine, in which the user's constraints hold."""
    from landcover_pnp.inference.nearest_map import nearest_map  # torch: only for these

    p = nearest_map(task.map_by(name), task.valid, task.own)
    return np.asarray(p[-CLASS_COUNT:].cpu().numpy(), np.float32)


def require_usable(settings: InferenceSettings, prior: AnyPrior | None, *also: str) -> None:
    """Refuses settings that no tile could be inferred with.

    Only the engine itself is asked, and those that it starts from.

    Args:
        settings: Engine and its settings.
        prior: The prior; None for an engine that needs none.
        *also: Names of other engines whose maps are wanted.

    Raises:
        SettingsError: On settings that an engine refuses, such as a noise level that the prior
            has not.
        PriorError: If an engine needs a prior and there is none, or one of a kind that it does not
            take.
    """
    require_prior(settings, prior, *also)
    for name, own in settings.used(*also).items():
        try:
            engine(name).check(own, prior)
        except LandcoverError:
            raise
        except Exception as error:
            if package_of(name) == OURS:
                raise
            raise SettingsError(
                found=f"settings that the engine {name!r} of {package_of(name)} refuses: {error}",
                expected="settings that it takes",
                fix=f"correct those of inference.{name}, see --help",
            ) from error


def require_prior(settings: InferenceSettings, prior: AnyPrior | None, *also: str) -> None:
    """Refuses a prior that the engine, or one that it starts from, does not take.

    Args:
        settings: Engine and its settings.
        prior: The prior; None for an engine that needs none.
        *also: Names of other engines whose maps are wanted.

    Raises:
        PriorError: If one needs a prior and there is none, or one of a kind that it does not take.
    """
    for name in settings.used(*also):
        unnamed = settings.engine is None and name == settings.engine_or_default
        _require_kind(name, prior_kinds(engine(name)), prior, unnamed=unnamed)


def _require_kind(
    name: str, kinds: Sequence[PriorKind], prior: AnyPrior | None, *, unnamed: bool
) -> None:
    """Refuses to go on without a prior that an engine needs, or with one of another kind."""
    if not kinds:
        return
    wanted = " or a ".join(kinds)
    if prior is None:
        raise PriorError(
            found=f"the engine {name!r} without a prior",
            expected=f"a {wanted} prior, such as the shipped one",
            fix="load a prior, or take the engine 'evidence', which needs none",
        )
    if prior.kind not in kinds:
        others = [other for other in engine_names() if prior.kind in prior_kinds(engine(other))]
        if unnamed and others:
            raise PriorError(
                found=f"a {prior.kind} prior and no engine: where none is named, a prior is one "
                f"for {name!r}, which takes a {wanted} one",
                expected=f"the name of an engine for it: {', '.join(others)}",
                fix=f"set inference.engine to {others[0]}, or leave inference.prior out",
            )
        raise PriorError(
            found=f"a {prior.kind} prior for the engine {name!r}",
            expected=f"a {wanted} prior: this engine works with no other kind",
            fix=f"leave inference.prior out, which takes a shipped {kinds[0]} prior, or name the "
            "folder of such a one"
            + (f", or take an engine for it: {', '.join(others)}" if others else ""),
        )
