"""Checks of an engine's own settings, which name them as a configuration does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from landcover_pnp.errors import SettingsError

if TYPE_CHECKING:
    from landcover_pnp.prior.denoiser import Prior


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


def _require(engine: str, name: str, value: Any, low: float, high: float, wanted: str) -> None:
    if not low <= value <= high:
        raise SettingsError(
            found=f"inference.{engine}.{name} is {value}",
            expected=wanted,
            fix=f"set inference.{engine}.{name} within these",
        )
