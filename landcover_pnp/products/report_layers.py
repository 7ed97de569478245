"""The pictures of a run's report: layers of its viewer, and chips of its doubtful places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import recoded
from landcover_pnp.products.chips import Chip, place_side_m
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.ground import TITLE, UNSEEN, hatched
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.picture_grid import PictureGrid
from landcover_pnp.products.pictures import (
    at_pixels,
    class_picture,
    error_labels,
    ramp_picture,
    thinned,
    truth_labels,
)
from landcover_pnp.products.rasters import CONFIDENCE_RAMP, DOUBT_RAMP, ERRORS
from landcover_pnp.products.tile_pyramid import webp
from landcover_pnp.products.viewer import (
    LAYER_PX,
    LAYERS_BYTES,
    TILES_BYTES,
    Entries,
    ShownLayer,
    Viewer,
    class_entries,
    ramp_entries,
    size_of_tiles,
    tiled_layer,
    whole_layer,
)
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DOUBT, RunFolder

CHIP_PX = 200
"""Side of the picture of a place."""

IMAGE, MAP = "image", "land cover"
"""Names of the two layers that are shown at first."""


@dataclass(frozen=True)
class ReportPictures:
    """All pictures of a report.

    Attributes:
        viewer: Layers over the ground of the map.
        chips: ``image`` and ``map`` of each doubtful place as addresses, in their order.
        note: In what pixels image and map are shown, and why.
    """

    viewer: Viewer
    chips: tuple[dict[str, str], ...]
    note: str


def report_pictures(
    run: FinishedRun, rasters: Path, finals: RunFolder, image: OriginalImage
) -> ReportPictures:
    """Makes the pictures of a run, image and map as fine as the report has room for.

    Args:
        run: The run.
        rasters: Folder of its baselines.
        finals: Where its newest map lies.
        image: Its image.

    Raises:
        RasterError: If a raster of the run, or a file of the image, cannot be read.
    """
    places = doubtful_places(run)
    (base, shown), grid = _tiled(run, finals, image)
    side_px = LAYER_PX
    others = tuple(_other_layers(run, rasters, finals, side_px))
    while sum(len(layer.picture) for layer in others) > LAYERS_BYTES:
        side_px = side_px * 7 // 10
        others = tuple(_other_layers(run, rasters, finals, side_px))
    side_m = place_side_m(run.scene)
    marked = tuple(
        {"x": p["x"], "y": p["y"], "side": side_m, "label": str(p["rank"])} for p in places
    )
    viewer = Viewer(grid, base, (shown, *others), marked, "Image and map")
    return ReportPictures(viewer, _chips(run, finals, image, places), _note(grid, image))


def doubtful_places(run: FinishedRun) -> list[dict[str, Any]]:
    """The most doubtful places that a run's summary names; none of one of an earlier version."""
    doubt = run.summary.get("doubt")
    return list(doubt.get("places", ())) if isinstance(doubt, dict) else []


def _tiled(
    run: FinishedRun, finals: RunFolder, image: OriginalImage
) -> tuple[tuple[ShownLayer, ShownLayer], PictureGrid]:
    """Image and map on the finest grid whose tiles are few enough."""
    with open_raster(finals.landcover, "class map") as source:
        grid = PictureGrid.of(GeoBox.from_rio(source), image.resolution_m)
    legend = run.legend.legend
    while True:
        codes = sampled(finals.landcover, grid)
        layers = (
            tiled_layer(IMAGE, image.colours(grid.geobox), exact=False),
            tiled_layer(MAP, class_picture(codes, legend), class_entries(legend), exact=True),
        )
        if size_of_tiles(layers) <= TILES_BYTES:
            return layers, grid
        grid = grid.coarser


def sampled(path: Path, grid: PictureGrid) -> NDArray[np.uint8]:
    """The first band of a raster on a picture's pixels, (y, x) uint8, read in blocks.

    Args:
        path: The raster, on the grid of the map.
        grid: The picture's pixels.
    """
    picture = np.zeros(grid.shape, np.uint8)
    with open_raster(path, "class map") as source:
        for box in blocks(Box(0, source.height, 0, source.width)):
            grid.take(picture, read(source, 1, box), box)
    return picture


def _other_layers(
    run: FinishedRun, rasters: Path, finals: RunFolder, side_px: int
) -> Iterator[ShownLayer]:
    """All layers but image and map, thinned out to a longest side."""
    legend = run.legend.legend
    labels = thinned(finals.landcover, side_px)[0]

    def classes(name: str, codes: NDArray[np.uint8], entries: Entries) -> ShownLayer:
        return whole_layer(name, class_picture(codes, legend), entries, exact=True)

    if run.ground is not None:
        ground = at_pixels(thinned(run.ground, side_px)[0], labels.shape)
        if np.isin(ground, UNSEEN.codes).any():
            entries = class_entries(legend) + class_entries(UNSEEN)
            drawn = hatched(class_picture(labels, legend), ground)
            yield whole_layer(TITLE.lower(), drawn, entries, exact=True)
    for name, path, ramp in (
        ("confidence", finals.confidence, CONFIDENCE_RAMP),
        (DOUBT, finals.raster(DOUBT), DOUBT_RAMP),
    ):
        if path.is_file():
            drawn = ramp_picture(thinned(path, side_px)[0], ramp)
            yield whole_layer(name, drawn, ramp_entries(ramp), exact=False)
    for stem in ("evidence", "weak_labels"):
        codes = thinned(rasters / f"{stem}.tif", side_px)[0]
        yield classes(f"{stem.replace('_', ' ')} alone", codes, class_entries(legend))
    truth = truth_labels(run.scene, side_px)
    if truth is not None:
        shared = run.truth_legend
        truth, entries = recoded(truth, shared.second), class_entries(shared.legend)
        yield whole_layer("truth", class_picture(truth, shared.legend), entries, exact=True)
        wrong = class_picture(error_labels(recoded(labels, shared.first), truth), ERRORS)
        yield whole_layer("right and wrong", wrong, class_entries(ERRORS), exact=True)


def _chips(
    run: FinishedRun, finals: RunFolder, image: OriginalImage, places: list[dict[str, Any]]
) -> tuple[dict[str, str], ...]:
    chips = [Chip.around(p["x"], p["y"], run.scene, CHIP_PX) for p in places]
    pictures: list[Callable[[Chip], str]] = [
        lambda chip: webp(chip.image(image), exact=False),
        lambda chip: webp(chip.map(finals.landcover, run.legend.legend), exact=True),
    ]
    return tuple(
        dict(zip((IMAGE, "map"), (make(chip) for make in pictures), strict=True)) for chip in chips
    )


def _note(grid: PictureGrid, image: OriginalImage) -> str:
    pixel_m, map_m = grid.resolution_m, abs(grid.map.resolution.x)
    said = f"Image and map are shown in pixels of {pixel_m:.4g} m"
    if grid.step != 1:
        said += f"; the map has pixels of {map_m:.4g} m"
    if image.reason is None:
        finest = image.resolution_m
        said += f", the image of {finest:.4g} m" if finest < 0.99 * pixel_m else ""
        return f"{said}."
    return (
        f"{said}. The image is that of the scene, in pixels of {image.resolution_m:.4g} m, since "
        f"its own cannot be shown: {image.reason}."
    )
