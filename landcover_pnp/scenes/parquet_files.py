"""GeoParquet files, on this machine or at an address: of their row groups those of an area."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from landcover_pnp.config.addresses import is_address, shown
from landcover_pnp.errors import DamagedError, RequestError
from landcover_pnp.storage.remote.ranges import RemoteReader, remote_file

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""

DEGREES = "OGC:CRS84"
"""The CRS of a file that does not say one."""


class ParquetLayer:
    """The one layer of a GeoParquet file; its footer says what is in it.

    Args:
        path: The file, or the path of an address.

    Attributes:
        name: What the layer is called: the file's name without its ending.
        features: Number of features.
        bounds: What bounds they have, if the file says so.
        crs: CRS, as the file says it, PROJJSON or a name; None where it has none.
        columns: Names of the attributes.

    Raises:
        DamagedError: If it is no GeoParquet file, or its footer is damaged.
        RequestError: If pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name.partition("?")[0].rpartition(".")[0] or path.name
        with self._source() as source:
            from pyarrow import parquet

            file = parquet.ParquetFile(source)
            self.features = int(file.metadata.num_rows)
            geo = json.loads((file.schema_arrow.metadata or {})[b"geo"])
            self._primary = str(geo["primary_column"])
            about: dict[str, Any] = geo["columns"][self._primary]
            self.columns = [str(name) for name in file.schema_arrow.names if name != self._primary]
        box = about.get("bbox") or ()
        half = len(box) // 2
        whole = len(box) in (4, 6)
        self.bounds: Bounds | None = (*box[:2], *box[half : half + 2]) if whole else None
        self.crs: Any = about.get("crs", DEGREES)
        self._pruned = "covering" in about

    def read(self, bounds: Bounds | None, columns: list[str] | None = None) -> gpd.GeoDataFrame:
        """Reads features.

        Args:
            bounds: Bounds in the file's CRS that they must touch; row groups that lie beyond are
                not read. None reads all.
            columns: Attributes; None reads all.

        Raises:
            DamagedError: If they cannot be read.
        """
        wanted = None if columns is None else [*columns, self._primary]
        box = bounds if self._pruned else None
        with self._source() as source:
            frame = gpd.read_parquet(source, columns=wanted, bbox=box)
        if bounds is None:
            return frame
        near = shapely.intersects(shapely.box(*frame.bounds.to_numpy().T), shapely.box(*bounds))
        return frame[near]

    @contextmanager
    def _source(self) -> Iterator[Any]:
        """The file as pyarrow reads it; what the library says of damage becomes an error."""
        try:
            import pyarrow
        except ImportError as error:
            raise RequestError(
                found=f"{shown(self._path) or self._path} is a GeoParquet file, and pyarrow is not "
                "installed",
                expected="the package pyarrow, which reads them",
                fix="pip install 'landcover-pnp[fetch]', or convert the file with ogr2ogr",
            ) from error
        remote = is_address(self._path)
        try:
            yield RemoteReader(remote_file(self._path)) if remote else str(self._path)
        except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
            raise DamagedError(
                found=f"{shown(self._path) or self._path} cannot be read: "
                + (" ".join(str(error).split()) or type(error).__name__),
                expected="a GeoParquet file, whole",
                fix="fetch the file again; of a Parquet file without geometries make one with "
                "geopandas, or ogr2ogr",
            ) from error
