"""Borders of spectral indices: what is green, bright or red in this scene, told by the scene.

A fixed threshold holds in the season, light and soil that it was chosen in. Here each border comes
from the scene's own distribution of the index, and from ground of which the class is all but
certain, its anchors:

- *vegetation*: mapped roads (or roofs, where there are too few) below, the inside of mapped forest
  above. Two normal distributions of one variance are fitted to the index; the border lies half-way
  between their means, and its slope is that of their likelihood ratio. Where they do not separate,
  or do not have the anchors on their sides, as in a leaf-off forest, the index does not count.
- *redness*, of what is not green: paving below, bare soil above, in the same way. Where there are
  no two kinds of it, the roads alone say what is no redder than paving.
- *brightness*, of what is green: trees below, since they throw shadows, grass above. Forest says
  how bright trees are; without any, two distributions as above.

From the scene's anchors follow all middles and slopes. Chosen by hand, and judged by
``benchmarks/choose.py``, are the smallest separation (that at which two normal distributions have
two modes: Ashman et al. 1994), how many anchors may lie on the wrong side, the quantiles of the
one-sided borders, how much a likelihood ratio counts, and how little a class can be made by an
index (``_FLOORS``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from landcover_pnp.evidence.index_values import INDICES, index_values, usable_bands
from landcover_pnp.legend import CLASS_COUNT, WORKING

Floats = NDArray[np.float64]

_SEPARATION = 2.0
_MOST_ASTRAY = 0.3
"""Share of the anchors, the mean of both sides, that may lie beyond the border."""

_TEMPER = 0.5
"""Share of a likelihood ratio that counts: a pixel is not independent of its neighbours, and many
lie between two kinds of ground."""

_SURELY = 2.0
"""Slopes above the border from which vegetation is all but certain, where no forest shows trees."""

_FEWEST_PX = 100
_FEWEST_ANCHORS = 30
_FIT_PX = 50_000
_LIKE_TREES, _LIKE_PAVING = 80, 95
"""Percentiles of anchors up to which something is like them."""

_LEAST_SLOPE = 1e-3
_LEAST_SPREAD = 0.005
_TAIL = 5
"""Percentile of anchors beyond which a pixel tells nothing about the border."""

_FLOORS = {
    "bare": 0.05,
    "trees": 0.05,
    "dry grass": 0.5,
    "dark grass": 0.2,
    "soil": 0.1,
    "red": 0.3,
}
"""What is left of a class that an index speaks against: nothing is excluded. Grass may be dry, and
roofs of tiles are red."""

_WATER, _IMPERVIOUS, _SOIL, _TREES, _GRASS = (
    WORKING.index(name)
    for name in (
        "water",
        "impervious",
        "soil and barren",
        "trees and forest",
        "grass and herbaceous",
    )
)


class Ground(IntEnum):
    """What is all but certain about a pixel."""

    UNKNOWN = 0
    ROAD = 1
    ROOF = 2
    WATER = 3
    FOREST = 4
    FOREST_EDGE = 5
    BARREN = 6


@dataclass(frozen=True)
class Border:
    """A soft threshold of an index.

    Attributes:
        middle: Where both sides are as likely.
        slope: How far from it the odds are e : 1, above 0.
    """

    middle: float
    slope: float

    def above(self, x: Floats, floor: float) -> Floats:
        """How well values fit what lies above: ``floor`` to 1."""
        odds = np.clip((self.middle - x) / self.slope, -50, 50)
        return np.asarray(floor + (1 - floor) / (1 + np.exp(odds)))

    def below(self, x: Floats, floor: float) -> Floats:
        """How well values fit what lies below: ``floor`` to 1."""
        return Border(-self.middle, self.slope).above(-x, floor)


@dataclass(frozen=True)
class IndexBorders:
    """What a scene says about its spectral indices.

    Attributes:
        bands: Names of the image's bands; ``index_values.UNUSED`` in place of unusable ones.
        vegetation: Border of what is green; None where this tells nothing.
        brightness: Border of grass, among what is green; None where this tells nothing.
        redness: Border of bare soil, among what is not; None where this tells nothing.
        notes: What does not count, and why, one sentence each.
    """

    bands: tuple[str, ...]
    vegetation: Border | None = None
    brightness: Border | None = None
    redness: Border | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> bool:
        """Whether any index tells anything."""
        return any((self.vegetation, self.brightness, self.redness))


def find_borders(
    pixels: NDArray[np.float32], bands: Sequence[str], ground: NDArray[np.uint8]
) -> IndexBorders:
    """The borders of a scene, by a sample of it.

    Args:
        pixels: (band, n) float32 in 0..1, of valid pixels.
        bands: Names of the bands.
        ground: (n,) of ``Ground``.

    Returns:
        The borders. The same pixels give the same, whatever the number of threads.
    """
    usable, faults = usable_bands(pixels, bands)
    notes = [f"{fault}: spectral indices go without it" for fault in faults]
    land = ground != Ground.WATER
    green, bright, red = (v[land].astype(np.float64) for v in index_values(pixels, usable))
    ground = ground[land]
    roads, roofs = ground == Ground.ROAD, ground == Ground.ROOF
    paved = roads if roads.sum() >= _FEWEST_PX else roads | roofs
    forest = ground == Ground.FOREST
    if forest.sum() < _FEWEST_PX:
        forest |= ground == Ground.FOREST_EDGE
    name = "NDVI" if "nir" in usable else "greenness"
    vegetation, why = _between(green, green[paved], green[forest])
    if vegetation is None:
        notes.append(f"{name} does not tell what grows from what does not: {why}")
    lush = np.ones_like(roads) if vegetation is None else green >= vegetation.middle
    bare = np.ones_like(roads) if vegetation is None else ~lush
    brightness = _beyond(bright[lush & forest], _LIKE_TREES)
    if brightness is None and vegetation is not None:
        surely = green >= vegetation.middle + _SURELY * vegetation.slope
        brightness, _ = _between(bright[surely & ~roads & ~roofs], bright[:0], bright[:0])
    if brightness is None:
        notes.append("brightness does not tell grass from trees: no mapped forest shows how dark")
    grey, barren = red[bare & paved], red[bare & (ground == Ground.BARREN)]
    redness = None
    if len(grey) >= _FEWEST_PX:
        redness, _ = _between(red[bare & ~roofs], grey, barren)
        redness = redness or _beyond(grey, _LIKE_PAVING)
    if redness is None:
        notes.append("redness does not tell soil from paving: too few mapped roads or roofs")
    return IndexBorders(usable, vegetation, brightness, redness, tuple(notes))


def class_given_indices(values: NDArray[np.floating], borders: IndexBorders) -> Floats:
    """How well the indices of a pixel fit each class, up to a factor.

    Args:
        values: (3, n) of ``index_values``, with the borders' bands.
        borders: The borders.

    Returns:
        (n, class) factors in 0..1. Water may have any index.
    """
    green, bright, red = values.astype(np.float64)
    columns = [np.ones_like(green) for _ in range(CLASS_COUNT)]
    if borders.vegetation:
        bare = borders.vegetation.below(green, _FLOORS["bare"])
        columns[_IMPERVIOUS] *= bare
        columns[_SOIL] *= bare
        columns[_TREES] *= borders.vegetation.above(green, _FLOORS["trees"])
        columns[_GRASS] *= borders.vegetation.above(green, _FLOORS["dry grass"])
    if borders.brightness:
        columns[_GRASS] *= borders.brightness.above(bright, _FLOORS["dark grass"])
    if borders.redness:
        columns[_IMPERVIOUS] *= borders.redness.below(red, _FLOORS["red"])
        columns[_SOIL] *= borders.redness.above(red, _FLOORS["soil"])
    return np.stack(columns, axis=1)


def class_given_image(image: NDArray[np.float32], borders: IndexBorders) -> NDArray[np.float32]:
    """``class_given_indices`` of every pixel: (band, y, x) in 0..1 -> (class, y, x) factors."""
    values = index_values(image, borders.bands)
    fits = class_given_indices(values.reshape(len(INDICES), values[0].size), borders)
    return np.asarray(fits.T.reshape(CLASS_COUNT, *image.shape[1:]), np.float32)


def _between(x: Floats, below: Floats, above: Floats) -> tuple[Border | None, str]:
    """The border of two kinds of ground, and why there is none.

    Args:
        x: (n,) values of all ground.
        below: Values of anchors of the lower kind.
        above: Values of anchors of the upper kind.
    """
    if len(x) < _FEWEST_PX or np.isnan(x).any() or x.std() < _LEAST_SPREAD:
        return None, "the image has no colour"
    low, high = np.percentile(x, [10, 95])
    if len(below) >= _FEWEST_ANCHORS:
        low = np.median(below)
        x = x[x >= np.percentile(below, _TAIL)]
    if len(above) >= _FEWEST_ANCHORS and np.median(above) > low:
        high = np.median(above)
        x = x[x <= np.percentile(above, 100 - _TAIL)]
    if len(x) < _FEWEST_PX or high <= low:
        return None, "nothing lies above mapped roads and roofs"
    means, variance = _two_normals(x, float(low), float(high))
    separation = float(np.ptp(means) / np.sqrt(variance))
    if separation < _SEPARATION:
        return None, f"the two are {separation:.1f} standard deviations apart, not {_SEPARATION:g}"
    middle = float(means.mean())
    astray = [
        float((sign * (middle - values) < 0).mean())
        for sign, values in ((1, below), (-1, above))
        if len(values) >= _FEWEST_ANCHORS
    ]
    if astray and np.mean(astray) > _MOST_ASTRAY:
        anchors = "mapped roads and roofs, or of mapped forest,"
        return None, f"{np.mean(astray):.0%} of {anchors} look like the other"
    if len(below) >= _FEWEST_ANCHORS:  # among pasture, what is not forest is not all bare
        middle = min(middle, float(np.percentile(below, 100 - _TAIL)))
    slope = float(variance / np.ptp(means) / _TEMPER)
    return Border(middle, max(slope, _LEAST_SLOPE)), ""


def _two_normals(x: Floats, low: float, high: float) -> tuple[Floats, float]:
    """Means and common variance of two normal distributions, fitted to (n,) values."""
    x = x[:: max(1, len(x) // _FIT_PX)]
    mixture = GaussianMixture(
        2,
        covariance_type="tied",
        weights_init=[0.5, 0.5],
        means_init=[[low], [high]],
        precisions_init=[[4 / max((high - low) ** 2, _LEAST_SLOPE**2)]],
        init_params="random_from_data",
        random_state=0,
        max_iter=300,
        tol=1e-4,
    )
    with threadpool_limits(1):
        mixture.fit(x[:, None])
    return np.asarray(mixture.means_.ravel()), float(mixture.covariances_.ravel()[0])


def _beyond(anchors: Floats, percentile: int) -> Border | None:
    """The border of what is above anchors, which themselves say how soft it is."""
    if len(anchors) < _FEWEST_PX or np.isnan(anchors).any():
        return None
    half, most, middle = np.percentile(anchors, [50, 84, percentile])
    return Border(float(middle), max(float(most - half) / 3, _LEAST_SPREAD))
