"""Ground whose class a user has said, as a student learns from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, NO_DATA
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.student.image_models import TrainingWindow
from landcover_pnp.student.mapped_scene import MappedScene
from landcover_pnp.student.settings import StudentSettings

AROUND_PX = 8
"""Working pixels around known ground that are seen with it."""

_TINY = 1e-6


@dataclass(frozen=True)
class KnownGround:
    """Pixels of an image whose class is known.

    Attributes:
        path: Raster on the map's grid: (y, x) uint8 codes of classes, 0 = not known.
        working: The working grid.
        share: Share of what a student learns from that is to be known ground, 0..1; less where it
            has fewer pixels.
    """

    path: Path
    working: GeoBox
    share: float

    def codes(self, box: Box) -> NDArray[np.uint8]:
        """Known classes of the map's pixels in a window.

        Args:
            box: Working pixels.

        Returns:
            (map y, map x) uint8 codes of classes, 0 = not known.
        """
        with open_raster(self.path, "edits") as source:
            overlay = Overlay(self.working, GeoBox.from_rio(source))
            return np.asarray(read(source, 1, overlay.box(box)), np.uint8)

    def touched(self, box: Box) -> NDArray[np.bool_]:
        """Working pixels of which some part is known: (y, x) bool."""
        with open_raster(self.path, "edits") as source:
            overlay = Overlay(self.working, GeoBox.from_rio(source))
            codes = read(source, 1, overlay.box(box))
        return np.asarray(overlay.mean(codes > 0, box) > 0)

    def training_windows(
        self, mapped_scene: MappedScene, settings: StudentSettings
    ) -> list[TrainingWindow]:
        """Windows with known ground, their targets as fine as the image.

        Args:
            mapped_scene: The run that the ground is of.
            settings: Most windows, and the seed by which some of more are chosen.

        Returns:
            Training windows of equal weight where the class is known, and 0 elsewhere.
        """
        found = [box for box in mapped_scene.windows() if self.codes(box).any()]
        rng = np.random.default_rng(settings.seed)
        wanted = min(len(found), settings.windows)
        chosen = sorted(rng.choice(len(found), wanted, replace=False)) if found else []
        return [self._training_window(mapped_scene, self._cut(found[n])) for n in chosen]

    def _cut(self, window: Box) -> Box:
        """The part of a window that holds its known ground."""
        (y,), (x,) = (np.nonzero(self.touched(window).any(axis=axis)) for axis in (1, 0))
        (y0, y1), (x0, x1) = ((int(at[0]), int(at[-1]) + 1) for at in (y, x))
        known = Box(window.y0 + y0, window.y0 + y1, window.x0 + x0, window.x0 + x1)
        return known.grow(AROUND_PX).clip(window)

    def _training_window(self, mapped_scene: MappedScene, box: Box) -> TrainingWindow:
        fine = mapped_scene.fine
        with (
            open_raster(self.path, "edits") as source,
            on_grid(source, fine.geobox, Resampling.nearest) as view,
        ):
            drawn = read(view, 1, fine.fine(box))
        valid = mapped_scene.upsampled(mapped_scene.scene.valid(box).astype(np.float32))
        codes = np.where(valid > 0, drawn, NO_DATA)
        target = codes == np.arange(1, CLASS_COUNT + 1)[:, None, None]
        weight = (codes != NO_DATA).astype(np.float32)
        return TrainingWindow(
            fine.image(box), target.astype(np.float32), weight, detail=fine.factor
        )


def weighted(
    said: Sequence[TrainingWindow], others: Sequence[TrainingWindow], share: float
) -> list[TrainingWindow]:
    """Windows of known ground, weighted to be a share of all that is learned from.

    Args:
        said: Windows of known ground.
        others: Windows of the map.
        share: The share, 0..1.

    Returns:
        The windows, their weights multiplied by the same number.
    """
    mass, own = (sum(float(w.weight.sum()) for w in windows) for windows in (others, said))
    factor = share / max(1 - share, _TINY) * mass / max(own, _TINY)
    return [dataclasses.replace(w, weight=np.asarray(w.weight * factor, np.float32)) for w in said]
