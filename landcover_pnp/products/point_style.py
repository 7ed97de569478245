"""How QGIS draws points, and the lists it offers where their columns are filled in by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from landcover_pnp.products.styles import Colour

POINTS = "0"
"""QGIS' number of the geometry type."""


@dataclass(frozen=True)
class PointStyle:
    """Points as hollow circles, whose middle stays in sight, with a choice of values for a column.

    Attributes:
        colour: Colour of the circles.
        column: Column that is filled in by a list of values; empty for none.
        values: The values to choose from.
        size_mm: Width of a circle.
    """

    colour: Colour
    column: str = ""
    values: Sequence[str] = ()
    size_mm: float = 4.0
    kind: Literal["vector"] = "vector"
    geometry: str = POINTS

    def renderer(self) -> ET.Element:
        """A single-symbol renderer."""
        root = ET.Element("renderer-v2", type="singleSymbol")
        symbols = ET.SubElement(root, "symbols")
        symbol = ET.SubElement(symbols, "symbol", type="marker", name="0", alpha="1")
        layer = ET.SubElement(symbol, "layer", {"class": "SimpleMarker", "enabled": "1"})
        options = ET.SubElement(layer, "Option", type="Map")
        for name, value in {
            "name": "circle",
            "color": "0,0,0,0",
            "outline_color": ",".join(map(str, (*self.colour, 255))),
            "outline_width": "0.6",
            "outline_width_unit": "MM",
            "size": f"{self.size_mm:g}",
            "size_unit": "MM",
        }.items():
            ET.SubElement(options, "Option", type="QString", name=name, value=value)
        return root

    def fields(self) -> list[ET.Element]:
        """The element that has QGIS offer the values; none without a column."""
        if not self.column:
            return []
        root = ET.Element("fieldConfiguration")
        field = ET.SubElement(root, "field", name=self.column, configurationFlags="None")
        widget = ET.SubElement(field, "editWidget", type="ValueMap")
        config = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
        listed = ET.SubElement(config, "Option", type="List", name="map")
        for value in self.values:
            entry = ET.SubElement(listed, "Option", type="Map")
            ET.SubElement(entry, "Option", type="QString", name=value, value=value)
        return [root]
