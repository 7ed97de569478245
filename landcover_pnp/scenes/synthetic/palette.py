"""Colours of synthetic cities, one palette a look."""

from __future__ import annotations

from dataclasses import dataclass

from landcover_pnp.scenes.settings import Look
from landcover_pnp.scenes.synthetic.style import Surface

Tone = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


@dataclass(frozen=True)
class Palette:
    """Colours of a look; a surface takes every colour on the line between its two tones.

    Attributes:
        tones: Darker or greener, and paler or drier tone by surface.
        roofs: Colours of roofs.
        nir: Gain of the near infrared band.
    """

    tones: dict[Surface, tuple[Tone, Tone]]
    roofs: tuple[Tone, ...]
    nir: float


NIR: dict[Surface, tuple[float, float]] = {
    Surface.WATER: (0.35, 0.5),
    Surface.POOL: (0.4, 0.5),
    Surface.ASPHALT: (0.85, 0.95),
    Surface.CONCRETE: (0.95, 1.0),
    Surface.PARKING: (0.85, 0.95),
    Surface.ROOF: (0.95, 0.95),
    Surface.SOIL: (1.1, 1.05),
    Surface.GRAVEL: (1.05, 1.0),
    Surface.LAWN: (1.55, 1.05),
    Surface.MEADOW: (1.45, 1.05),
    Surface.TURF: (1.7, 1.25),
    Surface.CROP: (1.6, 1.05),
    Surface.MARSH: (1.0, 1.1),
    Surface.SHRUB: (1.2, 1.25),
    Surface.TREE: (1.3, 1.6),
    Surface.SWAMP_TREE: (1.3, 1.5),
}
"""Near infrared as a multiple of the mean of red, green and blue, for both tones."""

GRAIN: dict[Surface, float] = {
    Surface.WATER: 0.015,
    Surface.POOL: 0.02,
    Surface.ASPHALT: 0.05,
    Surface.CONCRETE: 0.04,
    Surface.PARKING: 0.07,
    Surface.ROOF: 0.045,
    Surface.SOIL: 0.06,
    Surface.GRAVEL: 0.07,
    Surface.LAWN: 0.06,
    Surface.MEADOW: 0.09,
    Surface.TURF: 0.03,
    Surface.CROP: 0.05,
    Surface.MARSH: 0.12,
    Surface.SHRUB: 0.1,
    Surface.TREE: 0.12,
    Surface.SWAMP_TREE: 0.12,
}
"""Relative strength of the fine grain of a surface."""

