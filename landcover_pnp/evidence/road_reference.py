"""A city's roads in its image: the grey against which all its spectral indices are told."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.anchors import OBJECTS, ROADS, places
from landcover_pnp.evidence.spectral_indices import (
    NO_COLOUR,
    RoadReference,
    index_values,
    road_reference,
)
from landcover_pnp.grid import Box, blocks
from landcover_pnp.scenes.scene import Scene

_WINDOW_PX = 64
_SEED = 0
_ENOUGH_PX = 200_000


def some_windows(scene: Scene, size_px: int) -> Iterator[Box]:
    """Windows of a scene in random order, always the same, until they hold so many pixels.

    Args:
        scene: The scene.
        size_px: Pixels with data that are wanted; all windows where it has fewer.

    Yields:
        Working pixels.
    """
    windows = list(blocks(scene.extent, _WINDOW_PX))
    seen = 0
    for number in np.random.default_rng(_SEED).permutation(len(windows)):
        yield windows[number]
        seen += int(scene.valid(windows[number]).sum())
        if seen >= size_px:
            return


def scene_roads(scene: Scene) -> RoadReference | None:
    """The road reference of a scene for its map, by some windows, see ``city_roads``.

    Brightness is left out: where weak labels expect trees, dark paving would become trees. A
    student, which also sees texture, can tell.
    """
    roads = city_roads((scene, box) for box in some_windows(scene, _ENOUGH_PX))
    return roads and replace(roads, brightness=None)


def city_roads(windows: Iterable[tuple[Scene, Box]]) -> RoadReference | None:
    """The road reference of windows of a city; warns where the image has no colour.

    Args:
        windows: Scenes of the city and working pixels of them.

    Returns:
        The road reference; None where the image has no colour: spectral indices do not count.
    """
    indices, on_road = [], []
    for scene, box in windows:
        valid = scene.valid(box)
        kinds = places(scene.nlcd(box), {n: scene.coverage(n, box) for n in OBJECTS}, valid)
        indices.append(index_values(scene.image(box), blue="blue" in scene.bands)[:, valid])
        on_road.append(kinds[valid] == ROADS)
    roads = road_reference(np.concatenate(indices, axis=1), np.concatenate(on_road))
    if roads is None:
        warnings.warn(NO_COLOUR, WeakLabelsWarning, stacklevel=2)
    return roads
