"""Weak labels: class probabilities from 30 m NLCD and from roads, buildings and water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_mean
from landcover_pnp.coarse_legend import CoarseLegend
from landcover_pnp.errors import GridError
from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.legend import CLASS_COUNT, NLCD, WORKING, count_values

_WATER, _IMPERVIOUS = WORKING.index("water"), WORKING.index("impervious")

DEFINITIONS: NDArray[np.float64] = CoarseLegend.load("nlcd").definitions
"""p(class | NLCD) from the NLCD legend's own texts: (nlcd class, class), rows sum to 1."""


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
    nlcd: NDArray[np.integer], labels: NDArray[np.integer], where: str = "labels"
) -> NDArray[np.float64]:
    """Counts pixels by NLCD code and working class; counts of several scenes add up.

    Args:
        nlcd: (y, x) NLCD codes, 0 = no data.
        labels: (y, x) working classes 1..5, 0 = no data.
        where: File or scene named in messages.

    Returns:
        (nlcd class, class) float64 counts; rows in the order of ``NLCD.codes``. Pixels with
        no data in either layer are left out.

    Raises:
        GridError: If the two differ in shape.
        LegendError: On codes that the legends do not have.
    """
    if nlcd.shape != labels.shape:
        raise GridError(
            found=f"NLCD of shape {nlcd.shape} and labels of shape {labels.shape} in {where}",
            expected="both on the same grid",
            fix="bring both layers onto the working grid first",
        )
    NLCD.require_known(count_values(nlcd), f"NLCD of {where}")
    WORKING.require_known(count_values(labels), where)
    known = (nlcd > 0) & (labels > 0)
    cells = _row(nlcd[known]) * CLASS_COUNT + labels[known] - 1
    counts = np.bincount(cells, minlength=len(NLCD.classes) * CLASS_COUNT)
    return counts.reshape(-1, CLASS_COUNT).astype(np.float64)


def class_given_nlcd(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalises co-occurrence counts to p(class | NLCD).

    Args:
        counts: (nlcd class, class) of ``cooccurrence``, summed over scenes.

    Returns:
        (nlcd class, class) float64, rows sum to 1. NLCD classes that never occurred get their
        row of ``DEFINITIONS``.
    """
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, normalise(counts, axis=1, floor=1), DEFINITIONS)


def weak_labels(
    nlcd: NDArray[np.integer],
    matrix: NDArray[np.float64],
    roads: NDArray[np.float32] | None,
    buildings: NDArray[np.float32] | None,
    water: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    settings: WeakLabelSettings,
    resolution_m: float,
) -> WeakLabels:
    """Class probabilities from blurred NLCD, to which roads, buildings and water are added.

    As the weak layers of the EnviroAtlas data set (Rolf et al. 2022, arXiv 2202.14000) were
    made. Blurring one-hot NLCD and then applying p(class | NLCD) is linear: here the expected
    classes are blurred, 5 layers instead of 16.

    Args:
        nlcd: (y, x) NLCD codes, 0 = no data: filled from the surroundings by the blur.
        matrix: (nlcd class, class) p(class | NLCD), rows sum to 1.
        roads: (y, x) covered share 0..1, or None.
        buildings: (y, x) covered share 0..1, or None.
        water: (y, x) covered share 0..1, or None.
        valid: (y, x) pixels that count.
        settings: Blur, kernel and radii in metres.
        resolution_m: Pixel side in metres.

    Returns:
        The probabilities, and how many valid pixels nothing is known about.

    Raises:
        LegendError: On codes that NLCD does not have.
    """
    NLCD.require_known(count_values(nlcd), "NLCD")
    known = valid & (nlcd > 0)
    expected = matrix.T.astype(np.float32)[:, _row(nlcd)] * known
    blurred = gaussian_filter(
        expected,
        settings.nlcd_blur_m / resolution_m,
        radius=round(settings.nlcd_kernel_m / 2 / resolution_m),
        mode="constant",
        axes=(1, 2),
    )
    # The sum over classes is the blurred validity: dividing by it counts out what is unknown.
    probabilities = normalise(blurred, out=blurred)
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


def _row(nlcd: NDArray[np.integer]) -> NDArray[np.intp]:
    """Row of each NLCD code in matrices (nlcd class, class); 0 gets the first, to be masked."""
    return np.searchsorted(NLCD.codes, nlcd)
