"""The preview: finished tiles seen as one map while a run is still at work."""

from __future__ import annotations

from collections.abc import Collection
from xml.sax.saxutils import escape

from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, Tile, TileGrid
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.legends.result_legend import FIVE, ResultLegend
from landcover_pnp.pipeline.tiles import PREVIEW


def preview(grid: TileGrid, folder: str, done: Collection[str], legend: ResultLegend = FIVE) -> str:
    """A GDAL virtual raster of the classes of finished tiles.

    It opens in QGIS as any raster does, with the map's colours; tiles not finished are no data,
    and tiles meet without blending.

    Args:
        grid: The tiles.
        folder: Folder of their rasters, relative to the preview's.
        done: Names of the tiles that are finished.
        legend: Legend of the map; buildings are not told apart yet.

    Returns:
        The file's text.
    """
    height, width = grid.geobox.shape
    transform = ", ".join(repr(v) for v in grid.geobox.transform.to_gdal())
    shown = legend.legend
    values = range(max(shown.codes) + 1)
    colours = "".join(
        '<Entry c1="{}" c2="{}" c3="{}" c4="{}"/>'.format(*shown.colormap.get(v, (0, 0, 0, 0)))
        for v in values
    )
    names = {NO_DATA: "no data", **{c.code: c.name for c in shown.classes}}
    categories = "".join(f"<Category>{escape(names.get(v, ''))}</Category>" for v in values)
    sources = "".join(
        _source(tile, f"{folder}/{tile.id}_{PREVIEW}.tif", legend) + "\n"
        for tile in grid
        if tile.id in done
    )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">\n'
        f"<SRS>{escape(_wkt(grid.geobox))}</SRS><GeoTransform>{transform}</GeoTransform>\n"
        f'<VRTRasterBand dataType="Byte" band="1"><NoDataValue>{NO_DATA}</NoDataValue>'
        f"<ColorInterp>Palette</ColorInterp><ColorTable>{colours}</ColorTable>"
        f"<CategoryNames>{categories}</CategoryNames>\n{sources}</VRTRasterBand></VRTDataset>\n"
    )


def _source(tile: Tile, name: str, legend: ResultLegend) -> str:
    height, width = tile.core.shape
    pairs = zip((NO_DATA, *WORKING.codes), (NO_DATA, *legend.working_codes), strict=True)
    table = ",".join(f"{working}:{code}" for working, code in pairs)
    kind, more = ("Simple", "") if legend.is_working else ("Complex", f"<LUT>{table}</LUT>")
    return (
        f'<{kind}Source><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SourceProperties RasterXSize="{width}" '
        f'RasterYSize="{height}" DataType="Byte" BlockXSize="256" BlockYSize="256"/>'
        f"{_rectangle('SrcRect', Box(0, height, 0, width))}{_rectangle('DstRect', tile.core)}"
        f"{more}</{kind}Source>"
    )


def _rectangle(name: str, box: Box) -> str:
    height, width = box.shape
    return f'<{name} xOff="{box.x0}" yOff="{box.y0}" xSize="{width}" ySize="{height}"/>'


def _wkt(geobox: GeoBox) -> str:
    return str(geobox.crs.to_wkt()) if geobox.crs is not None else ""
