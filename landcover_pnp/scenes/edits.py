"""A user's edits of a map: polygons and points of a class, read, checked and drawn on its grid."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize
from rasterio.transform import Affine

from landcover_pnp.errors import EditsError, LegendError, nearest
from landcover_pnp.grid import Box
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.scenes.class_labels import class_code
from landcover_pnp.scenes.vector_files import layers_of_shapes, read_layer
from landcover_pnp.scenes.vectors import near_grid
from landcover_pnp.storage.geotiff import Band

WHAT = "edits"
"""What messages call the file."""

COLUMN = "class"
"""Column of the classes where none is named and several would do."""

DRAWN = Band("uint8", ("class that the user has drawn, 0 = none",), nodata=NO_DATA)
"""The raster of drawn edits."""

_MOST_NAMED = 5
_NEAR = 0.75
"""Likeness of a word to a class's name from which it is that name, misspelt."""

_NUMBERS = re.compile(
    r"(.*[_ ])?(id|fid|gid|oid|uid|pk|objectid|index|nr|no|num|number)|id.*", re.IGNORECASE
)
"""Columns that number the rows; QGIS adds ``id`` or ``fid`` to every new layer."""

_POLYGONS = ("Polygon", "MultiPolygon")
_POINTS = ("Point", "MultiPoint")


@dataclass(frozen=True, eq=False)
class Edits:
    """Edits on the grid of a map.

    Attributes:
        shapes: (edit,) polygons in the CRS of the grid, in the file's order.
        codes: (edit,) uint8 code of each one's class.
        geobox: The grid.
        notes: What was done to the edits, one sentence each.
    """

    shapes: NDArray[np.object_]
    codes: NDArray[np.uint8]
    geobox: GeoBox
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of edits by class."""
        times = Counter(self.codes.tolist())
        return {c.name: times[c.code] for c in WORKING.classes if times[c.code]}

    def drawn(self, box: Box) -> NDArray[np.uint8]:
        """Edits of a window: a pixel is in an edit that holds its centre, the last of several.

        Of an edit that is narrower than a pixel, pixels that it touches.

        Args:
            box: Pixels of the grid.

        Returns:
            (y, x) uint8 codes of classes, 0 = none.
        """
        to_crs: Affine = self.geobox.transform * Affine.translation(box.x0, box.y0)
        height, width = box.shape
        bounds = shapely.box(*(to_crs * (0, 0)), *(to_crs * (width, height)))
        near = np.flatnonzero(shapely.intersects(self.shapes, bounds))
        codes = np.zeros(box.shape, np.uint8)
        for run in _runs(near, self._narrow[near]):
            rasterize(
                zip(self.shapes[run], self.codes[run].tolist(), strict=True),
                out=codes,
                transform=to_crs,
                all_touched=bool(self._narrow[run[0]]),
            )
        return codes

    @cached_property
    def _narrow(self) -> NDArray[np.bool_]:
        """Which edits are narrower than a pixel somewhere along their whole length."""
        side = abs(self.geobox.resolution.x)
        return np.asarray(shapely.is_empty(shapely.buffer(self.shapes, -side / 2)))


def read_edits(
    path: Path,
    geobox: GeoBox,
    column: str | None = None,
    layer: str | None = None,
    radius_m: float | None = None,
) -> Edits:
    """Reads edits in any CRS.

    Args:
        path: Vector file of polygons or points.
        geobox: Grid of the map.
        column: Column of the classes, names or codes; None finds it.
        layer: Layer of the file; None is the only one.
        radius_m: Radius of what a point stands for, metres; None is a pixel.

    Returns:
        The edits that touch the grid.

    Raises:
        RasterError: If the file cannot be read, refers elsewhere or has no CRS.
        EditsError: If it has no edits, other shapes, no class for one of them, or all lie
            elsewhere.
        LegendError: If a class is none of the map's legend; names the nearest.
    """
    frame = read_layer(path, _layer(path, layer), WHAT)
    shapes = frame.geometry.array
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    without = int((~there).sum())
    frame = frame[there]
    if not len(frame):
        raise _unusable(f"{path} holds no edits", "draw at least one in QGIS, and save the layer")
    kinds = set(frame.geom_type) - {*_POLYGONS, *_POINTS}
    if kinds:
        raise _unusable(
            f"{path} holds {', '.join(sorted(kinds))}",
            "take a layer of polygons, or of points; lines become polygons by QGIS' Buffer",
        )
    chosen = _column(frame, column, path)
    codes = _codes(frame, chosen, path)
    notes = [f"{without} edits without a shape left out"] if without else []
    if column is None and chosen.lower() != COLUMN:
        notes.append(f"classes are those of the column {chosen!r}")
    invalid = ~shapely.is_valid(frame.geometry.array)
    if invalid.any():
        mended = shapely.make_valid(
            frame.geometry.array[invalid], method="structure", keep_collapsed=False
        )
        frame.loc[invalid, frame.geometry.name] = mended
        solid = ~(shapely.is_missing(frame.geometry.array) | shapely.is_empty(frame.geometry.array))
        flat, crossed = int((~solid).sum()), int((invalid & solid).sum())
        if crossed:
            notes.append(f"outlines of {crossed} edits mended, which crossed themselves")
        if flat:
            notes.append(f"{flat} edits left out, whose outlines enclose no ground")
        if flat == len(frame):
            raise _unusable(
                f"the outlines of all {flat} edits in {path} enclose no ground",
                "draw each with at least three corners that lie on no line",
            )
        frame, codes = frame[solid], codes[solid]
    return _on_grid(frame.geometry, codes, geobox, radius_m, path, notes)


def _on_grid(
    shapes: gpd.GeoSeries,
    codes: NDArray[np.uint8],
    geobox: GeoBox,
    radius_m: float | None,
    path: Path,
    notes: list[str],
) -> Edits:
    """Edits in the CRS of a grid, points as circles; those elsewhere are counted."""
    local = np.array(shapely.force_2d(near_grid(shapes, geobox).array), object)
    points = shapely.get_dimensions(local) == 0
    radius = abs(geobox.resolution.x) if radius_m is None else radius_m
    local[points] = shapely.buffer(local[points], radius)
    extent = shapely.box(*geobox.extent.boundingbox.bbox)
    inside = shapely.area(shapely.intersection(local, extent)) > 0
    if not inside.any():
        raise _unusable(
            f"none of the {len(local)} edits in {path} touches the map",
            "name the edits of this map, and check their CRS",
        )
    if not inside.all():
        notes.append(f"{int((~inside).sum())} of {len(local)} edits lie outside of the map")
    cut = inside & ~shapely.covers(extent, local) & ~points
    if cut.any():
        notes.append(f"{int(cut.sum())} edits reach beyond the map, where nothing changes")
    return Edits(local[inside], codes[inside], geobox, tuple(notes))


def _layer(path: Path, layer: str | None) -> str:
    layers = layers_of_shapes(path, WHAT)
    if layer is None and len(layers) == 1:
        return layers[0]
    if layer is None or layer not in layers:
        has = ", ".join(layers) or "none"
        fix = nearest(layer, layers) if layer and layers else "name one of them by --layer"
        raise _unusable(f"{path} has the layers {has}" + f", not {layer!r}" * bool(layer), fix)
    return layer


def _column(frame: gpd.GeoDataFrame, column: str | None, path: Path) -> str:
    """The column of the classes: as named, called ``class``, or the only likely one."""
    columns = [str(name) for name in frame.columns if name != frame.geometry.name]
    listed = ", ".join(columns) or "none"
    if column is not None:
        if column not in columns:
            raise _unusable(
                f"{path} has no column {column!r}; it has {listed}",
                nearest(column, columns) if columns else "add one in QGIS",
            )
        return column
    found = [name for name in columns if name.lower() == COLUMN] or _guessed(frame, columns)
    if len(found) != 1:
        raise _unusable(
            f"{path} has {len(found) or 'no'} columns of classes{': ' * bool(found)}"
            f"{', '.join(found)}; it has {listed}",
            "name the one that is meant by --class_column",
        )
    return found[0]


def _guessed(frame: gpd.GeoDataFrame, columns: Sequence[str]) -> list[str]:
    """Columns that may hold the classes: texts before numbers, none that numbers the rows."""
    able = [name for name in columns if not _NUMBERS.fullmatch(name)]
    numeric = {name for name in able if pd.api.types.is_numeric_dtype(frame[name])}
    texts = [name for name in able if name not in numeric]
    rows = list(range(1, len(frame) + 1))
    return (
        [name for name in texts if all(class_code(value) for value in frame[name])]  # 0 is none
        or [name for name in texts if _meant(frame[name])]  # which is named with its misspelling
        or [
            name
            for name in able
            if name in numeric
            and all(class_code(value) for value in frame[name])
            and (len(rows) == 1 or frame[name].tolist() != rows)
        ]
    )


def _meant(column: pd.Series) -> bool:
    """Whether at least half of a column's values are classes, or misspelt ones."""
    words = [str(value).strip().lower() for value in column.dropna()]
    near = [
        class_code(word) or difflib.get_close_matches(word, WORKING.names, n=1, cutoff=_NEAR)
        for word in words
    ]
    return bool(words) and 2 * sum(map(bool, near)) >= len(words)


