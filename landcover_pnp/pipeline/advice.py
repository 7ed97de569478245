"""Advice about the working grid's pixels that is accepted by whoever follows it: tried before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

from landcover_pnp.errors import LandcoverError, LandcoverWarning, ResolutionError
from landcover_pnp.inference.settings import BASELINE
from landcover_pnp.pipeline.settings import MapSettings


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
    for tried, words in _tries(error, settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LandcoverWarning)
            try:
                plan(tried)
            except LandcoverError:
                continue
        kind = type(error)
        fix = words if error.fix in words else f"{words}, or {error.fix}"
        return kind(error.found, error.expected, fix, error.tries_m)
    return error


def _tries(error: ResolutionError, settings: MapSettings) -> Iterator[tuple[MapSettings, str]]:
    """Other settings that might do, the smallest change first, and how to come to them."""
    asked = settings.inference
    for number in error.tries_m:
        yield _with(settings, f"{number:g}"), f"set scene.resolution_m to {number:g}"
    if asked.engine is None and asked.prior is None:
        return
    free = replace(settings, inference=replace(asked, engine=None, prior=None))
    keys = [k for k in ("engine", "prior") if getattr(asked, k) is not None]
    words = f"leave {' and '.join(f'inference.{key}' for key in keys)} out"
    yield free, f"{words}, so that the engine {BASELINE} maps without a prior"
    for number in error.tries_m:
        yield _with(free, f"{number:g}"), f"{words} and set scene.resolution_m to {number:g}"


def _with(settings: MapSettings, resolution_m: str) -> MapSettings:
    """The settings with another resolution, as rounded as the reader is told it."""
    return replace(settings, scene=replace(settings.scene, resolution_m=float(resolution_m)))
