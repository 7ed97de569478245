"""Settings: frozen dataclasses read from YAML files and from the command line, by one rule.

``load_settings`` is imported when it is first used: what only checks ranges needs no YAML.
"""

from typing import TYPE_CHECKING, Any

from landcover_pnp.config.plain import paths_in, plain
from landcover_pnp.config.profiles import Profile, profiled
from landcover_pnp.config.ranges import require_positive, require_within
from landcover_pnp.config.schema import file_or_address, keys, renamed

if TYPE_CHECKING:
    from landcover_pnp.config.loading import load_settings

__all__ = [
    "load_settings",
    "plain",
    "paths_in",
    "file_or_address",
    "keys",
    "renamed",
    "Profile",
    "profiled",
    "require_positive",
    "require_within",
]


def __getattr__(name: str) -> Any:
    if name != "load_settings":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from landcover_pnp.config.loading import load_settings

    return load_settings
