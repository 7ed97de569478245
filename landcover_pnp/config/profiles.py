"""Profiles: one word that fills in the settings that a user leaves out."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from landcover_pnp.config.plugin_settings import flattened

S = TypeVar("S")

KEY = "profile"
"""The key that names a profile, in files and on the command line."""

_TABLE = "_profiles"
_MEANING = "meaning"


@dataclass(frozen=True)
class Profile:
    """What a profile sets where the user says nothing.

    Attributes:
        summary: What it is for, in a few words.
        values: Values by dotted key, as YAML texts; all other keys have their defaults.
    """

    summary: str
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)


def profiled(table: Mapping[str, Profile], default: str) -> Callable[[type[S]], type[S]]:
    """A decorator of a settings dataclass whose values a profile may fill in.

    The dataclass has no field for it: settings are what they are, whichever word they came from,
    so that records and comparisons of settings know the values alone.

    Args:
        table: The profiles by their words.
        default: The one that counts where none is named.
    """

    def decorated(settings: type[S]) -> type[S]:
        setattr(settings, _TABLE, (table, default))
        return settings

    return decorated


def profiles_of(settings: type[Any]) -> Mapping[str, Profile]:
    """The profiles of a settings dataclass by their words; empty for one without any."""
    return _table(settings)[0]


def default_profile(settings: type[Any]) -> str:
    """The profile that counts where none is named; empty without profiles."""
    return _table(settings)[1]


def as_read(settings: type[Any]) -> type[Any]:
    """The dataclass as files and the command line see it: flattened, with the key ``profile``."""
    flat = flattened(settings)
    table, default = _table(settings)
    if not table:
        return flat
    told = "; ".join(f"{word}: {profile.summary}" for word, profile in table.items())
    meaning = f"What sets all keys that are not given. {told}."
    field = dataclasses.field(default=default, metadata={_MEANING: meaning})
    return dataclasses.make_dataclass(
        settings.__name__,
        [(KEY, typing.Literal[tuple(table)], field)],
        bases=(flat,),
        frozen=True,
        namespace={"__doc__": settings.__doc__, "__module__": __name__},
    )


def meaning_of(field: dataclasses.Field[Any]) -> str:
    """What the docstring does not say of a field of ``as_read``."""
    return str(field.metadata.get(_MEANING, ""))


def _table(settings: type[Any]) -> tuple[Mapping[str, Profile], str]:
    found: tuple[Mapping[str, Profile], str] = settings.__dict__.get(_TABLE, ({}, ""))
    return found
