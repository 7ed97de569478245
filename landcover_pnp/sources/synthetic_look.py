"""The aerial image of a synthetic city: colours, texture, light and shadow, camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import expit

from landcover_pnp.sources.synthetic_nature import smooth_noise
from landcover_pnp.sources.synthetic_plan import Plan
from landcover_pnp.sources.synthetic_style import Look, Surface

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


# Near infrared as a multiple of the mean of red, green and blue, for both tones.
_NIR: dict[Surface, tuple[float, float]] = {
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

# Relative brightness of fine grain.
_GRAIN: dict[Surface, float] = {
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
            Surface.TREE: ((80, 102, 112), (128, 154, 138)),
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
        nir=1.0,
    ),
    # Dark forest, red clay, warm and contrasty.
    "piedmont": Palette(
        {
            Surface.WATER: ((70, 70, 56), (122, 112, 90)),
            Surface.POOL: ((100, 160, 170), (150, 195, 195)),
            Surface.ASPHALT: ((84, 80, 76), (160, 152, 138)),
            Surface.CONCRETE: ((168, 160, 142), (224, 218, 206)),
            Surface.PARKING: ((78, 76, 74), (150, 142, 128)),
            Surface.SOIL: ((160, 108, 78), (218, 178, 142)),
            Surface.GRAVEL: ((148, 136, 118), (200, 190, 170)),
            Surface.LAWN: ((88, 106, 76), (186, 170, 134)),
            Surface.MEADOW: ((92, 106, 78), (190, 172, 132)),
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
        nir=1.2,
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
        nir=0.85,
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
        nir=1.05,
    ),
}
"""Palette of each look; near the tones of NAIP over four US cities."""


def photograph(plan: Plan, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Renders the aerial image of a plan.

    Args:
        plan: The city.
        rng: Source of randomness.

    Returns:
        (band, y, x) uint8 red, green, blue, near infrared.
    """
    palette = PALETTES[plan.look]
    shape = plan.labels.shape
    azimuth = np.radians(rng.uniform(-35.0, 35.0))  # of the shadows, from north
    toward_shade = np.array([-np.cos(azimuth), np.sin(azimuth)])  # y down, x right
    slope = np.tan(np.radians(rng.uniform(50.0, 64.0)))  # of the sun's rays

    image = _ground(plan, palette, rng)
    grain = smooth_noise(shape, {1.5: 1.0, 4.0: 0.6}, rng)
    roof_rise = np.minimum(distance_transform_edt(plan.roof_height_m > 0), 6.0)
    pitched = (plan.roof_height_m > 0) & (plan.roof_height_m < 8.6)
    light = 1.0 + pitched * _relief(roof_rise, toward_shade, 0.16)
    seen = plan.surface.copy()
    for canopy, surface in ((plan.shrubs, Surface.SHRUB), (plan.trees, Surface.TREE)):
        covered = canopy.height > 0
        image[covered] = _crowns(canopy.crown[covered], surface, palette, grain[covered], rng)
        light[covered] = 1.0 + _relief(2.0 * np.sqrt(canopy.height), toward_shade, 0.34)[covered]
        seen[covered] = surface
    strength = np.array([0, *(_GRAIN[surface] for surface in Surface)], np.float32)
    light *= 1.0 + strength[seen] * grain
    light *= 1.0 + 0.03 * smooth_noise(shape, {250.0: 1.0}, rng)
    image *= light[..., None].astype(np.float32)

    height_m = plan.roof_height_m + np.where(plan.trees.height > 0, 3.0, 0.0)
    height_m += 2.4 * plan.trees.height + 0.8 * plan.shrubs.height
    shade = gaussian_filter(_shadows(height_m, toward_shade, slope).astype(np.float32), 0.6)
    dark = np.array([0.56, 0.52, 0.44, 0.6], np.float32)  # the sky lights shadows blue
    image *= 1.0 - shade[..., None] * dark

    # The camera: exposure, haze, optics, noise.
    image *= (rng.uniform(0.93, 1.07) * rng.normal(1.0, 0.02, 4)).astype(np.float32)
    image += rng.normal(0.0, 3.0, 4).astype(np.float32)
    image = gaussian_filter(image, (0.65, 0.65, 0.0))
    image += 2.5 * rng.standard_normal(image.shape, np.float32)
    return np.moveaxis(np.clip(np.rint(image), 1, 255).astype(np.uint8), -1, 0)


