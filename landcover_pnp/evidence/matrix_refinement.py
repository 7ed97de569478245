"""Refinement of p(class | NLCD) without labels: what the image's colours say against it.

The same colours occur in several NLCD classes, on roads, roofs and water. A model in which each
place draws a class and each class draws colours explains the counts of colours by place

    p(colour | place) = sum_l p(l | place) p(colour | l),

the aspect model (Hofmann 1999, Probabilistic latent semantic analysis), fitted by EM from the given
matrix, towards which p(l | place) stays drawn. Two things keep the classes from trading places
where the given matrix is wrong: what each class looks like in every city, see
``spectral_indices``; and
shadows and dark roofs, which look like water, cannot make more of it than the matrix gives to
places that are not wet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from landcover_pnp.arrays import normalise
from landcover_pnp.box_filter import box_mean
from landcover_pnp.evidence.settings import RefinementSettings
from landcover_pnp.evidence.spectral_indices import class_given_colour, greenness, road_reference
from landcover_pnp.legend import CLASS_COUNT, NLCD, WORKING

_OBJECTS = np.array(
    [  # water, impervious, soil, trees, grass: what lies where a map shows objects
        (0.02, 0.80, 0.03, 0.10, 0.05),  # roads, under some canopy
        (0.01, 0.93, 0.01, 0.04, 0.01),  # buildings
        (0.93, 0.02, 0.02, 0.02, 0.01),  # water
    ]
)
OBJECTS = ("roads", "buildings", "water")
"""The weak layers of objects, in the order in which they override NLCD as places."""

ROADS = len(NLCD.codes) + OBJECTS.index("roads")
"""Place of pixels on mapped roads."""

NOWHERE = -1
"""Place of pixels without NLCD or without data."""

_WET = np.array([code in (11, 90, 95) for code in NLCD.codes] + [False, False, True])[:, None]
"""(place, 1) whether water is expected there: open water, wetlands, mapped water."""

_RADIUS_PX = 2
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refined matrix and how far it went.

    Attributes:
        matrix: (nlcd class, class) p(class | NLCD), rows sum to 1.
        change: Mean total variation distance between old and new rows, 0..1, weighted by how
            often each NLCD class occurs: how much the image contradicts the given matrix.
    """

    matrix: NDArray[np.float64]
    change: float


def colours(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What a pixel looks like: brightness, colour ratios and texture, here and around.

    Args:
        image: (band, y, x) in 0..1: R,G,B or R,G,B,NIR, or R,G,NIR, at the working resolution.
        valid: (y, x) pixels with data.

    Returns:
        (feature, y, x) float32, each of a similar range.
    """
    brightness = image.mean(axis=0)
    parts = [brightness, 4 * greenness(image), 2 * (image[2] - image[0])]
    if len(image) == 4:
        parts.append(2 * greenness(image[[0, 3]]))  # near infrared against red
    here = np.stack(parts)
    mean = box_mean(brightness, _RADIUS_PX, valid)
    variance = box_mean(np.square(brightness), _RADIUS_PX, valid) - np.square(mean)
    rough = 2 * np.sqrt(np.maximum(variance, 0))
    return np.concatenate([here, box_mean(here, _RADIUS_PX, valid), rough[None]])


def places(
    nlcd: NDArray[np.uint8],
    objects: dict[str, NDArray[np.float32] | None],
    valid: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Number of the kind of place of each pixel: an NLCD class, or an object that covers it.

    Args:
        nlcd: (y, x) NLCD codes, 0 = no data.
        objects: (y, x) covered shares of ``OBJECTS``, None where there is no such layer.
        valid: (y, x) pixels with data.

    Returns:
        (y, x) row of the NLCD class, or the number of NLCD classes plus that of the object;
        ``NOWHERE`` without data.
    """
    place = np.where(nlcd > 0, np.searchsorted(NLCD.codes, nlcd), NOWHERE)
    for number, name in enumerate(OBJECTS):
        share = objects.get(name)
        if share is not None:
            place[share > 0.5] = len(NLCD.codes) + number
    return np.where(valid, place, NOWHERE)


def refine_matrix(
    features: NDArray[np.float32],
    indices: NDArray[np.float32],
    place: NDArray[np.intp],
    matrix: NDArray[np.float64],
    settings: RefinementSettings,
    seed: int,
) -> Refinement:
    """Re-estimates p(class | NLCD) from the colours of a city without labels.

    Args:
        features: (feature, n) of ``colours``, of valid pixels.
        indices: (3, n) of ``spectral_indices.index_values``, of the same.
        place: (n,) of ``places``, none ``NOWHERE``.
        matrix: (nlcd class, class) the matrix to start from.
        settings: Number of colours, iterations, and how much of the given matrix stays.
        seed: Seed of the colours' clusters.

    Returns:
        The refined matrix. NLCD classes that do not occur keep their rows; without any pixel
        all do.
    """
    if not place.size:
        return Refinement(matrix, 0.0)
    words = min(settings.colours, len(place))
    with threadpool_limits(1):
        kmeans = MiniBatchKMeans(words, n_init=3, batch_size=4096, random_state=seed)
        word = kmeans.fit_predict(features.T.astype(np.float64))
    given = np.concatenate([matrix, _OBJECTS])
    counts = np.zeros((len(given), words))
    np.add.at(counts, (place, word), 1)
    occurring = counts.sum(axis=0) > 0
    counts = counts[:, occurring]
    means = np.stack([np.bincount(word, t, words)[occurring] for t in indices]) / counts.sum(axis=0)
    roads = road_reference(indices, place == ROADS)
    fits = np.ones((means.shape[1], CLASS_COUNT))
    if roads is not None:
        fits = class_given_colour(means, roads)
    found = _aspect_model(counts, given, fits, settings)[: len(matrix)]
    share = counts[: len(matrix)].sum(axis=1)
    moved = np.abs(found - matrix).sum(axis=1) / 2
    return Refinement(found, float((moved * share).sum() / max(share.sum(), 1)))


def _aspect_model(
    counts: NDArray[np.float64],
    given: NDArray[np.float64],
    fits: NDArray[np.float64],
    settings: RefinementSettings,
) -> NDArray[np.float64]:
    """p(l | place) of the aspect model: (place, class), from counts (place, colour)."""
    total = counts.sum(axis=1, keepdims=True)
    mixture = given
    posterior = _smoothed(given[:, None, :] * fits)  # (place, colour, class)
    for _ in range(settings.iterations):
        shared = counts[:, :, None] * posterior
        colour = _smoothed(fits * shared.sum(axis=0) / (shared.sum(axis=(0, 1)) + _TINY), 0)
        mixture = _smoothed(shared.sum(axis=1) + settings.keep * total * given)
        mixture = np.where(total > 0, _no_more_water(mixture, given), given)
        posterior = _smoothed(mixture[:, None, :] * colour)
    return mixture


def _no_more_water(mixture: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
    """(place, class) with no more water in places that are not wet than was given."""
    at = WORKING.index("water")
    water = np.where(_WET, mixture, np.minimum(mixture, given))[:, [at]]
    land = np.delete(mixture, at, axis=1)
    return np.insert((1 - water) * land / land.sum(axis=1, keepdims=True), [at], water, axis=1)


def _smoothed(p: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Shares along an axis, none of them 0."""
    return normalise(p + _TINY / CLASS_COUNT, axis)
