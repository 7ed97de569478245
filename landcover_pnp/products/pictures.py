"""Rasters of a run as pictures for people: thinned out where large, in the legend's colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from landcover_pnp.legend import LEGENDS, NO_DATA, Legend, to_working
from landcover_pnp.products.rasters import PERCENT_NO_DATA
from landcover_pnp.products.styles import RampStyle
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.bands import shown

RGBA = NDArray[np.uint8]
"""(y, x, 4) uint8; alpha 0 where there is no data."""


def thinned(path: Path, side_px: int) -> NDArray[Any]:
    """A raster read at no more than ``side_px`` a side, by nearest neighbour: (band, y, x)."""
    with rasterio.open(path) as source:
        factor = max(1.0, max(source.height, source.width) / side_px)
        height, width = (max(1, round(side / factor)) for side in source.shape)
        shape = (source.count, height, width)
        return np.asarray(source.read(out_shape=shape, resampling=Resampling.nearest))


def image_picture(scene: Scene, side_px: int) -> RGBA:
    """The scene's image in true colour; in false colour where it has no blue."""
    bands = thinned(scene.folder / "image.tif", side_px)[list(shown(scene.bands))]
    colours = np.moveaxis(bands, 0, -1)
    valid = thinned(scene.folder / "valid.tif", side_px)[0] == 1
    scaled = np.clip(255 * (colours / scene.image_scale), 0, 255).round().astype(np.uint8)
    return np.dstack([scaled, np.where(valid, 255, 0).astype(np.uint8)])


def class_picture(labels: NDArray[np.uint8], legend: Legend) -> RGBA:
    """Labels (y, x) in the legend's colours."""
    table = np.zeros((256, 4), np.uint8)
    for code, colour in legend.colormap.items():
        table[code] = colour
    return np.asarray(table[labels])


def ramp_picture(percent: NDArray[np.uint8], style: RampStyle) -> RGBA:
    """Percentages (y, x), 255 = no data, in the colours of a ramp."""
    values, colours = zip(*style.stops, strict=True)
    channels = [np.interp(percent, values, channel) for channel in zip(*colours, strict=True)]
    alpha = np.where(percent == PERCENT_NO_DATA, 0, 255)
    return np.dstack([*channels, alpha]).round().astype(np.uint8)


def truth_labels(scene: Scene, side_px: int) -> NDArray[np.uint8] | None:
    """The scene's truth in the working classes, None where there is none."""
    if scene.truth_legend is None:
        return None
    codes = thinned(scene.folder / "truth.tif", side_px)[0]
    return to_working(codes, LEGENDS[scene.truth_legend], "truth")


def at_pixels(codes: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(y, x) codes of the same ground at other pixels, by nearest neighbour."""
    rows, columns = (  # of the centres
        (2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(shape, codes.shape, strict=True)
    )
    return np.asarray(codes[np.ix_(rows, columns)])


def error_labels(labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where a map agrees with the truth: 1 the same class, 2 another, 0 where either is not.

    Args:
        labels: (y, x) codes of classes.
        truth: Codes of the same classes and ground, coarser where a student drew the map.

    Returns:
        (y, x) codes of ``products.ERRORS``.
    """
    truth = at_pixels(truth, labels.shape)
    known = (labels != NO_DATA) & (truth != NO_DATA)
    return np.where(known, np.where(labels == truth, 1, 2), NO_DATA).astype(np.uint8)
