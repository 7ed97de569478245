"""Filled and corrected ground as polygons: what QGIS can hatch."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import geopandas
import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, Legend
from landcover_pnp.products.ground import (
    LAYER,
    TITLE,
    UNSEEN,
    counted,
    ground_hectares,
    write_ground,
)
from landcover_pnp.products.polygons import on_ground, patches, staircases
from landcover_pnp.products.styles import HatchStyle
from landcover_pnp.products.vectors import WINDOW_PX, write_layer, write_layer_styles
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import FILLED


def write_ground_polygons(path: Path, ground: Path) -> None:
    """Writes the ground that was not seen as a layer of a GeoPackage, along the pixels' edges.

    Columns: ``code``, ``name`` and ``area_m2``. Areas are cut at the edges of windows.

    Args:
        path: The GeoPackage; other layers in it stay.
        ground: Raster of ``write_ground``.

    Raises:
        RunError: If it cannot be written.
    """
    names = dict(zip(UNSEEN.codes, UNSEEN.names, strict=True))
    with open_raster(ground, TITLE) as source:
        written = False
        for box in blocks(Box(0, source.height, 0, source.width), WINDOW_PX):
            codes = read(source, 1, box)
            unseen = np.where(np.isin(codes, UNSEEN.codes), codes, NO_DATA)
            numbers = patches(np.asarray(unseen, np.uint8))
            outlines = on_ground(staircases(numbers), source.transform, (box.x0, box.y0))
            if not len(outlines):
                continue
            own = np.zeros(len(outlines) + 1, np.int32)
            own[numbers] = unseen
            frame = geopandas.GeoDataFrame(
                {
                    "code": own[1:],
                    "name": np.array([names[code] for code in own[1:]], object),
                    "area_m2": shapely.area(outlines).round(2),
                },
                geometry=outlines,
                crs=source.crs.to_wkt(),
            )
            write_layer(frame, path, LAYER, append=written, geometry_type="Polygon")
            written = True


def publish_ground(path: Path | None, folder: Path, now: datetime) -> Legend | None:
    """Makes filled and corrected ground part of a folder of products.

    Args:
        path: Raster of ``write_ground`` of a run; None where all of its map was seen.
        folder: The products, their GeoPackage among them.
        now: Time of the entries.

    Returns:
        Its legend with hectares; None where there is no such ground.

    Raises:
        RunError: If a file cannot be written.
    """
    hectares = ground_hectares(path) if path else {}
    if path is None or not any(hectares.values()):
        return None
    with open_raster(path, TITLE) as source:
        extent = Box(0, source.height, 0, source.width)
        parts = ((box, read(source, 1, box)) for box in blocks(extent))
        ground = write_ground(folder / f"{FILLED}.tif", GeoBox.from_rio(source), parts)
    legend, geopackage = counted(hectares), folder / "landcover.gpkg"
    write_ground_polygons(geopackage, ground)
    write_layer_styles(geopackage, {LAYER: HatchStyle(legend)}, now, append=True)
    return legend
