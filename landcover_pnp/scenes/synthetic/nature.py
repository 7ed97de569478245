"""What is not built in a synthetic city: random fields, crowns of trees and shrubs, water."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.sparse import csr_array

from landcover_pnp.scenes.synthetic.streets import Frame, Road
from landcover_pnp.scenes.synthetic.style import Shape, Style, Surface

Geometries = list[shapely.Geometry]


def smooth_noise(
    shape: tuple[int, int], octaves: Mapping[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A Gaussian random field: cubic B-splines over grids of white noise, octaves added.

    Args:
        shape: (y, x).
        octaves: Weight by grid spacing in pixels.
        rng: Source of randomness.

    Returns:
        (y, x) float32, standard normal at every pixel.
    """
    field = np.zeros(shape, np.float32)
    norm = np.sqrt(sum(weight**2 for weight in octaves.values()))
    for spacing, weight in octaves.items():
        rows, columns = (_spline_weights(size, spacing) for size in shape)
        noise = rng.standard_normal((rows.shape[1], columns.shape[1]), np.float32)
        field += np.float32(weight / norm) * (columns @ (rows @ noise).T).T
    return field


def _spline_weights(size: int, spacing: float) -> csr_array:
    """(pixel, grid point) weights; rows of unit Euclidean norm keep the variance at 1."""
    knots = np.arange(-3, size / spacing + 5) * spacing
    weights: csr_array = BSpline.design_matrix(np.arange(size) + 0.5, knots, 3)
    taps = weights.data.reshape(size, 4)
    taps /= np.linalg.norm(taps, axis=1, keepdims=True)
    return weights.astype(np.float32)


class Canopy(NamedTuple):
    """Crowns seen from above.

    Attributes:
        height: (y, x) float32 height above the rim of the crowns in pixels, 0 = no crown.
        crown: (y, x) int32 number of the crown that shows, 0 = none.
    """

    height: NDArray[np.float32]
    crown: NDArray[np.int32]


def grow(
    stems: NDArray[np.bool_], radius: float, rough: NDArray[np.float32], rng: np.random.Generator
) -> Canopy:
    """Grows crowns on stems: cones with ragged rims; where crowns meet, the higher one shows.

    Args:
        stems: (y, x) stems.
        radius: Median crown radius in pixels.
        rough: (y, x) standard normal field that makes the rims ragged.
        rng: Source of randomness.
    """
    widest, most = 2.0 * radius, 1.5
    margin = int(most * widest) + 1
    y, x = np.nonzero(stems)
    radii = np.minimum(radius * rng.lognormal(0.0, 0.32, len(y)), widest).astype(np.float32)
    order = np.argsort(-radii, kind="stable")
    y, x, radii = y[order] + margin, x[order] + margin, radii[order]
    swell = np.pad(1.0 + np.clip(0.3 * rough, 1.0 - most, most - 1.0), margin)
    height = np.zeros(swell.shape, np.float32)
    crown = np.zeros(swell.shape, np.int32)
    # Crown by crown would be slow: one offset from the stem at a time, for all crowns that
    # reach so far. Stems are distinct pixels, so no pixel occurs twice in one step.
    for dy in range(-margin, margin + 1):
        for dx in range(-margin, margin + 1):
            far = np.float32(np.hypot(dy, dx))
            reaching = int(np.searchsorted(-radii, -far / most))
            at = y[:reaching] + dy, x[:reaching] + dx
            above = radii[:reaching] * swell[at] - far
            seen = np.flatnonzero(above > height[at])
            at = at[0][seen], at[1][seen]
            height[at] = above[seen]
            crown[at] = seen + 1
    inner = slice(margin, -margin), slice(margin, -margin)
    return Canopy(height[inner], crown[inner])


def draw_river(
    style: Style, shape: tuple[int, int], frame: Frame, rng: np.random.Generator
) -> tuple[list[Shape], Geometries]:
    """A river, or in a dry look a canal, if there is one.

    Returns:
        The shapes in painter's order, and the banks, on which nothing is built.
    """
    if rng.random() >= style.river:
        return [], []
    if style.dry:
        line = _meander(shape, frame, 30.0, rng)
        sides = Shape(line.buffer(8.0), Surface.CONCRETE)
        return [sides, Shape(line.buffer(5.0), Surface.WATER)], [line.buffer(14.0)]
    half = rng.uniform(12.0, 45.0)
    line = _meander(shape, frame, 6.0 * half, rng)
    bank = line.buffer(half + rng.uniform(8.0, 26.0))
    return [Shape(line.buffer(half), Surface.WATER)], [bank]


def draw_creeks(
    style: Style, shape: tuple[int, int], frame: Frame, rng: np.random.Generator
) -> tuple[list[Shape], Geometries]:
    """Creeks, mostly below crowns, or in a dry look washes.

    Returns:
        The shapes in painter's order, and the banks, on which nothing is built.
    """
    lines = [_meander(shape, frame, 18.0, rng) for _ in range(rng.poisson(style.creeks))]
    banks = [line.buffer(rng.uniform(9.0, 24.0)) for line in lines]
    if style.dry:
        return [Shape(bank, Surface.SOIL) for bank in banks], banks
    halves = [rng.uniform(3.0, 7.0) if rng.random() < 0.4 else 0.7 for _ in lines]
    beds = [line.buffer(half) for line, half in zip(lines, halves, strict=True)]
    return [Shape(bed, Surface.WATER) for bed in beds], banks


def draw_highway(
    style: Style, shape: tuple[int, int], frame: Frame, rng: np.random.Generator
) -> tuple[Geometries, list[Road]]:
    """A highway across the city, if there is one: its verge, and two carriageways."""
    if rng.random() >= style.highway:
        return [], []
    line = _meander(shape, frame, 70.0, rng)
    surface = Surface.CONCRETE if rng.random() < 0.5 else Surface.ASPHALT
    gap = rng.uniform(9.0, 16.0)
    lanes = [Road(line.offset_curve(side * gap), 11.0, surface) for side in (-1.0, 1.0)]
    return [line.buffer(gap + rng.uniform(14.0, 28.0))], lanes


def _meander(
    shape: tuple[int, int], frame: Frame, swing_m: float, rng: np.random.Generator
) -> shapely.LineString:
    """A line across the picture with bends of about ``swing_m`` to either side."""
    half = 0.5 * float(np.hypot(*shape)) + 100.0
    u = np.arange(-half, half, 6.0)
    v = np.full_like(u, rng.uniform(-0.45, 0.45) * min(shape))
    for period in (14.0, 8.3, 5.1):
        wave = np.sin(2 * np.pi * u / (period * swing_m) + rng.uniform(0, 2 * np.pi))
        v += rng.uniform(0.2, 0.8) * swing_m * wave
    swapped = rng.random() < 0.5
    return shapely.LineString(frame.place(np.column_stack([v, u] if swapped else [u, v])))
