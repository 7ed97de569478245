"""Class maps of one coordinate reference system as one GDAL virtual raster (VRT)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, unescape

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA
from landcover_pnp.legends.palettes import Palette, coloured
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.georeference import bounds_of
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster, read


@dataclass(frozen=True)
class MapPlace:
    """A class map and where it lies.

    Attributes:
        path: The file.
        wkt: Its CRS.
        system: The CRS by its code, such as ``EPSG:26917``, else by its name.
        bounds: Left, bottom, right, top.
        shape: Rows and columns.
        res: Width and height of a pixel.
        classes: Name by code, of no data too; the same order in the file.
        colours: Red, green, blue, alpha by code.
    """

    path: Path
    wkt: str
    system: str
    bounds: tuple[float, float, float, float]
    shape: tuple[int, int]
    res: tuple[float, float]
    classes: tuple[str, ...]
    colours: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, path: Path, palette: Palette = "standard") -> MapPlace:
        """Reads a class map's header.

        Args:
            path: The file.
            palette: Colours of its classes.

        Raises:
            RasterError: If it cannot be opened.
        """
        with open_raster(path, "class map") as source:
            names = category_names(path)
            if palette == "standard":  # as they stand in the file
                colours = source.colormap(1)
            else:
                colours = coloured(legend_of(source), palette).legend.colormap
            return cls(
                path,
                source.crs.to_wkt(),
                source.crs.to_string(),
                tuple(bounds_of(source)),
                source.shape,
                source.res,
                names,
                tuple(tuple(colours.get(code, (0, 0, 0, 0))) for code in range(len(names))),
            )

    @property
    def kind(self) -> tuple[object, ...]:
        """What maps have in common that can be one raster: CRS, classes and colours."""
        return self.system, self.classes, self.colours


def category_names(path: Path) -> tuple[str, ...]:
    """Names of a class map's categories by code, from the XML beside it; empty without one."""
    try:
        text = path.with_name(path.name + ".aux.xml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    found = re.finditer(r"<Category>([^<]*)</Category>|<Category ?/>", text)
    return tuple(unescape(category[1] or "") for category in found)


def write_mosaic(path: Path, maps: Sequence[MapPlace]) -> None:
    """Writes a VRT over maps of one ``kind``, in pixels of the finest.

    Where maps overlap the later one has the say, but for where it has no data. Files are named
    from the VRT's own folder on, so that both can be moved together.

    Args:
        path: The VRT.
        maps: At least one.
    """
    finest = min(maps, key=lambda m: m.res[0] * m.res[1])
    width_m, height_m = finest.res
    left, top = min(m.bounds[0] for m in maps), max(m.bounds[3] for m in maps)
    left = finest.bounds[0] - round((finest.bounds[0] - left) / width_m) * width_m
    top = finest.bounds[3] + round((top - finest.bounds[3]) / height_m) * height_m
    columns = round((max(m.bounds[2] for m in maps) - left) / width_m)
    rows = round((top - min(m.bounds[1] for m in maps)) / height_m)
    place = Affine(width_m, 0, left, 0, -height_m, top)
    sources = "".join(_source(m, place, path.parent) for m in maps)
    colours = "".join('<Entry c1="{}" c2="{}" c3="{}" c4="{}"/>'.format(*c) for c in finest.colours)
    names = "".join(f"<Category>{escape(name)}</Category>" for name in finest.classes)
    write_text(
        path,
        f'<VRTDataset rasterXSize="{columns}" rasterYSize="{rows}">\n'
        f"<SRS>{escape(finest.wkt)}</SRS>"
        f"<GeoTransform>{', '.join(repr(v) for v in place.to_gdal())}</GeoTransform>\n"
        f'<VRTRasterBand dataType="Byte" band="1"><NoDataValue>{NO_DATA}</NoDataValue>'
        f"<ColorInterp>Palette</ColorInterp><ColorTable>{colours}</ColorTable>"
        f"<CategoryNames>{names}</CategoryNames>\n{sources}</VRTRasterBand></VRTDataset>\n",
    )


def _source(part: MapPlace, place: Affine, folder: Path) -> str:
    height, width = part.shape
    x0, y0 = ~place * (part.bounds[0], part.bounds[3])
    x1, y1 = ~place * (part.bounds[2], part.bounds[1])
    name = Path(os.path.relpath(part.path.absolute(), folder.absolute())).as_posix()
    return (
        f'<ComplexSource><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SourceProperties RasterXSize="{width}" '
        f'RasterYSize="{height}" DataType="Byte" BlockXSize="512" BlockYSize="512"/>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="{x0:.6f}" yOff="{y0:.6f}" xSize="{x1 - x0:.6f}" ySize="{y1 - y0:.6f}"/>'
        f"<NODATA>{NO_DATA}</NODATA></ComplexSource>\n"
    )


def class_pixels(path: Path) -> NDArray[np.int64]:
    """Pixels of each code of a class map: (256,), from 0.

    Raises:
        RasterError: If it cannot be read.
    """
    total = np.zeros(256, np.int64)
    with open_raster(path, "class map") as source:
        for box in blocks(Box(0, source.height, 0, source.width)):
            total += np.bincount(read(source, 1, box).ravel(), minlength=256)
    return total
