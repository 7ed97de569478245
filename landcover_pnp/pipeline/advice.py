"""Advice about the working grid's pixels that is accepted by whoever follows it: tried before."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

from landcover_pnp.errors import LandcoverError, LandcoverWarning, ResolutionError
from landcover_pnp.pipeline.profiles import PROFILES
from landcover_pnp.pipeline.settings import MapSettings

_KEY = "scene.resolution_m"
_ENGINE = "inference.engine"


def advised(
    error: ResolutionError, settings: MapSettings, plan: Callable[[MapSettings], object]
) -> ResolutionError:
    """The error with a fix that works: another resolution, or no engine by name, or both.

    Args:
        error: Why the settings were refused.
        settings: The settings.
        plan: Refuses settings that cannot be mapped; each piece of advice is tried by it.

    Returns:
        The same error, its fix put before by what was found to work, if anything was.
    """
    asked = settings.inference
    named = [key for key in ("engine", "prior") if getattr(asked, key) is not None]
    left_out = f"leave {' and '.join(f'inference.{key}' for key in named)}{_of(asked.engine)} out"
    free = replace(settings, inference=replace(asked, engine=None, prior=None))
    sizes = list(dict.fromkeys(f"{size:g}" for size in error.tries_m))
    for base, words in ((settings, ""), (free, left_out)) if named else ((settings, ""),):
        tries = [(base, words)] if words else []
        tries += [(_with(base, size), _and(words, f"set {_KEY} to {size}")) for size in sizes]
        for tried, fix in tries:  # grows by what the tries themselves are told
            reason = _refusal(tried, plan)
            if reason is None:
                told = fix if fix == error.fix else f"{fix}, or {error.fix}"
                return type(error)(error.found, error.expected, told, error.tries_m)
            for size in (f"{size:g}" for size in getattr(reason, "tries_m", ())):
                if size not in sizes:
                    sizes.append(size)
                    tries.append((_with(base, size), _and(words, f"set {_KEY} to {size}")))
    return error


def _of(engine: str | None) -> str:
    """The profiles that name an engine, which a user need not have done."""
    of = [word for word, p in PROFILES.items() if engine and p.values.get(_ENGINE) == engine]
    return f" (or the profile {' or '.join(of)}, which names it)" if of else ""


def _refusal(settings: MapSettings, plan: Callable[[MapSettings], object]) -> LandcoverError | None:
    """Why settings cannot be mapped, None if they can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LandcoverWarning)
        try:
            plan(settings)
        except LandcoverError as error:
            return error
    return None


def _and(first: str, then: str) -> str:
    return f"{first} and {then}" if first else then


def _with(settings: MapSettings, resolution_m: str) -> MapSettings:
    """The settings with another resolution, as rounded as the reader is told it."""
    return replace(settings, scene=replace(settings.scene, resolution_m=float(resolution_m)))
