"""Lots of a synthetic city and what stands on them: houses, drives, shops, ball fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from landcover_pnp.sources.synthetic_streets import (
    Points,
    Road,
    Street,
    Superblock,
    cut_boxes,
    draw_streets,
)
from landcover_pnp.sources.synthetic_style import Interval, Style, Surface


class Shape(NamedTuple):
    """A thing with one surface.

    Attributes:
        geometry: Polygon in pixel coordinates (x right, y down; 1 px = 1 m).
        surface: What it is covered with.
        height_m: Height above the ground, for shadows.
    """

    geometry: shapely.Geometry
    surface: Surface
    height_m: float = 0.0


@dataclass
class Development:
    """What a superblock is built up with, in painter's order of its four lists.

    Attributes:
        yards: Lawns, gravel, fields, bare lots.
        paved: Drives, parking, pools and the strips of green in parking lots.
        roads: Streets.
        buildings: Buildings.
        trees: (tree, 2) stems of planted trees, arrays to be joined.
    """

    yards: list[Shape] = field(default_factory=list)
    paved: list[Shape] = field(default_factory=list)
    roads: list[Road] = field(default_factory=list)
    buildings: list[Shape] = field(default_factory=list)
    trees: list[Points] = field(default_factory=list)


class Lots(NamedTuple):
    """Places with a direction: a runs along the street, b away from it, metres.

    Attributes:
        origin: (lot, 2) pixel coordinates of a = b = 0.
        along: (lot, 2) unit vectors of a.
        away: (lot, 2) unit vectors of b.
    """

    origin: Points
    along: Points
    away: Points

    def at(self, a: ArrayLike, b: ArrayLike) -> Points:
        """(lot, 2) pixel coordinates of the points a, b (scalars or one value a lot)."""
        return self.origin + self.along * np.c_[a] + self.away * np.c_[b]

    def boxes(
        self, a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike]
    ) -> NDArray[np.object_]:
        """(lot,) rectangles from a[0] to a[1] along and b[0] to b[1] away from the street."""
        corners = [self.at(a[i], b[j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
        return np.asarray(shapely.polygons(np.stack(corners, axis=1)))


def place_lots(block: Superblock, local: Points, side: ArrayLike = 1.0) -> Lots:
    """Lots at (lot, 2) local points of a superblock, facing +t (side 1) or -t (side -1)."""
    origin = block.place(local)
    along = block.place(local + [1.0, 0.0]) - origin
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = block.place(local + [0.0, 1.0]) - origin
    away = along[:, ::-1] * [-1.0, 1.0]
    away *= np.sign((away * across).sum(axis=1, keepdims=True)) * np.c_[side]
    return Lots(origin, along, away)


def develop(
    block: Superblock, style: Style, keep_out: shapely.STRtree, rng: np.random.Generator
) -> Development:
    """Builds up one superblock.

    Args:
        block: The superblock.
        style: Numbers of the look.
        keep_out: Polygons that no building may touch: arterials, water, highway verges.
        rng: Source of randomness.
    """
    out = Development()
    if block.use == "houses":
        _build_houses(block, style, keep_out, rng, out)
    elif block.use in _PARCELS:
        side, build = _PARCELS[block.use]
        margin = 13.0
        inner = (margin, margin, block.length - margin, block.depth - margin)
        boxes = np.array(cut_boxes(inner, side, rng)[0])
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        size = rng.uniform(0.9, 1.0, (len(boxes), 1)) * (boxes[:, 2:] - boxes[:, :2])
        lots = place_lots(block, centre, rng.choice([-1.0, 1.0], len(centre)))
        for k, (width, depth) in enumerate(size):
            lot = Lots(lots.origin[k : k + 1], lots.along[k : k + 1], lots.away[k : k + 1])
            build(_Parcel(lot, width / 2, depth / 2), style, rng, out)
        free = _free(np.array([s.geometry for s in out.buildings], object), keep_out)
        out.buildings = [s for s, ok in zip(out.buildings, free, strict=True) if ok]
    return out


def _free(houses: NDArray[np.object_], keep_out: shapely.STRtree) -> NDArray[np.bool_]:
    """(house,) whether a house touches neither the keep-out polygons nor an earlier house."""
    free = np.ones(len(houses), bool)
    free[np.unique(keep_out.query(houses, predicate="intersects")[0])] = False
    first, second = shapely.STRtree(houses).query(houses, predicate="intersects")
    free[second[first < second]] = False
    return free


def _build_houses(
    block: Superblock,
    style: Style,
    keep_out: shapely.STRtree,
    rng: np.random.Generator,
    out: Development,
) -> None:
    """Rows of houses on both sides of the streets."""
    streets, crossings = draw_streets(block, style, rng)
    walk = rng.choice([0.0, 2.0])
    pitch = block.depth / len(streets)
    wanted = rng.uniform(*style.lot_width)
    back_rows = rng.random()
    for street in streets:
        width = street.road.width_m
        out.roads.append(street.road)
        out.paved.extend(Shape(p.buffer(width + 3.0), street.road.surface) for p in street.bulb)
        if walk:
            strip = street.road.line.buffer(width / 2 + walk, cap_style="flat")
            out.paved.append(Shape(strip, Surface.CONCRETE))
        for stretch in street.stretches:
            for side in (-1.0, 1.0):
                _build_row(
                    block,
                    street,
                    stretch,
                    side,
                    (wanted, pitch / 2),
                    style,
                    keep_out,
                    rng,
                    out,
                    back_rows,
                )
    out.roads.extend(crossings)


def _build_row(
    block: Superblock,
    street: Street,
    stretch: Interval,
    side: float,
    lot: tuple[float, float],
    style: Style,
    keep_out: shapely.STRtree,
    rng: np.random.Generator,
    out: Development,
    back_rows: float,
) -> None:
    """One row of houses: lots, houses with wings, drives, pools, garden trees."""
    count = int((stretch[1] - stretch[0]) / lot[0])
    if count < 1:
        return
    width = (stretch[1] - stretch[0]) / count
    s = stretch[0] + (np.arange(count) + 0.5) * width
    kerb = street.road.width_m / 2
    row = place_lots(block, np.c_[s, np.full(count, street.t)], side)

    def draw(interval: Interval) -> NDArray[np.float64]:
        return rng.uniform(*interval, count)

    front = np.minimum(draw(style.house_front), width - 2.4)
    near = kerb + rng.uniform(*style.setback) + rng.normal(0.0, 0.6, count)
    far = near + draw(style.house_depth)
    offset = (width - front) * rng.uniform(-0.35, 0.35, count)
    left, right = offset - front / 2, offset + front / 2
    main = row.boxes((left, right), (near, far))
    flip = rng.random(count) < 0.5
    wing_a = np.where(flip, left, right - 0.45 * front), np.where(flip, left + 0.45 * front, right)
    reach = draw((-5.0, 6.0))
    wing = row.boxes(
        wing_a,
        (
            np.where(reach < 0, near + reach * 0.5, far - 1),
            np.where(reach < 0, near + 1, far + reach),
        ),
    )
    houses = shapely.union(main, wing)
    built = _free(houses, keep_out) & (rng.random(count) > 0.04)

    gravel = rng.random(count) < style.gravel_yards
    ground = np.where(gravel, Surface.GRAVEL, Surface.LAWN)
    back = row.boxes((-width / 2 + 0.3, width / 2 - 0.3), (far, lot[1] - 0.8))
    fore = row.boxes((-width / 2 + 0.2, width / 2 - 0.2), (kerb, far))
    desert_back = np.where(rng.random(count) < 0.5, ground, Surface.SOIL)
    behind = desert_back if style.gravel_yards > 0.5 else ground
    behind = np.where(rng.random(count) < style.paved_yards, Surface.CONCRETE, behind)
    drive_a = np.where(flip, left + 0.3, right - 5.0)
    drive_end = np.where(rng.random(count) < 0.25, far + 4.0, near + 0.5)
    beside = (drive_end > near + 1.0) & (width - front > 5.0)
    drive_a = np.where(beside, np.where(flip, left - 3.2, right + 0.2), drive_a)
    drive_w = np.where(beside, 3.0, draw((2.8, 6.0)))
    drives = row.boxes(
        (drive_a, drive_a + drive_w), (kerb - 0.5, np.where(beside, drive_end, near + 0.5))
    )
    garages = row.boxes((drive_a - 1.0, drive_a + 5.0), (far + 6.0, far + 12.0))
    sheds = beside & (far + 13.0 < lot[1]) & (rng.random(count) < 0.7)
    pool = (rng.random(count) < style.pools) & (far + 11.0 < lot[1])
    pools = shapely.buffer(shapely.points(row.at(draw((-3.0, 3.0)), far + 6.5)), draw((2.2, 3.6)))
    drive_surface = Surface.CONCRETE if rng.random() < 0.6 else Surface.ASPHALT
    for k in np.flatnonzero(built):
        out.yards.append(Shape(fore[k], Surface(ground[k])))
        out.yards.append(Shape(back[k], Surface(behind[k])))
        out.paved.append(Shape(drives[k], drive_surface))
        if pool[k]:
            out.paved.append(Shape(pools[k].buffer(1.6), Surface.CONCRETE))
            out.paved.append(Shape(pools[k], Surface.POOL))
        out.buildings.append(Shape(houses[k], Surface.ROOF, float(rng.uniform(4.0, 8.5))))
        if sheds[k]:
            out.buildings.append(Shape(garages[k], Surface.ROOF, 3.5))
    in_front = rng.random(count) < 0.45
    behind_house = rng.random(count) < 0.5 + 0.4 * back_rows
    out.trees.append(row.at(draw((-width / 2, width / 2)), kerb + draw((1.0, 4.5)))[in_front])
    out.trees.append(row.at(draw((-width / 2, width / 2)), lot[1] - draw((0.0, 7.0)))[behind_house])


class _Parcel(NamedTuple):
    """A parcel: half its width and half its depth about its centre."""

    lot: Lots
    a: float
    b: float

    def box(self, a: Interval, b: Interval) -> shapely.Polygon:
        """A rectangle in shares -1..1 of the half width and half depth."""
        return self.lot.boxes((a[0] * self.a, a[1] * self.a), (b[0] * self.b, b[1] * self.b))[0]


def _build_parking(
    parcel: _Parcel, b: Interval, rng: np.random.Generator, out: Development
) -> None:
    """A parking lot over the full width, with islands of green that carry trees."""
    surface = Surface.PARKING if rng.random() < 0.75 else Surface.CONCRETE
    out.paved.append(Shape(parcel.box((-1, 1), b), surface))
    low, high = b[0] * parcel.b, b[1] * parcel.b
    gap = rng.uniform(17.0, 36.0)
    planted = rng.random() < 0.65
    for row in np.arange(low + gap / 2, high - 4.0, gap):
        if planted:
            width = rng.uniform(1.5, 4.0)
            strip = parcel.lot.boxes((-0.85 * parcel.a, 0.85 * parcel.a), (row, row + width))[0]
            out.paved.append(Shape(strip, Surface.LAWN))
            a = np.arange(-0.8 * parcel.a, 0.8 * parcel.a, rng.uniform(9.0, 16.0))
            stems = parcel.lot.at(a, np.full(len(a), row + width / 2))
            out.trees.append(stems[rng.random(len(a)) < 0.7])


def _build_shop(parcel: _Parcel, style: Style, rng: np.random.Generator, out: Development) -> None:
    """A shop at the back of its parking lot; some parcels are vacant."""
    if rng.random() < 0.12:
        out.yards.append(
            Shape(
                parcel.box((-1, 1), (-1, 1)),
                Surface.SOIL if rng.random() < 0.25 else Surface.MEADOW,
            )
        )
        return
    edge = rng.uniform(-0.3, 0.45)
    _build_parking(parcel, (-1.0, 0.96), rng, out)
    width = rng.uniform(0.55, 0.95)
    shift = rng.uniform(-1, 1) * (1 - width)
    shop = parcel.box((shift - width, shift + width), (edge, rng.uniform(0.7, 0.92)))
    if rng.random() < 0.5:
        wing = rng.choice([-1.0, 1.0])
        low, high = sorted((shift + wing * width, shift + wing * width * 0.4))
        shop = shop.union(parcel.box((low, high), (edge - 0.35, edge + 0.1)))
    out.buildings.append(Shape(shop, Surface.ROOF, float(rng.uniform(5.0, 12.0))))


def _build_works(parcel: _Parcel, style: Style, rng: np.random.Generator, out: Development) -> None:
    """Halls on a yard of asphalt, concrete or soil."""
    yard = rng.choice(
        [Surface.PARKING, Surface.CONCRETE, Surface.SOIL, Surface.GRAVEL, Surface.MEADOW],
        p=[0.48, 0.30, 0.09, 0.05, 0.08],
    )
    out.yards.append(Shape(parcel.box((-1, 1), (-1, 1)), Surface(yard)))
    halls = int(rng.integers(1, 4))
    edges = np.linspace(-0.9, 0.9, halls + 1)
    for low, high in zip(edges, edges[1:], strict=False):
        if rng.random() < 0.85:
            span = 0.04 + 0.1 * rng.random()
            hall = parcel.box(
                (low + span, high - span), (rng.uniform(-0.8, -0.3), rng.uniform(0.3, 0.85))
            )
            out.buildings.append(Shape(hall, Surface.ROOF, float(rng.uniform(6.0, 13.0))))


def _build_apartments(
    parcel: _Parcel, style: Style, rng: np.random.Generator, out: Development
) -> None:
    """Bars of flats on lawn around a parking lot."""
    _build_parking(parcel, (-0.25, 0.25), rng, out)
    for low, high in ((-0.9, -0.4), (0.4, 0.9)):
        bars = max(1, int(2 * parcel.a / 42.0))
        edges = np.linspace(-1.0, 1.0, bars + 1)
        for a0, a1 in zip(edges, edges[1:], strict=False):
            gap = 4.0 / parcel.a
            if a1 - a0 > 3 * gap:
                bar = parcel.box(
                    (a0 + gap, a1 - gap), (low + rng.uniform(0, 0.1), high - rng.uniform(0, 0.1))
                )
                out.buildings.append(Shape(bar, Surface.ROOF, float(rng.uniform(7.0, 13.0))))


def _build_ball_field(
    parcel: _Parcel, style: Style, rng: np.random.Generator, out: Development
) -> None:
    """Turf with a diamond of soil, or a rectangular pitch."""
    out.yards.append(Shape(parcel.box((-0.97, 0.97), (-0.97, 0.97)), Surface.LAWN))
    side = min(parcel.a, parcel.b)
    home = parcel.lot.at(-0.75 * side, -0.75 * side)[0]
    if rng.random() < 0.6:
        corner = parcel.lot.boxes((-0.8 * side, side), (-0.8 * side, side))[0]
        reach = min(1.5 * side, rng.uniform(75.0, 110.0))
        out.yards.append(
            Shape(shapely.Point(home).buffer(reach).intersection(corner), Surface.TURF)
        )
        infield = shapely.Point(home).buffer(min(0.62 * side, 32.0)).intersection(corner)
        out.yards.append(Shape(infield, Surface.SOIL))
        grass = parcel.lot.boxes(
            (-0.68 * side, -0.68 * side + 19.0), (-0.68 * side, -0.68 * side + 19.0)
        )[0]
        if side > 34.0 and rng.random() < 0.5:
            out.yards.append(Shape(grass, Surface.TURF))
    else:
        out.yards.append(Shape(parcel.box((-0.7, 0.7), (-0.8, 0.8)), Surface.TURF))


def _build_school(
    parcel: _Parcel, style: Style, rng: np.random.Generator, out: Development
) -> None:
    """School buildings with parking, ball fields, or lawn."""
    draw = rng.random()
    if draw < 0.35:
        _build_parking(parcel, (-0.95, -0.3), rng, out)
        for low, high in ((-0.8, -0.15), (-0.3, 0.35), (0.25, 0.8)):
            depth = rng.uniform(0.2, 0.75)
            wing = parcel.box((low, high), (-0.15, depth))
            out.buildings.append(Shape(wing, Surface.ROOF, float(rng.uniform(5.0, 10.0))))
        out.paved.append(Shape(parcel.box((-0.9, 0.9), (-0.3, 0.3)), Surface.CONCRETE))
    elif draw < 0.75:
        _build_ball_field(parcel, style, rng, out)


def _build_park(parcel: _Parcel, style: Style, rng: np.random.Generator, out: Development) -> None:
    """A park: ball fields, ponds, paths."""
    draw = rng.random()
    if draw < 0.3:
        _build_ball_field(parcel, style, rng, out)
    elif draw < 0.55:
        turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        reach = (
            0.55
            + 0.12 * np.sin(2 * turns + rng.uniform(0, 6))
            + 0.1 * np.sin(3 * turns + rng.uniform(0, 6))
        )
        lot = parcel.lot
        rim = (
            lot.origin
            + lot.along * np.c_[parcel.a * reach * np.cos(turns)]
            + lot.away * np.c_[parcel.b * reach * np.sin(turns)]
        )
        out.yards.append(
            Shape(
                shapely.Polygon(rim).buffer(5.0),
                Surface.MARSH if rng.random() < 0.3 else Surface.MEADOW,
            )
        )
        out.yards.append(Shape(shapely.Polygon(rim), Surface.WATER))
    elif draw < 0.8:
        ends = (
            parcel.lot.at(
                [-parcel.a, -0.3 * parcel.a, 0.3 * parcel.a, parcel.a],
                rng.uniform(-0.8, 0.8, 4) * parcel.b,
            )
            if False
            else None
        )
        a = np.linspace(-1.0, 1.0, 12)
        b = 0.6 * np.sin(3.0 * a + rng.uniform(0, 6))
        path = (
            parcel.lot.origin
            + parcel.lot.along * np.c_[parcel.a * a]
            + parcel.lot.away * np.c_[parcel.b * b]
        )
        out.paved.append(Shape(shapely.LineString(path).buffer(1.5), Surface.CONCRETE))


_Build = Callable[[_Parcel, Style, np.random.Generator, Development], None]

_PARCELS: dict[str, tuple[Interval, _Build]] = {
    "apartments": ((90.0, 170.0), _build_apartments),
    "shops": ((70.0, 190.0), _build_shop),
    "works": ((100.0, 260.0), _build_works),
    "school": ((130.0, 260.0), _build_school),
    "park": ((110.0, 260.0), _build_park),
}
"""Side of the parcels and what is built on one, by land use."""
