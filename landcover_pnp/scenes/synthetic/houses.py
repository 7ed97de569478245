"""Residential superblocks of a synthetic city: houses, drives, yards, pools, garden trees."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from landcover_pnp.scenes.synthetic.lots import Development, Lots, Site
from landcover_pnp.scenes.synthetic.streets import Street, draw_streets
from landcover_pnp.scenes.synthetic.style import Interval, Shape, Surface


def build_houses(site: Site) -> Development:
    """Rows of houses on both sides of the streets of a superblock."""
    block, rng = site.block, site.rng
    streets, crossings = draw_streets(block, site.style, rng)
    walk = rng.choice([0.0, 2.0])
    lot_width = rng.uniform(*site.style.lot_width)
    leafy = rng.random()
    out = Development(roads=[*(street.road for street in streets), *crossings])
    kerbs = [road.line.buffer(road.width_m / 2 + 1.5) for road in out.roads]
    site = site._replace(keep_out=shapely.STRtree([*site.keep_out.geometries, *kerbs]))
    for street in streets:
        line, width, surface = street.road
        if walk:
            strip = line.buffer(width / 2 + walk, cap_style="flat")
            out.paved.append(Shape(strip, Surface.CONCRETE))
        out.paved += [Shape(end.buffer(width + 3.0), surface) for end in street.dead_ends]
        for start, end in street.stretches:
            count = int((end - start) / lot_width)
            if count == 0:
                continue
            s = start + (np.arange(count) + 0.5) * (end - start) / count
            for side in (-1.0, 1.0):
                row = Lots.facing(block, np.column_stack([s, np.full(count, street.t)]), side)
                out += _build_row(site, row, street, (end - start) / count, leafy)
    return out


def _build_row(site: Site, row: Lots, street: Street, width: float, leafy: float) -> Development:
    """A row of houses, each with a wing, a drive, two yards, perhaps a garage and a pool.

    Args:
        site: The superblock.
        row: Lots, their origins on the street's centre line.
        street: The street.
        width: Width of a lot.
        leafy: Chance of a tree behind a house, beyond an even chance.
    """
    style, rng, count = site.style, site.rng, len(row.origin)
    kerb, depth = street.road.width_m / 2, street.lot_depth

    def draw(interval: Interval) -> NDArray[np.float64]:
        return rng.uniform(*interval, count)

    front = np.minimum(draw(style.house_front), width - 2.4)
    left = (width - front) * draw((-0.35, 0.35)) - front / 2
    right = left + front
    near = kerb + rng.uniform(*style.setback) + rng.normal(0.0, 0.6, count)
    far = np.minimum(near + draw(style.house_depth), depth - 3.0)
    mirrored = rng.random(count) < 0.5
    wing = np.where(mirrored, left, right - 0.45 * front)
    reach = draw((-2.5, 6.0))
    forward = reach < 0
    houses = shapely.union(
        row.boxes((left, right), (near, far)),
        row.boxes(
            (wing, wing + 0.45 * front),
            (np.where(forward, near + reach, far - 1), np.where(forward, near + 1, far + reach)),
        ),
    )
    built = site.free(houses) & (rng.random(count) > 0.04)

    ground = np.where(rng.random(count) < style.gravel_yards, Surface.GRAVEL, Surface.LAWN)
    bare = rng.random(count) < 0.5 * style.gravel_yards
    paved = rng.random(count) < style.paved_yards
    behind = np.where(paved, Surface.CONCRETE, np.where(bare, Surface.SOIL, ground))
    half = width / 2 - 0.25
    fore = row.boxes((-half, half), (kerb, far))
    back = row.boxes((-half, half), (far, depth - 0.8))

    # A wide lot has room for a drive beside the house, which may lead to a garage behind.
    beside = (width - front > 5.0) & (rng.random(count) < 0.4)
    inner = np.where(mirrored, left + 0.3, right - 5.0)
    outer = np.where(mirrored, left - 3.2, right + 0.2)
    drive = np.where(beside, outer, inner)
    garage = beside & (far + 13.0 < depth) & (rng.random(count) < 0.7)
    drive_end = np.where(garage, far + 6.5, np.where(beside, far, near + 0.5))
    drive_width = np.where(beside, 3.0, draw((2.8, 6.0)))
    drives = row.boxes((drive, drive + drive_width), (kerb - 0.5, drive_end))
    garages = row.boxes((drive - 1.0, drive + 5.0), (far + 6.0, far + 12.0))
    drive_surface = Surface.CONCRETE if rng.random() < 0.6 else Surface.ASPHALT

    pool = (rng.random(count) < style.pools) & (far + 11.0 < depth)
    centres = shapely.points(row.at(draw((-3.0, 3.0)), far + 6.5))
    pools = shapely.buffer(centres, draw((2.2, 3.6)))
    heights = draw((4.0, 8.5))

    out = Development()
    for k in np.flatnonzero(built):
        out.yards += [Shape(fore[k], Surface(ground[k])), Shape(back[k], Surface(behind[k]))]
        out.paved.append(Shape(drives[k], drive_surface))
        if pool[k]:
            out.paved.append(Shape(pools[k].buffer(1.6), Surface.CONCRETE))
            out.paved.append(Shape(pools[k], Surface.POOL))
        out.buildings.append(Shape(houses[k], Surface.ROOF, float(heights[k])))
        if garage[k]:
            out.buildings.append(Shape(garages[k], Surface.ROOF, 3.5))
    street_trees = row.at(draw((-half, half)), kerb + draw((1.0, 4.5)))
    back_trees = row.at(draw((-half, half)), depth - draw((0.0, 7.0)))
    out.trees.append(street_trees[rng.random(count) < 0.45])
    out.trees.append(back_trees[rng.random(count) < 0.5 + 0.4 * leafy])
    return out
