"""Weak labels of any window of a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evidence.coarse_classes import (
    CoarseClasses,
    Percentage,
    coarse_probabilities,
)
from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.evidence.weak_labels import WeakLabels, weak_labels
from landcover_pnp.grid import Box
from landcover_pnp.legends.coarse_legend import blur_of
from landcover_pnp.scenes.scene import WEAK_LAYERS, Scene


def labels_of(
    scene: Scene,
    box: Box,
    matrices: Sequence[NDArray[np.float64]],
    settings: WeakLabelSettings,
) -> WeakLabels:
    """Weak labels of a window, the same whatever windows a scene is cut into.

    Args:
        scene: The scene.
        box: Working pixels.
        matrices: p(class | code) of each of its coarse maps, (code class, class).
        settings: Blur and radii.

    Returns:
        Probabilities (class, y, x), and the number of pixels of the window and the surroundings
        that were read with it about which nothing is known.
    """
    blurs = [settings.blur(legend.blur) for legend in scene.legends]
    of_percent = {name: settings.blur(blur_of(side_m)) for name, side_m in scene.percent_m.items()}
    # Percentages are compared with what the maps, blurred already, give around.
    kernels_m = max(b.kernel_m for b in blurs), *(b.kernel_m for b in of_percent.values())
    reach_px = sum(math.ceil(kernel_m / 2 / scene.resolution_m) for kernel_m in kernels_m)
    around = box.grow(reach_px).clip(scene.extent)
    valid = scene.valid(around)
    maps = [
        CoarseClasses(numbers, matrix, blur)
        for numbers, matrix, blur in zip(scene.coarse(around), matrices, blurs, strict=True)
    ]
    shares = {name: Percentage(scene.percent(name, around), b) for name, b in of_percent.items()}
    coarse = coarse_probabilities(maps, shares, valid, scene.resolution_m)
    roads, buildings, water = (scene.coverage(name, around) for name in WEAK_LAYERS)
    found = weak_labels(coarse, roads, buildings, water, valid, settings, scene.resolution_m)
    return WeakLabels(found.probabilities[:, *box.within(around)], found.uniform_count)
