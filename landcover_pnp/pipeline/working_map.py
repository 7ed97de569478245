"""The final probabilities of a run on its working grid, whatever grid the map is on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.arrays import normalise
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import STUDENT, RunFolder

_BLOCK_PX = 256


@dataclass(frozen=True)
class WorkingMap:
    """Probabilities of a finished map, read by windows of working pixels.

    Attributes:
        path: The map's probabilities, a student's or the engine's.
        geobox: The working grid.
    """

    path: Path
    geobox: GeoBox

    @property
    def extent(self) -> Box:
        """All working pixels."""
        height, width = self.geobox.shape
        return Box(0, int(height), 0, int(width))

    @cached_property
    def overlay(self) -> Overlay:
        """The map's own pixels, laid over the working grid."""
        with open_raster(self.path, "probabilities") as source:
            return Overlay(self.geobox, GeoBox.from_rio(source))

    @classmethod
    def of(cls, run: Path, geobox: GeoBox, *, student: bool) -> WorkingMap:
        """The map of a run.

        Args:
            run: The run folder.
            geobox: Its working grid.
            student: Whether a student has drawn the map.
        """
        return cls(RunFolder(run).probability(STUDENT if student else "map"), geobox)

    def read(self, box: Box) -> NDArray[np.float32]:
        """Probabilities of a window; of a finer map the means of working pixels.

        Args:
            box: Working pixels.

        Returns:
            (class, y, x) float32, sum to 1, or all 0 without data.
        """
        with open_raster(self.path, "probabilities") as source:
            p = decode(read(source, source.indexes, self.overlay.box(box)))
        return normalise(self.overlay.mean(p, box))

    def windows(self, side_px: int, most: int) -> list[tuple[NDArray[np.float32], tuple[int, int]]]:
        """Windows with data, spread over the whole map.

        Args:
            side_px: Side of a window.
            most: How many; fewer where the map has fewer.

        Returns:
            Probabilities (class, y, x), and the position (y, x) of the first pixel, of each.
        """
        boxes = list(blocks(self.extent, side_px))
        # Every so-maniest first, then the next ones: of a map with little data some are found.
        step = max(1, len(boxes) // most)
        found: list[tuple[NDArray[np.float32], tuple[int, int]]] = []
        for box in (boxes[i] for first in range(step) for i in range(first, len(boxes), step)):
            p = self.read(box)
            if p.any():
                found.append((p, (box.y0, box.x0)))
            if len(found) == most:
                break
        return found

    def sample(self, most: int) -> NDArray[np.float32]:
        """Pixels with data on a regular grid over the whole map.

        Args:
            most: About how many; a map of fewer pixels gives all.

        Returns:
            (class, pixel) float32.
        """
        height, width = self.extent.shape
        step = max(1, int(np.ceil(np.sqrt(height * width / most))))
        parts = [np.zeros((CLASS_COUNT, 0), np.float32)]
        for box in blocks(self.extent, _BLOCK_PX):
            p = self.read(box)[:, -box.y0 % step :: step, -box.x0 % step :: step]
            parts.append(p[:, p.any(axis=0)])
        return np.concatenate(parts, axis=1)
