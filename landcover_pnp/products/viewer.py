"""What a page's viewer shows: pictures of one piece of ground, laid over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from landcover_pnp.legend import Legend
from landcover_pnp.products.picture_grid import PictureGrid
from landcover_pnp.products.pictures import RGBA
from landcover_pnp.products.styles import Colour, RampStyle
from landcover_pnp.products.tile_pyramid import TILE_PX, Levels, pyramid, reduced, size_of, webp

FILE_BYTES = 15_000_000
"""A report has no more bytes."""

TILES_BYTES = 9_500_000
"""Its tiles have no more: image and map at their own pixels, or larger ones."""

LAYERS_BYTES = 4_000_000
"""Its other layers have no more, each a single picture."""

LAYER_PX = 1400
"""Longest side of these; larger rasters are thinned out."""

STATIC_PX = 900
"""Longest side of the pictures that are printed, or shown where no script runs."""

Entries = tuple[tuple[Colour, str], ...]
"""Colours of a legend and what they mean."""


@dataclass(frozen=True)
class ShownLayer:
    """A layer of a viewer.

    Attributes:
        name: Its name.
        legend: Its colours.
        levels: Its tiles, see ``tile_pyramid``; else ``picture`` holds all of it.
        picture: ``data:`` address of one picture over all of the ground.
        still: The same as a small picture, for print, where it is one of the first two.
    """

    name: str
    legend: Entries = ()
    levels: Levels | None = None
    picture: str = ""
    still: str = ""


def tiled_layer(name: str, pixels: RGBA, legend: Entries = (), *, exact: bool) -> ShownLayer:
    """A layer of tiles.

    Args:
        name: Its name.
        pixels: (y, x, 4) uint8 of a picture grid.
        legend: Its colours.
        exact: Whether each pixel keeps its colour.
    """
    factor = -(-max(pixels.shape) // STATIC_PX)
    still = reduced(pixels, factor) if exact else Image.fromarray(pixels).reduce(factor)
    return ShownLayer(name, legend, pyramid(pixels, exact=exact), "", webp(still, exact=exact))


def whole_layer(name: str, pixels: RGBA, legend: Entries = (), *, exact: bool) -> ShownLayer:
    """A layer that is one picture, whatever its pixels."""
    return ShownLayer(name, legend, None, webp(pixels, exact=exact))


def size_of_tiles(layers: Sequence[ShownLayer]) -> int:
    """Characters of the tiles of layers."""
    return sum(size_of(layer.levels) for layer in layers if layer.levels)


def class_entries(legend: Legend) -> Entries:
    """Colours and names of classes."""
    return tuple((c.colour, c.name) for c in legend.classes)


def ramp_entries(style: RampStyle) -> Entries:
    """Colours and values of a ramp."""
    return tuple((colour, f"{value:g}{style.unit}") for value, colour in style.stops)


@dataclass(frozen=True)
class Viewer:
    """Layers of one piece of ground.

    Attributes:
        grid: Pixels of the tiles.
        base: What lies below; None where there is no image.
        layers: What is laid over it, the first at first.
        places: Squares that are marked: middle (x, y) in the CRS of the map, side in metres, and
            a label.
        title: What is seen, for those who cannot see it.
    """

    grid: PictureGrid
    base: ShownLayer | None
    layers: tuple[ShownLayer, ...]
    places: tuple[Mapping[str, Any], ...] = ()
    title: str = "map"

    @property
    def data(self) -> dict[str, Any]:
        """What the viewer's script is given."""
        geobox = self.grid.geobox
        ground, (height, width) = geobox.boundingbox, self.grid.shape
        own = self.grid.map.boundingbox  # the last pixels may reach over it
        return {
            "left": ground.left,
            "top": ground.top,
            "pixel": [abs(geobox.resolution.x), abs(geobox.resolution.y)],
            "size": [width, height],
            "ground": [own.left, own.bottom, own.right, own.top],
            "tile": TILE_PX,
            "base": _content(self.base) if self.base else None,
            "layers": [_content(layer) for layer in self.layers],
            "places": list(self.places),
        }

    @property
    def stills(self) -> list[tuple[str, str]]:
        """Names and addresses of the pictures that are printed: the image, and the first layer."""
        both = (self.base, *self.layers[:1])
        return [(one.name, one.still or one.picture) for one in both if one is not None]

    @property
    def scale(self) -> dict[str, str]:
        """The bar of a still picture, see ``scale_bar``."""
        ground = self.grid.geobox.boundingbox
        return scale_bar(ground.right - ground.left)


def scale_bar(width_m: float) -> dict[str, str]:
    """A bar of at most a quarter of a width, 1, 2 or 5 times a power of ten in metres.

    Args:
        width_m: Width of the picture, metres.

    Returns:
        ``text``, its length, and ``percent``, the same of the width.
    """
    power = 10.0 ** np.floor(np.log10(width_m / 4))
    length_m = power * max(step for step in (1, 2, 5) if step * power <= width_m / 4)
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    return {"text": text, "percent": f"{100 * length_m / width_m:.3f}"}


def _content(layer: ShownLayer) -> dict[str, Any]:
    return {"name": layer.name, "levels": layer.levels, "picture": layer.picture}
