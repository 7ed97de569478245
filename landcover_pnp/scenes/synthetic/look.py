"""The aerial image of a synthetic city: colours, texture, light and shadow, camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import expit

from landcover_pnp.scenes.synthetic.nature import smooth_noise
from landcover_pnp.scenes.synthetic.palette import GRAIN, NIR, PALETTES, Palette, Tone
from landcover_pnp.scenes.synthetic.plan import Plan
from landcover_pnp.scenes.synthetic.style import Surface


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
    light = 1.0 + pitched * _relief(roof_rise, toward_shade, 0.2)
    seen = plan.surface.copy()
    for canopy, surface in ((plan.shrubs, Surface.SHRUB), (plan.trees, Surface.TREE)):
        covered = canopy.height > 0
        image[covered] = _crowns(canopy.crown[covered], surface, palette, grain[covered], rng)
        light[covered] = 1.0 + _relief(2.0 * np.sqrt(canopy.height), toward_shade, 0.45)[covered]
        seen[covered] = surface
    strength = np.array([0, *(GRAIN[surface] for surface in Surface)], np.float32)
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
    pairs = zip(palette.tones[surface], NIR[surface], strict=True)
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
    age = rng.beta(1.6, 1.6, int(crown.max(initial=0)) + 1).astype(np.float32)
    mix = np.clip(age[crown] + 0.15 * grain, 0.0, 1.0)[:, None]
    colours: NDArray[np.float32] = tones[0] * (1 - mix) + tones[1] * mix
    return colours


def _relief(
    height: NDArray[np.floating], toward_shade: NDArray[np.float64], strength: float
) -> NDArray[np.float32]:
    """(y, x) rise towards the shade, clipped: the side in the sun is positive."""
    dy, dx = np.gradient(gaussian_filter(height.astype(np.float32), 1.2))
    facing = (dy * toward_shade[0] + dx * toward_shade[1]).astype(np.float32)
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
