"""What synthetic cities are made of: surfaces, land uses, and the numbers of the four looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from landcover_pnp.scenes.settings import Look

Interval = tuple[float, float]
"""Smallest and largest value of a uniform draw."""


class Surface(IntEnum):
    """What a square metre of a synthetic city is covered with, as seen from above."""

    WATER = 1
    POOL = 2
    ASPHALT = 3
    CONCRETE = 4
    PARKING = 5
    ROOF = 6
    SOIL = 7
    GRAVEL = 8
    LAWN = 9
    MEADOW = 10
    TURF = 11
    CROP = 12
    MARSH = 13
    SHRUB = 14
    TREE = 15
    SWAMP_TREE = 16


_LABEL = {
    Surface.WATER: 10,
    Surface.POOL: 10,
    Surface.ASPHALT: 20,
    Surface.CONCRETE: 20,
    Surface.PARKING: 20,
    Surface.ROOF: 20,
    Surface.SOIL: 30,
    Surface.GRAVEL: 30,
    Surface.LAWN: 70,
    Surface.MEADOW: 70,
    Surface.TURF: 70,
    Surface.CROP: 80,
    Surface.MARSH: 92,
    Surface.SHRUB: 52,
    Surface.TREE: 40,
    Surface.SWAMP_TREE: 91,
}

LABEL_OF_SURFACE: NDArray[np.uint8] = np.array(
    [0, *(_LABEL[surface] for surface in Surface)], np.uint8
)
"""(surface,) EnviroAtlas code of each surface; index 0 is no surface."""


class Shape(NamedTuple):
    """A drawn thing with one surface.

    Attributes:
        geometry: Polygon in pixel coordinates (x right, y down; 1 px = 1 m).
        surface: What it is covered with.
        height_m: Height above the ground.
    """

    geometry: shapely.Geometry
    surface: Surface
    height_m: float = 0.0


@dataclass(frozen=True)
class Use:
    """Land use of a superblock.

    Attributes:
        weight: Relative frequency.
        ground: Surface between everything that is built.
        wooded: Share of the ground under closed canopy, 0 to 1.
        trees_per_ha: Single crowns on the rest.
        bare: Share of the ground that is bare soil, 0 to 1.
        shrubs_per_ha: Single shrubs.
    """

    weight: float
    ground: Surface
    wooded: float
    trees_per_ha: float
    bare: float
    shrubs_per_ha: float = 0.0


@dataclass(frozen=True)
class Style:
    """The numbers that make a look; lengths in metres.

    Attributes:
        uses: Land uses by name: houses, apartments, shops, works, school, park, open,
            and fields where there are some.
        superblock: Side of the superblocks between arterials.
        bend: Amplitude of the bends of the whole street net.
        curl: Amplitude of the extra bends inside a residential superblock.
        grid_share: Share of residential superblocks with through streets; the others are
            loops and culs-de-sac on a collector.
        street_gap: Distance of parallel residential streets.
        street_width: Width of residential streets.
        lot_width: Lot width along the street.
        setback: From the street's edge to the house.
        house_front: House width along the street.
        house_depth: House depth.
        gravel_yards: Share of lots with gravel instead of lawn.
        paved_yards: Share of lots whose back yard is paved.
        pools: Share of lots with a pool.
        crown_radius: Median radius of crowns.
        river: Chance of a river, or of a canal where it is dry.
        creeks: Mean number of creeks.
        dry: Whether creeks are washes without water.
        wooded_banks: Share of the banks under closed canopy.
        swamps: Share of the wooded banks that is wetland.
        highway: Chance of a highway.
    """

    uses: dict[str, Use]
    superblock: Interval
    bend: float
    curl: Interval
    grid_share: float
    street_gap: Interval
    street_width: Interval
    lot_width: Interval
    setback: Interval
    house_front: Interval
    house_depth: Interval
    gravel_yards: float
    paved_yards: float
    pools: float
    crown_radius: float
    river: float
    creeks: float
    dry: bool
    wooded_banks: float
    swamps: float
    highway: float


_LAWN, _MEADOW, _SOIL, _CROP = Surface.LAWN, Surface.MEADOW, Surface.SOIL, Surface.CROP

STYLES: dict[Look, Style] = {
    "humid_east": Style(
        uses={
            "houses": Use(0.44, _LAWN, 0.40, 40.0, 0.02),
            "apartments": Use(0.08, _LAWN, 0.20, 24.0, 0.02),
            "shops": Use(0.11, _LAWN, 0.12, 10.0, 0.04),
            "works": Use(0.08, _MEADOW, 0.12, 6.0, 0.14),
            "school": Use(0.05, _LAWN, 0.12, 8.0, 0.03),
            "park": Use(0.07, _LAWN, 0.50, 16.0, 0.01),
            "open": Use(0.18, _MEADOW, 0.90, 30.0, 0.02),
            "fields": Use(0.015, _CROP, 0.10, 0.0, 0.02),
        },
        superblock=(220.0, 460.0),
        bend=34.0,
        curl=(0.0, 16.0),
        grid_share=0.75,
        street_gap=(62.0, 84.0),
        street_width=(6.5, 8.5),
        lot_width=(9.5, 19.0),
        setback=(3.0, 7.0),
        house_front=(7.0, 10.5),
        house_depth=(9.0, 15.0),
        gravel_yards=0.0,
        paved_yards=0.28,
        pools=0.01,
        crown_radius=3.6,
        river=0.55,
        creeks=0.8,
        dry=False,
        wooded_banks=0.8,
        swamps=0.08,
        highway=0.4,
    ),
    "piedmont": Style(
        uses={
            "houses": Use(0.44, _LAWN, 0.54, 32.0, 0.03),
            "apartments": Use(0.08, _LAWN, 0.22, 26.0, 0.03),
            "shops": Use(0.10, _LAWN, 0.14, 14.0, 0.05),
            "works": Use(0.05, _LAWN, 0.22, 8.0, 0.12),
            "school": Use(0.06, _LAWN, 0.24, 10.0, 0.05),
            "park": Use(0.05, _LAWN, 0.45, 14.0, 0.02),
            "open": Use(0.17, _MEADOW, 0.93, 25.0, 0.03),
            "fields": Use(0.03, _CROP, 0.16, 0.0, 0.03),
        },
        superblock=(260.0, 560.0),
        bend=42.0,
        curl=(12.0, 34.0),
        grid_share=0.25,
        street_gap=(84.0, 116.0),
        street_width=(7.0, 9.0),
        lot_width=(20.0, 34.0),
        setback=(8.0, 16.0),
        house_front=(12.0, 18.0),
        house_depth=(9.0, 14.0),
        gravel_yards=0.0,
        paved_yards=0.02,
        pools=0.03,
        crown_radius=4.2,
        river=0.25,
        creeks=1.8,
        dry=False,
        wooded_banks=0.8,
        swamps=0.45,
        highway=0.4,
    ),
    "hill_country": Style(
        uses={
            "houses": Use(0.48, _LAWN, 0.48, 44.0, 0.04),
            "apartments": Use(0.09, _LAWN, 0.16, 24.0, 0.05),
            "shops": Use(0.10, _MEADOW, 0.10, 14.0, 0.09),
            "works": Use(0.05, _MEADOW, 0.12, 8.0, 0.18),
            "school": Use(0.07, _LAWN, 0.16, 12.0, 0.07),
            "park": Use(0.06, _MEADOW, 0.50, 22.0, 0.05),
            "open": Use(0.17, _MEADOW, 0.78, 30.0, 0.07),
        },
        superblock=(240.0, 520.0),
        bend=48.0,
        curl=(10.0, 32.0),
        grid_share=0.3,
        street_gap=(70.0, 98.0),
        street_width=(8.0, 10.5),
        lot_width=(17.0, 28.0),
        setback=(6.0, 12.0),
        house_front=(13.0, 19.0),
        house_depth=(11.0, 17.0),
        gravel_yards=0.02,
        paved_yards=0.04,
        pools=0.10,
        crown_radius=3.4,
        river=0.35,
        creeks=1.4,
        dry=False,
        wooded_banks=0.8,
        swamps=0.15,
        highway=0.35,
    ),
    "desert": Style(
        uses={
            "houses": Use(0.50, _SOIL, 0.02, 22.0, 0.0, 26.0),
            "apartments": Use(0.07, _LAWN, 0.03, 34.0, 0.35, 20.0),
            "shops": Use(0.12, _SOIL, 0.01, 12.0, 0.0, 20.0),
            "works": Use(0.06, _SOIL, 0.0, 3.0, 0.0, 14.0),
            "school": Use(0.06, _SOIL, 0.01, 10.0, 0.0, 14.0),
            "park": Use(0.06, _LAWN, 0.08, 22.0, 0.30, 10.0),
            "open": Use(0.13, _SOIL, 0.012, 6.0, 0.0, 190.0),
        },
        superblock=(300.0, 620.0),
        bend=6.0,
        curl=(0.0, 26.0),
        grid_share=0.45,
        street_gap=(66.0, 82.0),
        street_width=(9.0, 11.0),
        lot_width=(15.0, 21.0),
        setback=(5.0, 8.0),
        house_front=(11.5, 15.5),
        house_depth=(14.0, 20.0),
        gravel_yards=0.72,
        paved_yards=0.12,
        pools=0.26,
        crown_radius=2.5,
        river=0.4,
        creeks=1.2,
        dry=True,
        wooded_banks=0.06,
        swamps=0.0,
        highway=0.3,
    ),
}
"""Style of each look."""
