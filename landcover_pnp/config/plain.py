"""Settings as plain values, and the paths in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from landcover_pnp.config.addresses import shown
from landcover_pnp.config.plugin_settings import is_blocks


def plain(settings: Any) -> Any:
    """Settings as JSON values that ``load_settings`` reads back, with absolute paths."""
    if dataclasses.is_dataclass(settings):
        values: dict[str, Any] = {}
        for field in dataclasses.fields(settings):
            value = getattr(settings, field.name)
            blocks = value if is_blocks(field) else {field.name: value}
            values |= {name: plain(block) for name, block in blocks.items()}
        return values
    if isinstance(settings, (list, tuple)):
        return [plain(value) for value in settings]
    if isinstance(settings, Path):
        return shown(settings) or str(settings.absolute())
    return settings


def paths_in(settings: Any) -> list[Path]:
    """All paths in settings, those in blocks and lists too."""
    if isinstance(settings, Path):
        return [settings]
    if dataclasses.is_dataclass(settings):
        settings = [getattr(settings, field.name) for field in dataclasses.fields(settings)]
    if isinstance(settings, (list, tuple)):
        return [path for value in settings for path in paths_in(value)]
    return []
