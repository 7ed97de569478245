"""How QGIS draws a layer: renderers as XML elements, and ``.qml`` files made of them.

The elements are those that QGIS 3.22 itself writes, without what it takes for granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable
from xml.etree import ElementTree as ET

from landcover_pnp.legend import Legend
from landcover_pnp.products.page import hex_colour

QGIS_VERSION = "3.22.0"
"""Oldest QGIS whose XML is written; every later one reads it."""

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

POLYGONS = "2"
"""QGIS' number of the geometry type."""

Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""


class Style(Protocol):
    """How a layer is drawn."""

    @property
    def kind(self) -> Literal["raster", "vector"]:
        """What kind of layer it draws."""
        ...

    def renderer(self) -> ET.Element:
        """The element that names the renderer and its colours."""
        ...


@runtime_checkable
class FieldStyle(Protocol):
    """A style that says too how columns are filled in."""

    def fields(self) -> list[ET.Element]:
        """The elements that say so."""
        ...


@dataclass(frozen=True)
class ClassStyle:
    """A raster of classes: the legend's colours and names; other values stay transparent.

    Attributes:
        legend: The classes.
    """

    legend: Legend
    kind: Literal["raster"] = "raster"

    def renderer(self) -> ET.Element:
        """A paletted renderer."""
        root = _raster_renderer("paletted", band="1")
        palette = ET.SubElement(root, "colorPalette")
        for c in self.legend.classes:
            colour = hex_colour(c.colour)
            ET.SubElement(
                palette, "paletteEntry", value=str(c.code), color=colour, label=c.name, alpha="255"
            )
        return root


@dataclass(frozen=True)
class RampStyle:
    """A raster of quantities: colours interpolated between stops.

    Attributes:
        stops: Value and colour, in rising order of the values.
        unit: Follows the values in the legend.
    """

    stops: tuple[tuple[float, Colour], ...]
    unit: str = " %"
    kind: Literal["raster"] = "raster"

    def renderer(self) -> ET.Element:
        """A single-band pseudocolour renderer."""
        low, high = f"{self.stops[0][0]:g}", f"{self.stops[-1][0]:g}"
        root = _raster_renderer(
            "singlebandpseudocolor", band="1", classificationMin=low, classificationMax=high
        )
        shader = ET.SubElement(
            ET.SubElement(root, "rastershader"),
            "colorrampshader",
            colorRampType="INTERPOLATED",
            classificationMode="1",
            minimumValue=low,
            maximumValue=high,
            clip="0",
        )
        for value, colour in self.stops:
            number = f"{value:g}"
            ET.SubElement(
                shader,
                "item",
                value=number,
                color=hex_colour(colour),
                label=number + self.unit,
                alpha="255",
            )
        return root


@dataclass(frozen=True)
class ImageStyle:
    """A raster whose first three bands are red, green and blue.

    Attributes:
        high: Value that is drawn as bright as can be; 0 is black.
    """

    high: float
    kind: Literal["raster"] = "raster"

    def renderer(self) -> ET.Element:
        """A multi-band colour renderer."""
        root = _raster_renderer("multibandcolor", redBand="1", greenBand="2", blueBand="3")
        for colour in ("red", "green", "blue"):
            stretch = ET.SubElement(root, f"{colour}ContrastEnhancement")
            for tag, text in (
                ("minValue", "0"),
                ("maxValue", f"{self.high:g}"),
                ("algorithm", "StretchToMinimumMaximum"),
            ):
                ET.SubElement(stretch, tag).text = text
        return root


@dataclass(frozen=True)
class PolygonStyle:
    """Polygons of classes in the legend's colours, with a thin line of the same colour.

    Attributes:
        legend: The classes.
        attribute: Column that holds the code.
    """

    legend: Legend
    attribute: str = "code"
    kind: Literal["vector"] = "vector"

    def renderer(self) -> ET.Element:
        """A categorised renderer."""
        root = ET.Element("renderer-v2", type="categorizedSymbol", attr=self.attribute)
        categories, symbols = ET.SubElement(root, "categories"), ET.SubElement(root, "symbols")
        for number, c in enumerate(self.legend.classes):
            ET.SubElement(
                categories,
                "category",
                symbol=str(number),
                value=str(c.code),
                label=c.name,
                render="true",
            )
            # A line of the area's colour closes the hairlines that antialiasing leaves.
            _fill_symbol(symbols, str(number), "solid", c.colour, c.colour, width_mm=0.05)
        return root


