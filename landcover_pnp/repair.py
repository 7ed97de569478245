"""Repair of p(class | NLCD) without labels: what the image's colours say against it.

The same colours occur in several NLCD classes, on roads, roofs and water. A model in which each
place draws a class and each class draws colours explains the counts of colours by place

    p(colour | place) = sum_l p(l | place) p(colour | l),

the aspect model (Hofmann 1999, Probabilistic latent semantic analysis), fitted by EM from the given
matrix, towards which p(l | place) stays drawn. Vegetation is green in every city: that keeps the
classes from trading places where the given matrix is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from landcover_pnp.boxes import box_mean
from landcover_pnp.legend import CLASS_COUNT, NLCD
from landcover_pnp.settings import RepairSettings

_OBJECTS = np.array(
    [  # water, impervious, soil, trees, grass: what lies where a map shows objects
        (0.02, 0.80, 0.03, 0.10, 0.05),  # roads, under some canopy
        (0.01, 0.93, 0.01, 0.04, 0.01),  # buildings
        (0.93, 0.02, 0.02, 0.02, 0.01),  # water
    ]
)
OBJECTS = ("roads", "buildings", "water")
"""The weak layers of objects, in the order in which they override NLCD as places."""

NOWHERE = -1
"""Place of pixels without NLCD or without data."""

_RADIUS_PX = 2
_SLOPE = 0.015
_LARGEST_CAST = 0.04
_FEWEST_ROADS_PX = 100
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Repair:
    """A repaired matrix and how far it went.

    Attributes:
        matrix: (nlcd class, class) p(class | NLCD), rows sum to 1.
        change: Mean total variation distance between old and new rows, 0..1, weighted by how
            often each NLCD class occurs: how much the image contradicts the given matrix.
    """

    matrix: NDArray[np.float64]
    change: float


def greenness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalised green-red difference (Tucker 1979): (band, y, x) R,G,... -> (y, x), -1..1."""
    total = image[1] + image[0]
    ratio = np.divide(image[1] - image[0], total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(ratio, np.float32)


def grey_point(green: NDArray[np.floating], place: NDArray[np.intp]) -> float:
    """What counts as grey in this image: the median greenness of its roads.

    Cameras, haze and processing give images a cast of colour; asphalt is grey everywhere.

    Args:
        green: (n,) normalised green-red differences.
        place: (n,) of ``places``.

    Returns:
        The greenness of grey, between -``_LARGEST_CAST`` and ``_LARGEST_CAST``; 0 where there are
        too few roads to tell.
    """
    roads = green[place == len(NLCD.codes) + OBJECTS.index("roads")]
    if len(roads) < _FEWEST_ROADS_PX:
        return 0.0
    return float(np.clip(np.median(roads), -_LARGEST_CAST, _LARGEST_CAST))


def class_given_greenness(green: NDArray[np.floating]) -> NDArray[np.float64]:
    """How well a normalised green-red difference fits each class, up to a factor.

    Trees are green; grass mostly, but it dries; impervious ground is grey and soil reddish, and
    neither is clearly green. Water may have any colour. The curves were set on real imagery of
    Pittsburgh and Austin and on synthetic cities, and are soft: nothing is excluded.

    Args:
        green: (n,) normalised green-red differences, less that of grey, see ``grey_point``.

    Returns:
        (n, class) factors in 0..1.
    """

    def rises(middle: float, floor: float) -> NDArray[np.float64]:
        return np.asarray(floor + (1 - floor) / (1 + np.exp((middle - green) / _SLOPE)))

    def falls(middle: float, floor: float) -> NDArray[np.float64]:
        return np.asarray(floor + (1 - floor) / (1 + np.exp((green - middle) / _SLOPE)))

    water = np.ones_like(green, np.float64)
    columns = [water, falls(0.05, 0.05), falls(0.01, 0.05), rises(0.01, 0.05), rises(0.01, 0.8)]
    return np.stack(columns, axis=1)


def colours(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What a pixel looks like: brightness, colour ratios and texture, here and around.

    Args:
        image: (band, y, x) in 0..1: R,G,B or R,G,B,NIR at the working resolution.
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


def repair_matrix(
    features: NDArray[np.float32],
    green: NDArray[np.float32],
    place: NDArray[np.intp],
    matrix: NDArray[np.float64],
    settings: RepairSettings,
    seed: int,
) -> Repair:
    """Re-estimates p(class | NLCD) from the colours of a city without labels.

    Args:
        features: (feature, n) of ``colours``, of valid pixels.
        green: (n,) their greenness.
        place: (n,) of ``places``, none ``NOWHERE``.
        matrix: (nlcd class, class) the matrix to start from.
        settings: Number of colours, iterations, and how much of the given matrix stays.
        seed: Seed of the colours' clusters.

    Returns:
        The repaired matrix. NLCD classes that do not occur keep their rows.
    """
    words = min(settings.colours, len(place))
    with threadpool_limits(1):
        kmeans = MiniBatchKMeans(words, n_init=3, batch_size=4096, random_state=seed)
        word = kmeans.fit_predict(features.T.astype(np.float64))
    given = np.concatenate([matrix, _OBJECTS])
    counts = np.zeros((len(given), words))
    np.add.at(counts, (place, word), 1)
    occurring = counts.sum(axis=0) > 0
    counts = counts[:, occurring]
    mean_green = np.bincount(word, green, words)[occurring] / counts.sum(axis=0)
    fits = class_given_greenness(mean_green - grey_point(green, place))
    found = _aspect_model(counts, given, fits, settings)[: len(matrix)]
    share = counts[: len(matrix)].sum(axis=1)
    moved = np.abs(found - matrix).sum(axis=1) / 2
    return Repair(found, float((moved * share).sum() / max(share.sum(), 1)))


def _aspect_model(
    counts: NDArray[np.float64],
    given: NDArray[np.float64],
    fits: NDArray[np.float64],
    settings: RepairSettings,
) -> NDArray[np.float64]:
    """p(l | place) of the aspect model: (place, class), from counts (place, colour)."""
    total = counts.sum(axis=1, keepdims=True)
    mixture = given
    posterior = _normalised(given[:, None, :] * fits)  # (place, colour, class)
    for _ in range(settings.iterations):
        shared = counts[:, :, None] * posterior
        colour = _normalised(fits * shared.sum(axis=0) / (shared.sum(axis=(0, 1)) + _TINY), 0)
        mixture = _normalised(shared.sum(axis=1) + settings.keep * total * given)
        mixture = np.where(total > 0, mixture, given)
        posterior = _normalised(mixture[:, None, :] * colour)
    return mixture


def _normalised(p: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    p = p + _TINY / CLASS_COUNT
    return np.asarray(p / p.sum(axis=axis, keepdims=True))
