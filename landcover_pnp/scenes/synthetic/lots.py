"""Lots of a synthetic city: where things stand, and the lists of what stands there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from landcover_pnp.scenes.synthetic.streets import Points, Road, Superblock
from landcover_pnp.scenes.synthetic.style import Interval, Shape, Style

Polygons = NDArray[np.object_]
"""(lot,) shapely polygons in pixel coordinates."""


class Site(NamedTuple):
    """A superblock about to be built up.

    Attributes:
        block: The superblock.
        style: Numbers of the look.
        keep_out: Polygons that no building may touch: arterials, banks, highway verges.
        rng: Source of randomness.
    """

    block: Superblock
    style: Style
    keep_out: shapely.STRtree
    rng: np.random.Generator

    def free(self, buildings: Polygons) -> NDArray[np.bool_]:
        """(building,) whether it touches neither keep-out polygons nor an earlier building."""
        free = np.ones(len(buildings), bool)
        free[self.keep_out.query(buildings, predicate="intersects")[0]] = False
        later, earlier = shapely.STRtree(buildings).query(buildings, predicate="intersects")
        free[later[earlier < later]] = False
        return free


@dataclass
class Development:
    """What superblocks are built up with; the lists of shapes are in painter's order.

    Attributes:
        yards: Lawns, gravel, fields, ponds, bare lots.
        paved: Drives, parking, pools and the strips of green in parking lots.
        roads: Streets.
        buildings: Buildings.
        trees: Stems of planted trees, (tree, 2) pixel coordinates each.
    """

    yards: list[Shape] = field(default_factory=list)
    paved: list[Shape] = field(default_factory=list)
    roads: list[Road] = field(default_factory=list)
    buildings: list[Shape] = field(default_factory=list)
    trees: list[Points] = field(default_factory=list)

    def __iadd__(self, other: Development) -> Development:
        self.yards += other.yards
        self.paved += other.paved
        self.roads += other.roads
        self.buildings += other.buildings
        self.trees += other.trees
        return self


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

    @classmethod
    def facing(cls, block: Superblock, local: Points, side: ArrayLike) -> Lots:
        """Lots at (lot, 2) local points of a superblock, away to +t (side 1) or -t (side -1)."""
        origin = block.place(local)
        along = block.place(local + np.array([1.0, 0.0])) - origin
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        across = block.place(local + np.array([0.0, 1.0])) - origin
        away = along[:, ::-1] * [-1.0, 1.0]
        turn = np.sign((away * across).sum(axis=1)) * side
        return cls(origin, along, away * turn[:, None])

    def lot(self, k: int) -> Lots:
        """One of the lots."""
        return Lots(*(part[k : k + 1] for part in self))

    def at(self, a: ArrayLike, b: ArrayLike) -> Points:
        """(point, 2) pixel coordinates of points a, b: one a lot, or many of a single lot."""
        points: Points = (
            self.origin
            + self.along * np.atleast_1d(a)[:, None]
            + self.away * np.atleast_1d(b)[:, None]
        )
        return points

    def boxes(self, a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike]) -> Polygons:
        """(lot,) rectangles from a[0] to a[1] along the street and b[0] to b[1] away from it."""
        corners = [self.at(a[i], b[j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
        return np.asarray(shapely.polygons(np.stack(corners, axis=1)))


@dataclass(frozen=True)
class Parcel:
    """One lot with its size, a rectangle.

    Attributes:
        lot: The centre of the parcel.
        half_a: Half its width in metres.
        half_b: Half its depth in metres.
    """

    lot: Lots
    half_a: float
    half_b: float

    def box(self, a: Interval, b: Interval) -> shapely.Polygon:
        """A rectangle in shares -1..1 of half the width and half the depth."""
        return self.lot.boxes(
            (a[0] * self.half_a, a[1] * self.half_a), (b[0] * self.half_b, b[1] * self.half_b)
        )[0]

    def at(self, a: ArrayLike, b: ArrayLike) -> Points:
        """(point, 2) pixel coordinates of points in shares -1..1."""
        return self.lot.at(np.multiply(a, self.half_a), np.multiply(b, self.half_b))
