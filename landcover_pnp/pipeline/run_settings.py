"""The settings that a run folder was made by, and how they differ from those of a request."""

from __future__ import annotations

import json
from pathlib import Path

from landcover_pnp.config import plain
from landcover_pnp.config.addresses import without_query
from landcover_pnp.errors import RequestError
from landcover_pnp.inference.registry import engine_names
from landcover_pnp.inference.settings import BASELINE
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.storage.records import changed, ingredients
from landcover_pnp.storage.run_folder import RunFolder

WHERE_ONLY = ("workers", "scheduler")
"""Settings that say where the work is done, not what is made."""


def changed_settings(run: Path, settings: MapSettings) -> list[str]:
    """Names of the settings that differ from those of an earlier request in a run folder.

    Args:
        run: The run folder.
        settings: The settings now.

    Returns:
        Dotted names in alphabetical order; empty without an earlier request that can be read.
    """
    try:
        before = json.loads(RunFolder(run).settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(before, dict):
        return []
    then, now = (
        {name: without_query(value) for name, value in ingredients(**given).items()}
        for given in (before, plain(settings))
    )
    names = changed(then, now)
    used = settings.inference.used(BASELINE)
    idle = tuple(f"inference.{name}." for name in engine_names() if name not in used)
    return [name for name in names if name not in WHERE_ONLY and not name.startswith(idle)]


def require_same_request(run: Path, settings: MapSettings) -> None:
    """Refuses to replace a map that was made by other settings.

    For a run folder that the user has not named: that its name is the configuration's does not
    mean that its map may go.

    Raises:
        RequestError: Names the settings that differ, ``--run`` and ``--replace``.
    """
    names = changed_settings(run, settings)
    if not names:
        return
    listed = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
    raise RequestError(
        found=f"{run} holds a map made with other values of {listed}",
        expected="the same settings, or word that its map may be replaced",
        fix="name another folder with --run, or add --replace to make the map there again",
    )
