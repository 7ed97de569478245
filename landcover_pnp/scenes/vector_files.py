"""Vector files, read: their layers, where they lie, their features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyogrio.util import vsi_path
from rasterio.crs import CRS

from landcover_pnp.config.addresses import hidden, is_address, shown
from landcover_pnp.errors import DamagedError, RasterError
from landcover_pnp.scenes.parquet_files import Bounds, ParquetLayer
from landcover_pnp.scenes.vector_formats import READ, is_parquet, is_vector
from landcover_pnp.storage.georeference import system_name
from landcover_pnp.storage.remote.ogr import opened_by_ogr

AREA = "area of interest"
"""What messages call the file of the area."""


SUFFIXES = (".shp", ".gpkg", ".geojson", ".fgb", ".parquet", ".kml", ".gml", ".gdb")
"""Names that mean a vector file, also where OGR cannot open it."""

DEGENERATE = "fix"
"""What becomes of shapes with too few points to be any: none, instead of an error for all."""


def vector_layers(path: Path, what: str = "vectors") -> list[str] | None:
    """Names of the layers of a vector file; None if it is not called or written as one.

    Args:
        path: The file.
        what: What it is meant to be, named in messages.

    Raises:
        RasterError: As ``require_vector``, but for files that may be rasters.
        DamagedError: If it cannot be opened.
    """
    if not is_vector(path, what):
        if path.suffix.lower() in SUFFIXES:
            raise _no_vector(path, what)
        return None
    require_plain_name(path, what)
    if is_parquet(path):
        return [ParquetLayer(path).name]
    with _readable(path) as source:
        return [str(name) for name, _ in pyogrio.list_layers(source)]


def require_vector(path: Path, what: str) -> None:
    """Refuses what is no vector file that is read, before OGR opens it.

    Args:
        path: The file.
        what: What it is meant to be, named in messages.

    Raises:
        RasterError: If it is missing, no regular file, in another format, refers to others or
            has a name that OGR does not take as it is.
    """
    if not is_vector(path, what):
        raise _no_vector(path, what)
    require_plain_name(path, what)


def require_plain_name(path: Path, what: str) -> None:
    """Refuses a path that stands for another one to OGR, as the library opens it.

    Raises:
        RasterError: If there is a character in it that means something in an address.
    """
    opened = vsi_path(str(path))
    if opened != str(path) and not is_address(path):
        raise RasterError(
            found=f"the path {str(path)!r} ({what}) would be taken for {opened!r}",
            expected="a path without ! and ; and line breaks: vector files are opened by "
            "addresses, in which these have a meaning",
            fix="rename the file or the folder, or link to it by another name",
        )


def count_features(path: Path) -> int:
    """Number of features in all layers of a vector file, each of them read.

    At an address none is read but those of the map, and that is done elsewhere.

    Raises:
        DamagedError: If a layer cannot be read.
    """
    count = 0
    for name in vector_layers(path) or []:
        features, bounds = _extent(path, name)
        count += features
        if is_address(path):
            continue
        if is_parquet(path):
            ParquetLayer(path).read(None)
            continue
        with _readable(path) as source:
            # By place, as a map reads them: in order, OGR passes over damaged shapes.
            pyogrio.read_dataframe(source, layer=name, bbox=bounds, on_invalid=DEGENERATE)
    return count


def layer_bounds(
    path: Path, layer: str | None, what: str
) -> tuple[CRS, tuple[float, float, float, float] | None]:
    """Where the features of a layer lie.

    Args:
        path: A file ``vector_layers`` takes for one.
        layer: Its layer; None where there is only one.
        what: What the file is meant to be, named in messages.

    Returns:
        The layer's CRS, and left, bottom, right, top in it; None where it has no features or
        they say nothing.

    Raises:
        RasterError: If the layer is ambiguous or unknown, or has no CRS.
        DamagedError: If it cannot be read.
    """
    name = _layer(path, layer, what)
    return _system(path, name, what), _extent(path, name)[1]


def _extent(path: Path, layer: str) -> tuple[int, tuple[float, float, float, float] | None]:
    """Number of features, and their bounds where they say something."""
    if is_parquet(path):
        found = ParquetLayer(path)
        features, bounds = found.features, found.bounds
    else:
        with _readable(path) as source:
            info = pyogrio.read_info(
                source, layer=layer, force_feature_count=True, force_total_bounds=True
            )
        features, bounds = info["features"], info["total_bounds"]
    says = features and bounds is not None and np.isfinite(bounds).all()
    return features, bounds if says else None


def read_layer(
    path: Path, layer: str | None, what: str, geobox: GeoBox | None = None
) -> gpd.GeoDataFrame:
    """Features of a layer.

    Args:
        path: A file ``vector_layers`` takes for one.
        layer: Its layer; None where there is only one.
        what: What the file is meant to be, named in messages.
        geobox: Grid whose outline the features must touch; None reads all.

    Returns:
        The features in the layer's CRS; without geometry where theirs has too few points.

    Raises:
        RasterError: If the layer is ambiguous or unknown, or has no CRS.
        DamagedError: If it cannot be read.
    """
    name = _layer(path, layer, what)
    system = _system(path, name, what)
    if is_parquet(path):
        return ParquetLayer(path).read(None if geobox is None else _around(geobox, system))
    bbox = None
    if geobox is not None:
        outline = shapely.box(*geobox.extent.boundingbox.bbox)
        bbox = gpd.GeoDataFrame(geometry=[outline], crs=str(geobox.crs))
    with _readable(path) as source:
        return gpd.read_file(source, layer=name, bbox=bbox, on_invalid=DEGENERATE)


def read_attribute(
    path: Path, layer: str | None, column: str, what: str, geobox: GeoBox
) -> list[Any] | None:
    """One attribute of the features whose bounds touch a grid.

    Args:
        path: A file ``vector_layers`` takes for one.
        layer: Its layer; None where there is only one.
        column: Name of the attribute.
        what: What the file is meant to be, named in messages.
        geobox: The grid.

    Returns:
        Its values, None where the layer has no such attribute.

    Raises:
        RasterError: If the layer is ambiguous or unknown, or has no CRS.
        DamagedError: If it cannot be read.
    """
    name = _layer(path, layer, what)
    system = _system(path, name, what)
    bounds = _around(geobox, system)
    if is_parquet(path):
        file = ParquetLayer(path)
        return list(file.read(bounds, [column])[column]) if column in file.columns else None
    with _readable(path) as source:
        if column not in pyogrio.read_info(source, layer=name)["fields"]:
            return None
        table = pyogrio.read_dataframe(
            source,
            layer=name,
            columns=[column],
            bbox=bounds,
            read_geometry=False,
        )
        return list(table[column])


def _around(geobox: GeoBox, system: CRS) -> Bounds | None:
    """Bounds of a grid in another CRS; None where it has no place there."""
    outline = gpd.GeoSeries([shapely.box(*geobox.extent.boundingbox.bbox)], crs=str(geobox.crs))
    left, bottom, right, top = map(float, outline.to_crs(str(system)).total_bounds)
    bounds = left, bottom, right, top
    return bounds if np.isfinite(bounds).all() else None


def layers_of_shapes(path: Path, what: str) -> list[str]:
    """Names of the layers of a vector file that can hold shapes.

    QGIS stores styles and projects as tables in a GeoPackage: nobody means those.

    Args:
        path: The file.
        what: What it is meant to be, named in messages.

    Raises:
        RasterError: As ``require_vector``.
        DamagedError: If it cannot be opened.
    """
    require_vector(path, what)
    if is_parquet(path):
        return [ParquetLayer(path).name]
    with _readable(path) as source:
        return [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]


def _layer(path: Path, layer: str | None, what: str) -> str:
    layers = layers_of_shapes(path, what)
    if not layers:
        raise RasterError(
            found=f"{path} ({what}) holds tables, but no layer of shapes",
            expected="a vector file with geometries",
            fix="export the objects with their geometries, for example as a GeoPackage",
        )
    if layer is None and len(layers) == 1:
        return layers[0]
    if layer is None or layer not in layers:
        raise RasterError(
            found=f"{path} ({what}) has the layers {', '.join(layers)}"
            + (f", not {layer!r}" if layer else ""),
            expected="one layer" if what == AREA else "the name of one of its layers",
            fix="write the polygons to a file of their own"
            if what == AREA
            else "set `layer` of this file in the configuration",
        )
    return layer


def _system(path: Path, layer: str, what: str) -> CRS:
    """The CRS of a layer, checked to be one on the earth."""
    if is_parquet(path):
        crs = ParquetLayer(path).crs
    else:
        with _readable(path) as source:
            crs = pyogrio.read_info(source, layer=layer)["crs"]
    system = None if crs is None else CRS.from_user_input(crs)
    if system is None or not (system.is_geographic or system.is_projected):
        has = "no coordinate reference system"
        if system is not None:
            has = f"the CRS {system_name(system)}, which is nowhere on the earth"
        raise RasterError(
            found=f"{path} ({what}) has {has}",
            expected="a vector file that says where it lies",
            fix="assign it, for example with ogr2ogr -a_srs EPSG:4326",
        )
    return system


@contextmanager
def _readable(path: Path) -> Iterator[Path | str]:
    """The file as OGR opens it; what it says about damage becomes an error of ours."""
    try:
        with opened_by_ogr(path) as source:
            yield source
    except (DataSourceError, DataLayerError, FeatureError, GeometryError) as error:
        raise _damaged(path, error) from error


def _no_vector(path: Path, what: str) -> DamagedError:
    return DamagedError(
        found=f"{path} ({what}) holds no layer of shapes in a format that is read",
        expected=f"{READ}, complete",
        fix="make a GeoPackage of it, for example with ogr2ogr -f GPKG; or fetch it again",
    )


def _damaged(path: Path, error: Exception) -> DamagedError:
    return DamagedError(
        found=f"{shown(path) or path} cannot be read: {hidden(str(error))}",
        expected="a vector file with all its parts, whose features can all be read",
        fix="fetch the file again, or repair it with ogr2ogr -makevalid -skipfailures",
    )
