"""Streets of a synthetic city: arterials, superblocks between them, the streets inside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from landcover_pnp.scenes.synthetic.style import Interval, Style, Surface

Points = NDArray[np.float64]
"""(point, 2) coordinates."""

Box = tuple[float, float, float, float]
"""Smallest u and v, largest u and v."""

Cut = tuple[tuple[float, float], tuple[float, float]]
"""End points of a straight cut."""

RIM_M = 13.0
"""Width along the rim of a superblock that is left to the arterials and their sidewalks."""


class Road(NamedTuple):
    """A carriageway.

    Attributes:
        line: Centre line, LineString in pixel coordinates (x right, y down; 1 px = 1 m).
        width_m: Full width in metres.
        surface: Asphalt or concrete.
    """

    line: shapely.LineString
    width_m: float
    surface: Surface


class Frame(NamedTuple):
    """Smooth bending of the straight plan (u, v in metres, centred at 0) into the picture.

    Attributes:
        centre: (2,) pixel coordinates of the plan's origin.
        angle: Rotation, radians.
        waves: (wave, 5) wave vector u, v in radians per metre, phase, shift in u and in v.
    """

    centre: Points
    angle: float
    waves: NDArray[np.float64]

    def place(self, points: Points) -> Points:
        """Maps (point, 2) plan coordinates u, v to (point, 2) pixel coordinates x, y."""
        phase = points @ self.waves[:, :2].T + self.waves[:, 2]
        bent = points + np.sin(phase) @ self.waves[:, 3:]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        placed: Points = bent @ np.array([[cos, sin], [-sin, cos]]) + self.centre
        return placed


def draw_frame(shape: tuple[int, int], bend: float, rng: np.random.Generator) -> Frame:
    """Draws a frame with four waves of 500 to 1100 m whose shifts add up to about ``bend``."""
    direction = rng.uniform(0, 2 * np.pi, 4)
    number = 2 * np.pi / rng.uniform(500.0, 1100.0, 4)
    shift = rng.normal(0.0, bend / 2, (4, 2))
    waves = np.column_stack(
        [number * np.cos(direction), number * np.sin(direction), rng.uniform(0, 6.3, 4), shift]
    )
    return Frame(np.array(shape[::-1]) / 2, rng.uniform(0, np.pi / 2), waves)


@dataclass(frozen=True)
class Superblock:
    """A quarter between arterials with its own street net.

    Local coordinates: s along the streets in 0..length, t across in 0..depth, metres.

    Attributes:
        frame: The city's bending.
        corner: (2,) plan coordinates of the smallest u and v.
        length: Extent along s.
        depth: Extent along t.
        swapped: Whether s runs along v instead of u.
        curl: Amplitude of the bends inside; they vanish at the rim.
        phase: (2,) their phases.
        use: Name of the land use.
    """

    frame: Frame
    corner: Points
    length: float
    depth: float
    swapped: bool
    curl: float
    phase: Points
    use: str

    def place(self, local: Points) -> Points:
        """Maps (point, 2) local coordinates s, t to (point, 2) pixel coordinates x, y."""
        s, t = local.T
        rim_s, rim_t = np.sin(np.pi * s / self.length), np.sin(np.pi * t / self.depth)
        bent = np.column_stack(
            [
                s + self.curl * np.sin(t / 45.0 + self.phase[0]) * rim_s,
                t + self.curl * np.sin(s / 45.0 + self.phase[1]) * rim_t,
            ]
        )
        return self.frame.place(self.corner + (bent[:, ::-1] if self.swapped else bent))

    def line(self, start: tuple[float, float], end: tuple[float, float]) -> shapely.LineString:
        """A street between two local points, as bent in the picture."""
        steps = max(2, int(np.hypot(end[0] - start[0], end[1] - start[1]) / 8.0))
        return shapely.LineString(self.place(np.linspace(start, end, steps)))

    @property
    def outline(self) -> shapely.Polygon:
        """The superblock's rim as a polygon in pixel coordinates."""
        corners = [(0, 0), (self.length, 0), (self.length, self.depth), (0, self.depth), (0, 0)]
        sides = [np.linspace(a, b, 20)[:-1] for a, b in pairwise(corners)]
        return shapely.Polygon(self.place(np.concatenate(sides).astype(float)))


