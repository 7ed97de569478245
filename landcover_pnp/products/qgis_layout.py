"""What a QGIS project offers beside its layers: a page to print, themes, a base map.

The elements are those that QGIS 3.22 itself writes, without what it takes for granted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top, in the units of the project's CRS."""

Frame = tuple[float, float, float, float]
"""Place on the page: distance from its left and its top, width, height, millimetres."""

LAYOUT = "Land cover, A4"
"""Name of the page in QGIS' menu of layouts."""

BASE_MAP = "OpenStreetMap (online)"
"""Name of the base map, which is fetched by QGIS, and only when it is switched on."""

BASE_MAP_SOURCE = (
    "type=xyz&zmin=0&zmax=19&url=https://tile.openstreetmap.org/%7Bz%7D/%7Bx%7D/%7By%7D.png"
)
"""Where its tiles are."""

PAGE: Frame = (0, 0, 297, 210)
MAP: Frame = (10, 24, 212, 172)
_TITLE: Frame = (10, 8, 277, 14)
_LEGEND: Frame = (228, 24, 59, 90)
_NORTH: Frame = (250, 136, 14, 18)
_SCALE: Frame = (228, 158, 59, 14)
_RIGHTS: Frame = (228, 172, 59, 24)

_KINDS = {"page": 65638, "map": 65639, "picture": 65640, "label": 65641, "legend": 65642}
_SCALE_BAR = 65646

_NORTH_ARROW = ":/images/north_arrows/layout_default_north_arrow.svg"

_KILOMETRES_FROM_M = 4000
"""Width of ground from which the scale bar counts kilometres."""


def print_layout(title: str, rights: str, bounds: Bounds, legend: ET.Element) -> ET.Element:
    """A landscape A4 page: title, map, legend, scale, north, attribution.

    Args:
        title: Its heading.
        rights: Attribution, a line a source.
        bounds: Ground that is to be seen, metres; the map shows more where the frame is wider.
        legend: ``layer-tree-group`` of the layers in the legend.

    Returns:
        The ``Layouts`` element of a project.
    """
    root = ET.Element("Layouts")
    layout = ET.SubElement(root, "Layout", name=LAYOUT, units="mm", printResolution="300")
    pages = ET.SubElement(layout, "PageCollection")
    pages.append(_item("page", _KINDS["page"], PAGE))
    chart = _item("map", _KINDS["map"], MAP, frame="true", background="true")
    ground = fitted(bounds, MAP)
    corners = zip(("xmin", "ymin", "xmax", "ymax"), ground, strict=True)
    ET.SubElement(chart, "Extent", {name: f"{value:.3f}" for name, value in corners})
    names = _item(
        "legend",
        _KINDS["legend"],
        _LEGEND,
        map_uuid=_uuid("map"),
        resizeToContents="1",
        symbolWidth="7",
        symbolHeight="4",
    )
    names.append(_legend_fonts())
    names.append(legend)
    layout.extend(
        (
            _label("title", title, _TITLE, 18, wide=True),
            chart,
            names,
            _item(
                "north",
                _KINDS["picture"],
                _NORTH,
                file=_NORTH_ARROW,
                mode="2",
                anchorPoint="4",
                svgFillColor="40,40,40,255",
                svgBorderColor="40,40,40,255",
            ),
            _scale_bar(ground),
            _label("rights", rights, _RIGHTS, 6),
        )
    )
    return root


def legend_entries(layer: ET.Element, entries: int) -> ET.Element:
    """The legend of one raster of classes, without the line that names its band.

    Args:
        layer: Its ``layer-tree-layer``.
        entries: Number of its classes.

    Returns:
        The ``layer-tree-group`` that ``print_layout`` takes.
    """
    group = ET.Element("layer-tree-group")
    group.append(layer)
    properties = ET.SubElement(ET.SubElement(layer, "customproperties"), "Option", type="Map")
    order = ",".join(str(number) for number in range(1, entries + 1))  # 0 is the band
    ET.SubElement(properties, "Option", name="legend/node-order", type="QString", value=order)
    return group


