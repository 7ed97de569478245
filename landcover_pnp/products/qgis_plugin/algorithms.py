"""The algorithms: each asks for layers, starts one command, and loads what it has made."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterEnum,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorLayer,
)
from qgis.PyQt.QtGui import QIcon

from .command import CommandError, run

LEGENDS = ("nlcd", "worldcover", "esri", "dynamic_world", "corine", "ccap")
"""Legends of coarse maps that come with the package."""

PROFILES = ("balanced", "fast", "paper")
"""Profiles of ``landcover map``."""

_FOLDER = QgsProcessingParameterFile.Folder


class _Algorithm(QgsProcessingAlgorithm):
    """What all of them share; subclasses name themselves and say what they run."""

    NAME, TITLE, HELP = "", "", ""

    def name(self) -> str:
        """Its name in commands."""
        return self.NAME

    def displayName(self) -> str:
        """Its name in the toolbox."""
        return self.TITLE

    def shortHelpString(self) -> str:
        """What stands beside its dialogue."""
        return self.HELP

    def icon(self) -> QIcon:
        """Its icon in the toolbox."""
        return QIcon(str(Path(__file__).with_name("icon.svg")))

    def createInstance(self) -> _Algorithm:
        """Another one like this."""
        return type(self)()

    def flags(self) -> Any:
        """It may be cancelled."""
        return super().flags() | QgsProcessingAlgorithm.FlagCanCancel

    def _path(self, given: dict[str, Any], name: str, context: Any, feedback: Any) -> str | None:
        """File of a layer; one that lies in memory is written to a temporary file."""
        layer = self.parameterAsLayer(given, name, context)
        if layer is None:
            return None
        if layer.type() == layer.VectorLayer:
            path: str = self.parameterAsCompatibleSourceLayerPath(
                given, name, context, ["gpkg", "shp", "geojson"], "gpkg", feedback
            )
            return path
        return str(layer.source())

    @staticmethod
    def _run(words: list[str], feedback: Any, folder: Path | None = None) -> None:
        feedback.pushInfo("landcover " + " ".join(words))
        try:
            run(words, feedback, folder)
        except CommandError as error:
            raise QgsProcessingException(str(error)) from error

    @staticmethod
    def _load(path: Path, title: str, context: Any) -> str:
        """Has a layer loaded when all is done; its style lies beside it."""
        if path.exists():
            details = QgsProcessingContext.LayerDetails(title, context.project(), title)
            context.addLayerToLoadOnCompletion(str(path), details)
        return str(path)


class MapLandCover(_Algorithm):
    """``landcover map --publish``."""

    NAME, TITLE = "map", "Map land cover"
    HELP = (
        "Maps a city from an aerial image (3 or 4 bands, a projected CRS) and a coarse land-cover "
        "map; roads, buildings and water make it better. The same run folder again goes on where "
        "it was cancelled. Loads the map with its legend; the folder's products hold a whole "
        "project, polygons and a report."
    )

    def initAlgorithm(self, _config: Any = None) -> None:
        """Declares the parameters."""
        vector = [QgsProcessing.TypeVectorAnyGeometry]
        for name, text in (("IMAGE", "Aerial image"), ("COARSE", "Coarse land-cover map")):
            self.addParameter(QgsProcessingParameterRasterLayer(name, text))
        self.addParameter(
            QgsProcessingParameterEnum(
                "LEGEND", "Legend of the coarse map", LEGENDS, defaultValue=0
            )
        )
        for name, text in (
            ("ROADS", "Roads"),
            ("BUILDINGS", "Buildings"),
            ("WATER", "Water"),
            ("AREA", "Area to be mapped"),
        ):
            self.addParameter(QgsProcessingParameterVectorLayer(name, text, vector, optional=True))
        self.addParameter(
            QgsProcessingParameterEnum("PROFILE", "Profile", PROFILES, defaultValue=0)
        )
        self.addParameter(QgsProcessingParameterFolderDestination("RUN", "Run folder"))
        self.addOutput(QgsProcessingOutputRasterLayer("OUTPUT", "Land cover"))

    def processAlgorithm(
        self, given: dict[str, Any], context: Any, feedback: Any
    ) -> dict[str, Any]:
        """Maps, and loads the map."""
        folder = Path(self.parameterAsString(given, "RUN", context))
        rasters: dict[str, Any] = {
            "image": self._path(given, "IMAGE", context, feedback),
            "coarse": self._path(given, "COARSE", context, feedback),
            "legend": LEGENDS[self.parameterAsEnum(given, "LEGEND", context)],
        }
        for name in ("ROADS", "BUILDINGS", "WATER", "AREA"):
            path = self._path(given, name, context, feedback)
            if path:
                rasters[name.lower()] = path if name == "AREA" else {"path": path}
        config = {
            "scene": {"rasters": rasters},
            "profile": PROFILES[self.parameterAsEnum(given, "PROFILE", context)],
        }
        with tempfile.TemporaryDirectory() as temporary:
            city = Path(temporary) / "city.yaml"
            city.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
            self._run(["map", str(city), "--run", str(folder), "--publish"], feedback, folder)
        output = folder / "products" / "landcover.tif"
        return {"RUN": str(folder), "OUTPUT": self._load(output, "Land cover", context)}


class FillHoles(_Algorithm):
    """``landcover fill``."""

    NAME, TITLE = "fill", "Fill holes"
    HELP = (
        "Fills the ground of a land-cover map that a mask hides (clouds, shadow, gaps) with what "
        "the prior finds likely beside what is seen. All other pixels stay as they are."
    )

    def initAlgorithm(self, _config: Any = None) -> None:
        """Declares the parameters."""
        self.addParameter(QgsProcessingParameterRasterLayer("MAP", "Land-cover map"))
        self.addParameter(QgsProcessingParameterMapLayer("MASK", "What is hidden"))
        self.addParameter(QgsProcessingParameterFolderDestination("FOLDER", "Filled map"))
        self.addOutput(QgsProcessingOutputRasterLayer("OUTPUT", "Filled map"))

    def processAlgorithm(
        self, given: dict[str, Any], context: Any, feedback: Any
    ) -> dict[str, Any]:
        """Fills, and loads the filled map."""
        folder = self.parameterAsString(given, "FOLDER", context)
        words = ["fill", str(self._path(given, "MAP", context, feedback))]
        mask, _, layer = str(self._path(given, "MASK", context, feedback)).partition("|layername=")
        words += ["--mask", mask, *(["--mask_layer", layer] if layer else [])]
        answer = _Answer(feedback)
        self._run([*words, "--out", folder, "--json"], answer)
        return {"OUTPUT": self._load(Path(answer.fields["map"]), "Filled map", context)}


class ZonalStatistics(_Algorithm):
    """``landcover zonal``."""

    NAME, TITLE = "zonal", "Zonal statistics of a run"
    HELP = "Hectares and shares of each class, by the polygons of a layer."

    def initAlgorithm(self, _config: Any = None) -> None:
        """Declares the parameters."""
        self.addParameter(QgsProcessingParameterFile("RUN", "Run folder", _FOLDER))
        polygons = [QgsProcessing.TypeVectorPolygon]
        self.addParameter(QgsProcessingParameterVectorLayer("ZONES", "Zones", polygons))
        self.addOutput(QgsProcessingOutputVectorLayer("OUTPUT", "Zones with their land cover"))
        self.addOutput(QgsProcessingOutputFile("TABLE", "Table"))

    def processAlgorithm(
        self, given: dict[str, Any], context: Any, feedback: Any
    ) -> dict[str, Any]:
        """Sums up, and loads the zones."""
        folder = self.parameterAsString(given, "RUN", context)
        zones = str(self._path(given, "ZONES", context, feedback))
        zones, _, layer = zones.partition("|layername=")
        words = ["zonal", folder, zones, *(["--layer", layer] if layer else []), "--json"]
        answer = _Answer(feedback)
        self._run(words, answer)
        paths = answer.fields
        layer_path = self._load(Path(paths["layer"]), "Land cover by zones", context)
        return {"OUTPUT": layer_path, "TABLE": paths["table"]}


class CompareMaps(_Algorithm):
    """``landcover compare``."""

    NAME, TITLE = "compare", "Compare two maps"
    HELP = (
        "Where two maps of the same ground differ, and how many hectares changed from what to what."
    )

    def initAlgorithm(self, _config: Any = None) -> None:
        """Declares the parameters."""
        for name, text in (("BEFORE", "Run folder before"), ("AFTER", "Run folder after")):
            self.addParameter(QgsProcessingParameterFile(name, text, _FOLDER))
        self.addParameter(QgsProcessingParameterFolderDestination("FOLDER", "Comparison"))
        self.addOutput(QgsProcessingOutputRasterLayer("OUTPUT", "Changes"))
        self.addOutput(QgsProcessingOutputFile("REPORT", "Report"))

    def processAlgorithm(
        self, given: dict[str, Any], context: Any, feedback: Any
    ) -> dict[str, Any]:
        """Compares, and loads the changes."""
        maps = [self.parameterAsString(given, name, context) for name in ("BEFORE", "AFTER")]
        folder = Path(self.parameterAsString(given, "FOLDER", context))
        self._run(["compare", *maps, "--out", str(folder)], feedback)
        changes = self._load(folder / "difference.tif", "Changes", context)
        return {"OUTPUT": changes, "REPORT": str(folder / "comparison.html")}


class CorrectMap(_Algorithm):
    """``landcover correct``, and ``landcover publish`` of what it gives."""

    NAME, TITLE = "correct", "Correct a map"
    HELP = (
        "Corrects a run's map by polygons or points that you have drawn, each with its class in a "
        "column: they are held, and the map around them learns from them. The layer holds all "
        "edits of the map: add to it and run this again. Without a layer the map is its own again. "
        "Loads the corrected map; the folder's products are published anew by the default "
        "settings, with a layer and a theme of what changed."
    )

    def initAlgorithm(self, _config: Any = None) -> None:
        """Declares the parameters."""
        vector = [QgsProcessing.TypeVectorPolygon, QgsProcessing.TypeVectorPoint]
        self.addParameter(QgsProcessingParameterFile("RUN", "Run folder", _FOLDER))
        self.addParameter(QgsProcessingParameterVectorLayer("EDITS", "Edits", vector, None, True))
        column = QgsProcessingParameterField(
            "CLASS_COLUMN", "Column of the classes", parentLayerParameterName="EDITS", optional=True
        )
        self.addParameter(column)
        self.addOutput(QgsProcessingOutputRasterLayer("OUTPUT", "Corrected map"))

    def processAlgorithm(
        self, given: dict[str, Any], context: Any, feedback: Any
    ) -> dict[str, Any]:
        """Corrects, publishes, and loads the map."""
        folder = self.parameterAsString(given, "RUN", context)
        words = ["correct", folder, "--undo"]
        edits = self._path(given, "EDITS", context, feedback)
        if edits:
            path, _, layer = edits.partition("|layername=")
            column = self.parameterAsString(given, "CLASS_COLUMN", context)
            words = ["correct", folder, path, *(["--layer", layer] if layer else [])]
            words += ["--class_column", column] if column else []
        self._run(words, feedback)
        self._run(["publish", folder], feedback)
        output = Path(folder) / "products" / "landcover.tif"
        return {"OUTPUT": self._load(output, "Corrected land cover", context)}


class _Answer:
    """Keeps the command's JSON answer, and shows the rest of what it says.

    Args:
        feedback: Where it is shown.

    Attributes:
        fields: The answer.
    """

    def __init__(self, feedback: Any) -> None:
        self._feedback = feedback
        self.fields: dict[str, Any] = {}

    def pushInfo(self, text: str) -> None:
        """Takes a line."""
        if text.startswith("{"):
            self.fields = json.loads(text)
        else:
            self._feedback.pushInfo(text)

    def setProgress(self, percent: float) -> None:
        """Passes it on."""
        self._feedback.setProgress(percent)

    def isCanceled(self) -> bool:
        """Passes it on."""
        return bool(self._feedback.isCanceled())


ALGORITHMS = (MapLandCover, FillHoles, ZonalStatistics, CompareMaps, CorrectMap)
"""All algorithms, in the order of the toolbox."""
