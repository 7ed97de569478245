"""A user's own labels: points and polygons of known classes, drawn on the working grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import LegendError, RasterError, nearest
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.scenes.settings import LabelFile
from landcover_pnp.scenes.vector_files import read_layer
from landcover_pnp.scenes.vectors import VectorLayer, near_grid
from landcover_pnp.storage.geotiff import Band

WHAT = "labels"
"""What messages call the layer."""

LABELS = Band("uint8", ("class that the user has labelled, 0 = none",), nodata=NO_DATA)
"""The raster of the drawn labels."""

_MOST_NAMED = 5


def drawn_labels(
    file: LabelFile, geobox: GeoBox, extent: Box
) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
    """Draws the labelled points and polygons that touch a working grid.

    Points, and what is smaller than a pixel, are the pixel that they lie in.

    Args:
        file: The file.
        geobox: The working grid.
        extent: All of its pixels.

    Yields:
        Windows and (1, y, x) uint8 codes of classes, 0 without label or with two of them.

    Raises:
        RasterError: If the layer or its attribute is not there, or cannot be read.
        LegendError: If a label is neither name nor code of a class; names the nearest.
    """
    layers = _by_class(file, geobox)
    for box in blocks(extent):
        codes, times = np.zeros((2, *box.shape), np.uint8)
        for code, layer in layers.items():
            there = layer.coverage(geobox, box, 1) > 0
            codes[there] = code
            times += there
        yield box, np.where(times == 1, codes, np.uint8(NO_DATA))[None]


def _by_class(file: LabelFile, geobox: GeoBox) -> dict[int, VectorLayer]:
    frame, codes = _labelled(file, geobox)
    shapes = near_grid(frame.geometry, geobox).to_numpy()
    found = {}
    for code in sorted(set(codes.tolist()) - {NO_DATA}):
        chosen = shapes[codes == code]
        chosen = chosen[~(shapely.is_missing(chosen) | shapely.is_empty(chosen))]
        found[code] = VectorLayer.of(_as_pixels(chosen, geobox))
    return found


def label_notes(file: LabelFile, geobox: GeoBox) -> list[str]:
    """Says how many labels of each class touch a working grid.

    Raises:
        RequestError: As ``drawn_labels``.
    """
    _, codes = _labelled(file, geobox)
    times = Counter(codes[codes != NO_DATA].tolist())
    told = ", ".join(f"{c.name} {times[c.code]}" for c in WORKING.classes if times[c.code])
    return [f"labels of {sum(times.values())} places: {told or 'none'}"]


def _labelled(file: LabelFile, geobox: GeoBox) -> tuple[gpd.GeoDataFrame, NDArray[np.int64]]:
    frame = read_layer(file.path, file.layer, WHAT, geobox)
    columns = [str(name) for name in frame.columns if name != frame.geometry.name]
    if file.attribute not in columns:
        raise RasterError(
            found=f"{file.path} ({WHAT}) has no attribute {file.attribute!r}",
            expected="an attribute with the names or codes of the classes; it has "
            + (", ".join(columns) or "none"),
            fix=f"set scene.rasters.labels.attribute, {nearest(file.attribute, columns)}"
            if columns
            else "add one in QGIS",
        )
    codes = [class_code(value) for value in frame[file.attribute]]
    unknown = {str(v) for v, c in zip(frame[file.attribute], codes, strict=True) if c is None}
    if unknown:
        first, *others = sorted(unknown)
        listed = ", ".join(map(repr, [first, *others][:_MOST_NAMED]))
        raise LegendError(
            found=f"{len(unknown)} labels in {file.path} that are no classes: {listed}",
            expected="the names or codes of the map's classes: "
            + ", ".join(f"{c.code} {c.name}" for c in WORKING.classes),
            fix=f"{first!r}: {nearest(first.strip().lower(), WORKING.names)}",
        )
    return frame, np.array([code or NO_DATA for code in codes], np.int64)


def class_code(value: Any) -> int | None:
    """Code of a class by its code or name; 0 of what is empty, None of what is no class."""
    text = "" if pd.isna(value) else str(value).strip().lower()
    if isinstance(value, float | np.floating) and text.endswith(".0"):
        text = text.removesuffix(".0")  # a gap makes integers floating point
    names = dict(zip(WORKING.names, WORKING.codes, strict=True))
    numbers = {str(code): code for code in (NO_DATA, *WORKING.codes)}
    return {**names, **numbers, "": NO_DATA}.get(text)


def _as_pixels(shapes: NDArray[np.object_], geobox: GeoBox) -> NDArray[np.object_]:
    """Shapes, those that are smaller than a pixel as the pixel that they lie in."""
    side = abs(geobox.resolution.x)
    left, _, _, top = geobox.extent.boundingbox.bbox
    small = shapely.area(shapes) < side**2
    at = shapely.get_coordinates(shapely.point_on_surface(shapes[small]))
    x0, y0 = left + (at[:, 0] - left) // side * side, top + (at[:, 1] - top) // side * side
    found = shapes.copy()
    found[small] = shapely.box(x0, y0, x0 + side, y0 + side)
    return found
