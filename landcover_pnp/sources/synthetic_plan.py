"""The plan of a synthetic city: its label map at 1 m and the objects in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.interpolate import BSpline
from scipy.special import ndtri

from landcover_pnp.sources.synthetic_lots import Shape, develop
from landcover_pnp.sources.synthetic_streets import (
    Frame,
    Points,
    Road,
    draw_frame,
    draw_superblocks,
)
from landcover_pnp.sources.synthetic_style import (
    LABEL_OF_SURFACE,
    STYLES,
    Look,
    Style,
    Surface,
    Use,
)


@dataclass(frozen=True)
class Plan:
    """A synthetic city before it is photographed; 1 m pixels.

    Attributes:
        look: Climate and building style.
        labels: (y, x) uint8 EnviroAtlas codes.
        surface: (y, x) uint8 ``Surface`` on the ground and on roofs, below the crowns.
        thing: (y, x) int32 number of the drawn shape, 0 = none; lawns and roofs differ by it.
        roof_height_m: (y, x) float32, 0 beside buildings.
        crown_height_m: (y, x) float32 canopy height, 0 where no crown is.
        crown: (y, x) int32 number of the crown, 0 = none.
        dryness: (y, x) float32 standard normal field; bare soil where it is highest.
        roads: Carriageways of streets.
        buildings: Buildings.
        waters: Water bodies and streams.
    """

    look: Look
    labels: NDArray[np.uint8]
    surface: NDArray[np.uint8]
    thing: NDArray[np.int32]
    roof_height_m: NDArray[np.float32]
    crown_height_m: NDArray[np.float32]
    crown: NDArray[np.int32]
    dryness: NDArray[np.float32]
    roads: list[Road]
    buildings: list[shapely.Geometry]
    waters: list[shapely.Geometry]


def smooth_noise(
    shape: tuple[int, int], scales: dict[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A Gaussian random field: cubic B-splines over grids of white noise, octaves added.

    Args:
        shape: (y, x).
        scales: Weight by grid spacing in pixels.
        rng: Source of randomness.

    Returns:
        (y, x) float32, standard normal at every pixel.
    """
    total = np.zeros(shape, np.float32)
    for scale, weight in scales.items():
        rows, columns = (_spline_weights(n, scale) for n in shape)
        noise = rng.standard_normal((rows.shape[1], columns.shape[1]), np.float32)
        total += weight * (columns @ (rows @ noise).T).T
    return total / np.float32(np.sqrt(sum(w * w for w in scales.values())))


def _spline_weights(size: int, scale: float):  # noqa: ANN202
    """(pixel, grid point) sparse cubic B-spline weights, rows of unit Euclidean norm."""
    knots = np.arange(-3, int(size / scale) + 6) * scale
    weights = BSpline.design_matrix(np.arange(size) + 0.5, knots, 3)
    norm = np.sqrt(weights.multiply(weights).sum(axis=1))
    return weights.multiply(1.0 / norm).tocsr().astype(np.float32)


def synthetic_label_map(look: Look, width_m: int, seed: int) -> NDArray[np.uint8]:
    """The label map of a synthetic city, without its image.

    Args:
        look: Climate and building style.
        width_m: Side of the square in metres.
        seed: The same seed draws the same map.

    Returns:
        (y, x) uint8 EnviroAtlas codes at 1 m.
    """
    return draw_labels(look, (width_m, width_m), np.random.default_rng(seed)).labels


