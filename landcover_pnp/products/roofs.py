"""Buildings among a map's polygons: patches of their own, with right angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy import ndimage

from landcover_pnp.errors import LandcoverError
from landcover_pnp.grid import Box
from landcover_pnp.legends.result_legend import BUILDINGS, IMPERVIOUS
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.polygons import Geometries
from landcover_pnp.scenes.object_shares import object_shares
from landcover_pnp.scenes.settings import LayerFile
from landcover_pnp.storage.records import file_hash
from landcover_pnp.storage.sidecars import part_hashes

ROOF = 1000
"""Added to the class of a pixel that is a roof: more than any code of a map."""

RIM_PX = 2
"""What is left of a class around its roofs is theirs where it is no wider than that."""

RIMS_PX = max(RIM_PX, 3)
"""Pixels around a pixel that ``with_rims`` looks at: an opening reaches 2, and 1 more is added."""

MOVED_PX = 3.0
"""Farthest that a corner is moved for the sake of a right angle."""

DETAIL_PX = 1.5
"""Detail of an outline that is none of a building's sides."""

_SQUARE = 0.5
"""How far the sides of a building agree in two directions at right angles: 1 is wholly, 0 a circle.
"""

_TRIES = 4


@dataclass(frozen=True)
class Roofs:
    """Where a map has buildings.

    Attributes:
        code: The class that they belong to.
        layer: Their outlines; None where all of the class is buildings.
    """

    code: int
    layer: LayerFile | None

    def set_apart(self, codes: NDArray[np.uint16], geobox: GeoBox) -> NDArray[np.uint16]:
        """Gives buildings a class of their own: ``ROOF`` is added to it.

        Args:
            codes: (y, x) classes of the map.
            geobox: Their grid.

        Raises:
            RasterError: If the layer cannot be read.
        """
        there = codes == self.code
        if self.layer is not None and there.any():
            there = with_rims(_drawn(self.layer, geobox) & there, there)
        return np.where(there, codes + np.uint16(ROOF), codes)


def roofs_of(run: FinishedRun) -> Roofs | None:
    """The buildings of a run: a class of its map, or else those of its scene's layer.

    Returns:
        None where there is neither, or the layer is not as it was when the map was made.
    """
    classes = run.legend.classes
    for c in classes:
        if list(c.of) == [BUILDINGS]:
            return Roofs(c.code, None)
    code = next(c.code for c in classes if IMPERVIOUS in c.of)
    then = {k: v for k, v in run.scene.made_of.items() if k.startswith("sha256.buildings")}
    try:
        layer = run.files.buildings
        if layer is None or not then:
            return None
        return Roofs(code, layer) if then == _hashes(layer) else None
    except (LandcoverError, OSError):  # gone, or on a server that does not answer
        return None


def _hashes(layer: LayerFile) -> dict[str, str]:
    parts = part_hashes(layer.path, file_hash)
    return {f"sha256.buildings{part}": digest for part, digest in parts.items()}


def _drawn(layer: LayerFile, geobox: GeoBox) -> NDArray[np.bool_]:
    """Pixels of a grid that buildings cover by half or more, (y, x) bool."""
    extent = Box(0, int(geobox.shape[0]), 0, int(geobox.shape[1]))
    roofs = np.zeros(extent.shape, bool)
    for box, shares in object_shares(layer, "buildings", geobox, extent):
        roofs[box.within(extent)] = shares >= 0.5
    return roofs


