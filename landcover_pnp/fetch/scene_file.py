"""The configuration of a fetched scene, which ``landcover map`` takes as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml


def scene_text(
    name: str,
    layers: Mapping[str, Any],
    attribution: Sequence[str],
    resolution_m: float,
    profile: str,
) -> str:
    """A configuration file.

    Args:
        name: Name of the place.
        layers: The block ``scene.rasters``; paths count from the file's folder.
        attribution: Makers and licence of each layer.
        resolution_m: Pixel side of the working grid, metres.
        profile: Profile of the map.

    Returns:
        YAML.
    """
    content: dict[str, Any] = {
        "scene": {
            "rasters": dict(layers),
            "resolution_m": resolution_m,
            "attribution": list(attribution),
        },
        "weak_labels": {"matrix_source": "definitions", "refinement": {"keep": 0.2}},
        "profile": profile,
    }
    # One line, whatever the name holds: a comment ends with its line.
    head = "# Fetched by `landcover fetch place`; the keys may be changed.\n"
    head += f"# {' '.join(name.split())}\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)


def batch_text(configs: Sequence[str]) -> str:
    """A configuration of ``landcover batch``: a map for each grid.

    Args:
        configs: Names of the scenes' configurations beside it.

    Returns:
        YAML.
    """
    return yaml.safe_dump({"cities": list(configs)}, sort_keys=False)


def zone_name(crs: str) -> str:
    """A CRS as part of a file's name: ``epsg26917``."""
    return "".join(letter for letter in crs.lower() if letter.isalnum())[:24]