def draw_superblocks(
    shape: tuple[int, int], style: Style, frame: Frame, rng: np.random.Generator
) -> tuple[list[Superblock], list[Road]]:
    """Cuts the plan into superblocks; the cuts are the arterials.

    Args:
        shape: (y, x) of the picture, 1 m pixels.
        style: Numbers of the look.
        frame: Bending.
        rng: Source of randomness.

    Returns:
        The superblocks that the picture shows, and the arterials.
    """
    half = 0.5 * float(np.hypot(*shape)) + 150.0
    boxes, cuts = cut_boxes((-half, -half, half, half), style.superblock, rng)
    names = list(style.uses)
    weights = np.array([style.uses[name].weight for name in names])
    view = shapely.box(0, 0, shape[1], shape[0])
    blocks = []
    for u0, v0, u1, v1 in boxes:
        swapped = bool(rng.random() < 0.3) != (v1 - v0 > u1 - u0)
        size = (v1 - v0, u1 - u0) if swapped else (u1 - u0, v1 - v0)
        use = names[rng.choice(len(names), p=weights / weights.sum())]
        curl = rng.uniform(*style.curl)
        phase = rng.uniform(0, 6.3, 2)
        block = Superblock(frame, np.array([u0, v0]), *size, swapped, curl, phase, use)
        if block.outline.intersects(view):
            blocks.append(block)
    arterials = []
    for start, end in cuts:
        points = np.linspace(start, end, max(2, int(np.hypot(*np.subtract(end, start)) / 12)))
        line = shapely.LineString(frame.place(points))
        width = rng.choice([11.0, 14.0, 19.0])
        surface = Surface.CONCRETE if rng.random() < 0.25 else Surface.ASPHALT
        if line.intersects(view):
            arterials.append(Road(line, width, surface))
    return blocks, arterials


def cut_boxes(box: Box, side: Interval, rng: np.random.Generator) -> tuple[list[Box], list[Cut]]:
    """Halves a box again and again until no side is longer than a drawn limit.

    Args:
        box: The box.
        side: Interval of the limit; boxes whose long side is below twice its lower end stay.
        rng: Source of randomness.

    Returns:
        The boxes that partition the box, and the cuts between them.
    """
    u0, v0, u1, v1 = box
    long = max(u1 - u0, v1 - v0)
    if long < 2 * side[0] or long < rng.uniform(*side):
        return [box], []
    share = rng.uniform(0.4, 0.6)
    if u1 - u0 >= v1 - v0:
        u = u0 + share * (u1 - u0)
        parts, cut = ((u0, v0, u, v1), (u, v0, u1, v1)), ((u, v0), (u, v1))
    else:
        v = v0 + share * (v1 - v0)
        parts, cut = ((u0, v0, u1, v), (u0, v, u1, v1)), ((u0, v), (u1, v))
    boxes, cuts = zip(*(cut_boxes(part, side, rng) for part in parts), strict=True)
    return boxes[0] + boxes[1], [cut, *cuts[0], *cuts[1]]


class Street(NamedTuple):
    """A residential street at constant t of its superblock.

    Attributes:
        road: The street.
        t: Local coordinate across.
        lot_depth: From the centre line to the back of the lots.
        stretches: Local s from and to which lots line it, between the crossings.
        dead_ends: Where it ends in a turning circle.
    """

    road: Road
    t: float
    lot_depth: float
    stretches: list[Interval]
    dead_ends: list[shapely.Point]


def draw_streets(
    block: Superblock, style: Style, rng: np.random.Generator
) -> tuple[list[Street], list[Road]]:
    """Residential streets: a grid of through streets, or culs-de-sac on a collector.

    Every street meets an arterial or the collector, so that the net is connected.

    Returns:
        The streets that lots line, and the cross streets or the collector.
    """
    width = rng.uniform(*style.street_width)
    surface = Surface.CONCRETE if rng.random() < 0.2 else Surface.ASPHALT
    inner = block.depth - 2 * RIM_M
    rows = max(1, round(inner / rng.uniform(*style.street_gap)))
    through = rng.random() < style.grid_share
    if through:
        count = max(1, round(block.length / rng.uniform(120.0, 260.0)))
        crossings = [k * block.length / count for k in range(1, count)]
    else:
        crossings = [block.length * rng.uniform(0.38, 0.62)]
    streets = []
    for t in RIM_M + (np.arange(rows) + 0.5) * inner / rows:
        start, end, bulbs = 0.0, block.length, []
        if not through and rng.random() < 0.6:
            start = rng.uniform(0.06, 0.2) * block.length
            bulbs.append((start, t))
        if not through and rng.random() < 0.6:
            end = rng.uniform(0.8, 0.94) * block.length
            bulbs.append((end, t))
        corner = width / 2 + 3.0
        stops = [max(start, RIM_M - corner), *crossings, min(end, block.length - RIM_M + corner)]
        streets.append(
            Street(
                road=Road(block.line((start, t), (end, t)), width, surface),
                t=float(t),
                lot_depth=inner / rows / 2,
                stretches=[(a + corner, b - corner) for a, b in pairwise(stops)],
                dead_ends=[shapely.Point(block.place(np.array([bulb]))[0]) for bulb in bulbs],
            )
        )
    across = [Road(block.line((s, 0.0), (s, block.depth)), width, surface) for s in crossings]
    return streets, across
