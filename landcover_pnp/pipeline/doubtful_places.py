"""Places of a map that are most worth a look: where its doubt gathers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from landcover_pnp.box_filter import box_sum
from landcover_pnp.evidence.contradictions import KINDS, NO_DOUBT_DATA
from landcover_pnp.grid import Box, blocks
from landcover_pnp.products.chips import place_radius
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DOUBT, RunFolder

_BLOCK_PX = 256

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """A place that is worth a look.

    Attributes:
        rank: Its place in the list, from 1.
        box: Working pixels of the square.
        x: Easting of its middle in the map's CRS, metres.
        y: Northing of its middle.
        doubt: Mean doubt of the square, percent; no data counts as none.
        reason: The contradiction that adds most to it.
        mapped_class: The class that most of it is mapped as.
    """

    rank: int
    box: Box
    x: float
    y: float
    doubt: float
    reason: str
    mapped_class: str


def doubtful_places(run: Path, scene: Scene, count: int, apart_m: float) -> list[Place]:
    """The places with most doubt, most first.

    Mean doubt of a square, not of a pixel: a contradiction at the edge of an object is seldom
    worth a look, one that fills a square mostly is.

    Args:
        run: Folder of a run with its map and its doubt.
        scene: Its scene.
        count: Number of places; fewer where there is no more doubt.
        apart_m: Least distance between the middles of two places, metres.

    Returns:
        The places; the same for the same map.
    """
    radius = place_radius(scene)
    with (
        open_raster(RunFolder(run).probability(DOUBT), "doubt") as doubt,
        open_raster(RunFolder(run).landcover, "class map") as classes,
    ):
        score = box_sum(_on_working_grid(doubt, scene), radius)
        score /= np.float32((2 * radius + 1) ** 2)
        middles = _peaks(score, count, max(1.0, apart_m / scene.resolution_m))
        return [
            _place(rank, y, x, float(score[y, x]), radius, scene, doubt, classes)
            for rank, (y, x) in enumerate(middles, start=1)
        ]


def _place(
    rank: int,
    y: int,
    x: int,
    score: float,
    radius: int,
    scene: Scene,
    doubt: DatasetReader,
    classes: DatasetReader,
) -> Place:
    """What is there around a working pixel."""
    box = Box(y, y + 1, x, x + 1).grow(radius).clip(scene.extent)
    fine = Overlay(scene.geobox, GeoBox.from_rio(classes)).box(box)
    percent, reason = read(doubt, doubt.indexes, fine)
    weights = np.where(percent == NO_DOUBT_DATA, 0, percent).ravel()
    most = np.bincount(reason.ravel(), weights, len(KINDS) + 1)[1:].argmax()
    legend = legend_of(classes).legend
    numbers = legend.numbers(read(classes, 1, fine))
    mapped = np.bincount(numbers.ravel(), minlength=len(legend.classes) + 1)[1:].argmax()
    east, north = scene.geobox.transform * (x + 0.5, y + 0.5)
    return Place(
        rank,
        box,
        round(float(east), 2),
        round(float(north), 2),
        round(score, 1),
        KINDS[int(most)],
        legend.names[int(mapped)],
    )


def _on_working_grid(source: DatasetReader, scene: Scene) -> Floats:
    """Doubt of working pixels, percent, 0 without data: (y, x) float32."""
    extent, overlay = scene.extent, Overlay(scene.geobox, GeoBox.from_rio(source))
    doubt = np.zeros(extent.shape, np.float32)
    for box in blocks(extent, _BLOCK_PX):
        percent = read(source, 1, overlay.box(box))
        known = np.where(percent == NO_DOUBT_DATA, 0, percent)
        doubt[box.within(extent)] = overlay.mean(known, box)
    return doubt


def _peaks(score: Floats, count: int, apart_px: float) -> list[tuple[int, int]]:
    """Pixels of the highest scores above 0, each some way from those before; ties in order."""
    # A place shuts out no more pixels than these around it, so that no more are looked at.
    around = (2 * int(apart_px) + 1) ** 2
    flat = score.ravel()
    most = min(count * around, flat.size)
    least = np.partition(flat, flat.size - most)[flat.size - most]
    candidates = np.flatnonzero((flat >= least) & (flat > 0))
    order = candidates[np.argsort(-flat[candidates], kind="stable")]
    free = np.ones(score.shape, bool)
    found = []
    for y, x in _positions(order, score.shape[1]):
        if not free[y, x]:
            continue
        found.append((y, x))
        if len(found) == count:
            break
        reach = int(np.ceil(apart_px))
        y0, x0 = max(y - reach, 0), max(x - reach, 0)
        near = free[y0 : y + reach + 1, x0 : x + reach + 1]
        dy, dx = np.ogrid[y0 - y : y0 - y + near.shape[0], x0 - x : x0 - x + near.shape[1]]
        near[dy**2 + dx**2 < apart_px**2] = False
    return found


def _positions(order: NDArray[np.intp], width: int) -> Iterator[tuple[int, int]]:
    return (divmod(int(index), width) for index in order)
