"""The polygons as GeoParquet 1.1: with the bounds of each, for readers that skip row groups.

Written window by window, so that memory does not grow with the map.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas
import numpy as np

from landcover_pnp.storage.atomic import completed

FILE = "landcover.parquet"
"""Its name among the products."""

BBOX = "bbox"
"""Column of each polygon's bounds."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@contextmanager
def parquet_polygons(path: Path) -> Iterator[Callable[[geopandas.GeoDataFrame], None]]:
    """Writes polygons to a GeoParquet file, which has its name once all are in it.

    Args:
        path: The file.

    Yields:
        What takes a window's polygons, which may be none; columns and CRS are those of the first.

    Raises:
        RunError: If it cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    writer: Any = None
    crs: Any = None
    bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def add(polygons: geopandas.GeoDataFrame) -> None:
        nonlocal writer, crs
        table = pa.table(polygons.to_arrow(index=False, geometry_encoding="WKB"))
        boxes = polygons.bounds.to_numpy()
        struct = pa.StructArray.from_arrays(list(boxes.T), names=_SIDES)
        table = _with_texts(table.append_column(BBOX, struct)).replace_schema_metadata(None)
        if writer is None:
            crs = polygons.crs
            writer = parquet.ParquetWriter(partial, table.schema, compression="zstd")
        if len(polygons):
            writer.write_table(table)
            np.minimum(bounds[:2], boxes[:, :2].min(axis=0), out=bounds[:2])
            np.maximum(bounds[2:], boxes[:, 2:].max(axis=0), out=bounds[2:])

    with completed(path) as partial:
        try:
            yield add
            writer.add_key_value_metadata({"geo": json.dumps(_metadata(crs, bounds.tolist()))})
        finally:
            if writer is not None:
                writer.close()


def _with_texts(table: Any) -> Any:
    """A table whose columns of texts are of one type, also where it has no rows that tell it."""
    import pyarrow as pa

    texts = pa.types.is_null, pa.types.is_string, pa.types.is_large_string
    fields = [
        field.with_type(pa.string()) if any(of(field.type) for of in texts) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _metadata(crs: Any, bounds: list[float]) -> dict[str, Any]:
    """What GeoParquet says of the file (GeoParquet 1.1, Metadata)."""
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": crs.to_json_dict(),
        "edges": "planar",
        "covering": {BBOX: {side: [BBOX, side] for side in _SIDES}},
        **({"bbox": bounds} if bounds[0] <= bounds[2] else {}),
    }
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