def draw_labels(look: Look, shape: tuple[int, int], rng: np.random.Generator) -> Plan:
    """Draws streets, lots, water and trees, and from them the label map.

    Args:
        look: Climate and building style.
        shape: (y, x) of the picture, 1 m pixels.
        rng: Source of randomness.

    Returns:
        The plan; its labels show what is seen from above, crowns over roofs and streets.
    """
    style = STYLES[look]
    frame = draw_frame(shape, style.bend, rng)
    blocks, arterials = draw_superblocks(shape, style, frame, rng)
    waters, banks = _draw_water(look, shape, frame, rng)
    verges, highway = _draw_highway(style, shape, frame, rng)
    keep_out = shapely.STRtree(
        [road.line.buffer(road.width_m / 2 + 3.0) for road in arterials] + banks + verges
    )
    built = [develop(block, style, keep_out, rng) for block in blocks]
    roads = [*(road for part in built for road in part.roads), *highway, *arterials]
    buildings = [shape_ for part in built for shape_ in part.buildings]
    shapes = [
        *(shape_ for part in built for shape_ in part.yards),
        *(Shape(verge, Surface.MEADOW) for verge in verges),
        *waters,
        *(shape_ for part in built for shape_ in part.paved),
        *(
            Shape(road.line.buffer(road.width_m / 2, cap_style="round"), road.surface)
            for road in roads
        ),
        *buildings,
    ]
    thing = _burn([shape_.geometry for shape_ in shapes], shape)
    quarter = _burn([block.outline for block in blocks], shape)

    uses = [Use(1.0, Surface.MEADOW, 0.3, 10.0, 0.05), *(style.uses[b.use] for b in blocks)]
    lush = np.exp(rng.normal(0.0, 0.45, len(uses))).astype(np.float32)

    def by_quarter(values: list[float]) -> NDArray[np.float32]:
        return np.array(values, np.float32)[quarter]

    dryness = smooth_noise(shape, {90.0: 1.0, 24.0: 0.8, 7.0: 0.6, 2.5: 0.35}, rng)
    ground = np.array([use.ground for use in uses], np.uint8)[quarter]
    surface = np.where(thing > 0, _table([s.surface for s in shapes], np.uint8)[thing], ground)
    green = np.isin(surface, [Surface.LAWN, Surface.MEADOW])
    surface[green & (dryness > by_quarter([-ndtri(use.bare) for use in uses]))] = Surface.SOIL

    wooded = np.clip(by_quarter([u.wooded for u in uses]) * lush[quarter], 0.0, 0.97)
    bank = _burn(banks, shape) > 0
    wooded[bank] = np.maximum(wooded[bank], 0.06 if look == "desert" else 0.8)
    grove = smooth_noise(shape, {70.0: 1.0, 26.0: 0.8, 10.0: 0.5, 4.0: 0.25}, rng)
    closed = grove < ndtri(wooded)
    plantable = np.isin(surface, [Surface.LAWN, Surface.MEADOW, Surface.SOIL, Surface.GRAVEL])
    size = style.crown_radius
    density = by_quarter([u.trees_per_ha * 1e-4 for u in uses]) * np.exp(-0.7 * grove - 0.25)
    density = np.where(closed, 2.4 / (np.pi * size**2), density) * plantable
    planted = np.concatenate([trees for part in built for trees in part.trees] or [np.empty((0, 2))])
    stems = rng.random(shape, np.float32) < density
    inside = (planted >= 0).all(1) & (planted < shape[::-1]).all(1)
    stems[tuple(planted[inside].astype(int)[:, ::-1].T)] = True
    stems &= ~np.isin(surface, [Surface.ROOF, Surface.WATER, Surface.POOL, Surface.ASPHALT])
    rough = smooth_noise(shape, {2.2: 1.0}, rng)
    height, crown = _grow(stems, size, rough, rng)
    bushes = rng.random(shape, np.float32) < by_quarter([u.shrubs_per_ha * 1e-4 for u in uses]) * np.exp(
        0.8 * grove - 0.3
    )
    bushes &= np.isin(surface, [Surface.SOIL, Surface.GRAVEL]) & (height == 0)
    low, shrub = _grow(bushes, 1.25, rough, rng)

    edge = [np.rint(0.75 * smooth_noise(shape, {3.0: 1.0}, rng)).astype(int) for _ in range(2)]
    y = np.clip(np.arange(shape[0])[:, None] + edge[0], 0, shape[0] - 1)
    x = np.clip(np.arange(shape[1]) + edge[1], 0, shape[1] - 1)
    labels = LABEL_OF_SURFACE[surface][y, x]
    labels[low > 0] = LABEL_OF_SURFACE[Surface.SHRUB]
    labels[height > 0] = LABEL_OF_SURFACE[Surface.TREE]
    crowns = np.where(height > 0, crown, np.where(low > 0, shrub + crown.max(), 0))
    return Plan(
        look=look,
        labels=labels,
        surface=surface,
        thing=thing,
        roof_height_m=_table([s.height_m for s in shapes], np.float32)[thing],
        crown_height_m=np.where(height > 0, 2.2 * height + 2.0, low).astype(np.float32),
        crown=crowns.astype(np.int32),
        dryness=dryness,
        roads=roads,
        buildings=[s.geometry for s in buildings],
        waters=[s.geometry for s in waters],
    )


def _burn(geometries: list[shapely.Geometry], shape: tuple[int, int]) -> NDArray[np.int32]:
    """(y, x) number 1, 2, ... of the last geometry that covers a pixel, 0 = none."""
    numbered = [(g, k) for k, g in enumerate(geometries, start=1) if not g.is_empty]
    if not numbered:
        return np.zeros(shape, np.int32)
    return np.asarray(rasterize(numbered, shape, dtype="int32"))


