"""Spectral indices of an image: how green, bright and red a pixel is, by the bands there are.

Which bands can be used is looked at first. Near infrared that is constant or a copy of another
band tells nothing. Visible bands rise and fall together, near infrared does not, where anything
grows: if of four bands another than the last correlates least with the rest, the two were swapped,
and no index that takes either of them counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.storage.bands import NAMES

INDICES = ("vegetation", "brightness", "redness")
"""The indices, in the order of ``index_values``."""

UNUSED = "other"
"""Name of a band that no index takes."""

_LEAST_SPREAD = 0.005
"""Standard deviation below which a band or an index, 0 to 1, is constant but for noise."""

_COPY = 0.9999
"""Correlation above which a band is a copy of another."""

_CLEARLY = 0.02
"""How much less a band must correlate with the others than near infrared does, to be it.

In 24 images (real of four looks and twelve places, and synthetic) near infrared was the least
correlated band by .05 or more."""


def greenness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalised green-red difference (Tucker 1979): (band, y, x) R,G,... -> (y, x), -1..1."""
    return normalised_difference(image[1], image[0])


def normalised_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(a - b) / (a + b), and 0 where both are 0."""
    total = a + b
    ratio = np.divide(a - b, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(ratio, np.float32)


def index_values(image: NDArray[np.float32], bands: Sequence[str]) -> NDArray[np.float32]:
    """Vegetation, brightness and redness of each pixel.

    Vegetation is the normalised difference of near infrared and red (NDVI, Rouse et al. 1974), or
    of green and red where there is no near infrared; redness that of red and blue, since iron
    oxides in soil take away blue. Brightness is the mean of red, green and blue: near infrared
    would make trees bright.

    Args:
        image: (band, ...) float32 in 0..1.
        bands: Names of its bands; one named ``UNUSED`` is not looked at.

    Returns:
        (3, ...) float32; NaN where a band that an index takes is not there.
    """
    band = {name: image[i] for i, name in enumerate(bands) if name != UNUSED}
    nothing = np.full_like(image[0], np.nan)
    found = [nothing, nothing, nothing]
    for name in ("green", "nir"):  # the latter where there is
        if name in band and "red" in band:
            found[0] = normalised_difference(band[name], band["red"])
    if {"red", "green", "blue"} <= band.keys():
        found[1] = (band["red"] + band["green"] + band["blue"]) / np.float32(3)
    if {"red", "blue"} <= band.keys():
        found[2] = normalised_difference(band["red"], band["blue"])
    return np.stack(found)


def usable_bands(
    pixels: NDArray[np.float32], bands: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which bands the indices may take, by a sample of an image.

    Args:
        pixels: (band, n) float32 in 0..1.
        bands: Names of the bands.

    Returns:
        The names, ``UNUSED`` in place of those that cannot be used; and a sentence on each fault.
    """
    names = list(bands)
    if "nir" not in names or not pixels.size:
        return tuple(names), ()
    nir = names.index("nir")
    spread = pixels.std(axis=1)
    if spread[nir] < _LEAST_SPREAD:
        names[nir] = UNUSED
        return tuple(names), (f"the near infrared band is constant, {pixels[nir].mean():.2f} of 1",)
    if (spread < _LEAST_SPREAD).any():
        return tuple(names), ()
    alike = np.atleast_2d(np.corrcoef(pixels.astype(np.float64)))
    copied = [i for i in range(len(names)) if i != nir and alike[i, nir] > _COPY]
    if copied:
        names[nir] = UNUSED
        return tuple(names), (f"the near infrared band is a copy of {_name(bands[copied[0]])}",)
    mean = (alike.sum(axis=1) - 1) / (len(names) - 1)
    odd = int(mean.argmin())
    if len(names) < len(NAMES) or mean[odd] > mean[nir] - _CLEARLY:
        return tuple(names), ()
    names[nir] = names[odd] = UNUSED
    return tuple(names), (
        f"the {_name(bands[odd])} band looks like near infrared, and the two like swapped ones "
        "(scene.rasters.bands says which is which)",
    )


def _name(band: str) -> str:
    return NAMES.get(band, band)
