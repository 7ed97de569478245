"""What the whole colours of a city look like against its roads, for the refinement of the matrix.

Maps and students take borders that follow from each scene, see ``index_borders``; the curves here
are set by hand, and what they move is held against blocks of ground that were not looked at, see
``matrix_refinement``. Asphalt is the same grey everywhere, so what differs from city to city,
camera, haze and light, is told from the mapped roads and taken off. What is left says something
about the classes in every city: vegetation is green, grass, which throws no shadows, is not dark,
and bare soil is redder than asphalt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.legend import WORKING

NO_COLOUR = "the image has no colour, so its spectral indices tell nothing about the classes"
"""What students and refinements warn of where there is no ``road_reference``."""

_SLOPE = 0.015
_LAWN = 0.73
_LAWN_SLOPE = 0.06
_LAWN_FLOOR = 0.2
_GROVE_FLOOR = 0.6
_REDDEST_LAWN = -0.03
_REDDEST_LAWN_SLOPE = 0.01
_REDDEST_LAWN_FLOOR = 0.3
_REDDEST_PAVING = 0.045
_LEAST_RED_SOIL = 0.04
_REDNESS_SLOPE = 0.01
_PAVING_FLOOR = 0.3
_SOIL_FLOOR = 0.1
_LARGEST_CAST = 0.04
_LARGEST_RED_CAST = 0.1
_FEWEST_ROADS_PX = 100
_LEAST_COLOUR = 0.005
_IMPERVIOUS, _SOIL, _TREES, _GRASS = (
    WORKING.index(name)
    for name in ("impervious", "soil and barren", "trees and forest", "grass and herbaceous")
)


@dataclass(frozen=True)
class RoadReference:
    """What a city's roads look like: the same grey everywhere, but for camera, haze and light.

    Attributes:
        greenness: Their median greenness, at most ``_LARGEST_CAST``; 0 where they are too few.
        brightness: Their median brightness, 0..1; None where they are too few to tell, or the
            image has no blue.
        redness: Their median redness, 0 to ``_LARGEST_RED_CAST``, since a blue one is haze or
            shade on the road; None as brightness.
    """

    greenness: float
    brightness: float | None
    redness: float | None


def greenness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalised green-red difference (Tucker 1979): (band, y, x) R,G,... -> (y, x), -1..1."""
    return _normalised_difference(image[1], image[0])


def index_values(image: NDArray[np.float32], *, blue: bool = True) -> NDArray[np.float32]:
    """Greenness, brightness and redness: (band, y, x) R,G,B,... in 0..1 -> (3, y, x).

    Redness is the normalised red-blue difference: iron oxides in soil take away blue. Without a
    blue band there are neither redness nor brightness, which are NaN then: near infrared would
    make trees bright.
    """
    if not blue:
        nothing = np.full_like(image[0], np.nan)
        return np.stack([greenness(image), nothing, nothing])
    redness = _normalised_difference(image[0], image[2])
    return np.stack([greenness(image), image[:3].mean(axis=0), redness])


def road_reference(
    indices: NDArray[np.floating], on_road: NDArray[np.bool_]
) -> RoadReference | None:
    """Median indices of a city's roads: the pseudo-invariant target of the others.

    Args:
        indices: (3, n) of ``index_values``.
        on_road: (n,) whether a mapped road covers the pixel.

    Returns:
        The reference; None where the image has no colour, so that indices tell nothing.
    """
    if not indices.size or indices[0].std() < _LEAST_COLOUR:
        return None
    roads = indices[:, on_road]
    if roads.shape[1] < _FEWEST_ROADS_PX:
        return RoadReference(0.0, None, None)
    green, bright, red = np.median(roads, axis=1)
    return RoadReference(
        float(np.clip(green, -_LARGEST_CAST, _LARGEST_CAST)),
        None if np.isnan(bright) else float(bright),
        None if np.isnan(red) else float(np.clip(red, 0, _LARGEST_RED_CAST)),
    )


def class_given_indices(indices: NDArray[np.floating], roads: RoadReference) -> NDArray[np.float64]:
    """How well the indices of a pixel fit each class, up to a factor.

    Trees are green; grass mostly, but it dries; impervious ground is grey and soil reddish, and
    neither is clearly green. What is no redder than the roads is rather not soil, and what is far
    redder rather not impervious, but for roofs of tiles. Grass is not dark, since it throws no
    shadows; trees are, but the sunlit sides of their crowns may be as bright as grass. Against
    the roads' brightness, the border of the two lies between 0.64 and 0.82 in the cities looked
    at. Water may have any index. The curves were set on real imagery of Pittsburgh and
    Austin and on synthetic cities, and are soft: nothing is excluded.

    Args:
        indices: (3, n) of ``index_values``.
        roads: The road reference.

    Returns:
        (n, class) factors in 0..1.
    """
    green = indices[0].astype(np.float64) - roads.greenness
    columns = [np.ones_like(green) for _ in WORKING.classes]
    columns[_IMPERVIOUS] = _falls(green, 0.05, _SLOPE, 0.05)
    columns[_SOIL] = _falls(green, 0.01, _SLOPE, 0.05)
    columns[_TREES] = _rises(green, 0.01, _SLOPE, 0.05)
    columns[_GRASS] = _rises(green, 0.01, _SLOPE, 0.8)
    if roads.brightness:
        bright = indices[1].astype(np.float64) / roads.brightness
        columns[_GRASS] *= _rises(bright, _LAWN, _LAWN_SLOPE, _LAWN_FLOOR)
    if roads.redness is not None:
        red = indices[2].astype(np.float64) - roads.redness
        columns[_IMPERVIOUS] *= _falls(red, _REDDEST_PAVING, _REDNESS_SLOPE, _PAVING_FLOOR)
        columns[_SOIL] *= _rises(red, _LEAST_RED_SOIL, _REDNESS_SLOPE, _SOIL_FLOOR)
    return np.stack(columns, axis=1)


def class_given_colour(indices: NDArray[np.floating], roads: RoadReference) -> NDArray[np.float64]:
    """How well the mean indices of a whole colour of the city fit each class, up to a factor.

    More can be said of it than of a pixel, see ``class_given_indices``: a single crown is sunlit
    and a single lawn bare, but a colour of many pixels that is as bright as lawns is rather not
    trees, and one that is redder than the roads is rather soil than grass. Soil against paving is
    left to single pixels: a colour that roofs and soil share would go to one of them as a whole.

    Args:
        indices: (3, n) mean of ``index_values`` by colour.
        roads: The road reference.

    Returns:
        (n, class) factors in 0..1.
    """
    fits = class_given_indices(indices, replace(roads, redness=None))
    green = indices[0].astype(np.float64) - roads.greenness
    fits[:, _GRASS] *= _rises(green, _REDDEST_LAWN, _REDDEST_LAWN_SLOPE, _REDDEST_LAWN_FLOOR)
    if roads.brightness:
        bright = indices[1].astype(np.float64) / roads.brightness
        fits[:, _TREES] *= _falls(bright, _LAWN, _LAWN_SLOPE, _GROVE_FLOOR)
    return fits


def _normalised_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(a - b) / (a + b), and 0 where both are 0."""
    total = a + b
    ratio = np.divide(a - b, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(ratio, np.float32)


def _rises(x: NDArray[Any], middle: float, slope: float, floor: float) -> NDArray[np.float64]:
    return np.asarray(floor + (1 - floor) / (1 + np.exp((middle - x) / slope)))


def _falls(x: NDArray[Any], middle: float, slope: float, floor: float) -> NDArray[np.float64]:
    return _rises(-x, -middle, slope, floor)
