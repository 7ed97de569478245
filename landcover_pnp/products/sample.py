"""A sample of a map as a file to be labelled by hand: drawn, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from rasterio.transform import xy

from landcover_pnp.errors import RequestError, SampleError
from landcover_pnp.legend import WORKING
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.point_style import PointStyle
from landcover_pnp.products.sample_design import Draw, draw_sample
from landcover_pnp.products.settings import SampleSettings
from landcover_pnp.products.tables import write_features
from landcover_pnp.products.vectors import dated, write_layer, write_layer_styles
from landcover_pnp.scenes.vector_files import require_plain_name, vector_layers
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.records import file_hash
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.version import __version__

LAYER = "sample"
"""Layer of the points."""

RECORD_LAYER = "sample_record"
"""Table beside it that says of which map they were drawn, and where."""

CLASS = "class"
"""Column that is filled in by hand."""

POINT = "point"
"""Column of the points' numbers, from 1."""

_STYLE = PointStyle((215, 25, 28), CLASS, WORKING.names)


@dataclass(frozen=True)
class SampleSummary:
    """A sample that was drawn.

    Attributes:
        run: The run folder.
        sample: GeoPackage of the points, to be labelled.
        points: Number of points by mapped class.
        classes: The names that the column ``class`` may hold.
    """

    run: Path
    sample: Path
    points: dict[str, int]
    classes: tuple[str, ...] = WORKING.names


@dataclass(frozen=True)
class SampleRecord:
    """What a sample says of itself.

    Attributes:
        map: Hash of the map that it was drawn of.
        run: Name of the run folder then.
        settings: Number of points, minimum of a class, seed.
        version: Version of this package.
        pixels: Row and column of each point, in the order of their numbers.
    """

    map: str
    run: str
    settings: dict[str, Any]
    version: str
    pixels: list[list[int]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads it from a sample.

        Raises:
            RasterError: If the file is no vector file.
            SampleError: If it has no such record.
        """
        try:
            layers = vector_layers(path, "sample")
            if layers is None or not {LAYER, RECORD_LAYER} <= set(layers):
                raise ValueError(f"it has the layers {', '.join(layers or ['none'])}")
            table = pyogrio.read_dataframe(path, layer=RECORD_LAYER, read_geometry=False)
            record = cls(**json.loads(table["record"].iloc[0]))
            pixels = np.asarray(record.pixels)
            if pixels.ndim != 2 or pixels.shape[1] != 2 or pixels.dtype.kind not in "iu":
                raise ValueError("its points are not rows and columns")
            if not isinstance(record.map, str) or not isinstance(record.run, str):
                raise ValueError("it does not say of which map")
            return record
        except (
            *(DataSourceError, DataLayerError, FeatureError, OSError),
            *(ValueError, KeyError, IndexError, TypeError),
        ) as error:
            raise SampleError(
                found=f"{path} does not say of which map it was drawn: {error}",
                expected=f"a GeoPackage of `landcover sample`, with its table {RECORD_LAYER!r}",
                fix="label that file itself, in place: what is exported from it is another file",
            ) from error


def map_hash(run: Path) -> str:
    """Hash by which a sample knows the map that it was drawn of."""
    return file_hash(RunFolder(run).landcover)[:16]


def write_sample(run: Path, settings: SampleSettings | None = None) -> SampleSummary:
    """Draws a stratified random sample of a finished map and writes it to ``RUN/samples/``.

    The strata are the mapped classes. The file tells nothing of what is mapped where, so that who
    labels it is not led. A sample that is there already stays as it is, labels and all.

    Args:
        run: Folder of a finished run.
        settings: Number of points, minimum of a class, seed.

    Returns:
        Where it lies, and how many points of each class it has.

    Raises:
        RasterError: If the run is not finished.
        RequestError: If the sample cannot be drawn, or another one is there under its name.
        RunError: If it cannot be written.
    """
    chosen = settings or SampleSettings()
    finished, paths = FinishedRun.open(run), RunFolder(run)
    path = paths.samples / f"sample-n{chosen.n}-seed{chosen.seed}.gpkg"
    require_plain_name(path, "the sample")
    drawn = draw_sample(paths.landcover, chosen)
    record = SampleRecord(
        map_hash(run),
        run.resolve().name,
        asdict(chosen),
        __version__,
        np.stack([drawn.rows, drawn.columns], axis=1).tolist(),
    )
    with paths.held() as owned:
        name = paths.name(path)
        if path.exists():
            _require_same(path, record)
        else:
            owned.claim(name)
            with dated(finished.finished), completed(path) as partial:
                _write(finished, drawn, record, partial)
    counts = dict(zip(WORKING.names, drawn.points.tolist(), strict=True))
    return SampleSummary(run, path, counts)


def _write(finished: FinishedRun, drawn: Draw, record: SampleRecord, path: Path) -> None:
    with open_raster(RunFolder(finished.folder).landcover, "class map") as source:
        x, y = xy(source.transform, drawn.rows, drawn.columns)
    count = len(drawn.rows)
    points = geopandas.GeoDataFrame(
        {POINT: np.arange(1, count + 1), CLASS: np.full(count, None, object)},
        geometry=shapely.points(np.asarray(x), np.asarray(y)),
        crs=finished.crs.proj,
    )
    write_features(points, path, LAYER)
    write_layer(pd.DataFrame({"record": [json.dumps(asdict(record))]}), path, RECORD_LAYER)
    write_layer_styles(path, {LAYER: _STYLE}, finished.finished)


def _require_same(path: Path, record: SampleRecord) -> None:
    """Refuses a file under a sample's name that is not the sample to be drawn.

    Raises:
        RequestError: Says so; labels are hours of work, so nothing is overwritten.
    """
    try:
        there = SampleRecord.read(path)
        same = (there.map, there.pixels) == (record.map, record.pixels)
        what = "is a sample of another map, or drawn otherwise"
    except RequestError as error:
        same, what = False, f"is there already: {error.found}"
    if not same:
        raise RequestError(
            found=f"{path} {what}",
            expected="a free name: a sample is never overwritten, it may be labelled",
            fix="move the file elsewhere, or draw with another --seed",
        )
