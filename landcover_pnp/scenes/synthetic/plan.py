"""The plan of a synthetic city: its label map at 1 m and the objects in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.special import ndtri

from landcover_pnp.scenes.settings import Look
from landcover_pnp.scenes.synthetic.houses import build_houses
from landcover_pnp.scenes.synthetic.lots import Development, Site
from landcover_pnp.scenes.synthetic.nature import (
    Canopy,
    Geometries,
    draw_creeks,
    draw_highway,
    draw_river,
    grow,
    smooth_noise,
)
from landcover_pnp.scenes.synthetic.parcels import build_parcels
from landcover_pnp.scenes.synthetic.streets import Road, draw_frame, draw_superblocks
from landcover_pnp.scenes.synthetic.style import (
    LABEL_OF_SURFACE,
    STYLES,
    Shape,
    Style,
    Surface,
    Use,
)


@dataclass(frozen=True)
class Plan:
    """A synthetic city before it is photographed; 1 px = 1 m, x right, y down.

    Attributes:
        look: Climate and building style.
        labels: (y, x) uint8 EnviroAtlas codes, as seen from above.
        surface: (y, x) uint8 ``Surface`` below the crowns.
        thing: (y, x) int32 number of the drawn shape, 0 = none: roofs and lawns differ by it.
        bareness: (y, x) float32 standard deviations by which unbuilt ground is barer than the
            limit between grass and soil; inf where soil is drawn as such.
        roof_height_m: (y, x) float32 building height, 0 beside buildings.
        trees: Crowns of trees.
        shrubs: Crowns of shrubs.
        roads: Carriageways of all streets.
        buildings: Buildings.
        waters: Water bodies and streams, pools left out.
    """

    look: Look
    labels: NDArray[np.uint8]
    surface: NDArray[np.uint8]
    thing: NDArray[np.int32]
    bareness: NDArray[np.float32]
    roof_height_m: NDArray[np.float32]
    trees: Canopy
    shrubs: Canopy
    roads: list[Road]
    buildings: Geometries
    waters: Geometries


def synthetic_label_map(look: Look, width_m: int, seed: int) -> NDArray[np.uint8]:
    """The label map of a synthetic city, without its image.

    Args:
        look: Climate and building style.
        width_m: Side of the square in metres.
        seed: The same seed draws the same map.

    Returns:
        (y, x) uint8 EnviroAtlas codes at 1 m.
    """
    return draw_labels(look, (width_m, width_m), city_rng(look, seed)).labels


def city_rng(look: Look, seed: int) -> np.random.Generator:
    """Source of randomness of a city; looks with the same seed differ in their streets too."""
    return np.random.default_rng([list(STYLES).index(look), seed])


def draw_labels(look: Look, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
    """Draws streets, lots, water and trees, and from them the label map.

    Args:
        look: Climate and building style.
        shape: (y, x) of the picture, 1 m pixels.
        rng: Source of randomness.

    Returns:
        The plan; crowns hide roofs and streets in its labels.
    """
    style = STYLES[look]
    frame = draw_frame(shape, style.bend, rng)
    blocks, arterials = draw_superblocks(shape, style, frame, rng)
    river, banks = draw_river(style, shape, frame, rng)
    creeks, creek_banks = draw_creeks(style, shape, frame, rng)
    banks += creek_banks
    verges, lanes = draw_highway(style, shape, frame, rng)
    kerbs = [road.line.buffer(road.width_m / 2 + 3.0) for road in arterials]
    keep_out = shapely.STRtree(kerbs + banks + verges)
    built = Development()
    for block in blocks:
        build = build_houses if block.use == "houses" else build_parcels
        built += build(Site(block, style, keep_out, rng))
    # Only arterials and highways have bridges over the river; pipes lead creeks below lots.
    wet = shapely.union_all([s.geometry for s in river])
    roads = [*_clip(built.roads, wet), *lanes, *arterials]
    shapes = [
        *built.yards,
        *(Shape(verge, style.uses["open"].ground) for verge in verges),
        *creeks,
        *built.paved,
        *river,
        *(Shape(road.line.buffer(road.width_m / 2), road.surface) for road in roads),
        *built.buildings,
    ]
    thing = _burn([s.geometry for s in shapes], shape)
    quarter = _burn([block.outline for block in blocks], shape)
    uses = [style.uses["open"], *(style.uses[block.use] for block in blocks)]
    surface = np.where(
        thing > 0,
        np.array([0, *(s.surface for s in shapes)], np.uint8)[thing],
        np.array([use.ground for use in uses], np.uint8)[quarter],
    )
    limit = np.array([-ndtri(use.bare) for use in uses], np.float32)
    bareness = smooth_noise(shape, {90.0: 1.0, 24.0: 0.8, 7.0: 0.6, 2.5: 0.35}, rng)
    bareness -= limit[quarter]
    bareness[surface == Surface.SOIL] = np.inf
    surface[_GREEN[surface] & (bareness > 0)] = Surface.SOIL

    on_bank = _burn(banks, shape) > 0
    trees, shrubs = plant(style, uses, quarter, surface, on_bank, built.trees, rng)
    return Plan(
        look=look,
        labels=label(style, surface, trees, shrubs, on_bank, rng),
        surface=surface,
        thing=thing,
        bareness=bareness,
        roof_height_m=np.array([0, *(s.height_m for s in shapes)], np.float32)[thing],
        trees=trees,
        shrubs=shrubs,
        roads=roads,
        buildings=[s.geometry for s in built.buildings],
        waters=[s.geometry for s in [*built.yards, *creeks, *river] if s.surface == Surface.WATER],
    )


def _clip(roads: list[Road], wet: shapely.Geometry) -> list[Road]:
    """The roads without what lies in water."""
    lines = shapely.difference([road.line for road in roads], wet)
    parts, numbers = shapely.get_parts(lines, return_index=True)
    kept = [(part, k) for part, k in zip(parts, numbers, strict=True) if not part.is_empty]
    return [roads[k]._replace(line=part) for part, k in kept]


def _flags(*surfaces: Surface) -> NDArray[np.bool_]:
    """(surface,) True for the given surfaces, a lookup table."""
    return np.isin(np.arange(len(Surface) + 1), surfaces)


_GREEN = _flags(Surface.LAWN, Surface.MEADOW)
_BARE = _flags(Surface.SOIL, Surface.GRAVEL)
_SEALED = _flags(Surface.ROOF, Surface.ASPHALT)
_TREELESS = _flags(Surface.WATER, Surface.POOL, Surface.TURF, Surface.CROP)


def _burn(geometries: Geometries, shape: tuple[int, int]) -> NDArray[np.int32]:
    """(y, x) number 1, 2, ... of the last geometry that covers a pixel, 0 = none."""
    numbered = [(g, k) for k, g in enumerate(geometries, start=1) if not g.is_empty]
    burnt: NDArray[np.int32] = (
        rasterize(numbered, shape, dtype="int32") if numbered else np.zeros(shape, np.int32)
    )
    return burnt


def plant(
    style: Style,
    uses: list[Use],
    quarter: NDArray[np.int32],
    surface: NDArray[np.uint8],
    on_bank: NDArray[np.bool_],
    planted: list[NDArray[np.float64]],
    rng: np.random.Generator,
) -> tuple[Canopy, Canopy]:
    """Trees and shrubs: closed woods where a field is lowest, single ones by land use.

    Args:
        style: Numbers of the look.
        uses: Land use by number of the quarter.
        quarter: (y, x) number of the quarter.
        surface: (y, x) surface.
        on_bank: (y, x) banks of rivers and creeks, wooded.
        planted: Stems of garden and street trees, (tree, 2) each.
        rng: Source of randomness.

    Returns:
        Trees and shrubs.
    """
    shape = surface.shape
    lush = np.exp(rng.normal(0.0, 0.55, len(uses)))
    wooded = np.clip([use.wooded * more for use, more in zip(uses, lush, strict=True)], 0, 0.97)
    limit = ndtri(wooded).astype(np.float32)[quarter]
    limit[on_bank] = np.maximum(limit[on_bank], ndtri(style.wooded_banks))
    grove = smooth_noise(shape, {60.0: 1.0, 22.0: 0.8, 9.0: 0.5, 4.0: 0.25}, rng)
    single = np.array([use.trees_per_ha * 1e-4 for use in uses], np.float32)[quarter]
    density = single * np.exp(-0.7 * grove - 0.25)
    density[grove < limit] = 3.6 / (np.pi * style.crown_radius**2)
    stems = rng.random(shape, np.float32) < density * (_GREEN | _BARE)[surface]
    xy = np.concatenate([np.empty((0, 2)), *planted]).astype(int)
    x, y = xy[((xy >= 0) & (xy < shape[::-1])).all(axis=1)].T
    stems[y, x] = True
    rough = smooth_noise(shape, {2.2: 1.0}, rng)
    stems &= ~(_TREELESS[surface] | maximum_filter(_SEALED[surface], 3))
    trees = grow(stems, style.crown_radius, rough, rng)

    thicket = smooth_noise(shape, {34.0: 1.0, 9.0: 1.2}, rng)
    density = np.array([use.shrubs_per_ha * 1e-4 for use in uses], np.float32)[quarter]
    density *= np.exp(2.0 * thicket - 2.0)
    stems = (rng.random(shape, np.float32) < density) & _BARE[surface] & (trees.height == 0)
    return trees, grow(stems, 1.6, rough, rng)


def label(
    style: Style,
    surface: NDArray[np.uint8],
    trees: Canopy,
    shrubs: Canopy,
    on_bank: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """(y, x) EnviroAtlas codes, a little ragged and generalised, as interpreters map them."""
    height, width = surface.shape
    dy, dx = (np.rint(0.75 * smooth_noise(surface.shape, {3.0: 1.0}, rng)) for _ in range(2))
    y = np.clip(np.arange(height)[:, None] + dy.astype(int), 0, height - 1)
    x = np.clip(np.arange(width) + dx.astype(int), 0, width - 1)
    seen = surface[y, x]
    seen[shrubs.height > 0] = Surface.SHRUB
    canopy = uniform_filter((trees.height > 0).astype(np.float32), 5) > 0.46
    swamp = smooth_noise(surface.shape, {120.0: 1.0}, rng) < ndtri(style.swamps)
    seen[canopy] = Surface.TREE
    seen[canopy & on_bank & swamp] = Surface.SWAMP_TREE
    labels: NDArray[np.uint8] = LABEL_OF_SURFACE[seen]
    return labels
