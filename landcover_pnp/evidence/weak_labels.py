"""Weak labels: class probabilities from coarse maps and from roads, buildings and water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_mean
from landcover_pnp.errors import GridError
from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.legend import CLASS_COUNT, WORKING, count_values
from landcover_pnp.legends.coarse_legend import CoarseLegend

_WATER, _IMPERVIOUS = WORKING.index("water"), WORKING.index("impervious")


@dataclass(frozen=True)
class WeakLabels:
    """Weak labels of a scene or tile.

    Attributes:
        probabilities: (class, y, x) float32, sums to 1; uniform at invalid pixels.
        uniform_count: Valid pixels about which nothing is known, hence uniform too.
    """

    probabilities: NDArray[np.float32]
    uniform_count: int


def cooccurrence(
    numbers: NDArray[np.integer],
    labels: NDArray[np.integer],
    legend: CoarseLegend,
    where: str = "labels",
) -> NDArray[np.float64]:
    """Counts pixels by coarse class and working class; counts of several scenes add up.

    Args:
        numbers: (y, x) numbers of the coarse map's classes from 1, 0 = no data.
        labels: (y, x) working classes 1..5, 0 = no data.
        legend: The coarse map's legend.
        where: File or scene named in messages.

    Returns:
        (code class, class) float64 counts; rows in the order of the legend. Pixels with no data in
        either layer are left out.

    Raises:
        GridError: If the two differ in shape.
        LegendError: On classes that the legends do not have.
    """
    if numbers.shape != labels.shape:
        raise GridError(
            found=f"{legend.title} of shape {numbers.shape} and labels of shape {labels.shape} in "
            f"{where}",
            expected="both on the same grid",
            fix="bring both layers onto the working grid first",
        )
    legend.numbered.require_known(count_values(numbers), f"{legend.title} of {where}")
    WORKING.require_known(count_values(labels), where)
    known = (numbers > 0) & (labels > 0)
    cells = (numbers[known].astype(np.intp) - 1) * CLASS_COUNT + labels[known] - 1
    counts = np.bincount(cells, minlength=len(legend.classes) * CLASS_COUNT)
    return counts.reshape(-1, CLASS_COUNT).astype(np.float64)


def class_given_code(counts: NDArray[np.float64], legend: CoarseLegend) -> NDArray[np.float64]:
    """Normalises co-occurrence counts to p(class | code).

    Args:
        counts: (code class, class) of ``cooccurrence``, summed over scenes.
        legend: The coarse map's legend.

    Returns:
        (code class, class) float64, rows sum to 1. Classes of the coarse map that never occurred
        get the row of the legend's own texts.
    """
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, normalise(counts, axis=1, floor=1), legend.definitions)


def weak_labels(
    coarse: NDArray[np.float32],
    roads: NDArray[np.float32] | None,
    buildings: NDArray[np.float32] | None,
    water: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    settings: WeakLabelSettings,
    resolution_m: float,
) -> WeakLabels:
    """Class probabilities by coarse maps, to which roads, buildings and water are added.

    As the weak layers of the EnviroAtlas data set (Rolf et al. 2022, arXiv 2202.14000) were
    made.

    Args:
        coarse: (class, y, x) of ``coarse_probabilities``; overwritten.
        roads: (y, x) covered share 0..1, or None.
        buildings: (y, x) covered share 0..1, or None.
        water: (y, x) covered share 0..1, or None.
        valid: (y, x) pixels that count.
        settings: Radii in metres.
        resolution_m: Pixel side in metres.

    Returns:
        The probabilities, and how many valid pixels nothing is known about.
    """
    probabilities = coarse
    for layer, position, radius_m in (
        (roads, _IMPERVIOUS, settings.road_radius_m),
        (buildings, _IMPERVIOUS, settings.building_radius_m),
        (water, _WATER, settings.water_radius_m),
    ):
        if layer is not None:
            probabilities[position] += box_mean(layer, round(radius_m / resolution_m), valid)
    nothing = probabilities.sum(axis=0) == 0  # exact: boxes add float32 in double precision
    probabilities[:, nothing | ~valid] = 1
    return WeakLabels(normalise(probabilities, out=probabilities), int((nothing & valid).sum()))
