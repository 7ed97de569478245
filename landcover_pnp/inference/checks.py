"""Checks of engines, and of their own settings, which they name as a configuration does."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from landcover_pnp.errors import SettingsError

if TYPE_CHECKING:
    from landcover_pnp.inference.registry import Engine
    from landcover_pnp.prior.denoiser import Prior
    from landcover_pnp.prior.folder import PriorKind

_KINDS = ("gaussian", "masked")
"""Kinds of prior, as ``prior.folder.PriorKind``: importing that takes what --help does not need."""


def prior_kinds(engine: Engine[Any]) -> tuple[PriorKind, ...]:
    """Kinds of prior that an engine takes; the first is loaded where no prior is named.

    Args:
        engine: The engine; one that needs a prior and does not say of which kind takes a
            Gaussian one.

    Returns:
        The kinds, none for an engine without a prior.
    """
    if not engine.needs_prior:
        return ()
    kinds = getattr(engine, "prior_kind", None) or "gaussian"
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)  # type: ignore[return-value]


def require_within(engine: str, settings: Any, low: float, high: float, *names: str) -> None:
    """Refuses values outside of ``low <= value <= high``.

    Args:
        engine: Name of the engine.
        settings: Its own settings.
        low: Lowest value.
        high: Highest value.
        *names: The fields.

    Raises:
        SettingsError: Names the first such setting and its value.
    """
    for name in names:
        wanted = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        _require(engine, name, getattr(settings, name), low, high, wanted)


def require_noise_level(engine: str, settings: Any, name: str, prior: Prior | None) -> None:
    """Refuses a noise level that the prior has not; without a prior there is none to compare.

    Args:
        engine: Name of the engine.
        settings: Its own settings.
        name: The field.
        prior: The prior.

    Raises:
        SettingsError: Names the setting, its value and the prior's levels.
    """
    if prior is not None:
        high = prior.schedule.steps
        wanted = f"a noise level of the prior, 0 to {high}"
        _require(engine, name, getattr(settings, name), 0, high, wanted)


def made_engine(engine: Any, package: str) -> Engine[Any]:
    """An engine, made of its class where that is given.

    Args:
        engine: An engine or its class.
        package: What it is blamed on.

    Raises:
        SettingsError: If it is no engine; lists all that is missing.
    """
    from landcover_pnp.inference.settings import InferenceSettings  # which asks this module

    taken = {field.name for field in dataclasses.fields(InferenceSettings)} | {"package", "recipe"}
    made = engine() if isinstance(engine, type) else engine
    name = getattr(made, "name", None)
    kind: Any = getattr(made, "Settings", None)
    faults = {
        f"name is {name!r}": not re.fullmatch("[a-z][a-z0-9_]*", str(name)),
        f"name {name!r} is a key of inference already": name in taken,
        "needs_prior is no bool": not isinstance(getattr(made, "needs_prior", None), bool),
        f"prior_kind is {getattr(made, 'prior_kind', None)!r}": not _is_kind(made),
        "Settings is no frozen dataclass": not _is_frozen(kind),
        "no method check": not callable(getattr(made, "check", None)),
        "no method run": not callable(getattr(made, "run", None)),
    }
    wrong = [fault for fault, true in faults.items() if true]
    if not wrong:
        needed = [field.name for field in dataclasses.fields(kind) if _has_no_default(field)]
        wrong = [f"Settings.{name} has no default" for name in needed]
    if wrong:
        title = engine_class(engine).__qualname__
        raise SettingsError(
            found=f"{title} of {package} is no engine: {'; '.join(wrong)}",
            expected="a name of small letters, digits and _, needs_prior, a frozen dataclass "
            "Settings whose fields have defaults, check(settings, prior) and run(task)",
            fix="add what is missing, see landcover_pnp.inference.registry.Engine",
        )
    checked: Engine[Any] = made
    return checked


def _is_kind(made: Any) -> bool:
    """Whether what an engine says of its priors, if anything, is a kind or several in order."""
    kinds = getattr(made, "prior_kind", None)
    if kinds is None or isinstance(kinds, str):
        return kinds in (None, *_KINDS)
    return isinstance(kinds, tuple | list) and bool(kinds) and set(kinds) <= set(_KINDS)


def _is_frozen(kind: Any) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return isinstance(kind, type) and bool(getattr(parameters, "frozen", False))


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing


def engine_class(engine: Any) -> type[Any]:
    """The class of an engine, or the class itself."""
    return engine if isinstance(engine, type) else type(engine)


def _require(engine: str, name: str, value: Any, low: float, high: float, wanted: str) -> None:
    if not low <= value <= high:
        raise SettingsError(
            found=f"inference.{engine}.{name} is {value}",
            expected=wanted,
            fix=f"set inference.{engine}.{name} within these",
        )
