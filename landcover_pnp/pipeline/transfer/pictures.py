"""The pictures of a transfer run's report: maps side by side, scores with their intervals."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling

from landcover_pnp.arrays import normalise
from landcover_pnp.errors import SuspiciouslyEmptyWarning
from landcover_pnp.grid import Box
from landcover_pnp.legend import LEGENDS, WORKING, to_working
from landcover_pnp.pipeline.transfer.cities import City
from landcover_pnp.pipeline.transfer.maps import MethodMap
from landcover_pnp.pipeline.transfer.scores import Row
from landcover_pnp.products.page import hex_colour
from landcover_pnp.products.picture_grid import PictureGrid
from landcover_pnp.products.pictures import class_picture, error_labels
from landcover_pnp.products.viewer import Viewer, class_entries, whole_layer
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.image_windows import ImageryOnGrid
from landcover_pnp.scenes.imagery import plan_imagery
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.bands import shown
from landcover_pnp.storage.raster import on_grid, open_raster, read_labels

PANEL_PX = 280
"""Longest side of a map's picture; larger maps are thinned out."""

WRONG = (200, 30, 30)
"""Colour of the pixels whose class is not the truth's."""

_ERRORS = np.array([(255, 255, 255, 0), (226, 226, 226, 255), (*WRONG, 255)], np.uint8)


VIEWER_PX = 700
"""Longest side of the same maps in a viewer."""

Panels = list[tuple[str, NDArray[np.uint8]]]
"""Titles and pictures, (y, x, 4) uint8."""


def maps_side_by_side(city: City, made: Sequence[MethodMap]) -> tuple[Panels, dict[str, Panels]]:
    """Image and truth, and a row of maps for each matrix source, each with its errors below.

    Of a city of several tiles, the first.
    """
    tile, files = next(iter(city.tiles.items()))
    geobox = _display_grid([m.maps[tile] for m in made], PANEL_PX)
    truth = _truth(files, geobox)
    inputs = [("image", _image(files, geobox))]
    if truth is not None:
        inputs.append(("truth", class_picture(truth, WORKING)))
    maps: dict[str, Panels] = {}
    for m in made:
        labels = _labels(m.maps[tile], geobox)
        stacked = [class_picture(labels, WORKING)]
        if truth is not None:
            stacked.append(_ERRORS[error_labels(labels, truth)])
        maps.setdefault(m.matrix_source, []).append((m.title, np.concatenate(stacked)))
    return inputs, maps


def maps_over_image(city: City, made: Sequence[MethodMap]) -> Viewer:
    """Truth and all maps of a city over its image; of a city of several tiles, the first."""
    tile, files = next(iter(city.tiles.items()))
    geobox = _display_grid([m.maps[tile] for m in made], VIEWER_PX)
    truth, known = _truth(files, geobox), class_entries(WORKING)
    labels = [("truth", truth)] if truth is not None else []
    labels += [(f"{m.title} ({m.matrix_source})", _labels(m.maps[tile], geobox)) for m in made]
    layers = tuple(
        whole_layer(name, class_picture(codes, WORKING), known, exact=True)
        for name, codes in labels
    )
    image = whole_layer("image", _image(files, geobox), exact=False)
    return Viewer(PictureGrid(geobox), image, layers, title=f"Maps of {city.name}")


def _display_grid(maps: Sequence[Path], side_px: int) -> GeoBox:
    grids = []
    for path in maps:
        with open_raster(path, "map") as source:
            grids.append(GeoBox.from_rio(source))
    finest = max(grids, key=lambda grid: grid.shape[0])
    return finest.zoom_out(max(1.0, max(finest.shape) / side_px))


def _whole(geobox: GeoBox) -> Box:
    return Box(0, geobox.shape[0], 0, geobox.shape[1])


def _labels(path: Path, geobox: GeoBox) -> NDArray[np.uint8]:
    with (
        open_raster(path, "map") as source,
        on_grid(source, geobox, Resampling.nearest) as view,
    ):
        return np.asarray(read_labels(view, _whole(geobox)))


def _truth(files: RasterFiles, geobox: GeoBox) -> NDArray[np.uint8] | None:
    if files.truth is None:
        return None
    return to_working(_labels(files.truth.path, geobox), LEGENDS[files.truth.legend], "truth")


