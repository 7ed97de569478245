"""Settings: frozen dataclasses read from YAML files and from the command line, by one rule."""

from landcover_pnp.config.loading import load_settings
from landcover_pnp.config.plain import paths_in, plain
from landcover_pnp.config.profiles import Profile, profiled
from landcover_pnp.config.ranges import require_positive, require_within
from landcover_pnp.config.schema import file_or_address, keys, renamed

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