PALETTES: dict[Look, Palette] = {
    # Hazy and bluish, pale pavements, slate and flat roofs.
    "humid_east": Palette(
        {
            Surface.WATER: ((92, 106, 108), (108, 120, 114)),
            Surface.POOL: ((120, 170, 185), (160, 200, 205)),
            Surface.ASPHALT: ((108, 116, 126), (204, 198, 180)),
            Surface.CONCRETE: ((184, 182, 168), (240, 232, 208)),
            Surface.PARKING: ((104, 112, 122), (208, 202, 184)),
            Surface.SOIL: ((172, 158, 136), (234, 218, 178)),
            Surface.GRAVEL: ((164, 160, 150), (216, 206, 182)),
            Surface.LAWN: ((94, 124, 120), (182, 180, 152)),
            Surface.MEADOW: ((104, 126, 120), (192, 182, 150)),
            Surface.TURF: ((98, 132, 122), (140, 158, 138)),
            Surface.CROP: ((108, 142, 124), (198, 184, 142)),
            Surface.MARSH: ((92, 106, 106), (144, 146, 126)),
            Surface.SHRUB: ((96, 112, 112), (136, 146, 128)),
            Surface.TREE: ((88, 110, 120), (132, 156, 142)),
            Surface.SWAMP_TREE: ((84, 102, 108), (120, 138, 128)),
        },
        (
            (78, 84, 98),
            (92, 98, 112),
            (114, 120, 130),
            (150, 148, 146),
            (206, 200, 184),
            (252, 247, 228),
            (166, 124, 112),
            (134, 112, 102),
            (96, 118, 112),
        ),
        nir=1.25,
    ),
    # Dark forest, red clay, warm and contrasty.
    "piedmont": Palette(
        {
            Surface.WATER: ((70, 70, 56), (122, 112, 90)),
            Surface.POOL: ((100, 160, 170), (150, 195, 195)),
            Surface.ASPHALT: ((74, 72, 70), (138, 132, 120)),
            Surface.CONCRETE: ((148, 140, 124), (206, 200, 188)),
            Surface.PARKING: ((68, 66, 66), (132, 126, 114)),
            Surface.SOIL: ((160, 108, 78), (218, 178, 142)),
            Surface.GRAVEL: ((148, 136, 118), (200, 190, 170)),
            Surface.LAWN: ((80, 100, 70), (164, 148, 112)),
            Surface.MEADOW: ((82, 98, 70), (170, 150, 110)),
            Surface.TURF: ((84, 112, 74), (142, 154, 112)),
            Surface.CROP: ((96, 122, 76), (198, 170, 124)),
            Surface.MARSH: ((72, 80, 62), (130, 126, 96)),
            Surface.SHRUB: ((76, 86, 64), (120, 122, 90)),
            Surface.TREE: ((56, 64, 52), (108, 122, 90)),
            Surface.SWAMP_TREE: ((62, 68, 58), (104, 108, 84)),
        },
        (
            (66, 62, 60),
            (96, 88, 80),
            (112, 92, 78),
            (128, 122, 114),
            (168, 150, 126),
            (150, 100, 82),
            (228, 224, 214),
            (186, 176, 158),
        ),
        nir=1.0,
    ),
    # Dry grass, limestone, tile and metal roofs, cyan shadows.
    "hill_country": Palette(
        {
            Surface.WATER: ((48, 94, 78), (82, 114, 94)),
            Surface.POOL: ((96, 168, 190), (150, 205, 215)),
            Surface.ASPHALT: ((84, 94, 100), (178, 174, 164)),
            Surface.CONCRETE: ((188, 182, 168), (242, 238, 230)),
            Surface.PARKING: ((88, 96, 100), (196, 190, 178)),
            Surface.SOIL: ((160, 148, 126), (226, 212, 188)),
            Surface.GRAVEL: ((166, 158, 142), (214, 206, 190)),
            Surface.LAWN: ((80, 106, 92), (198, 184, 152)),
            Surface.MEADOW: ((98, 112, 98), (212, 196, 164)),
            Surface.TURF: ((78, 116, 94), (158, 164, 128)),
            Surface.CROP: ((98, 122, 94), (206, 186, 146)),
            Surface.MARSH: ((70, 88, 82), (140, 140, 116)),
            Surface.SHRUB: ((70, 86, 84), (116, 122, 104)),
            Surface.TREE: ((46, 66, 74), (98, 114, 100)),
            Surface.SWAMP_TREE: ((54, 72, 76), (98, 110, 98)),
        },
        (
            (188, 170, 144),
            (214, 206, 190),
            (244, 244, 240),
            (178, 124, 96),
            (130, 132, 130),
            (126, 108, 92),
            (80, 82, 86),
            (158, 148, 132),
        ),
        nir=0.7,
    ),
    # Tan ground everywhere: gravel, roofs of tile and dirt share their colours.
    "desert": Palette(
        {
            Surface.WATER: ((60, 68, 62), (96, 98, 84)),
            Surface.POOL: ((92, 160, 172), (148, 196, 200)),
            Surface.ASPHALT: ((86, 84, 80), (148, 142, 130)),
            Surface.CONCRETE: ((156, 148, 134), (206, 200, 186)),
            Surface.PARKING: ((82, 80, 76), (144, 138, 126)),
            Surface.SOIL: ((122, 108, 92), (188, 168, 142)),
            Surface.GRAVEL: ((112, 100, 90), (192, 176, 154)),
            Surface.LAWN: ((74, 94, 64), (156, 146, 118)),
            Surface.MEADOW: ((96, 100, 76), (168, 152, 124)),
            Surface.TURF: ((72, 98, 64), (150, 150, 120)),
            Surface.CROP: ((78, 108, 64), (170, 152, 118)),
            Surface.MARSH: ((70, 76, 60), (124, 116, 92)),
            Surface.SHRUB: ((66, 64, 54), (112, 106, 88)),
            Surface.TREE: ((42, 50, 40), (94, 96, 76)),
            Surface.SWAMP_TREE: ((46, 54, 44), (92, 94, 76)),
        },
        (
            (142, 126, 108),
            (168, 146, 120),
            (174, 130, 106),
            (152, 112, 92),
            (118, 106, 96),
            (188, 172, 150),
            (214, 210, 202),
            (96, 88, 82),
        ),
        nir=1.15,
    ),
}
"""Palette of each look; near the tones of NAIP over four US cities."""
