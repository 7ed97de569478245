"""A sample of a map as a file to be labelled by hand: drawn, and read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from rasterio.transform import xy

from landcover_pnp.errors import RasterError, RequestError, SampleError
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.point_style import PointStyle
from landcover_pnp.products.sample_design import Draw, draw_sample
from landcover_pnp.products.settings import SampleSettings
from landcover_pnp.products.styles import qml
from landcover_pnp.products.tables import write_features
from landcover_pnp.products.vectors import dated
from landcover_pnp.scenes.vector_files import layers_of_shapes, require_plain_name
from landcover_pnp.scenes.vector_tables import read_table
from landcover_pnp.storage.atomic import completed, write_text
from landcover_pnp.storage.newest import newest
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.records import file_hash
from landcover_pnp.storage.run_folder import RunFolder

CLASS = "class"
"""Column that is filled in by hand."""

POINT = "point"
"""Column of the points' numbers, from 1."""

RECORD = ("points", "pixel_y", "pixel_x", "run", "map")
"""Columns that say what was drawn: number of points, row and column, of which run and map.

In columns, since these are what any program keeps that the points are labelled with.
"""


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
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SamplePoints:
    """The points of a sample, read back.

    Attributes:
        frame: The points with all columns.
        map: Hash of the map that they were drawn of.
        run: Name of the run folder then.
        drawn: Number of points that were drawn.
        pixels: (point, 2) int64 row and column of the pixel that each was drawn from.
    """

    frame: geopandas.GeoDataFrame
    map: str
    run: str
    drawn: int
    pixels: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a sample, of whatever format it is now.

        Raises:
            RasterError: If the file is no vector file or damaged.
            SampleError: If it is not one of ``landcover sample``, or of several.
        """
        frame = _layer_of_points(path)
        kinds = set(frame.geom_type.fillna("nothing"))
        if kinds != {"Point"} or frame.crs is None:
            has = ", ".join(sorted(kinds)) or "no points"
            raise _no_sample(path, has if frame.crs is not None else "no CRS")
        told = {name: set(frame[name]) for name in ("points", "run", "map")}
        if any(len(values) != 1 for values in told.values()):
            raise _no_sample(path, "points of several samples, or without their record")
        numbers = frame[["points", "pixel_y", "pixel_x"]].apply(pd.to_numeric, errors="coerce")
        if numbers.isna().to_numpy().any():
            raise _no_sample(path, "points without the pixel that they were drawn from")
        pixels = numbers[["pixel_y", "pixel_x"]].to_numpy(np.int64)
        drawn = int(numbers["points"].iloc[0])
        return cls(frame, str(frame["map"].iloc[0]), str(frame["run"].iloc[0]), drawn, pixels)


def _layer_of_points(path: Path) -> geopandas.GeoDataFrame:
    """The layer of a file that has a sample's columns."""
    fitting, missing = [], ""
    for layer in layers_of_shapes(path, "sample"):
        try:
            frame = read_table(path, layer)
        except (DataSourceError, DataLayerError, FeatureError, OSError, ValueError) as error:
            raise RasterError(
                found=f"{path} cannot be read: {error}",
                expected="a sample of `landcover sample`",
                fix="correct the path, or take a copy that is whole",
            ) from error
        lacking = [name for name in (POINT, CLASS, *RECORD) if name not in frame.columns]
        if lacking or not isinstance(frame, geopandas.GeoDataFrame):
            missing = missing or next(iter(lacking), "geometry")
        else:
            fitting.append(frame)
    if len(fitting) != 1:
        has = f"{len(fitting)} layers of points" if fitting else f"no column {missing!r}"
        raise _no_sample(path, has)
    return fitting[0]


def _no_sample(path: Path, has: str) -> SampleError:
    return SampleError(
        found=f"{path} has {has}",
        expected="the points of one sample of `landcover sample`, with all their columns, which "
        "say of which map they were drawn",
        fix=f"keep points and columns as they are, and fill in {CLASS!r} alone",
    )


def map_hash(run: Path) -> str:
    """Hash by which a sample knows the map that it was drawn of."""
    return file_hash(newest(RunFolder(run)).landcover)[:16]


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
    names = finished.legend.legend.names
    drawn = draw_sample(finished.newest.landcover, chosen)
    with paths.held() as owned:
        style = path.with_suffix(".qml")
        if path.exists():
            _require_same(path, map_hash(run), drawn)
        else:
            owned.claim(paths.name(path), paths.name(style))
            with dated(finished.finished), completed(path) as partial:
                write_features(_points(finished, drawn), partial, path.stem)
            write_text(style, qml(PointStyle((215, 25, 28), CLASS, names)))
    return SampleSummary(run, path, dict(zip(names, drawn.points.tolist(), strict=True)), names)


def _points(finished: FinishedRun, drawn: Draw) -> geopandas.GeoDataFrame:
    with open_raster(finished.newest.landcover, "class map") as source:
        x, y = xy(source.transform, drawn.rows, drawn.columns)
    count = len(drawn.rows)
    return geopandas.GeoDataFrame(
        {
            POINT: np.arange(1, count + 1),
            CLASS: np.full(count, None, object),
            "points": np.full(count, count),
            "pixel_y": drawn.rows,
            "pixel_x": drawn.columns,
            "run": np.full(count, finished.folder.resolve().name, object),
            "map": np.full(count, map_hash(finished.folder), object),
        },
        geometry=shapely.points(np.asarray(x), np.asarray(y)),
        crs=finished.crs.proj,
    )


def _require_same(path: Path, map_: str, drawn: Draw) -> None:
    """Refuses a file under a sample's name that is not the sample to be drawn.

    Raises:
        RequestError: Says so; labels are hours of work, so nothing is overwritten.
    """
    try:
        there = SamplePoints.read(path)
        order = np.argsort(there.frame[POINT].to_numpy(float), kind="stable")
        wanted = np.stack([drawn.rows, drawn.columns], axis=1)
        same = there.map == map_ and np.array_equal(there.pixels[order], wanted)
        what = "is a sample of another map, or drawn otherwise"
    except (RequestError, ValueError, TypeError) as error:
        same, what = False, f"is there already: {getattr(error, 'found', error)}"
    if not same:
        raise RequestError(
            found=f"{path} {what}",
            expected="a free name: a sample is never overwritten, it may be labelled",
            fix="move the file elsewhere, or draw with another --seed",
        )
