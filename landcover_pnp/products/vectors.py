"""The map as a GeoPackage: polygons of classes, the tiles, and how QGIS draws both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError
from rasterio.io import DatasetReader

from landcover_pnp.errors import RunError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.products.polygons import (
    on_ground,
    patch_means,
    patches,
    sieved,
    simplified,
)
from landcover_pnp.products.qgis_layout import Bounds
from landcover_pnp.products.rasters import PERCENT_NO_DATA
from landcover_pnp.products.roofs import RIMS_PX, ROOF, Roofs, squared
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.products.styles import Style, qml
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster, read

GEOPACKAGE = {"driver": "GPKG", "dataset_options": {"VERSION": "1.3"}}
"""How GeoPackages are written: the version that QGIS 3.22 reads without a warning."""

WINDOW_PX = 1024
"""Polygons are made in windows of this side, so that memory does not grow with the map."""


@dataclass(frozen=True)
class PolygonCounts:
    """What became of a map's patches.

    Attributes:
        polygons: Polygons written.
        vertices: Their vertices.
        area_m2: Their area together.
    """

    polygons: int
    vertices: int
    area_m2: float


def write_polygons(
    path: Path,
    classes: Path,
    confidence: Path,
    settings: PublishSettings,
    roofs: Roofs | None = None,
    also: Callable[[geopandas.GeoDataFrame], None] | None = None,
) -> PolygonCounts:
    """Writes the layer ``landcover`` of a GeoPackage: one polygon a patch of one class.

    Columns: ``code``, ``name``, ``area_m2``, ``confidence`` (mean over the patch, percent) and
    ``building``. Patches are cut at the edges of windows of ``WINDOW_PX``.

    Args:
        path: The GeoPackage; other layers in it stay.
        classes: Class map.
        confidence: Confidence on the same grid.
        settings: Minimum mapping unit and tolerance of the simplification.
        roofs: Where there are buildings; None where nobody knows.
        also: Takes each window's polygons too, such as another file of them.

    Returns:
        Number, vertices and area of the polygons.
    """
    total = PolygonCounts(0, 0, 0.0)
    with open_raster(classes, "class map") as labels, open_raster(confidence, "confidence") as sure:
        for number, part in enumerate(_windows(labels, sure, settings, roofs)):
            write_layer(part, path, "landcover", append=number > 0, geometry_type="Polygon")
            if also is not None:
                also(part)
            total = PolygonCounts(
                total.polygons + len(part),
                total.vertices + int(shapely.get_num_coordinates(part.geometry.array).sum()),
                total.area_m2 + float(part["area_m2"].sum()),
            )
    return total


def write_layer(frame: pd.DataFrame, path: Path, layer: str, **options: Any) -> None:
    """Writes a table, with or without geometries, as a layer of a GeoPackage.

    Args:
        frame: The table.
        path: The GeoPackage; other layers in it stay.
        layer: Name of the layer.
        **options: More for ``pyogrio.write_dataframe``.

    Raises:
        RunError: If it cannot be written.
    """
    with writing(path):
        pyogrio.write_dataframe(frame, path, layer=layer, **GEOPACKAGE, **options)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what OGR says while it writes a file into an error of ours.

    Raises:
        RunError: If the file cannot be written.
    """
    try:
        yield
        if not path.is_file():
            raise OSError("it went elsewhere")
    except (DataSourceError, DataLayerError, FieldError, FeatureError, OSError) as error:
        raise RunError(
            found=f"{path} could not be written: {error}",
            expected="a complete file",
            fix="free disk space or choose another folder, then repeat the command",
        ) from error


def _windows(
    labels: DatasetReader,
    confidence: DatasetReader,
    settings: PublishSettings,
    roofs: Roofs | None,
) -> Iterator[geopandas.GeoDataFrame]:
    legend = legend_of(labels).legend
    extent = Box(0, labels.height, 0, labels.width)
    pixel_m, geobox = abs(labels.res[0]), GeoBox.from_rio(labels)
    min_px = settings.smallest_px(abs(labels.res[0] * labels.res[1]))
    for box in blocks(extent, WINDOW_PX):
        # A patch that is too small lies within this margin, or is known to be large enough;
        # what is a roof there depends on a few pixels more.
        around = box.grow(min_px + RIMS_PX).clip(extent)
        kinds = read(labels, 1, around).astype(np.uint16)
        if roofs is not None:
            kinds = roofs.set_apart(kinds, geobox[around.within(extent)])
        kinds = sieved(kinds, min_px)[box.within(around)]
        numbers = patches(kinds)
        sure = read(confidence, 1, box)
        known = np.where(sure == PERCENT_NO_DATA, 0, sure)
        own = np.zeros(numbers.max() + 1, np.int32)
        own[numbers] = kinds
        codes, is_roof = own[1:] % ROOF, own[1:] > ROOF
        outlines = squared(simplified(numbers, settings.detail_px(pixel_m)), is_roof)
        outlines = on_ground(outlines, labels.transform, (box.x0, box.y0))
        names = dict(zip(legend.codes, legend.names, strict=True))
        yield geopandas.GeoDataFrame(
            {
                "code": codes,
                # Texts even where a window has none: the first one's types are the layer's.
                "name": np.array([names[code] for code in codes], object),
                "area_m2": shapely.area(outlines).round(2),
                "confidence": patch_means(known, numbers).round(1),
                "building": is_roof,
            },
            geometry=outlines,
            crs=labels.crs.to_wkt(),
        )


def write_boxes(
    path: Path, layer: str, crs: CRS, boxes: Mapping[str, Bounds], reasons: Mapping[str, str]
) -> None:
    """Writes rectangles as a layer of a GeoPackage, with columns ``tile`` and ``reason``.

    Args:
        path: The GeoPackage; other layers in it stay.
        layer: Name of the layer.
        crs: CRS of the rectangles.
        boxes: Left, bottom, right, top by name.
        reasons: Text by name.
    """
    frame = geopandas.GeoDataFrame(
        {"tile": list(boxes), "reason": [reasons[name] for name in boxes]},
        geometry=[shapely.box(*bounds) for bounds in boxes.values()],
        crs=str(crs),
    )
    write_layer(frame, path, layer, geometry_type="Polygon")


def write_layer_styles(
    path: Path, styles: Mapping[str, Style], now: datetime, *, append: bool = False
) -> None:
    """Writes the table ``layer_styles``, in which QGIS finds each layer's default style.

    Args:
        path: The GeoPackage.
        styles: Style by name of the layer.
        now: Time of the entries.
        append: Whether the table is there already.
    """
    rows = pd.DataFrame(
        {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": list(styles),
            "f_geometry_column": "geom",
            "styleName": list(styles),
            "styleQML": [qml(style) for style in styles.values()],
            "styleSLD": "",
            "useAsDefault": True,
            "description": "",
            "owner": "",
            "ui": "",
            "update_time": pd.Timestamp(now),
        }
    )
    options = {"FID": "id", "DATETIME_PRECISION": "MILLISECOND"}
    write_layer(rows, path, "layer_styles", layer_options=options, append=append)


@contextmanager
def dated(now: datetime) -> Iterator[None]:
    """Has GeoPackages say that they were written at a given time: the same content, same bytes."""
    text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": text})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
