"""Refinement of p(class | code) without labels: as far as the city's image speaks for it.

What there is to win is nearly all in two numbers a city, see ``city_mix``. The matrix goes from
the given one towards the one with the city's mix as far as it explains the image better in blocks
of ground that the mix was not estimated from, by the mean over pixels of

    log sum_l p(l | place) p(colour | l) / p(colour),

where p(colour | l) / p(colour) is how well spectral indices fit each class, scaled to a mean of
1. A gain that is not above its standard error over the blocks moves nothing, so that a small
scene, or one whose matrix fits, keeps the given one. Forests, barren land, fields and wetlands
keep their rows, and all rows keep what is paved and what is water. Nor does it go so far that a
user's own labels become less likely than they were, by more than their standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from landcover_pnp.evidence.anchors import OBJECTS, ROADS, CityPixels, GroundRows
from landcover_pnp.evidence.city_mix import CityMix, estimate_mix
from landcover_pnp.evidence.settings import RefinementSettings
from landcover_pnp.evidence.spectral_indices import class_given_colour, road_reference
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.legends.coarse_legend import Role

STEPS: NDArray[np.float64] = np.linspace(0, 1, 5)
"""How far a matrix may go from the given one to that of the city's mix."""

_FEWEST_BLOCKS = 8
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refined matrix and how far it went.

    Attributes:
        matrix: (code class, class) p(class | code), rows sum to 1.
        moved: (code class,) total variation distance of each row from the given one, 0..1; 0 of
            classes that do not occur.
        change: Mean of ``moved``, weighted by how often each coarse class occurs: how much the
            image contradicts the given matrix.
        step: How far it went towards the matrix of the mix, one of ``STEPS``.
        mix: The city's mix; None where the image has no colour, or there is no pixel.
    """

    matrix: NDArray[np.float64]
    moved: NDArray[np.float64]
    change: float
    step: float
    mix: CityMix | None


def refine_matrix(
    pixels: CityPixels,
    given: NDArray[np.float64],
    roles: Sequence[Role],
    settings: RefinementSettings,
    seed: int,
) -> Refinement:
    """Re-estimates p(class | code) from the colours of a city without labels.

    Args:
        pixels: Pixels of the city.
        given: (code class, class) the matrix to start from.
        roles: What kind of ground each coarse class is.
        settings: Number of colours, and how the mix is fitted.
        seed: Seed of the colours' clusters and of the held-out blocks.

    Returns:
        The refined matrix. Without pixels, and where the image has no colour, it is the given
        one.
    """
    roads = road_reference(pixels.indices, pixels.place == ROADS) if pixels.place.size else None
    if roads is None:
        return _refined(pixels, given, given, 0.0, None)
    ground = GroundRows.of(roles)
    word, means = _words(pixels, settings, seed)
    fits = class_given_colour(means, roads)

    def mix_of(chosen: NDArray[np.bool_]) -> CityMix:
        return estimate_mix(pixels.where(chosen), word[chosen], fits, given, ground, settings)

    def towards(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        return mix_of(chosen).applied(given, ground)

    mix = mix_of(np.ones(word.shape, np.bool_))
    mixed = mix.applied(given, ground)
    likelihood = (fits / np.average(fits, axis=0, weights=np.bincount(word)))[word]
    labelled = pixels.label > 0
    likelihood[labelled] = np.eye(CLASS_COUNT)[pixels.label[labelled] - 1]
    step = held_out_step(pixels, given, likelihood, towards, seed)
    step = _uncontradicted(pixels.where(labelled), given, mixed, step)
    return _refined(pixels, given, given + step * (mixed - given), step, mix)


def _uncontradicted(
    labelled: CityPixels, given: NDArray[np.float64], mixed: NDArray[np.float64], step: float
) -> float:
    """The furthest step up to one that the labels do not speak against by more than chance."""
    known = labelled.place >= len(OBJECTS)
    row, at = labelled.row[known], labelled.label[known].astype(np.intp) - 1

    def agrees(shorter: float) -> bool:
        there = (given + shorter * (mixed - given))[row, at]
        gains = np.log(np.maximum(there, _TINY) / np.maximum(given[row, at], _TINY))
        return gains.size == 0 or bool(gains.sum() >= -gains.std() * np.sqrt(gains.size))

    return max(float(s) for s in STEPS if s <= step and agrees(float(s)))


def _refined(
    pixels: CityPixels,
    given: NDArray[np.float64],
    matrix: NDArray[np.float64],
    step: float,
    mix: CityMix | None,
) -> Refinement:
    share = np.bincount(pixels.row[pixels.row >= 0], minlength=len(given))
    moved = np.where(share > 0, np.abs(matrix - given).sum(axis=1) / 2, 0)
    return Refinement(matrix, moved, float(moved @ share / max(share.sum(), 1)), step, mix)


def _words(
    pixels: CityPixels, settings: RefinementSettings, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Number of the kind of colour of each pixel (n,), and mean indices (3, colour) of each."""
    wanted = min(settings.colours, len(pixels.place))
    with threadpool_limits(1):
        kmeans = MiniBatchKMeans(wanted, n_init=3, batch_size=4096, random_state=seed)
        found = kmeans.fit_predict(pixels.features.T.astype(np.float64))
    word = np.unique(found, return_inverse=True)[1]  # some may have no pixel
    sums = np.stack([np.bincount(word, values) for values in pixels.indices])
    return word, sums / np.bincount(word)


def held_out_step(
    pixels: CityPixels,
    given: NDArray[np.float64],
    likelihood: NDArray[np.float64],
    towards: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    seed: int,
) -> float:
    """How far the mix of one half of the blocks may move the matrix, by the other half.

    Args:
        pixels: Pixels of the city.
        given: (code class, class) the given matrix.
        likelihood: (n, class) p(colour | class) / p(colour) of the pixels.
        towards: Matrix of the mix by some of the pixels (n,).
        seed: Seed of the halves.

    Returns:
        One of ``STEPS``.
    """
    blocks, block = np.unique(pixels.block, return_inverse=True)
    if len(blocks) < _FEWEST_BLOCKS:
        return 0.0
    half = np.random.default_rng(seed).permutation(len(blocks)) % 2
    gains = np.zeros((len(STEPS), len(blocks)))
    for seen in (0, 1):
        mixed = towards(half[block] == seen)
        judged = (half[block] != seen) & (pixels.place >= len(OBJECTS))
        row, there = pixels.row[judged], likelihood[judged]
        before = _log_sums(given[row], there)
        for number, step in enumerate(STEPS):
            after = _log_sums((given + step * (mixed - given))[row], there)
            gains[number] += np.bincount(block[judged], after - before, len(blocks))
    total = gains.sum(axis=1)
    error = gains.std(axis=1, ddof=1) * np.sqrt(len(blocks))
    return float(STEPS[np.where(total > error, total, 0).argmax()])


def _log_sums(p: NDArray[np.float64], likelihood: NDArray[np.float64]) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.log(np.maximum((p * likelihood).sum(axis=1), _TINY))
    return sums
