"""Street plans and roofs of real places, dressed: what lies between them is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.ndimage import label as connected

from landcover_pnp.scenes.settings import Look
from landcover_pnp.scenes.synthetic.nature import smooth_noise
from landcover_pnp.scenes.synthetic.plan import label, plant
from landcover_pnp.scenes.synthetic.style import STYLES, Style, Surface


class Skeleton(IntEnum):
    """Codes of a skeleton: unknown, water, road or parking, bare, wood, park or lawn, roof."""

    UNKNOWN = 0
    WATER = 1
    PAVED = 2
    BARE = 3
    WOOD = 4
    GREEN = 5
    ROOF = 6


_SURFACE = np.array(
    [
        Surface.LAWN,
        Surface.WATER,
        Surface.ASPHALT,
        Surface.SOIL,
        Surface.MEADOW,
        Surface.LAWN,
        Surface.ROOF,
    ],
    np.uint8,
)
"""(code,) surface that a skeleton's code is dressed from."""

_FEW_ROOFS = 0.02
"""Share of the ground below which roofs are taken to be missing from a plan that has streets."""


@dataclass(frozen=True)
class Neighbourhood:
    """What a neighbourhood has between its streets and roofs.

    Attributes:
        paved: Share of the yards that are paved.
        soil: Share of the other yards that are bare soil, or gravel.
        lush: Factor of the share of closed canopy and of single trees.
        street_trees: Share of the places along the streets that have a tree.
        drives: Share of the roofs with a drive to the street.
    """

    paved: float
    soil: float
    lush: float
    street_trees: float
    drives: float

    @classmethod
    def draw(cls, style: Style, rng: np.random.Generator) -> Neighbourhood:
        """A neighbourhood of a look: from paved to green ones, from bald to leafy ones."""
        return cls(
            paved=float(rng.beta(0.8, 1.4)),
            soil=float(rng.beta(3.0, 1.0) if style.dry else rng.beta(0.3, 6.0)),
            lush=float(rng.lognormal(0.0, 0.6)),
            street_trees=float(rng.beta(0.7, 0.9)),
            drives=float(rng.uniform(0.2, 0.9)),
        )


