"""Windows of a scene in random order: what is told from a sample of it looks at these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legends.coarse_legend import CoarseLegend

WINDOW_PX = 64
"""Side of the windows, working pixels."""

_SEED = 0


class WindowLayers(Protocol):
    """The layers of a scene, as ``Scene`` gives them."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the image's bands."""

    @property
    def resolution_m(self) -> float:
        """Side of a pixel in metres."""

    @property
    def extent(self) -> Box:
        """All pixels."""

    def image(self, box: Box) -> NDArray[np.float32]:
        """(band, y, x) float32 in 0..1."""

    def valid(self, box: Box) -> NDArray[np.bool_]:
        """(y, x) where there is data."""

    def seen(self, box: Box) -> NDArray[np.bool_]:
        """(y, x) where there is data and the image shows the ground."""

    @property
    def legends(self) -> tuple[CoarseLegend, ...]:
        """Legends of the coarse maps."""

    def coarse(self, box: Box) -> NDArray[np.uint8]:
        """(map, y, x) numbers of the coarse maps' classes, 0 = no data."""

    def coverage(self, layer: str, box: Box) -> NDArray[np.float32] | None:
        """(y, x) covered share of a layer, None without it."""


def windows_in_order(extent: Box) -> list[Box]:
    """All windows of an extent, in random order, the same for the same extent."""
    windows = list(blocks(extent, WINDOW_PX))
    order = np.random.default_rng(_SEED).permutation(len(windows))
    return [windows[number] for number in order]


def some_windows(scene: WindowLayers, size_px: int, most: int | None = None) -> Iterator[Box]:
    """Windows of a scene in random order, always the same, until they hold so many pixels.

    Args:
        scene: The scene.
        size_px: Pixels with data that are wanted; all windows where it has fewer.
        most: Most windows, of a scene with little data.

    Yields:
        Working pixels.
    """
    seen = 0
    for box in windows_in_order(scene.extent)[:most]:
        yield box
        seen += int(scene.seen(box).sum())
        if seen >= size_px:
            return
