"""The plugin for QGIS, copied to where QGIS looks for plugins."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.products.settings import QgisPluginSettings
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.owned_folder import make_owned
from landcover_pnp.version import __version__

PLUGIN = "landcover_processing"
"""Name of the plugin's folder, by which QGIS knows it."""

SOURCE = Path(__file__).with_name("qgis_plugin")
"""Where its files lie in this package."""

COMMAND = "command.json"
"""File in it that says how the command is started; see the plugin's ``command.py``."""


@dataclass(frozen=True)
class PluginSummary:
    """The plugin that was installed.

    Attributes:
        folder: Its folder.
        version: Its version.
    """

    folder: Path
    version: str


def profile_plugins() -> Path:
    """Folder of plugins in the default profile of QGIS 3."""
    if sys.platform == "win32":
        data = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return data / "QGIS" / "QGIS3" / "profiles" / "default" / "python" / "plugins"


def install_qgis_plugin(settings: QgisPluginSettings) -> PluginSummary:
    """Copies the plugin, which will start the command of this environment.

    Args:
        settings: Where to; an older version there is replaced.

    Returns:
        Where it lies.

    Raises:
        RequestError: If there is something else under its name.
    """
    folder = (settings.out or profile_plugins()) / PLUGIN
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(SOURCE.iterdir())
        if file.is_file()
    }
    texts["metadata.txt"] = texts["metadata.txt"].replace("=VERSION", f"={__version__}")
    texts[COMMAND] = json.dumps([sys.executable, "-m", "landcover_pnp"]) + "\n"
    make_owned(folder, "QGIS plugin", *texts)
    for name, text in texts.items():
        write_text(folder / name, text)
    return PluginSummary(folder, __version__)
