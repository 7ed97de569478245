"""What a raster of classes says about its values: GDAL's category names and attribute table.

Both live in ``<file>.aux.xml`` beside the raster, which rasterio cannot write; GDAL's COG driver
carries them over to its copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from landcover_pnp.legend import NO_DATA, Legend

# Name, type (0 integer, 1 real, 2 text) and usage of each column: GDALRATFieldType and
# GDALRATFieldUsage. Counts are reals, since GDAL's integers end at 2^31.
_COLUMNS = (
    ("VALUE", 0, 5),
    ("COUNT", 1, 1),
    ("CLASS", 2, 2),
    ("RED", 0, 6),
    ("GREEN", 0, 7),
    ("BLUE", 0, 8),
    ("HECTARES", 1, 0),
)


def class_attributes(legend: Legend, counts: Mapping[int, int], pixel_m2: float) -> str:
    """The ``.aux.xml`` of a raster of classes.

    Args:
        legend: Its classes.
        counts: Pixel count by value; a class without pixels counts 0.
        pixel_m2: Area of a pixel in square metres.

    Returns:
        XML with one category name a value from 0 and one table row a class.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    names = {NO_DATA: "no data", **dict(zip(legend.codes, legend.names, strict=True))}
    categories = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(value, "")
    rat = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        field = ET.SubElement(rat, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(field, tag).text = str(text)
    for index, c in enumerate(legend.classes):
        row = ET.SubElement(rat, "Row", index=str(index))
        count = counts.get(c.code, 0)
        hectares = round(count * pixel_m2 / 1e4, 4)
        for text in map(str, (c.code, count, c.name, *c.colour, hectares)):
            ET.SubElement(row, "F").text = text
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