def _with_nir(tone: Tone, factor: float) -> list[float]:
    """Red, green, blue, near infrared of a tone."""
    return [*tone, min(factor * sum(tone) / 3, 250.0)]


def _tones(surface: Surface, palette: Palette) -> NDArray[np.float32]:
    """(tone, band) the two tones of a surface."""
    if surface == Surface.ROOF:
        return np.zeros((2, 4), np.float32)  # coloured building by building
    pairs = zip(palette.tones[surface], _NIR[surface], strict=True)
    return np.array([_with_nir(tone, palette.nir * nir) for tone, nir in pairs], np.float32)


def _ground(plan: Plan, palette: Palette, rng: np.random.Generator) -> NDArray[np.float32]:
    """(y, x, band) colours below the crowns, in full light."""
    shape = plan.labels.shape
    tones = np.stack([np.zeros((2, 4), np.float32), *(_tones(s, palette) for s in Surface)])
    things = int(plan.thing.max()) + 1
    dry = rng.random(things, np.float32)
    dry[0] = 0.4
    broad = smooth_noise(shape, {140.0: 1.0, 35.0: 0.7, 9.0: 0.5}, rng)
    mix = np.clip(dry[plan.thing] + 0.13 * broad, 0.0, 1.0)[..., None]
    image: NDArray[np.float32] = tones[plan.surface, 0] * (1 - mix) + tones[plan.surface, 1] * mix

    # Grass thins out to bare soil gradually, while its label changes at once.
    thin = np.isin(plan.surface, [Surface.LAWN, Surface.MEADOW, Surface.SOIL])
    thin &= np.isfinite(plan.bareness) & (plan.bareness > -1.5)
    bare = expit(3.0 * plan.bareness[thin])[:, None]
    is_soil = (plan.surface[thin] == Surface.SOIL)[:, None]
    grass = np.where(is_soil, tones[Surface.LAWN, 1], image[thin])
    soil = np.where(is_soil, image[thin], tones[Surface.SOIL].mean(axis=0))
    image[thin] = grass * (1 - bare) + soil * bare

    roofs = np.array([_with_nir(tone, 0.95) for tone in palette.roofs], np.float32)
    weights = rng.dirichlet(np.full(len(roofs), 4.0))
    age = np.exp(rng.normal(0.0, 0.08, (things, 1))).astype(np.float32)
    colour = roofs[rng.choice(len(roofs), things, p=weights)] * age
    on_roof = plan.surface == Surface.ROOF
    image[on_roof] = colour[plan.thing[on_roof]]

    cars = smooth_noise(shape, {2.6: 1.0}, rng)
    parked = (plan.surface == Surface.PARKING) & (np.abs(cars) > 1.8)
    image[parked] *= np.where(cars[parked] > 0, np.float32(1.35), np.float32(0.6))[:, None]
    return image


def _crowns(
    crown: NDArray[np.int32],
    surface: Surface,
    palette: Palette,
    grain: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(pixel, band) colours of crowns, each with its own mix of the two tones."""
    tones = _tones(surface, palette)
    mix = rng.beta(1.6, 1.6, int(crown.max(initial=0)) + 1)[crown]
    mix = np.clip(mix + 0.15 * grain, 0, 1).astype(np.float32)[:, None]
    colours: NDArray[np.float32] = tones[0] * (1 - mix) + tones[1] * mix
    return colours


def _relief(
    height: NDArray[np.floating], toward_shade: NDArray[np.float64], strength: float
) -> NDArray[np.float32]:
    """(y, x) rise towards the shade, clipped: the side in the sun is positive."""
    dy, dx = np.gradient(gaussian_filter(height.astype(np.float32), 0.7))
    facing = dy * toward_shade[0] + dx * toward_shade[1]
    relief: NDArray[np.float32] = np.clip(strength * facing, -0.45, 0.45)
    return relief


def _shadows(
    height_m: NDArray[np.floating], toward_shade: NDArray[np.float64], slope: float
) -> NDArray[np.bool_]:
    """(y, x) where something toward the sun is higher than the sun's ray."""
    shade = np.zeros(height_m.shape, bool)
    rows, columns = (np.arange(size) for size in height_m.shape)
    for far in range(1, int(height_m.max() / slope) + 1):
        dy, dx = np.rint(far * toward_shade).astype(int)
        y = np.clip(rows - dy, 0, len(rows) - 1)
        x = np.clip(columns - dx, 0, len(columns) - 1)
        shade |= height_m[np.ix_(y, x)] - far * slope > height_m
    return shade