def dress(skeleton: NDArray[np.uint8], look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws canopy, lawns, soil, drives and yard trees onto the unknown ground of a street plan.

    Yards are the ground nearest to a roof; each is paved, soil or lawn by the share of the
    neighbourhood. Trees stand as in synthetic cities, and along the streets, whose crowns cut
    them. Where a plan has streets and no roofs, houses line the streets.

    Args:
        skeleton: (y, x) uint8 codes ``Skeleton.UNKNOWN`` to ``Skeleton.ROOF``, 1 m pixels.
        look: Climate and building style of what is drawn.
        rng: Source of randomness.

    Returns:
        (y, x) uint8 EnviroAtlas codes, without unknown ground.
    """
    style = STYLES[look]
    style = replace(style, crown_radius=style.crown_radius * rng.uniform(0.8, 1.5))
    near = Neighbourhood.draw(style, rng)
    paved = skeleton == Skeleton.PAVED
    codes = skeleton.copy()
    if paved.any() and np.mean(codes == Skeleton.ROOF) < _FEW_ROOFS:
        codes[_houses(codes, style, rng) & (codes == Skeleton.UNKNOWN)] = Skeleton.ROOF
    surface = _SURFACE[codes]
    unknown = codes == Skeleton.UNKNOWN
    _lay_yards(surface, codes == Skeleton.ROOF, unknown, near, rng)
    if paved.any():
        surface[_drives(codes, near.drives, rng) & unknown] = Surface.CONCRETE
    patches = smooth_noise(codes.shape, {60.0: 1.0, 18.0: 0.8, 5.0: 0.5}, rng)
    surface[(surface == Surface.LAWN) & unknown & (patches > 1.6 + 0.6 * rng.random())] = (
        Surface.SOIL
    )

    yard, park, wood = style.uses["houses"], style.uses["park"], style.uses["open"]
    uses = [
        replace(
            use,
            wooded=float(np.clip(use.wooded * near.lush, 0.0, 0.95)),
            trees_per_ha=use.trees_per_ha * near.lush,
        )
        for use in (yard, park)
    ]
    uses.append(replace(wood, wooded=max(wood.wooded, 0.8)))
    quarter = np.select([codes == Skeleton.WOOD, codes == Skeleton.GREEN], [2, 1], 0).astype(
        np.int32
    )
    none = np.zeros(codes.shape, bool)
    stems = [_street_trees(codes, near.street_trees, rng)] if paved.any() else []
    trees, shrubs = plant(style, uses, quarter, surface, none, stems, rng)
    return label(style, surface, trees, shrubs, none, rng)


def _lay_yards(
    surface: NDArray[np.uint8],
    roof: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    near: Neighbourhood,
    rng: np.random.Generator,
) -> None:
    """Gives each yard a surface; ground far from any roof is as the neighbourhood's open ground."""
    open_ground = Surface.SOIL if rng.random() < near.soil else Surface.LAWN
    surface[unknown] = open_ground
    roofs, count = connected(roof)
    if not count:
        return
    away, (y, x) = distance_transform_edt(~roof, return_indices=True)
    owner = roofs[y, x]
    kinds = np.where(rng.random(count + 1) < near.soil, Surface.SOIL, Surface.LAWN)
    reach = np.where(rng.random(count + 1) < near.paved, rng.gamma(2.0, 5.0, count + 1), 0.0)
    yards = unknown & (away < rng.uniform(12.0, 30.0))
    surface[yards] = kinds[owner[yards]]
    surface[unknown & (away < reach[owner])] = Surface.CONCRETE


def _drives(codes: NDArray[np.uint8], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(y, x) straight drives, 3 m wide, from roofs to the nearest street within 35 m."""
    roofs, count = connected(codes == Skeleton.ROOF)
    if not count:
        return np.zeros(codes.shape, bool)
    away, (row, column) = distance_transform_edt(codes != Skeleton.PAVED, return_indices=True)
    y, x = np.nonzero(roofs)
    order = np.lexsort((away[y, x], roofs[y, x]))
    first = order[np.unique(roofs[y, x][order], return_index=True)[1]]
    y, x = y[first], x[first]
    chosen = (away[y, x] < 35.0) & (rng.random(len(y)) < share)
    y, x = y[chosen], x[chosen]
    ends = np.stack([np.column_stack([x, y]), np.column_stack([column[y, x], row[y, x]])], 1)
    lines = shapely.buffer(shapely.linestrings(ends + 0.5), 1.5)
    return _burnt(lines, codes.shape)


def _houses(codes: NDArray[np.uint8], style: Style, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(y, x) houses of the look along the streets, turned as the streets are."""
    away = gaussian_filter(distance_transform_edt(codes != Skeleton.PAVED), 2.0)
    front, depth = np.mean(style.house_front), np.mean(style.house_depth)
    setback = rng.uniform(*style.setback) + depth / 2
    slope_y, slope_x = np.gradient(away)
    lined = (codes == Skeleton.UNKNOWN) & (np.abs(away - setback) < 1.0)
    y, x = np.nonzero(lined)
    order = rng.permutation(len(y))
    gap = 0.5 * (front + np.mean(style.lot_width))
    taken, kept = np.zeros(codes.shape, bool), []
    reach = int(gap)
    for k in order:
        if not taken[y[k], x[k]]:
            kept.append(k)
            taken[max(0, y[k] - reach) : y[k] + reach, max(0, x[k] - reach) : x[k] + reach] = True
    y, x = y[kept], x[kept]
    across = np.column_stack([slope_x[y, x], slope_y[y, x]])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    along = across[:, ::-1] * [-1.0, 1.0]
    sizes = rng.uniform(0.8, 1.2, (2, len(y), 1)) / 2 * np.array([front, depth])[:, None, None]
    a, b = along * sizes[0], across * sizes[1]
    centre = np.column_stack([x, y]) + 0.5
    corners = np.stack([centre - a - b, centre + a - b, centre + a + b, centre - a + b], 1)
    return _burnt(shapely.polygons(corners), codes.shape)


def _street_trees(
    codes: NDArray[np.uint8], share: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(tree, 2) x, y of stems beside the streets, one in 8 m where all places are taken."""
    away = distance_transform_edt(codes != Skeleton.PAVED)
    beside = (codes != Skeleton.ROOF) & (away > 1.5) & (away < 4.0)
    y, x = np.nonzero(beside & (rng.random(codes.shape) < share / (8.0 * 2.5)))
    return np.column_stack([x, y]).astype(float)


def _burnt(shapes: NDArray[np.object_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(y, x) where one of the polygons lies."""
    if not len(shapes):
        return np.zeros(shape, bool)
    return np.asarray(rasterize(list(shapes), shape, dtype="uint8"), bool)