def _image(files: RasterFiles, geobox: GeoBox) -> NDArray[np.uint8]:
    with warnings.catch_warnings():  # said when the scene was prepared
        warnings.simplefilter("ignore", SuspiciouslyEmptyWarning)
        paths = image_files(files.image, files.image_root)
        imagery = plan_imagery(paths, files.image_crs, files.bands)
        with ImageryOnGrid.opened(imagery, geobox) as view:
            values, valid = view.read(_whole(geobox))
    colours = values[list(shown(imagery.bands))].astype(np.float64)
    brightest = np.quantile(colours[:, valid], 0.995) if values.dtype != np.uint8 else 255.0
    return np.asarray(
        np.moveaxis(np.clip(255 * colours / max(brightest, 1.0), 0, 255), 0, -1), np.uint8
    )


def bars(scored: Sequence[Row]) -> NDArray[np.uint8]:
    """Accuracy and mean IoU of scored rows as bars with intervals, coloured by matrix source."""
    figure = Figure(figsize=(9.5, 0.8 + 0.24 * len(scored)), layout="constrained", dpi=90)
    matrix_sources = list(dict.fromkeys(row.made.matrix_source for row in scored))
    panels = figure.subplots(1, 2, sharey=True)
    for axis, (name, title) in zip(
        panels, (("accuracy", "accuracy"), ("mean_iou", "mean IoU")), strict=True
    ):
        for position, row in enumerate(scored):
            interval = row.measures[name]
            colour = f"C{matrix_sources.index(row.made.matrix_source)}"
            axis.barh(position, interval.value, color=colour, alpha=0.55)
            axis.plot([interval.low, interval.high], [position] * 2, color="0.2", linewidth=1.6)
        axis.set_title(title)
        axis.invert_yaxis() if axis is panels[0] else None
        axis.grid(axis="x", alpha=0.3)
    labels = [f"{row.made.title} ({row.made.matrix_source})" for row in scored]
    panels[0].set_yticks(range(len(scored)), labels, fontsize=8)
    return _drawn(figure)


def details(rows: Sequence[Row]) -> NDArray[np.uint8]:
    """IoU by class with intervals, confusion and reliability: a line of panels a row."""
    figure = Figure(figsize=(9.5, 2.7 * len(rows)), layout="constrained", dpi=90)
    axes: Any = figure.subplots(len(rows), 3, squeeze=False)
    for (left, middle, right), row in zip(axes, rows, strict=True):
        cell_scores = row.cell_scores
        if cell_scores is None:
            continue
        for c in WORKING.classes:
            interval = row.measures[f"iou_{c.code}"]
            left.bar(c.code, np.nan_to_num(interval.value), color=hex_colour(c.colour))
            left.plot([c.code] * 2, [interval.low, interval.high], color="0.2")
        left.set_xticks(WORKING.codes, [name.split()[0] for name in WORKING.names], fontsize=7)
        left.set_ylim(0, 1)
        left.set_title(f"{row.made.title}, {row.made.matrix_source}: IoU", fontsize=9)
        counts = cell_scores.scores.confusion[1:, 1:].astype(np.float64)
        share = normalise(counts, axis=1)
        middle.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for y, x in np.ndindex(share.shape):
            colour = "white" if share[y, x] > 0.6 else "0.2"
            middle.text(
                x, y, f"{share[y, x]:.2f}", ha="center", va="center", fontsize=6, color=colour
            )
        short = [name.split()[0] for name in WORKING.names]
        middle.set_xticks(range(5), short, fontsize=6)
        middle.set_yticks(range(5), short, fontsize=6)
        middle.set_title("truth (rows) mapped as", fontsize=9)
        right.plot([0, 1], [0, 1], color="0.7")
        for part, name in ((cell_scores.reliability, "as is"), (cell_scores.tempered, "tempered")):
            seen = part.pixels > 0
            right.plot(
                part.confidence[seen] / part.pixels[seen],
                part.hits[seen] / part.pixels[seen],
                marker=".",
                label=f"{name}, error {part.error:.3f}",
            )
        right.legend(fontsize=7)
        right.set_title("right, by confidence", fontsize=9)
    return _drawn(figure)


def _drawn(figure: Figure) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))
