"""Where p(class | code) comes from: ``target``, ``source`` or ``definitions``, refined or not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RasterError, WeakLabelsWarning
from landcover_pnp.evidence.anchors import NOWHERE, OBJECTS, CityPixels, colours, places, rows_of
from landcover_pnp.evidence.city_mix import grey_ground
from landcover_pnp.evidence.matrix_refinement import Refinement, refine_matrix
from landcover_pnp.evidence.settings import RefinementSettings, WeakLabelSettings
from landcover_pnp.evidence.spectral_indices import NO_COLOUR, index_values
from landcover_pnp.evidence.weak_labels import class_given_code, cooccurrence
from landcover_pnp.evidence.windows import some_windows
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import ScenePlan
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.owned_folder import OwnedFolder

DOUBTFUL_CHANGE = 0.2
"""Rows of p(class | code) of which a refinement moves more than this are warned of."""

_UNREFINED = (
    "p(class | code) is not refined: none of the pixels looked at has both colours and a class of "
    "the coarse map"
)

_NO_GREY = (
    "no mapped roads or buildings tell what grey ground looks like: how much of the city's ground "
    "is soil is told from the coarse map alone"
)

BLOCK_PX = 16
"""Side of the blocks of ground that are held out, working pixels."""

_SEED = 0


def matrices_from_source(
    settings: WeakLabelSettings,
    scene: Scene,
    sources: Mapping[str, ScenePlan],
    folder: Path,
    owner: OwnedFolder | None = None,
    working: Callable[..., None] = lambda *_: None,
) -> tuple[NDArray[np.float64], ...]:
    """p(class | code) of a scene's coarse maps by the matrix source of the settings.

    Args:
        settings: Matrix source, and refinement.
        scene: The scene itself, whose truth only ``target`` reads.
        sources: Plans of the source cities.
        folder: Where the source cities' scenes are prepared.
        owner: Owned folder around it, see ``prepare_scene``.
        working: Called before one is prepared, see ``prepare_scene``.

    Returns:
        (code class, class) float64 for each coarse map, rows sum to 1.

    Raises:
        RasterError: If the truth that it is counted in says nothing.
    """
    cities = [scene]
    if settings.matrix_source == "source":
        cities = [prepare_scene(plan, folder / n, working, owner) for n, plan in sources.items()]
    matrices = [_given_matrix(settings, cities, list(sources), x) for x in scene.legends]
    if settings.refinement is None:
        return tuple(matrices)
    for number, legend in enumerate(scene.legends):
        given = matrices[number]
        refinement = refine_for_scene(scene, given, settings.refinement, number)
        _warn_of_moved(refinement, given, legend)
        matrices[number] = refinement.matrix
    return tuple(matrices)


def refine_for_scene(
    scene: Scene, matrix: NDArray[np.float64], settings: RefinementSettings, number: int = 0
) -> Refinement:
    """Refines p(class | code) by a scene's colours, see ``matrix_refinement.refine_matrix``.

    Args:
        scene: The scene; its truth is not read.
        matrix: (code class, class) to start from.
        settings: Size of the sample, and how much of the given matrix stays.
        number: Which of the scene's coarse maps, from 0.

    Returns:
        The refined matrix and how far it went.
    """
    pixels = CityPixels.joined(
        [_pixels(scene, box, number) for box in some_windows(scene, settings.sample_px)]
    )
    refinement = refine_matrix(pixels, matrix, scene.legends[number].roles, settings, _SEED)
    if not pixels.place.size:
        warnings.warn(_UNREFINED, WeakLabelsWarning, stacklevel=2)
    elif refinement.mix is None:
        warnings.warn(NO_COLOUR, WeakLabelsWarning, stacklevel=2)
    elif refinement.step > 0 and grey_ground(pixels) is None:
        warnings.warn(_NO_GREY, WeakLabelsWarning, stacklevel=2)
    return refinement


def _pixels(scene: Scene, box: Box, number: int) -> CityPixels:
    """The pixels of a window of which a coarse map or a map of objects says something."""
    image, valid, coarse = scene.image(box), scene.seen(box), scene.coarse(box)[number]
    objects = {name: scene.coverage(name, box) for name in OBJECTS}
    shares = {name: np.zeros(valid.shape, np.float32) for name in OBJECTS}
    shares |= {name: share for name, share in objects.items() if share is not None}
    labels = scene.labels(box)
    place = places(coarse, objects, valid)
    known = place != NOWHERE
    y, x = np.nonzero(known)
    block = (box.y0 + y) // BLOCK_PX * (scene.extent.x1 // BLOCK_PX + 1) + (box.x0 + x) // BLOCK_PX
    paved = np.maximum(shares["roads"], shares["buildings"])
    return CityPixels(
        place=place[known],
        row=rows_of(coarse)[known],
        features=colours(image, valid)[:, known],
        indices=index_values(image, blue="blue" in scene.bands)[:, known],
        paved=paved[known],
        covered=np.maximum(paved, shares["water"])[known],
        block=block,
        label=(np.zeros_like(coarse) if labels is None else labels)[known],
    )


def _warn_of_moved(
    refinement: Refinement, given: NDArray[np.float64], legend: CoarseLegend
) -> None:
    """Warns of the rows that a refinement has moved far, with what they were and are."""
    rows = np.flatnonzero(refinement.moved > DOUBTFUL_CHANGE)
    if len(rows):
        matrix = refinement.matrix
        moved = "; ".join(_moved_row(row, given, matrix, legend) for row in rows.tolist())
        warnings.warn(
            f"the image contradicts p(class | {legend.title}), {refinement.change:.0%} of which "
            f"moves to other classes: {moved}; look at the map",
            WeakLabelsWarning,
            stacklevel=3,
        )


def _moved_row(
    row: int, before: NDArray[np.float64], after: NDArray[np.float64], legend: CoarseLegend
) -> str:
    """A row as a message shows it: the classes whose share moves, from what to what."""
    shares = zip(WORKING.names, before[row], after[row], strict=True)
    told = ", ".join(f"{name} {a:.2f} -> {b:.2f}" for name, a, b in shares if abs(b - a) >= 0.01)
    return f"{legend.codes[row]} {legend.classes[row].name} ({told})"


def _given_matrix(
    settings: WeakLabelSettings, cities: list[Scene], names: list[str], legend: CoarseLegend
) -> NDArray[np.float64]:
    if settings.matrix_source == "definitions":
        return legend.definitions
    none = np.zeros((len(legend.classes), CLASS_COUNT))
    counts = sum((_count_pairs(city, legend) for city in cities if legend in city.legends), none)
    require_pairs(int(counts.sum()), settings, names)
    return class_given_code(counts, legend)


def require_pairs(labelled_px: int, settings: WeakLabelSettings, sources: Iterable[str]) -> None:
    """Refuses truth in which p(class | code) cannot be counted.

    Args:
        labelled_px: Pixels with image, coarse map and a class of truth at once, in all cities
            counted.
        settings: Matrix source.
        sources: Names of the source cities.

    Raises:
        RasterError: If there are none, but should be by the matrix source.
    """
    if labelled_px or settings.matrix_source == "definitions":
        return
    where = "the scene itself" if settings.matrix_source == "target" else ", ".join(sources)
    raise RasterError(
        found=f"no pixel with image, coarse map and a class of truth at once, in {where}",
        expected="truth in which p(class | code) of the matrix source "
        f"{settings.matrix_source} can be counted",
        fix="check the truth's legend and that it shows the same ground, or choose the "
        "matrix source definitions",
    )


def _count_pairs(scene: Scene, legend: CoarseLegend) -> NDArray[np.float64]:
    counts, number = np.zeros((len(legend.classes), CLASS_COUNT)), scene.legends.index(legend)
    for box in blocks(scene.extent):
        truth = scene.truth(box)
        if truth is not None:
            known = np.where(scene.valid(box), truth, 0)
            counts += cooccurrence(scene.coarse(box)[number], known, legend)
    return counts