def _codes(frame: gpd.GeoDataFrame, column: str, path: Path) -> NDArray[np.uint8]:
    codes = [class_code(value) for value in frame[column]]
    unknown = {str(v) for v, c in zip(frame[column], codes, strict=True) if c is None}
    if unknown:
        first, *others = sorted(unknown)
        raise LegendError(
            found=f"{len(unknown)} classes in {path} that are none of the map: "
            + ", ".join(map(repr, [first, *others][:_MOST_NAMED])),
            expected="the names or codes of the map's classes: "
            + ", ".join(f"{c.code} {c.name}" for c in WORKING.classes),
            fix=f"{first!r}: {nearest(first.strip().lower(), WORKING.names)}",
        )
    without = codes.count(NO_DATA)
    if without:
        raise _unusable(
            f"{without} of {len(codes)} edits in {path} have no class in the column {column!r}",
            "fill it in, or delete these edits",
        )
    return np.array(codes, np.uint8)


def _runs(numbers: NDArray[np.intp], kind: NDArray[np.bool_]) -> Sequence[NDArray[np.intp]]:
    """Consecutive numbers of one kind together."""
    parts = np.split(numbers, np.flatnonzero(np.diff(kind)) + 1)
    return [part for part in parts if len(part)]


def _unusable(found: str, fix: str) -> EditsError:
    return EditsError(
        found=found,
        expected="a vector file of polygons or points, each with a class of the map",
        fix=fix,
    )