def _table(values: list[float], dtype: type) -> NDArray:
    """Lookup by the numbers of ``_burn``: entry 0 is 0."""
    return np.array([0, *values], dtype)


def _grow(
    stems: NDArray[np.bool_], radius: float, rough: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Crowns around stems: cones with ragged rims; where crowns meet, the higher one shows.

    Args:
        stems: (y, x) stems.
        radius: Median crown radius in pixels.
        rough: (y, x) standard normal field that makes the rims ragged.
        rng: Source of randomness.

    Returns:
        (y, x) height above the rim in pixels, 0 = no crown, and (y, x) number of the crown.
    """
    widest = 2.2 * radius
    margin = int(1.7 * widest) + 1
    y, x = np.nonzero(stems)
    radii = np.minimum(radius * rng.lognormal(0.0, 0.32, len(y)), widest).astype(np.float32)
    order = np.argsort(-radii, kind="stable")
    y, x, radii = y[order] + margin, x[order] + margin, radii[order]
    swell = np.pad(1.0 + np.clip(0.3 * rough, -0.6, 0.6), margin)
    height = np.zeros(swell.shape, np.float32)
    crown = np.zeros(swell.shape, np.int32)
    for dy in range(-margin, margin + 1):
        for dx in range(-margin, margin + 1):
            far = np.float32(np.hypot(dy, dx))
            n = int(np.searchsorted(-radii, -far / 1.6))
            at = y[:n] + dy, x[:n] + dx
            new = radii[:n] * swell[at] - far
            higher = np.flatnonzero(new > height[at])
            at = at[0][higher], at[1][higher]
            height[at] = new[higher]
            crown[at] = higher + 1
    inner = slice(margin, -margin), slice(margin, -margin)
    return height[inner], crown[inner]


def _draw_water(
    look: Look, shape: tuple[int, int], frame: Frame, rng: np.random.Generator
) -> tuple[list[Shape], list[shapely.Geometry]]:
    """A river and creeks (washes and canals in the desert): water, and banks kept free."""
    style = STYLES[look]
    waters: list[Shape] = []
    banks: list[shapely.Geometry] = []
    if rng.random() < style.river:
        width = rng.uniform(24.0, 90.0)
        line = _meander(shape, frame, 3.0 * width, rng)
        waters.append(Shape(line.buffer(width / 2), Surface.WATER))
        banks.append(line.buffer(width / 2 + rng.uniform(8.0, 26.0)))
    for _ in range(rng.poisson(style.creeks)):
        line = _meander(shape, frame, 18.0, rng)
        if look == "desert":
            wash = rng.random() < 0.6
            banks.append(line.buffer(rng.uniform(12.0, 24.0)))
            waters.append(Shape(banks[-1], Surface.SOIL))
            if not wash:
                waters.append(Shape(line.buffer(7.0), Surface.CONCRETE))
                waters.append(Shape(line.buffer(4.5), Surface.WATER))
        else:
            banks.append(line.buffer(rng.uniform(9.0, 24.0)))
            waters.append(Shape(line.buffer(rng.uniform(1.2, 3.2)), Surface.WATER))
    return waters, banks


def _meander(
    shape: tuple[int, int], frame: Frame, swing: float, rng: np.random.Generator
) -> shapely.LineString:
    """A meandering line across the picture."""
    half = 0.5 * float(np.hypot(*shape)) + 100.0
    u = np.arange(-half, half, 6.0)
    v = rng.uniform(-0.45, 0.45) * min(shape) + np.zeros_like(u)
    for period in (14.0, 8.3, 5.1):
        v += rng.uniform(0.2, 0.8) * swing * np.sin(2 * np.pi * u / (period * swing) + rng.uniform(0, 6.3))
    points = np.column_stack([u, v])
    return shapely.LineString(frame.place(points if rng.random() < 0.5 else points[:, ::-1]))


def _draw_highway(
    style: Style, shape: tuple[int, int], frame: Frame, rng: np.random.Generator
) -> tuple[list[shapely.Geometry], list[Road]]:
    """A highway of two carriageways: its verge, and the roads."""
    if rng.random() >= style.highway:
        return [], []
    line = _meander(shape, frame, 120.0, rng)
    surface = Surface.CONCRETE if rng.random() < 0.5 else Surface.ASPHALT
    gap = rng.uniform(9.0, 16.0)
    lanes = [Road(line.offset_curve(side * gap), 11.0, surface) for side in (-1.0, 1.0)]
    return [line.buffer(gap + rng.uniform(14.0, 28.0))], lanes
