"""The plugin and its provider of Processing algorithms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import ALGORITHMS

ICON = str(Path(__file__).with_name("icon.svg"))


class Provider(QgsProcessingProvider):
    """The algorithms of this package in the Processing toolbox."""

    def id(self) -> str:
        """Its name in commands: ``landcover:map``."""
        return "landcover"

    def name(self) -> str:
        """Its name in the toolbox."""
        return "Land cover"

    def icon(self) -> QIcon:
        """Its icon in the toolbox."""
        return QIcon(ICON)

    def loadAlgorithms(self) -> None:
        """Tells QGIS of the algorithms."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())


class Plugin:
    """What QGIS loads.

    Args:
        iface: The user interface; None in ``qgis_process``.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: Provider | None = None

    def initProcessing(self) -> None:
        """Called alone where there is no user interface."""
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Called as QGIS starts."""
        self.initProcessing()

    def unload(self) -> None:
        """Called as the plugin is switched off."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
