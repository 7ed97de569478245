"""The mix of soil, trees and grass that a city's unpaved ground is made of, without labels.

Counted in truth, the paved share of a coarse map's developed classes is nearly the same in every
city, and what their rest is made of is one mix a city, the same in all of them. Two numbers make
it:

The soil share is a x b. b is the share of the unpaved ground that is not green: the greenness of
roads says how green grey ground looks here, and a mixture of which one component is known has at
most min_q F(q) / F_grey(q) of it (Blanchard, Lee & Scott 2010, Semi-supervised novelty detection);
what the given matrix says is paved and no map shows is taken off. a is the chance that such ground
is bare and not dormant lawn: its barren land and brown shrubland around, against forest, fields
and brown grassland.

The tree share of the vegetation is fitted by EM: each place draws classes, and each class draws
colours (the aspect model of Hofmann 1999, all p(class | place) of which are fixed but for this one
number), with roads, roofs, water and forests as anchors.

Where a user has labelled places, they are anchors too: what they show of each class counts in the
EM, trees among the labelled vegetation of developed ground count in the tree share, and what is
labelled soil against brown ground that is labelled vegetation in a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.arrays import normalise
from landcover_pnp.evidence.anchors import (
    BUILDINGS,
    LABEL_ROWS,
    OBJECT_ROWS,
    ROADS,
    CityPixels,
    GroundRows,
)
from landcover_pnp.evidence.settings import RefinementSettings
from landcover_pnp.legend import CLASS_COUNT, WORKING

FEWEST_PX = 50
"""Pixels from which the greenness of a kind of ground is told."""

_IMPERVIOUS, _SOIL, _TREES = map(
    WORKING.index, ("impervious", "soil and barren", "trees and forest")
)
_UNPAVED = slice(_SOIL, None)
_FREE = 0.05  # share of a pixel that objects may cover where it counts as free of them
_LEAST_UNPAVED = 0.05
_UNTOLD = 0.5  # of a share about which nothing is known
_FOREST = 0.97  # trees of an anchor of trees
_UNSURE = 0.01  # of the city's pixels: as many say nothing about soil or vegetation
_DOUBT = 0.05  # of the estimate, as of the texts of a legend: this share is spread evenly
_LABELS = 20  # labelled pixels that count as much as what is told without them
_QUANTILES = np.linspace(0.3, 0.97, 68)
_CONVERGED = 1e-4
_TINY = 1e-9


@dataclass(frozen=True)
class CityMix:
    """What the unpaved ground of a city is made of.

    Attributes:
        soil: Bare share, 0..1.
        trees: Tree share of the rest, 0..1.
        dry_grassland: Bare share of grassland, 0..1.
    """

    soil: float
    trees: float
    dry_grassland: float

    @property
    def shares(self) -> NDArray[np.float64]:
        """(3,) of soil, trees and grass; sums to 1, none of them 0: it is an estimate."""
        vegetation = 1 - self.soil
        told = np.array([self.soil, vegetation * self.trees, vegetation * (1 - self.trees)])
        return (1 - _DOUBT) * told + _DOUBT / len(told)

    def applied(self, given: NDArray[np.float64], ground: GroundRows) -> NDArray[np.float64]:
        """A matrix (code class, class) whose unpaved ground has this mix; rows sum to 1.

        Developed classes keep what is paved and water. Shrubland has as much soil as the city's
        unpaved ground, and keeps its trees against grass, as grassland does. Others stay.

        Args:
            given: (code class, class) the matrix to start from.
            ground: Rows by kind of ground.
        """
        matrix = given.copy()
        unpaved = given[:, _UNPAVED].sum(axis=1, keepdims=True)
        for row in ground.developed:
            matrix[row, _UNPAVED] = unpaved[row] * self.shares
        dry = [(row, self.soil) for row in ground.shrub]
        for row, soil in [*dry, *((row, self.dry_grassland) for row in ground.grass)]:
            vegetation = normalise(given[row, _TREES:])
            matrix[row, _UNPAVED] = unpaved[row] * np.append(soil, (1 - soil) * vegetation)
        return matrix


def estimate_mix(
    pixels: CityPixels,
    word: NDArray[np.intp],
    fits: NDArray[np.float64],
    given: NDArray[np.float64],
    ground: GroundRows,
    settings: RefinementSettings,
) -> CityMix:
    """Estimates the mix of a city.

    Args:
        pixels: Pixels of the city.
        word: (n,) number of each pixel's kind of colour.
        fits: (colour, class) how well each kind of colour fits each class, up to a factor.
        given: (code class, class) p(class | code): how much of its classes is paved.
        ground: Rows of the matrix by kind of ground.
        settings: Weight of an even mix of trees and grass, iterations.

    Returns:
        The mix.
    """
    brown = _brown_shares(pixels, given, ground)
    dry = _dryness(pixels, brown, ground)
    soil = dry * brown["developed"]
    counts = _place_counts(pixels, word, (len(OBJECT_ROWS) + len(given), len(fits)))
    trees = _tree_share(counts, fits, given, ground, soil, settings)
    labelled = pixels.label[np.isin(pixels.row, ground.developed)]
    trees_seen, grown = (labelled == _TREES + 1).sum(), (labelled > _SOIL + 1).sum()
    trees = float((trees_seen + _LABELS * trees) / (grown + _LABELS))
    return CityMix(soil, trees, dry * brown["grass"])


def green_share(greenness: NDArray[np.floating], grey: NDArray[np.floating]) -> float:
    """Share of pixels that are greener than grey ground: a lower bound, 0..1.

    Args:
        greenness: (n,) of the pixels.
        grey: (m,) of grey ground. Its greener half is taken to mirror the other, since trees
            hang over roads.
    """
    middle = np.median(grey)
    low = grey[grey <= middle]
    mirrored = np.concatenate([low, 2 * middle - low])
    below = np.searchsorted(np.sort(greenness), np.quantile(mirrored, _QUANTILES))
    return float(1 - min(1.0, (below / len(greenness) / _QUANTILES).min()))


def grey_ground(pixels: CityPixels) -> NDArray[np.float32] | None:
    """Greenness (n,) of mapped roads, or of roofs without them; None where both are too few."""
    for place in (ROADS, BUILDINGS):
        grey: NDArray[np.float32] = pixels.indices[0, pixels.place == place]
        if len(grey) >= FEWEST_PX:
            return grey
    return None


def _place_counts(
    pixels: CityPixels, word: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """(place, colour) pixels: of objects, of coarse classes, and those labelled as each class."""
    labelled = pixels.label.astype(np.intp)
    places, colours = shape[0] + len(LABEL_ROWS), shape[1]
    place = np.where(labelled > 0, shape[0] - 1 + labelled, pixels.place)
    cells = np.bincount(place * colours + word, minlength=places * colours)
    return cells.reshape(places, colours).astype(np.float64)


def _brown_shares(
    pixels: CityPixels, given: NDArray[np.float64], ground: GroundRows
) -> dict[str, float]:
    """Share of the unpaved ground that is not green, by kind of ground."""
    grey = grey_ground(pixels)
    free = pixels.covered < _FREE
    found = {}
    for kind in ("developed", "shrub", "grass"):
        there = np.isin(pixels.row, getattr(ground, kind))
        found[kind] = _UNTOLD
        if grey is not None and (there & free).sum() >= FEWEST_PX:
            green = green_share(pixels.indices[0, there & free], grey)
            expected = given[pixels.row[there], _IMPERVIOUS].sum() - pixels.paved[there].sum()
            unpaved = 1 - max(0.0, float(expected)) / (there & free).sum()
            found[kind] = max(0.0, 1 - green / max(unpaved, _LEAST_UNPAVED))
    return found


def _dryness(pixels: CityPixels, brown: dict[str, float], ground: GroundRows) -> float:
    """Chance that brown ground is bare, by the coarse classes around, 0..1."""

    def count(kind: str) -> int:
        return int(np.isin(pixels.row, getattr(ground, kind)).sum())

    dry = count("barren") + brown["shrub"] * count("shrub")
    green = sum(map(count, ("forest", "cultivated", "wetland")))
    dormant = brown["grass"] * count("grass")
    unsure = _UNSURE * len(pixels.row)
    around = (dry + unsure / 2) / (dry + green + dormant + unsure)
    bare, vegetated = _labelled_brown(pixels)
    return (bare + _LABELS * around) / (bare + vegetated + _LABELS)


def _labelled_brown(pixels: CityPixels) -> tuple[float, float]:
    """Pixels labelled as soil, and those of brown ground that are labelled as vegetation."""
    grey = grey_ground(pixels)
    grown = pixels.label > _SOIL + 1
    brown = 0.0
    if grey is not None and grown.any():
        brown = 1 - green_share(pixels.indices[0, grown], grey)
    return float((pixels.label == _SOIL + 1).sum()), brown * float(grown.sum())


def _tree_share(
    counts: NDArray[np.float64],
    fits: NDArray[np.float64],
    given: NDArray[np.float64],
    ground: GroundRows,
    soil: float,
    settings: RefinementSettings,
) -> float:
    """Tree share of a city's vegetation, from counts (place, colour)."""
    anchored = given.copy()
    anchored[ground.forest, :] = (1 - _FOREST) / (CLASS_COUNT - 1)
    anchored[ground.forest, _TREES] = _FOREST
    rows_of_developed = len(OBJECT_ROWS) + np.array(ground.developed, np.intp)
    developed = counts[rows_of_developed]
    even = settings.keep * developed.sum() / 2
    trees, colour = 0.5, fits
    for _ in range(settings.iterations if developed.any() else 0):
        rows = np.concatenate(
            [OBJECT_ROWS, CityMix(soil, trees, 0.0).applied(anchored, ground), LABEL_ROWS]
        )
        shared = counts[:, :, None] * normalise(rows[:, None] * colour + _TINY, -1)
        seen = shared[rows_of_developed].sum(axis=(0, 1))[_TREES:] + even
        before, trees = trees, float(seen[0] / max(seen.sum(), _TINY))
        if abs(trees - before) < _CONVERGED:
            break
        colour = fits * shared.sum(axis=0) / (shared.sum(axis=(0, 1)) + _TINY)
        colour = normalise(colour + _TINY, 0)
    return trees
