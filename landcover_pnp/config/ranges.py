"""Ranges of settings, refused by name where a value lies outside."""

from __future__ import annotations

from typing import Any

from landcover_pnp.errors import SettingsError


def require_positive(settings: Any, *names: str) -> None:
    """Refuses values that are not finite numbers above 0; None passes.

    Raises:
        SettingsError: Names the first such setting and its value.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise _outside(name, value, "a number above 0")


def require_within(settings: Any, low: float, high: float, *names: str) -> None:
    """Refuses values outside of ``low <= value <= high``; None passes.

    Raises:
        SettingsError: Names the first such setting and its value.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            wanted = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
            raise _outside(name, value, wanted)


def _outside(name: str, value: object, expected: str) -> SettingsError:
    return SettingsError(
        found=f"{name} is {value}",  # ``loading`` puts the block and the place before and behind
        expected=expected,
        fix="correct the value in the configuration or on the command line",
    )
