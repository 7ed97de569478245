"""Tables of features, written: as CSV, which spreadsheets open, and as GeoPackage."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyogrio.raw import write

from landcover_pnp.config.texts import as_cell
from landcover_pnp.products.vectors import GEOPACKAGE, writing

NULLABLE = (pd.Int16Dtype, pd.Int32Dtype, pd.Int64Dtype, pd.BooleanDtype)
"""Types of columns with gaps, see ``scenes.vector_tables``."""

_UTC = 100
"""How GDAL writes that a time is in UTC."""


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Writes a table as CSV, no cell of which is a formula.

    Args:
        frame: The table; cells of its text columns, and their names, may be anything.
        path: The file.
    """
    safe = frame.rename(columns={name: as_cell(str(name)) for name in frame.columns})
    for name in safe.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[name] = safe[name].map(as_cell, na_action="ignore")
    # By the standard's line ends: only then is a cell with either of them quoted.
    safe.to_csv(path, index=False, lineterminator="\r\n")


def write_features(frame: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """Writes a table with outlines as a layer of a GeoPackage; dates stay dates.

    Args:
        frame: The table; columns of ``datetime.date`` become dates, not times.
        path: The GeoPackage.
        layer: Name of the layer.

    Raises:
        RunError: If it cannot be written.
    """
    shapes = frame.geometry
    columns = frame.drop(columns=shapes.name)
    data, masks = zip(*(_field(columns[name]) for name in columns), strict=True)
    times = [n for n, kind in columns.dtypes.items() if isinstance(kind, pd.DatetimeTZDtype)]
    with writing(path):
        write(
            path,
            np.asarray(shapely.to_wkb(shapes.array), object),
            data,
            list(map(str, columns)),
            masks,
            layer=layer,
            geometry_type=_kind(shapes),
            crs=_crs(shapes),
            gdal_tz_offsets={name: np.full(len(frame), _UTC) for name in times},
            **GEOPACKAGE,
        )


def _field(column: pd.Series[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values of a column as the library writes them, and where it has none."""
    gaps = column.isna().to_numpy(bool)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), gaps
    if column.dtype == object and {type(value) for value in column[~gaps]} == {date}:
        return column.where(~gaps, None).to_numpy().astype("M8[D]"), gaps
    if isinstance(column.dtype, NULLABLE):
        filled: NDArray[Any] = column.fillna(
            False if isinstance(column.dtype, pd.BooleanDtype) else 0
        ).to_numpy()
        return filled, gaps
    if pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind == "M":
        return column.to_numpy(), gaps
    return column.astype(object).to_numpy(), gaps


def _kind(shapes: gpd.GeoSeries) -> str:
    """The one kind of outlines, where there is only one."""
    known = shapes.array[~shapely.is_missing(shapes.array)]
    kinds = {shape.geom_type for shape in known}
    return "Unknown" if len(kinds) != 1 or shapely.has_z(known).any() else kinds.pop()


def _crs(shapes: gpd.GeoSeries) -> str:
    code = shapes.crs.to_epsg()
    return f"EPSG:{code}" if code else str(shapes.crs.to_wkt())
