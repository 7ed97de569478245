"""What the prior makes of edits: ground near them that is unsure follows them where it would.

A prior knows which classes stand beside each other, but its own mix of classes is that of the maps
it has learned from. What an edit tells is asked for by itself, as the ratio of two answers of the
prior, in which that mix cancels:

    q(l) = p(l) (p(l | map with the edits) / p(l | map before, at the edits))^weight
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from landcover_pnp.arrays import normalise
from landcover_pnp.grid import Box, blocks
from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.products.rasters import classes
from landcover_pnp.storage.probabilities import decode, encode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DRAWN, STUDENT, RunFolder
from landcover_pnp.student.known_ground import KnownGround
from landcover_pnp.student.mapped_scene import MappedScene

Floats = NDArray[np.float32]

BLOCK_PX = 128
"""Side of the windows that are completed at a time, working pixels."""

SEEN_PX = 32
"""Working pixels around a window that the prior sees with it."""

_ONCE = FillSettings(steps=1)
"""One look: what is revealed first would be the prior's own mix again."""

_TINY = 1e-3


@dataclass(frozen=True)
class Completion:
    """How a prior completes a corrected map.

    Attributes:
        prior: A prior of either kind, see ``filling.fill``.
        reach_m: Distance from an edit up to which it does, metres.
        below: Probability of its class below which a pixel is unsure.
        weight: Power of what the prior says.
        seed: Seed of a Gaussian prior's noise.
    """

    prior: Any
    reach_m: float
    below: float
    weight: float = 1.0
    seed: int = 0

    def parts(
        self, mapped_scene: MappedScene, known: KnownGround
    ) -> Iterator[tuple[Box, NDArray[np.uint16]]]:
        """The completed map, window by window.

        Args:
            mapped_scene: A run with a corrected map, see ``RunFolder.drawn``.
            known: The edits.

        Yields:
            Windows on the map's grid, and their stored probabilities (class, map y, map x): those
            that were there where nothing was unsure.
        """
        paths, overlay = RunFolder(mapped_scene.run), mapped_scene.fine.overlay
        for box in blocks(mapped_scene.scene.extent, BLOCK_PX):
            around = box.grow(SEEN_PX).clip(mapped_scene.scene.extent)
            own = overlay.box(box)
            with open_raster(paths.corrected.probability(DRAWN), DRAWN) as source:
                stored = read(source, source.indexes, own)
                near = self._near(mapped_scene, known, around)
                if not near[box.within(around)].any():
                    yield own, stored
                    continue
                p = decode(read(source, source.indexes, overlay.box(around)))
            with open_raster(paths.probability(STUDENT), STUDENT) as source:
                before = decode(read(source, source.indexes, overlay.box(around)))
            maps = overlay.mean(p, around), overlay.mean(before, around)
            change = self._change(*maps, known.touched(around), near, (around.y0, around.x0))
            inside = change[:, *box.within(around)]
            yield own, _changed(stored, overlay.spread(inside, box))

    def _near(self, mapped_scene: MappedScene, known: KnownGround, box: Box) -> NDArray[np.bool_]:
        """Working pixels within reach of an edit, but in none: (y, x) bool."""
        resolution_m = mapped_scene.scene.resolution_m
        reach_px = math.ceil(self.reach_m / resolution_m)
        around = box.grow(reach_px).clip(mapped_scene.scene.extent)
        touched = known.touched(around)
        if not touched.any():
            return np.zeros(box.shape, np.bool_)
        distance_m = distance_transform_edt(~touched) * resolution_m
        near = (distance_m > 0) & (distance_m <= self.reach_m)
        return np.asarray(near[box.within(around)])

    def _change(
        self,
        p: Floats,
        before: Floats,
        edited: NDArray[np.bool_],
        near: NDArray[np.bool_],
        origin: tuple[int, int],
    ) -> Floats:
        """How much likelier edits make each class of unsure pixels, by the prior.

        Args:
            p: (class, y, x) probabilities of working pixels, 0 without data.
            before: The same of the map without edits.
            edited: (y, x) bool pixels with edits in them.
            near: (y, x) bool pixels that may follow them.
            origin: Row and column of the window's first pixel.

        Returns:
            (class, y, x) float32 factors, all 1 where nothing is unsure.
        """
        unsure = near & p.any(axis=0) & (p.max(axis=0) < self.below)
        after = classes(p)
        instead = np.where(edited, classes(before), after).astype(np.uint8)
        if not unsure.any() or (after == instead).all():
            return np.ones_like(p)
        told, untold = (
            fill(self.prior, codes, unsure, None, _ONCE, self.seed, origin)
            for codes in (after, instead)
        )
        ratio = ((told + _TINY) / (untold + _TINY)) ** self.weight
        return np.where(unsure, ratio, 1).astype(np.float32)


def _changed(stored: NDArray[np.uint16], factors: Floats) -> NDArray[np.uint16]:
    """Stored probabilities times factors; bit for bit as they were where all factors are 1."""
    same = (factors == 1).all(axis=0) | ~stored.any(axis=0)
    p = normalise(decode(stored) * factors)
    return np.where(same, stored, encode(np.asarray(p, np.float32))).astype(np.uint16)