def with_rims(roofs: NDArray[np.bool_], paved: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Roofs with what is left of their class around them, where that is a narrow rim.

    Args:
        roofs: (y, x) bool, part of ``paved``.
        paved: (y, x) bool, pixels of the class that buildings belong to.
    """
    square, rest = np.ones((3, 3), bool), paved & ~roofs
    wide = ndimage.binary_dilation(ndimage.binary_opening(rest, square), square)
    near = ndimage.binary_dilation(roofs, square, iterations=RIM_PX)
    return np.asarray(roofs | (rest & ~wide & near))


def squared(outlines: Geometries, roofs: NDArray[np.bool_]) -> Geometries:
    """Gives the outlines of roofs right angles; shared edges stay shared.

    A roof keeps its outline where that has no two directions, where a corner would move by more
    than ``MOVED_PX``, or where it touches another roof or the edge of the whole area.

    Args:
        outlines: (polygon,) polygons of a coverage in whole pixels, from ``simplified``.
        roofs: (polygon,) bool, which of them are roofs.

    Returns:
        (polygon,) polygons that cover the same ground as before together.
    """
    xy, polygon = shapely.get_coordinates(outlines, return_index=True)
    if not roofs.any():
        return outlines
    _, number = np.unique(xy, axis=0, return_inverse=True)
    number = number.ravel()
    free = ~_at_the_edge(outlines, number)
    moves = _moves(outlines, roofs, number, polygon, free)
    for _ in range(_TRIES):
        if not moves:
            break
        moved = _moved(outlines, xy, number, moves)
        broken = ~shapely.is_valid(moved)
        if not broken.any():
            return moved if shapely.coverage_is_valid(moved) else outlines
        wrong = np.zeros(number.max() + 1, bool)
        wrong[number[broken[polygon]]] = True
        moves = {k: move for k, move in moves.items() if not wrong[move[0]].any()}
    return outlines


Moves = dict[int, tuple[NDArray[np.intp], NDArray[np.float64]]]
"""Numbers of the corners of a roof and their new places (corner, 2), by the roof's number."""


def _moved(
    outlines: Geometries, xy: NDArray[np.float64], number: NDArray[np.intp], moves: Moves
) -> Geometries:
    places = np.empty((number.max() + 1, 2))
    places[number] = xy
    for corners, new in moves.values():
        places[corners] = new
    moved: Geometries = shapely.set_coordinates(outlines.copy(), places[number])
    return moved


def _at_the_edge(outlines: Geometries, number: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which corners lie on an edge that only one polygon has: (corner,) bool by number."""
    rings = shapely.get_rings(outlines)
    ring = shapely.get_coordinates(rings, return_index=True)[1]
    step = np.flatnonzero(ring[1:] == ring[:-1])
    edges = np.sort(np.stack([number[step], number[step + 1]], axis=1), axis=1)
    once, counts = np.unique(edges, axis=0, return_counts=True)
    found = np.zeros(number.max() + 1, bool)
    found[once[counts == 1].ravel()] = True
    return found


def _moves(
    outlines: Geometries,
    roofs: NDArray[np.bool_],
    number: NDArray[np.intp],
    polygon: NDArray[np.intp],
    free: NDArray[np.bool_],
) -> Moves:
    """New places of the corners of the roofs that can have right angles."""
    first = np.searchsorted(polygon, np.arange(len(outlines) + 1))
    owners = np.zeros(number.max() + 1, np.intp)
    for k in np.flatnonzero(roofs):
        owners[np.unique(number[first[k] : first[k + 1]])] += 1
    moves: Moves = {}
    for k in np.flatnonzero(roofs):
        ring = shapely.get_coordinates(shapely.get_exterior_ring(outlines[k]))[:-1]
        corners = number[first[k] : first[k] + len(ring)]
        if free[corners].all() and (owners[corners] == 1).all():
            new = right_angled(ring)
            if new is not None:
                moves[int(k)] = corners, new
    return moves


def right_angled(ring: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """A ring whose sides run in two directions at right angles.

    Args:
        ring: (corner, 2) x and y, the first one not repeated.

    Returns:
        (corner, 2), each corner moved onto its side, or where two meet; None where the ring has
        no such sides or a corner would move too far.
    """
    first = int(np.hypot(*(ring - ring.mean(axis=0)).T).argmax())  # a corner, for certain
    ring = np.roll(ring, -first, axis=0)
    corners = _corners(ring)
    sides = ring[np.roll(corners, -1)] - ring[corners]
    # Directions a right angle apart are one: the fourfold angle of both is the same.
    fourfold = np.hypot(*sides.T) * np.exp(4j * np.angle(sides @ (1, 1j)))
    if len(corners) < 4 or np.abs(fourfold.sum()) < _SQUARE * np.abs(fourfold).sum():
        return None
    turn = np.angle(fourfold.sum()) / 4
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    place, along = ring @ axes, np.abs(sides @ axes)
    rows = np.arange(len(ring))
    flat = (along[:, 0] >= along[:, 1])[np.searchsorted(corners, rows, "right") - 1]
    begins = flat != np.roll(flat, 1)
    count = int(begins.sum())
    if count < 4:
        return None
    side, across = np.cumsum(begins) % count, np.where(flat, 1, 0)
    after = np.roll(place, -1, axis=0)
    length = np.hypot(*(after - place).T)
    middle = (place + after)[rows, across] / 2
    level = np.bincount(side, middle * length) / np.bincount(side, length)
    new, before = place.copy(), np.roll(rows, 1)
    new[rows, across] = level[side]  # the side that begins here
    new[rows, across[before]] = level[side[before]]  # and the one that ends
    if np.hypot(*(new - place).T).max() > MOVED_PX:
        return None
    return np.asarray(np.roll(new @ axes.T, first, axis=0))


def _corners(ring: NDArray[np.float64]) -> NDArray[np.intp]:
    """The corners of a ring without detail below ``DETAIL_PX``, by their places in it."""
    line = shapely.LineString(np.concatenate([ring, ring[:1]]))
    left = {tuple(xy) for xy in shapely.get_coordinates(line.simplify(DETAIL_PX))}
    return np.array([i for i, xy in enumerate(ring) if tuple(xy) in left], np.intp)
