"""The attributes of vector files, read as what they are: integers with gaps stay integers."""

from __future__ import annotations

import json
from datetime import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio

from landcover_pnp.scenes.vector_files import DEGENERATE

_WITH_GAPS = {"int16": "Int16", "int32": "Int32", "int64": "Int64", "bool": "boolean"}
"""pandas' types that hold gaps, by those that the library turns into floating point for them."""


def read_table(path: Path, layer: str) -> gpd.GeoDataFrame:
    """Reads all features of a layer with the types that their file gives them.

    A gap makes numpy's integers and truth values floating point: 2**53 + 1 loses a digit, and true
    becomes 1.0. Columns with gaps are read once more without them.

    Args:
        path: A vector file that is read, see ``vector_files.require_vector``.
        layer: Its layer.

    Returns:
        The features in the file's order, numbered from 0: integers and truth values in types
        that hold gaps where there are any, dates as ``datetime.date``, and what no table can
        hold (lists, objects, times, bytes) as text, JSON or hexadecimal.

    Raises:
        DataSourceError, DataLayerError, FeatureError: As the library does.
    """
    info = pyogrio.read_info(path, layer=layer)
    frame = pyogrio.read_dataframe(path, layer=layer, fid_as_index=True, on_invalid=DEGENERATE)
    for name, kind in zip(map(str, info["fields"]), map(str, info["dtypes"]), strict=True):
        if kind in _WITH_GAPS and frame[name].dtype.kind == "f":
            quote = '""' if info["driver"] == "GPKG" else r"\""  # SQLite's way, and OGR's own
            known = pyogrio.read_dataframe(
                path,
                layer=layer,
                columns=[name],
                where=f'"{name.replace(chr(34), quote)}" IS NOT NULL',
                read_geometry=False,
                fid_as_index=True,
            )
            frame[name] = known[name].astype(_WITH_GAPS[kind]).reindex(frame.index)
        elif kind == "datetime64[D]":
            dates = frame[name].dt.date.astype(object)
            frame[name] = dates.where(frame[name].notna(), None)
        elif frame[name].dtype == object:
            frame[name] = pd.Series([_text(v) for v in frame[name]], frame.index, dtype=object)
    return frame.reset_index(drop=True)


def _text(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value) if isinstance(value, time) else value
