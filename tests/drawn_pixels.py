"""Pixels of cities whose mix is known, for tests of what is estimated of it."""

import numpy as np
from inputs import DEFINITIONS, NLCD

from landcover_pnp.evidence.anchors import (
    BUILDINGS,
    NOWHERE,
    OBJECTS,
    ROADS,
    CityPixels,
    GroundRows,
)
from landcover_pnp.evidence.spectral_indices import index_values
from landcover_pnp.legends.coarse_legend import CoarseLegend

ROLES = CoarseLegend.load("nlcd").roles
GROUND = GroundRows.of(ROLES)
OPEN, LOW, BARREN, FOREST, SHRUB, GRASS, PASTURE = map(
    NLCD.codes.index, (21, 22, 31, 41, 52, 71, 81)
)

# Colours (R,G,B) of water, impervious, soil, trees, grass; the last two are green, soil is redder.
COLOURS = np.array(
    [[0.1, 0.1, 0.2], [0.5, 0.5, 0.5], [0.6, 0.53, 0.4], [0.15, 0.25, 0.15], [0.42, 0.5, 0.3]]
)
DORMANT = (0.56, 0.5, 0.38)
"""Colour of grass that is not green."""

GREEN = {OPEN: 0.3, LOW: 0.3, FOREST: 0.2}
"""Shares of NLCD classes, by row, of a city amid forest."""

DRY = {OPEN: 0.25, LOW: 0.25, SHRUB: 0.3}
"""The same of a city amid shrubland."""


def drawn(
    mix: tuple[float, float, float],
    around: dict[int, float],
    *,
    roads: float = 0.2,
    buildings: float = 0.0,
    grass: tuple[float, ...] = tuple(COLOURS[4]),
    paved: dict[int, float] | None = None,
    count: int = 6000,
    labelled: float = 0.0,
    seed: int = 0,
) -> CityPixels:
    """Pixels of a city.

    Args:
        mix: Soil, trees and grass of its unpaved ground, and of shrubland.
        around: Shares of NLCD classes by row; what is missing to 1 is mapped objects.
        roads: Share of mapped roads.
        buildings: Share of mapped buildings.
        grass: Colour of its grass.
        paved: Paved share by row; those of the definitions where there is none.
        count: Pixels.
        labelled: Share of pixels whose class a user has labelled.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    kinds = [*(len(OBJECTS) + row for row in around), ROADS, BUILDINGS]
    shares = np.array([*around.values(), roads, buildings])
    place = rng.choice(kinds, count, p=shares / shares.sum())
    rows = {ROADS: (0, 1, 0, 0, 0), BUILDINGS: (0, 1, 0, 0, 0)}
    for row in around:
        known = (paved or {}).get(row, DEFINITIONS[row, 1] if row in GROUND.developed else 0.0)
        rows[len(OBJECTS) + row] = (0, known, *((1 - known) * np.array(mix)))
    rows[len(OBJECTS) + FOREST] = (0, 0, 0, 0.95, 0.05)
    rows[len(OBJECTS) + PASTURE] = (0, 0, 0, 0.05, 0.95)
    label = np.array([rng.choice(5, p=rows[kind]) for kind in place])
    means = np.concatenate([COLOURS[:4], [grass]])
    pixels = (means[label] + rng.normal(0, 0.01, (count, 3))).T.astype(np.float32)
    mapped = (place < len(OBJECTS)).astype(np.float32)
    row = np.where(place < len(OBJECTS), NOWHERE, place - len(OBJECTS))
    return CityPixels(
        place=place,
        row=row,
        features=pixels,
        indices=index_values(pixels[:, None])[:, 0],
        paved=mapped,
        covered=mapped,
        block=rng.integers(0, 40, count),
        label=np.where(rng.random(count) < labelled, label + 1, 0).astype(np.uint8),
    )
