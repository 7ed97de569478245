"""Parcels of a synthetic city: shops, works, flats, schools, parks, and their parking lots."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import shapely

from landcover_pnp.scenes.synthetic.lots import Development, Lots, Parcel, Site
from landcover_pnp.scenes.synthetic.streets import RIM_M, cut_boxes
from landcover_pnp.scenes.synthetic.style import Interval, Shape, Surface

_WHOLE: Interval = (-1.0, 1.0)


def build_parcels(site: Site) -> Development:
    """Cuts a superblock into parcels and builds each up by the land use; open land stays."""
    out = Development()
    if site.block.use not in _BUILDERS:
        return out
    block, rng = site.block, site.rng
    side, build = _BUILDERS[block.use]
    boxes = np.array(
        cut_boxes((RIM_M, RIM_M, block.length - RIM_M, block.depth - RIM_M), side, rng)[0]
    )
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    lots = Lots.facing(block, centres, rng.choice([-1.0, 1.0], len(centres)))
    halves = rng.uniform(0.45, 0.5, (len(boxes), 1)) * (boxes[:, 2:] - boxes[:, :2])
    for k, (half_a, half_b) in enumerate(halves):
        build(Parcel(lots.lot(k), float(half_a), float(half_b)), rng, out)
    free = site.free(np.array([shape.geometry for shape in out.buildings], object))
    out.buildings = [shape for shape, ok in zip(out.buildings, free, strict=True) if ok]
    return out


def _build_shop(parcel: Parcel, rng: np.random.Generator, out: Development) -> None:
    """A shop at the back of its parking lot; some parcels are vacant."""
    if rng.random() < 0.12:
        vacant = Surface.SOIL if rng.random() < 0.25 else Surface.MEADOW
        out.yards.append(Shape(parcel.box(_WHOLE, _WHOLE), vacant))
        return
    _build_parking(parcel, (-1.0, 0.96), rng, out)
    face = rng.uniform(-0.3, 0.45)
    half = rng.uniform(0.55, 0.95)
    shift = rng.uniform(-1, 1) * (1 - half)
    shop = parcel.box((shift - half, shift + half), (face, rng.uniform(0.7, 0.92)))
    if rng.random() < 0.5:
        low, high = sorted(shift + rng.choice([-half, half]) * np.array([1.0, 0.4]))
        shop = shop.union(parcel.box((low, high), (face - 0.35, face + 0.1)))
    out.buildings.append(Shape(shop, Surface.ROOF, rng.uniform(5.0, 12.0)))


def _build_works(parcel: Parcel, rng: np.random.Generator, out: Development) -> None:
    """Halls on a yard of asphalt, concrete, gravel, soil or weeds."""
    yards = [Surface.PARKING, Surface.CONCRETE, Surface.SOIL, Surface.GRAVEL, Surface.MEADOW]
    yard = yards[rng.choice(len(yards), p=[0.48, 0.30, 0.09, 0.05, 0.08])]
    out.yards.append(Shape(parcel.box(_WHOLE, _WHOLE), yard))
    edges = np.linspace(-0.9, 0.9, rng.integers(2, 5))
    for low, high in pairwise(edges):
        gap = rng.uniform(0.04, 0.14)
        b = rng.uniform(-0.8, -0.3), rng.uniform(0.3, 0.85)
        if rng.random() < 0.85:
            hall = parcel.box((low + gap, high - gap), b)
            out.buildings.append(Shape(hall, Surface.ROOF, rng.uniform(6.0, 13.0)))


def _build_flats(parcel: Parcel, rng: np.random.Generator, out: Development) -> None:
    """Bars of flats on both sides of a parking lot."""
    _build_parking(parcel, (-0.25, 0.25), rng, out)
    gap = 4.0 / parcel.half_a
    edges = np.linspace(-1.0, 1.0, max(1, int(parcel.half_a / 21.0)) + 1)
    for low, high in ((-0.9, -0.4), (0.4, 0.9)):
        for start, end in pairwise(edges):
            b = low + rng.uniform(0.0, 0.1), high - rng.uniform(0.0, 0.1)
            bar = parcel.box((start + gap, end - gap), b)
            out.buildings.append(Shape(bar, Surface.ROOF, rng.uniform(7.0, 13.0)))


def _build_school(parcel: Parcel, rng: np.random.Generator, out: Development) -> None:
    """School buildings with parking, a ball field, or lawn."""
    kind = rng.random()
    if kind < 0.35:
        _build_parking(parcel, (-0.95, -0.3), rng, out)
        out.paved.append(Shape(parcel.box((-0.9, 0.9), (-0.3, 0.3)), Surface.CONCRETE))
        wings = [((-0.8, -0.1), 0.7), ((-0.2, 0.4), 0.4), ((0.3, 0.85), 0.75)]
        boxes = [parcel.box(a, (-0.15, top - rng.uniform(0.0, 0.3))) for a, top in wings]
        out.buildings.append(Shape(shapely.union_all(boxes), Surface.ROOF, rng.uniform(5, 10)))
    elif kind < 0.75:
        _build_ball_field(parcel, rng, out)


def _build_park(parcel: Parcel, rng: np.random.Generator, out: Development) -> None:
    """A ball field, a pond, a path, or nothing."""
    kind = rng.random()
    if kind < 0.3:
        _build_ball_field(parcel, rng, out)
    elif kind < 0.55:
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        lobes = 0.12 * np.sin(2 * turn + rng.uniform(0, 6)), 0.1 * np.sin(3 * turn)
        reach = 0.55 + lobes[0] + lobes[1]
        pond = shapely.Polygon(parcel.at(reach * np.cos(turn), reach * np.sin(turn)))
        shore = Surface.MARSH if rng.random() < 0.3 else Surface.MEADOW
        out.yards += [Shape(pond.buffer(5.0), shore), Shape(pond, Surface.WATER)]
    elif kind < 0.8:
        a = np.linspace(-1.0, 1.0, 16)
        path = shapely.LineString(parcel.at(a, 0.6 * np.sin(3.0 * a + rng.uniform(0, 6))))
        out.paved.append(Shape(path.buffer(1.5), Surface.CONCRETE))


def _build_parking(parcel: Parcel, b: Interval, rng: np.random.Generator, out: Development) -> None:
    """A parking lot over the parcel's width, often with rows of trees on strips of green."""
    surface = Surface.PARKING if rng.random() < 0.75 else Surface.CONCRETE
    out.paved.append(Shape(parcel.box(_WHOLE, b), surface))
    if rng.random() < 0.35:
        return
    gap = rng.uniform(17.0, 36.0)
    half_a = 0.85 * parcel.half_a
    for row in np.arange(b[0] * parcel.half_b + gap / 2, b[1] * parcel.half_b - 4.0, gap):
        width = rng.uniform(1.5, 4.0)
        strip = parcel.lot.boxes((-half_a, half_a), (row, row + width))[0]
        out.paved.append(Shape(strip, Surface.LAWN))
        a = np.arange(2.0 - half_a, half_a, rng.uniform(9.0, 16.0))
        stems = parcel.lot.at(a, row + width / 2)
        out.trees.append(stems[rng.random(len(a)) < 0.7])


