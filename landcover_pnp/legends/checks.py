"""What the legends of files have in common: they are read, and their classes are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from landcover_pnp.errors import SettingsError

Read = TypeVar("Read")


def read_legend(kind: type[Read], path: Path) -> Read:
    """Reads a legend from a YAML file with the keys of its dataclass.

    Raises:
        SettingsError: If the file is no YAML, or a key or value is wrong, which is said with the
            line.
    """
    # Not above: a machine that only trains a prior has no YAML.
    from landcover_pnp.config import load_settings

    try:
        return load_settings(kind, path)
    except SettingsError as error:
        fix = error.fix if "configs/" not in error.fix else "compare with docs/legends.md"
        raise SettingsError(error.found, error.expected, fix) from error


def require_colour(colour: Sequence[int], code: int) -> None:
    """Refuses what is no colour.

    Raises:
        SettingsError: Names the code of the class.
    """
    if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
        raise SettingsError(
            found=f"colour is {list(colour)} of code {code}",
            expected="red, green and blue, each 0 to 255",
            fix="write it as [0, 100, 0]",
        )


def require_once(legend: str, what: str, values: Iterable[str]) -> None:
    """Refuses classes that cannot be told apart by something.

    Args:
        legend: Name of the legend.
        what: ``code`` or ``name``.
        values: The classes' own.

    Raises:
        SettingsError: Lists what stands there several times.
    """
    twice = {value: count for value, count in Counter(values).items() if count > 1}
    if twice:
        listed = ", ".join(f"{value} ({count} times)" for value, count in twice.items())
        raise SettingsError(
            found=f"classes of the legend {legend!r} with the same {what}: {listed}",
            expected=f"each {what} once",
            fix=f"give each class a {what} of its own, or delete one",
        )