def themes(shown: Mapping[str, Iterable[str]]) -> ET.Element:
    """Themes, which switch layers on and off together.

    Args:
        shown: Ids of the layers that each shows, from top to bottom, by the theme's name.

    Returns:
        The ``visibility-presets`` element of a project.
    """
    root = ET.Element("visibility-presets")
    for name, layers in shown.items():
        preset = ET.SubElement(root, "visibility-preset", name=name)
        for layer in layers:
            ET.SubElement(preset, "layer", id=layer, visible="1", style="default")
    return root


def fitted(bounds: Bounds, frame: Frame) -> Bounds:
    """Bounds with the frame's ratio of width to height, around the same centre."""
    left, bottom, right, top = bounds
    width, height, ratio = right - left, top - bottom, frame[2] / frame[3]
    wide = max(0.0, height * ratio - width) / 2
    high = max(0.0, width / ratio - height) / 2
    return left - wide, bottom - high, right + wide, top + high


def _item(name: str, kind: int, place: Frame, **more: str) -> ET.Element:
    x, y, width, height = place
    values = {
        "type": str(kind),
        "id": name,
        "uuid": _uuid(name),
        "templateUuid": _uuid(name),
        "position": f"{x},{y},mm",
        "positionOnPage": f"{x},{y},mm",
        "size": f"{width},{height},mm",
        "visibility": "1",
        "opacity": "1",
        "background": "false",
        "frame": "false",
    }
    return ET.Element("LayoutItem", {**values, **more})


def _uuid(name: str) -> str:
    """The same for the same item of any project: equal runs give equal bytes."""
    return "{" + str(uuid.uuid5(uuid.NAMESPACE_URL, f"landcover_pnp/{name}")) + "}"


def _label(name: str, text: str, frame: Frame, points: int, wide: bool = False) -> ET.Element:
    item = _item(
        name,
        _KINDS["label"],
        frame,
        labelText=text,
        htmlState="0",
        halign="1",
        valign="128" if wide else "64",
        marginX="0",
        marginY="0",
    )
    ET.SubElement(item, "LabelFont", description=f"Sans Serif,{points},-1,5,50,0,0,0,0,0")
    ET.SubElement(item, "FontColor", red="20", green="20", blue="20", alpha="255")
    return item


def _legend_fonts() -> ET.Element:
    root = ET.Element("styles")
    for name, points, margins in (
        ("title", 12, {"marginBottom": "2"}),
        ("group", 10, {"marginTop": "2"}),
        ("subgroup", 10, {"marginTop": "0", "marginBottom": "1"}),
        ("symbol", 9, {"marginTop": "2"}),
        ("symbolLabel", 9, {"marginTop": "2", "marginLeft": "2"}),
    ):
        style = ET.SubElement(root, "style", {"name": name, "alignment": "1", **margins})
        description = f"Sans Serif,{points},-1,5,50,0,0,0,0,0"
        ET.SubElement(style, "styleFont", description=description)
    return root


def _scale_bar(ground: Bounds) -> ET.Element:
    far = ground[2] - ground[0] >= _KILOMETRES_FROM_M
    item = _item(
        "scale",
        _SCALE_BAR,
        _SCALE,
        mapUuid=_uuid("map"),
        style="Single Box",
        segmentSizeMode="1",
        minBarWidth="25",
        maxBarWidth="45",
        numSegments="2",
        numSegmentsLeft="0",
        numSubdivisions="1",
        unitType="km" if far else "meters",
        unitLabel="km" if far else "m",
        numMapUnitsPerScaleBarUnit="1",
        height="2",
        labelBarSpace="1.5",
        boxContentSpace="0",
        outlineWidth="0.2",
    )
    ET.SubElement(
        item,
        "text-style",
        fontFamily="Sans Serif",
        fontSize="8",
        fontSizeUnit="Point",
        fontWeight="50",
        textColor="20,20,20,255",
        textOpacity="1",
    )
    for tag, grey in (("fillColor", "40"), ("fillColor2", "255"), ("strokeColor", "40")):
        ET.SubElement(item, tag, red=grey, green=grey, blue=grey, alpha="255")
    return item
