"""Where p(class | NLCD) comes from: ``target``, ``source`` or ``definitions``, refined or not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RasterError, WeakLabelsWarning
from landcover_pnp.evidence.matrix_refinement import (
    NOWHERE,
    OBJECTS,
    ROADS,
    Refinement,
    colours,
    places,
    refine_matrix,
)
from landcover_pnp.evidence.road_reference import some_windows
from landcover_pnp.evidence.settings import RefinementSettings, WeakLabelSettings
from landcover_pnp.evidence.spectral_indices import NO_COLOUR, index_values, road_reference
from landcover_pnp.evidence.weak_labels import DEFINITIONS, class_given_nlcd, cooccurrence
from landcover_pnp.grid import blocks
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import ScenePlan
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.owned_folder import OwnedFolder

DOUBTFUL_CHANGE = 0.2
"""Refinements that move more of p(class | NLCD) than this are warned of, see docs/transfer.md."""

_UNREFINED = (
    "p(class | NLCD) is not refined: none of the pixels looked at has both colours and NLCD"
)

_SEED = 0


def matrix_from_source(
    settings: WeakLabelSettings,
    scene: Scene,
    sources: Mapping[str, ScenePlan],
    folder: Path,
    owner: OwnedFolder | None = None,
    working: Callable[..., None] = lambda *_: None,
) -> NDArray[np.float64]:
    """p(class | NLCD) by the matrix source of the settings.

    Args:
        settings: Protocol.
        scene: The scene itself, whose truth only ``target`` reads.
        sources: Plans of the source cities.
        folder: Where the source cities' scenes are prepared.
        owner: Owned folder around it, see ``prepare_scene``.
        working: Called before one is prepared, see ``prepare_scene``.

    Returns:
        (nlcd class, class) float64, rows sum to 1.

    Raises:
        RasterError: If the truth that it is counted in says nothing.
    """
    cities = [scene]
    if settings.matrix_source == "source":
        cities = [prepare_scene(plan, folder / n, working, owner) for n, plan in sources.items()]
    matrix = _given_matrix(settings, cities, list(sources))
    if settings.refinement is None:
        return matrix
    refinement = refine_for_scene(scene, matrix, settings.refinement)
    if refinement.change > DOUBTFUL_CHANGE:
        warnings.warn(
            "the image contradicts p(class | NLCD) of the matrix source "
            f"{settings.matrix_source}: its colours move {refinement.change:.0%} of it to other "
            "classes; look at the map",
            WeakLabelsWarning,
            stacklevel=2,
        )
    return refinement.matrix


def refine_for_scene(
    scene: Scene, matrix: NDArray[np.float64], settings: RefinementSettings
) -> Refinement:
    """Refines p(class | NLCD) by a scene's colours, see ``matrix_refinement.refine_matrix``.

    Args:
        scene: The scene; its truth is not read.
        matrix: (nlcd class, class) to start from.
        settings: Size of the sample, and how much of the given matrix stays.

    Returns:
        The refined matrix and how far it went.
    """
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]] = []
    for box in some_windows(scene, settings.sample_px):
        image, valid = scene.image(box), scene.valid(box)
        place = places(scene.nlcd(box), {n: scene.coverage(n, box) for n in OBJECTS}, valid)
        known = place != NOWHERE
        indices = index_values(image, blue="blue" in scene.bands)
        parts.append((colours(image, valid)[:, known], indices[:, known], place[known]))
    features, indices, place = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    if not place.size:
        warnings.warn(_UNREFINED, WeakLabelsWarning, stacklevel=2)
    elif road_reference(indices, place == ROADS) is None:
        warnings.warn(NO_COLOUR, WeakLabelsWarning, stacklevel=2)
    return refine_matrix(features, indices, place, matrix, settings, _SEED)


def _given_matrix(
    settings: WeakLabelSettings, cities: list[Scene], names: list[str]
) -> NDArray[np.float64]:
    if settings.matrix_source == "definitions":
        return DEFINITIONS
    counts = sum(map(_count_pairs, cities), np.zeros_like(DEFINITIONS))
    require_pairs(int(counts.sum()), settings, names)
    return class_given_nlcd(counts)


def require_pairs(labelled_px: int, settings: WeakLabelSettings, sources: Iterable[str]) -> None:
    """Refuses truth in which p(class | NLCD) cannot be counted.

    Args:
        labelled_px: Pixels with image, NLCD and a class of truth at once, in all cities counted.
        settings: Matrix source.
        sources: Names of the source cities.

    Raises:
        RasterError: If there are none, but should be by the matrix source.
    """
    if labelled_px or settings.matrix_source == "definitions":
        return
    where = "the scene itself" if settings.matrix_source == "target" else ", ".join(sources)
    raise RasterError(
        found=f"no pixel with image, NLCD and a class of truth at once, in {where}",
        expected="truth in which p(class | NLCD) of the matrix source "
        f"{settings.matrix_source} can be counted",
        fix="check the truth's legend and that it shows the same ground, or choose the "
        "matrix source definitions",
    )


def _count_pairs(scene: Scene) -> NDArray[np.float64]:
    counts = np.zeros_like(DEFINITIONS)
    for box in blocks(scene.extent):
        truth = scene.truth(box)
        if truth is not None:
            counts += cooccurrence(scene.nlcd(box), np.where(scene.valid(box), truth, 0))
    return counts
