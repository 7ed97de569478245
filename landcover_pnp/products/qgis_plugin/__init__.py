"""The plugin for QGIS: what `landcover qgis-plugin` copies into a profile.

It runs in the Python of QGIS, where this package need not be installed, and so imports nothing of
it: it starts the installed command.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """What QGIS calls to load the plugin."""
    from .provider import Plugin

    return Plugin(iface)
