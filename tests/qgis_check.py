"""Opens a folder of products in QGIS and prints what QGIS makes of it, as JSON.

Usage: python3 tests/qgis_check.py PRODUCTS [PICTURE.png]

Runs in the Python that QGIS belongs to (Debian: python3-qgis), without a display. The picture
shows the project as it opens. tests/integration/test_qgis.py compares the answer.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsLayerDefinition,
    QgsLayoutExporter,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def legend(layer: Any) -> list[list[str]]:
    """Label and colour of each legend entry."""
    renderer = layer.renderer()
    if isinstance(layer, QgsVectorLayer):
        items = renderer.legendSymbolItems()
        return [[i.label(), i.symbol().color().name()] for i in items if i.symbol()]
    if renderer.type() == "multibandcolor":
        return []
    return [[label, colour.name()] for label, colour in renderer.legendSymbologyItems()]


def described(layer: Any) -> dict[str, Any]:
    """What QGIS knows of a layer."""
    box = layer.extent()
    return {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        "renderer": layer.renderer().type() if layer.isValid() else None,
        "legend": legend(layer) if layer.isValid() else [],
    }


def render(layers: list[Any], crs: Any, extent: Any, path: Path) -> None:
    """Draws layers, the first on top."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(crs)
    settings.setExtent(extent)
    settings.setOutputSize(QSize(900, 900))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(path))


def printed(project: Any, path: Path) -> dict[str, Any]:
    """Prints the project's page to PDF and PNG."""
    (layout,) = project.layoutManager().layouts()
    exporter, themes = QgsLayoutExporter(layout), project.mapThemeCollection()
    pdf, png = path.with_suffix(".pdf"), path.with_name(f"{path.stem}_page.png")
    settings = QgsLayoutExporter.ImageExportSettings()
    settings.dpi = 100
    return {
        "name": layout.name(),
        "items": sorted(i.id() for i in layout.items() if hasattr(i, "id") and i.id()),
        "exported": [
            exporter.exportToPdf(str(pdf), QgsLayoutExporter.PdfExportSettings()),
            exporter.exportToImage(str(png), settings),
        ],
        "ground": str(layout.itemById("map").extent().asWktPolygon()),
        "themes": {
            name: [layer.name() for layer in themes.mapThemeVisibleLayers(name)]
            for name in themes.mapThemes()
        },
    }


def main(folder: Path, picture: Path | None) -> dict[str, Any]:
    """Opens project, layer definition and single files."""
    project = QgsProject.instance()
    opened = project.read(str(folder / "landcover.qgz"))
    view = project.viewSettings().defaultViewExtent()
    shown = [n.layer() for n in project.layerTreeRoot().findLayers() if n.isVisible()]
    answer: dict[str, Any] = {
        "opened": opened,
        "title": project.title(),
        "crs": project.crs().authid(),
        "view": [view.xMinimum(), view.yMinimum(), view.xMaximum(), view.yMaximum()],
        "groups": [g.name() for g in project.layerTreeRoot().findGroups()],
        "order": [n.name() for n in project.layerTreeRoot().findLayers()],
        "shown": [layer.name() for layer in shown],
        "bookmarks": [b.name() for b in project.bookmarkManager().bookmarks()],
        "layers": {layer.name(): described(layer) for layer in project.mapLayers().values()},
    }
    if picture is not None:
        render(shown, project.crs(), view, picture)
        answer["page"] = printed(project, picture)
    project.clear()
    done, message = QgsLayerDefinition.loadLayerDefinition(
        str(folder / "landcover.qlr"), project, project.layerTreeRoot()
    )
    answer["qlr"] = {
        "opened": done,
        "message": message,
        "layers": {layer.name(): described(layer) for layer in project.mapLayers().values()},
    }
    project.clear()
    answer["files"] = {
        path.name: described(QgsRasterLayer(str(path), path.stem))
        for path in sorted(folder.glob("*.tif"))
    }
    polygons = QgsVectorLayer(f"{folder}/landcover.gpkg|layername=landcover", "x", "ogr")
    answer["files"]["landcover.gpkg"] = described(polygons)
    return answer


if __name__ == "__main__":
    application = QgsApplication([], False)
    application.initQgis()
    result = main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    sys.stdout.write(json.dumps(result, indent=1))
    application.exitQgis()
