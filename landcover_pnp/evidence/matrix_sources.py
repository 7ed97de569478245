"""Where p(class | NLCD) comes from: ``target``, ``source`` or ``definitions``, repaired or not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RasterError, WeakLabelsWarning
from landcover_pnp.evidence.matrix_refinement import (
    NOWHERE,
    OBJECTS,
    ROADS,
    Repair,
    colours,
    places,
    repair_matrix,
)
from landcover_pnp.evidence.road_reference import some_windows
from landcover_pnp.evidence.settings import RepairSettings, WeakLabelSettings
from landcover_pnp.evidence.spectral_indices import NO_COLOUR, asphalt, tone
from landcover_pnp.evidence.weak_labels import DEFINITIONS, class_given_nlcd, cooccurrence
from landcover_pnp.grid import blocks
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import ScenePlan
from landcover_pnp.scenes.scene import Scene

DOUBTFUL_CHANGE = 0.2
"""Repairs that move more of p(class | NLCD) than this are warned of, see docs/transfer.md."""

_UNREPAIRED = (
    "p(class | NLCD) is not repaired: none of the pixels looked at has both colours and NLCD"
)

_SEED = 0


def protocol_matrix(
    settings: WeakLabelSettings, scene: Scene, sources: Mapping[str, ScenePlan], folder: Path
) -> NDArray[np.float64]:
    """p(class | NLCD) by the protocol of the settings.

    Args:
        settings: Protocol.
        scene: The scene itself, whose truth only ``target`` reads.
        sources: Plans of the source cities.
        folder: Where the source cities' scenes are prepared.

    Returns:
        (nlcd class, class) float64, rows sum to 1.

    Raises:
        RasterError: If the truth that it is counted in says nothing.
    """
    matrix = _given_matrix(settings, scene, sources, folder)
    if settings.repair is None:
        return matrix
    repair = repair_scene(scene, matrix, settings.repair)
    if repair.change > DOUBTFUL_CHANGE:
        warnings.warn(
            f"the image contradicts p(class | NLCD) of the protocol {settings.protocol}: its "
            f"colours move {repair.change:.0%} of it to other classes; look at the map",
            WeakLabelsWarning,
            stacklevel=2,
        )
    return repair.matrix


def repair_scene(scene: Scene, matrix: NDArray[np.float64], settings: RepairSettings) -> Repair:
    """Repairs p(class | NLCD) by a scene's colours, see ``repair.repair_matrix``.

    Args:
        scene: The scene; its truth is not read.
        matrix: (nlcd class, class) to start from.
        settings: Size of the sample, and how much of the given matrix stays.

    Returns:
        The repaired matrix and how far it went.
    """
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]] = []
    for box in some_windows(scene, settings.sample_px):
        image, valid = scene.image(box), scene.valid(box)
        place = places(scene.nlcd(box), {n: scene.coverage(n, box) for n in OBJECTS}, valid)
        known = place != NOWHERE
        parts.append((colours(image, valid)[:, known], tone(image)[:, known], place[known]))
    features, tones, place = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    if not place.size:
        warnings.warn(_UNREPAIRED, WeakLabelsWarning, stacklevel=2)
    elif asphalt(tones, place == ROADS) is None:
        warnings.warn(NO_COLOUR, WeakLabelsWarning, stacklevel=2)
    return repair_matrix(features, tones, place, matrix, settings, _SEED)


def _given_matrix(
    settings: WeakLabelSettings, scene: Scene, sources: Mapping[str, ScenePlan], folder: Path
) -> NDArray[np.float64]:
    if settings.protocol == "definitions":
        return DEFINITIONS
    cities = [scene]
    if settings.protocol == "source":
        cities = [prepare_scene(plan, folder / name) for name, plan in sources.items()]
    counts = sum(map(_count_pairs, cities), np.zeros_like(DEFINITIONS))
    if not counts.any():
        raise RasterError(
            found="no pixel with image, NLCD and a class of truth at once, in "
            + ", ".join(str(city.folder) for city in cities),
            expected=f"truth that p(class | NLCD) of the protocol {settings.protocol} can be "
            "counted in",
            way_out="check the truth's legend and that it shows the same ground, or choose the "
            "protocol definitions",
        )
    return class_given_nlcd(counts)


def _count_pairs(scene: Scene) -> NDArray[np.float64]:
    counts = np.zeros_like(DEFINITIONS)
    for box in blocks(scene.extent):
        truth = scene.truth(box)
        if truth is not None:
            counts += cooccurrence(scene.nlcd(box), np.where(scene.valid(box), truth, 0))
    return counts