@dataclass(frozen=True)
class OutlineStyle:
    """Areas that stand out: an outline, hatched inside if asked.

    Attributes:
        colour: Colour of the lines.
        hatched: Whether the areas are hatched.
    """

    colour: Colour
    hatched: bool = False
    kind: Literal["vector"] = "vector"

    def renderer(self) -> ET.Element:
        """A single-symbol renderer."""
        root = ET.Element("renderer-v2", type="singleSymbol")
        fill = "b_diagonal" if self.hatched else "no"
        _fill_symbol(ET.SubElement(root, "symbols"), "0", fill, self.colour, self.colour, 0.6)
        return root


@dataclass(frozen=True)
class HatchStyle:
    """Areas of classes hatched in the legend's colours, one way and the other in turn.

    Attributes:
        legend: The classes.
        attribute: Column that holds the code.
    """

    legend: Legend
    attribute: str = "code"
    kind: Literal["vector"] = "vector"

    def renderer(self) -> ET.Element:
        """A categorised renderer."""
        root = ET.Element("renderer-v2", type="categorizedSymbol", attr=self.attribute)
        categories, symbols = ET.SubElement(root, "categories"), ET.SubElement(root, "symbols")
        for number, c in enumerate(self.legend.classes):
            named = {"symbol": str(number), "value": str(c.code), "label": c.name, "render": "true"}
            ET.SubElement(categories, "category", named)
            fill = ("b_diagonal", "f_diagonal")[number % 2]
            _fill_symbol(symbols, str(number), fill, c.colour, c.colour, width_mm=0.3)
        return root


def symbology(style: Style) -> list[ET.Element]:
    """The elements that a layer's style consists of, in a ``.qml`` as in a project."""
    if style.kind == "vector":
        return [style.renderer(), _text("blendMode", "0"), _text("layerOpacity", "1")]
    pipe = ET.Element("pipe")
    pipe.append(style.renderer())
    ET.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ET.SubElement(pipe, "huesaturation", saturation="0", colorizeOn="0", grayscaleMode="0")
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")
    return [pipe, _text("blendMode", "0")]


def qml(style: Style) -> str:
    """A QGIS style file; QGIS applies it by itself to the raster of the same base name."""
    fields = style.fields() if isinstance(style, FieldStyle) else []
    kinds = "Symbology|Fields|Forms" if fields else "Symbology"
    root = ET.Element("qgis", version=QGIS_VERSION, styleCategories=kinds)
    root.extend([*symbology(style), *fields])
    if style.kind == "vector":
        root.append(_text("layerGeometryType", getattr(style, "geometry", POLYGONS)))
    return document(root)


def document(root: ET.Element) -> str:
    """An element as a QGIS document: document type, indented XML, newline."""
    ET.indent(root)
    return DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"


def _text(tag: str, text: str) -> ET.Element:
    element = ET.Element(tag)
    element.text = text
    return element


def _raster_renderer(kind: str, **attributes: str) -> ET.Element:
    fixed = {"type": kind, "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    root = ET.Element("rasterrenderer", {**fixed, **attributes})
    ET.SubElement(root, "rasterTransparency")
    return root


def _fill_symbol(
    symbols: ET.Element, name: str, fill: str, colour: Colour, line: Colour, width_mm: float
) -> None:
    symbol = ET.SubElement(symbols, "symbol", type="fill", name=name, alpha="1", force_rhr="0")
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0"})
    options = ET.SubElement(layer, "Option", type="Map")
    for option, value in {
        "color": ",".join(map(str, (*colour, 255))),
        "style": fill,
        "outline_color": ",".join(map(str, (*line, 255))),
        "outline_style": "solid",
        "outline_width": f"{width_mm:g}",
        "outline_width_unit": "MM",
        "joinstyle": "bevel",
    }.items():
        ET.SubElement(options, "Option", type="QString", name=option, value=value)
