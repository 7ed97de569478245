"""The borders of a scene's spectral indices, from a sample of its windows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.box_filter import box_mean
from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.index_borders import Ground, IndexBorders, find_borders
from landcover_pnp.evidence.index_values import UNUSED
from landcover_pnp.evidence.windows import (
    WINDOW_PX,
    WindowLayers,
    some_windows,
    windows_in_order,
)
from landcover_pnp.grid import Box
from landcover_pnp.legends.coarse_legend import CoarseLegend

_ENOUGH_PX = 200_000
_MOST_WINDOWS = 4 * _ENOUGH_PX // WINDOW_PX**2


@dataclass(frozen=True, eq=False)
class IndexSample:
    """Pixels of scenes and what is known about them.

    Attributes:
        pixels: (band, n) float32 in 0..1, valid ones.
        bands: Names of the bands.
        ground: (n,) uint8 of ``Ground``.
    """

    pixels: NDArray[np.float32]
    bands: tuple[str, ...]
    ground: NDArray[np.uint8]


def sample_windows(extent: Box) -> list[Box]:
    """The windows that a sample is taken of, at most."""
    return windows_in_order(extent)[:_MOST_WINDOWS]


def ground_of(
    numbers: NDArray[np.uint8],
    legend: CoarseLegend,
    objects: dict[str, NDArray[np.float32] | None],
    resolution_m: float,
) -> NDArray[np.uint8]:
    """What is all but certain about the pixels of a window.

    Args:
        numbers: (y, x) numbers of the coarse map's classes from 1, 0 = no data.
        legend: Its legend. The inside of a forest lies a pixel of the map from any other class: it
            may be off by as much.
        objects: (y, x) covered shares of roads, buildings and water; None without such a layer.
        resolution_m: Side of a pixel in metres.

    Returns:
        (y, x) uint8 of ``Ground``.
    """
    roles = np.array(["none", *legend.roles])[numbers]
    ground = np.full(numbers.shape, Ground.UNKNOWN, np.uint8)
    forest = roles == "forest"
    whole = np.ones(numbers.shape, np.bool_)
    edge_px = round(legend.resolution_m / resolution_m)
    inside = box_mean(forest.astype(np.float32), edge_px, whole) > 1 - 1e-4
    ground[forest] = Ground.FOREST_EDGE
    ground[inside] = Ground.FOREST
    ground[roles == "barren"] = Ground.BARREN
    ground[roles == "water"] = Ground.WATER
    for name, kind in (
        ("roads", Ground.ROAD),
        ("buildings", Ground.ROOF),
        ("water", Ground.WATER),
    ):
        share = objects.get(name)
        if share is not None:
            ground[share > 0.5] = kind
    return ground


def sample_of(scene: WindowLayers) -> IndexSample:
    """A sample of a scene: windows spread over it, until they hold enough pixels with data."""
    pixels, ground = [], []
    for box in some_windows(scene, _ENOUGH_PX, _MOST_WINDOWS):
        valid = scene.seen(box)
        objects = {name: scene.coverage(name, box) for name in ("roads", "buildings", "water")}
        pixels.append(scene.image(box)[:, valid])
        numbers, legend = scene.coarse(box)[0], scene.legends[0]
        ground.append(ground_of(numbers, legend, objects, scene.resolution_m)[valid])
    return IndexSample(np.concatenate(pixels, axis=1), scene.bands, np.concatenate(ground))


def scene_borders(scenes: Iterable[WindowLayers]) -> IndexBorders:
    """The borders of the scenes of a city, found once for all of their tiles.

    Args:
        scenes: Scenes whose images have the same bands.

    Returns:
        The borders; warns of what keeps the index of vegetation from counting, and of bands that
        cannot be used.
    """
    samples = [sample_of(scene) for scene in scenes]
    borders = find_borders(
        np.concatenate([s.pixels for s in samples], axis=1),
        samples[0].bands,
        np.concatenate([s.ground for s in samples]),
    )
    if borders.vegetation is None or UNUSED in borders.bands:
        told = "; ".join(borders.notes)
        warnings.warn(f"not all spectral indices count: {told}", WeakLabelsWarning, stacklevel=2)
    return borders
