"""A picture as tiles at several sizes, so that a page draws only what it shows."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landcover_pnp.products.pictures import RGBA

TILE_PX = 512
"""Side of a tile."""

QUALITY = 80
"""Of pictures with soft colours, 0 to 100; those of classes lose nothing."""

Levels = list[list[list[str]]]
"""``data:`` addresses by level, row and column; each level has half the pixels a side of the one
before, ``""`` stands for a tile without data."""


def webp(pixels: NDArray[np.uint8] | Image.Image, *, exact: bool) -> str:
    """A picture as a ``data:`` address.

    Args:
        pixels: (y, x, 4) RGBA or (y, x, 3) RGB uint8, or a picture.
        exact: Whether each pixel keeps its colour.

    Returns:
        ``data:image/webp;base64,...``; the same pixels give the same text.
    """
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    options: dict[str, Any] = {"lossless": True, "quality": 50, "method": 2}
    buffer = io.BytesIO()
    image.save(buffer, "webp", **(options if exact else {"quality": QUALITY, "method": 4}))
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def pyramid(picture: RGBA, *, exact: bool) -> Levels:
    """A picture's tiles.

    Args:
        picture: (y, x, 4) uint8.
        exact: Whether each pixel keeps its colour, as those of classes: levels are thinned out,
            else averaged.

    Returns:
        Levels from all pixels to those that fit one tile.
    """
    levels, shown = [_tiles(picture, exact)], Image.fromarray(picture)
    while max(picture.shape[0] >> len(levels) - 1, picture.shape[1] >> len(levels) - 1) > TILE_PX:
        shown = shown.reduce(2)
        levels.append(
            _tiles(reduced(picture, 2 ** len(levels)) if exact else np.asarray(shown), exact)
        )
    return levels


def reduced(picture: RGBA, factor: int) -> RGBA:
    """One row and column of every ``factor``, the middle one."""
    rows, columns = (
        np.minimum((np.arange(-(-n // factor)) * factor + factor // 2), n - 1)
        for n in picture.shape[:2]
    )
    return np.asarray(picture[np.ix_(rows, columns)])


def size_of(levels: Levels) -> int:
    """Characters of all addresses."""
    return sum(len(tile) for level in levels for row in level for tile in row)


def _tiles(picture: RGBA, exact: bool) -> list[list[str]]:
    height, width = picture.shape[:2]
    return [
        [_tile(picture[y : y + TILE_PX, x : x + TILE_PX], exact) for x in range(0, width, TILE_PX)]
        for y in range(0, height, TILE_PX)
    ]


def _tile(pixels: RGBA, exact: bool) -> str:
    if not pixels[..., 3].any():
        return ""
    whole = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    return webp(whole, exact=exact)