def _build_ball_field(parcel: Parcel, rng: np.random.Generator, out: Development) -> None:
    """A baseball diamond with an infield of soil, or a rectangular pitch."""
    out.yards.append(Shape(parcel.box((-0.97, 0.97), (-0.97, 0.97)), Surface.LAWN))
    if rng.random() < 0.4:
        out.yards.append(Shape(parcel.box((-0.7, 0.7), (-0.8, 0.8)), Surface.TURF))
        return
    half = min(parcel.half_a, parcel.half_b)
    base = -0.8 * half
    corner = parcel.lot.boxes((base, half), (base, half))[0]
    home = shapely.Point(parcel.lot.at(base + 2.0, base + 2.0)[0])
    outfield = home.buffer(min(1.6 * half, rng.uniform(75.0, 110.0))).intersection(corner)
    infield = home.buffer(min(0.7 * half, 32.0)).intersection(corner)
    out.yards += [Shape(outfield, Surface.TURF), Shape(infield, Surface.SOIL)]
    if half > 34.0 and rng.random() < 0.5:
        diamond = parcel.lot.boxes((base + 5.0, base + 24.0), (base + 5.0, base + 24.0))[0]
        out.yards.append(Shape(diamond, Surface.TURF))


_BUILDERS: dict[
    str, tuple[Interval, Callable[[Parcel, np.random.Generator, Development], None]]
] = {
    "apartments": ((90.0, 170.0), _build_flats),
    "shops": ((70.0, 190.0), _build_shop),
    "works": ((100.0, 260.0), _build_works),
    "school": ((130.0, 260.0), _build_school),
    "park": ((110.0, 260.0), _build_park),
}
"""Side of the parcels and what is built on one, by land use."""
