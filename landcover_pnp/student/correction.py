"""A map corrected by a user: what was drawn is held, and tells of the ground around it.

Two things are known of ground near a place that was mapped wrong. It is likelier to be of that
place's class than the map thought, since errors stand together:

    log q(l) = log p(l) + strength exp(-d / reach) [l is the nearest edit's class]

and where it looks like that place, the student that has learned from the edits knows better. But
that student has seen errors alone, so that elsewhere it overdoes what it has learned: what it says
counts the less, the further away the nearest edit is,

    log p(l) = (1 - w) log before(l) + w log learned(l),   w = exp(-d / learning_reach).

Both end a few times their reach away: the rest of the map stays as it was, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landcover_pnp.arrays import normalise
from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.storage.probabilities import PROBABILITY_ONE, decode, encode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import STUDENT, RunFolder
from landcover_pnp.student.known_ground import KnownGround
from landcover_pnp.student.mapped_scene import MappedScene

Floats = NDArray[np.float32]

REACHES = 5
"""Times its reach from an edit that a weight ends: it would be less than 1 % there."""

_TINY = 1e-4


@dataclass(frozen=True)
class Correction:
    """How a map is changed by a user's edits.

    Attributes:
        known: The edits.
        learning_reach_m: Distance from an edit at which the student that has learned from it has
            lost all but 1/e of its weight.
        reach_m: The same of the edit's own class.
        strength: Log odds of an edit's class beside the edit.
    """

    known: KnownGround
    learning_reach_m: float
    reach_m: float
    strength: float

    def around_px(self, resolution_m: float) -> int:
        """Pixels of a side in metres around an edit beyond which the map stays as it was."""
        return math.ceil(REACHES * max(self.learning_reach_m, self.reach_m) / resolution_m)

    def reaches(self, mapped_scene: MappedScene, box: Box) -> bool:
        """Whether an edit changes anything in a window of working pixels."""
        around = box.grow(self.around_px(mapped_scene.scene.resolution_m))
        return bool(self.known.codes(around.clip(mapped_scene.scene.extent)).any())

    def drawn(
        self, mapped_scene: MappedScene, box: Box, learned: Callable[[], Floats]
    ) -> NDArray[np.uint16]:
        """The corrected map of a window; the same whatever windows a map is cut into.

        Args:
            mapped_scene: The run whose map is corrected.
            box: Working pixels.
            learned: Asks the student that has learned from the edits: (class, map y, map x)
                float32 probabilities.

        Returns:
            (class, map y, map x) uint16 stored probabilities.
        """
        with open_raster(RunFolder(mapped_scene.run).probability(STUDENT), STUDENT) as source:
            stored = read(source, source.indexes, mapped_scene.fine.overlay.box(box))
        overlay, resolution_m = mapped_scene.fine.overlay, mapped_scene.scene.resolution_m
        around = box.grow(self.around_px(resolution_m)).clip(mapped_scene.scene.extent)
        codes = self.known.codes(around)
        if not codes.any() or not stored.any():
            return np.asarray(stored, np.uint16)
        inside = overlay.box(box).within(overlay.box(around))
        pixel_m = abs(overlay.geobox.resolution.y), abs(overlay.geobox.resolution.x)
        distance_m, nearest = nearest_edit(codes, pixel_m)
        return self.applied(stored, learned(), distance_m[inside], nearest[inside])

    def applied(
        self,
        stored: NDArray[np.uint16],
        learned: Floats,
        distance_m: Floats,
        nearest: NDArray[np.uint8],
    ) -> NDArray[np.uint16]:
        """A map changed by edits.

        Args:
            stored: (class, y, x) stored probabilities of the map as it was; all 0 = no data.
            learned: (class, y, x) probabilities of the student that has learned from the edits.
            distance_m: (y, x) metres to the nearest edit, 0 in one.
            nearest: (y, x) codes of its class.

        Returns:
            (class, y, x) stored probabilities: those before where no edit reaches, and certain in
            an edit.
        """
        w = fading(distance_m, self.learning_reach_m)
        own = np.arange(1, CLASS_COUNT + 1, dtype=np.uint8)[:, None, None] == nearest
        logs = (1 - w) * _log(decode(stored)) + w * _log(learned)
        logs += self.strength * fading(distance_m, self.reach_m) * own
        p = normalise(np.exp(logs - logs.max(axis=0)))
        changed = np.where(distance_m > 0, encode(np.asarray(p, np.float32)), PROBABILITY_ONE * own)
        end = REACHES * max(self.learning_reach_m, self.reach_m)
        reached = (distance_m < end) | (distance_m == 0)  # edits are held even where none reaches
        # No data is no ground that anybody can know.
        return np.where(reached & stored.any(axis=0), changed, stored).astype(np.uint16)


def nearest_edit(
    codes: NDArray[np.uint8], pixel_m: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Distance to the nearest edit, and its class.

    Args:
        codes: (y, x) codes of classes, 0 = no edit; not 0 everywhere.
        pixel_m: Height and width of a pixel, metres.

    Returns:
        (y, x) float32 metres, 0 in an edit, and (y, x) uint8 codes.
    """
    there = [code for code in WORKING.codes if (codes == code).any()]
    # By class: which of two edits as far away counts must not depend on the window.
    distances = np.stack([distance_transform_edt(codes != code, pixel_m) for code in there])
    nearest = np.array(there, np.uint8)[distances.argmin(axis=0)]
    return distances.min(axis=0).astype(np.float32), nearest


def fading(distance_m: Floats, reach_m: float) -> Floats:
    """exp(-d / reach), moved and stretched so that it is 0 from ``REACHES`` times the reach on.

    Args:
        distance_m: (y, x) float32 metres, from 0.
        reach_m: The reach; 0 is none but at distance 0.

    Returns:
        (y, x) float32 from 1 at distance 0 to 0.
    """
    end = math.exp(-REACHES)
    weight = np.exp(-distance_m / max(reach_m, 1e-6))
    return np.asarray(np.clip((weight - end) / (1 - end), 0, 1), np.float32)


def _log(p: Floats) -> Floats:
    return np.asarray(np.log(p + np.float32(_TINY)), np.float32)
