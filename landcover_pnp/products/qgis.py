"""QGIS layer definitions and projects, written as XML; no QGIS is needed to write them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from odc.geo.crs import CRS

from landcover_pnp.products.qgis_layout import (
    BASE_MAP,
    BASE_MAP_SOURCE,
    Bounds,
    legend_entries,
    print_layout,
    themes,
)
from landcover_pnp.products.styles import QGIS_VERSION, ClassStyle, Style, document, symbology
from landcover_pnp.storage.atomic import completed


@dataclass(frozen=True)
class Layer:
    """A layer of a project.

    Attributes:
        name: Name in the legend.
        source: File beside the project, for a vector layer with ``|layername=``.
        style: How it is drawn.
        shown: Whether it is switched on at first.
    """

    name: str
    source: str
    style: Style
    shown: bool = True

    @property
    def id(self) -> str:
        """Name by which the parts of a project refer to the layer; the same every time."""
        return "layer_" + hashlib.sha256(self.source.encode()).hexdigest()[:16]

    @property
    def provider(self) -> str:
        """QGIS' data provider."""
        return "gdal" if self.style.kind == "raster" else "ogr"


@dataclass(frozen=True)
class Group:
    """Layers under one heading.

    Attributes:
        name: The heading.
        layers: From top to bottom.
    """

    name: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Project:
    """What a project shows.

    Attributes:
        title: Title of the project and of the layer definition's outermost group.
        crs: CRS of all layers.
        bounds: What is in view at first.
        groups: From top to bottom.
        bookmarks: Places to look at, by name.
        attribution: Sources to be named, for the page to print.
    """

    title: str
    crs: CRS
    bounds: Bounds
    groups: tuple[Group, ...]
    bookmarks: Mapping[str, Bounds]
    attribution: tuple[str, ...] = ()

    @property
    def layers(self) -> list[Layer]:
        """All layers from top to bottom."""
        return [layer for group in self.groups for layer in group.layers]


def layer_definition(project: Project) -> str:
    """A ``.qlr`` file: all layers, styled and grouped, to be dragged into any project."""
    root = ET.Element("qlr")
    outermost = ET.SubElement(root, "layer-tree-group", name="", checked="Qt::Checked")
    outermost.append(_tree(project.title, project.groups))
    layers = ET.SubElement(root, "maplayers")
    layers.extend(_map_layer(layer, project) for layer in project.layers)
    return document(root)


def project_file(project: Project) -> str:
    """A ``.qgs`` file: layers, CRS, extent and bookmarks; paths count from its own folder."""
    root = ET.Element("qgis", version=QGIS_VERSION, projectname=project.title)
    ET.SubElement(root, "title").text = project.title
    ET.SubElement(root, "projectCrs").append(_crs(project.crs))
    tree = ET.SubElement(root, "layer-tree-group")
    tree.extend(_tree(group.name, group.layers) for group in project.groups)
    tree.append(_base_map_entry())
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas")
    ET.SubElement(canvas, "units").text = "meters"
    canvas.append(_extent("extent", project.bounds))
    ET.SubElement(canvas, "destinationsrs").append(_crs(project.crs))
    layers = ET.SubElement(root, "projectlayers")
    layers.extend(_map_layer(layer, project) for layer in project.layers)
    layers.append(_base_map())
    order = ET.SubElement(root, "layerorder")
    for identity in (*(layer.id for layer in project.layers), _BASE_MAP_ID):
        ET.SubElement(order, "layer", id=identity)
    root.append(themes(_themes(project)))
    root.append(
        print_layout(
            project.title,
            "\n".join(("Map: landcover_pnp", *project.attribution)),
            project.bounds,
            _legend_of_classes(project),
        )
    )
    properties = ET.SubElement(root, "properties")
    for group, name, kind, text in (
        ("Paths", "Absolute", "bool", "false"),
        ("SpatialRefSys", "ProjectionsEnabled", "int", "1"),
    ):
        ET.SubElement(ET.SubElement(properties, group), name, type=kind).text = text
    bookmarks = ET.SubElement(root, "Bookmarks")
    for number, (name, bounds) in enumerate(project.bookmarks.items()):
        left, bottom, right, top = bounds
        ring = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
        polygon = "POLYGON((" + ", ".join(f"{x:.3f} {y:.3f}" for x, y in ring) + "))"
        bookmark = ET.SubElement(
            bookmarks, "Bookmark", id=f"bookmark_{number}", name=name, group="", extent=polygon
        )
        bookmark.append(_crs(project.crs))
    view = ET.SubElement(root, "ProjectViewSettings")
    names = ("xmin", "ymin", "xmax", "ymax")
    corners = {name: f"{v:.3f}" for name, v in zip(names, project.bounds, strict=True)}
    ET.SubElement(view, "DefaultViewExtent", corners).append(_crs(project.crs))
    return document(root)


def zipped(name: str, project: str) -> bytes:
    """A ``.qgz`` file; the same project gives the same bytes.

    Args:
        name: File name of the project inside, ending in ``.qgs``.
        project: Its text.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # The earliest date a zip file can hold stands for none.
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), project)
    return buffer.getvalue()


def write_qgz(path: Path, project: Project) -> None:
    """Writes a project as a ``.qgz`` file.

    Args:
        path: The file.
        project: The project.

    Raises:
        RunError: If it cannot be written.
    """
    with completed(path) as partial:
        partial.write_bytes(zipped(f"{path.stem}.qgs", project_file(project)))


_BASE_MAP_ID = "layer_base_map"


def _legend_of_classes(project: Project) -> ET.Element:
    """The entries of the uppermost raster of classes, which is the map."""
    for layer in project.layers:
        if isinstance(layer.style, ClassStyle):
            entry = ET.Element("layer-tree-layer", id=layer.id, name=layer.name)
            return legend_entries(entry, len(layer.style.legend.classes))
    return ET.Element("layer-tree-group")


def _themes(project: Project) -> dict[str, list[str]]:
    """A theme for each raster: it, over the image and under the warnings."""
    rasters = [layer for layer in project.layers if layer.style.kind == "raster"]
    always = [layer for layer in project.layers if layer.shown and layer not in rasters]
    return {
        layer.name: [one.id for one in dict.fromkeys((*always, layer, rasters[-1]))]
        for layer in rasters
    }


def _base_map_entry() -> ET.Element:
    return ET.Element(
        "layer-tree-layer",
        id=_BASE_MAP_ID,
        name=BASE_MAP,
        source=BASE_MAP_SOURCE,
        providerKey="wms",
        checked="Qt::Unchecked",
        expanded="0",
    )


def _base_map() -> ET.Element:
    root = ET.Element("maplayer", type="raster")
    for tag, text in (
        ("id", _BASE_MAP_ID),
        ("datasource", BASE_MAP_SOURCE),
        ("layername", BASE_MAP),
    ):
        ET.SubElement(root, tag).text = text
    ET.SubElement(root, "srs").append(_crs(CRS("EPSG:3857")))
    ET.SubElement(root, "provider").text = "wms"
    return root


def _tree(name: str, members: Sequence[Group] | Sequence[Layer]) -> ET.Element:
    root = ET.Element("layer-tree-group", name=name, checked="Qt::Checked", expanded="1")
    for member in members:
        if isinstance(member, Group):
            root.append(_tree(member.name, member.layers))
            continue
        checked = "Qt::Checked" if member.shown else "Qt::Unchecked"
        ET.SubElement(
            root,
            "layer-tree-layer",
            id=member.id,
            name=member.name,
            source=member.source,
            providerKey=member.provider,
            checked=checked,
            expanded="1" if member.shown else "0",
        )
    return root


def _map_layer(layer: Layer, project: Project) -> ET.Element:
    root = ET.Element("maplayer", type=layer.style.kind, styleCategories="AllStyleCategories")
    root.append(_extent("extent", project.bounds))
    for tag, text in (("id", layer.id), ("datasource", layer.source), ("layername", layer.name)):
        ET.SubElement(root, tag).text = text
    ET.SubElement(root, "srs").append(_crs(project.crs))
    ET.SubElement(root, "provider", encoding="UTF-8").text = layer.provider
    root.extend(symbology(layer.style))
    return root


def _extent(tag: str, bounds: Bounds) -> ET.Element:
    root = ET.Element(tag)
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True):
        ET.SubElement(root, name).text = f"{value:.3f}"
    return root


def _crs(crs: CRS) -> ET.Element:
    root = ET.Element("spatialrefsys")
    ET.SubElement(root, "wkt").text = crs.proj.to_wkt()
    if crs.epsg is not None:
        ET.SubElement(root, "authid").text = f"EPSG:{crs.epsg}"
    return root
