"""How much of a map is doubtful, of which class and why: what its summary and report say."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landcover_pnp.evidence.contradictions import DOUBTFUL, KINDS, NO_DOUBT_DATA
from landcover_pnp.grid import Box, blocks
from landcover_pnp.pipeline.doubtful_places import Place, doubtful_places
from landcover_pnp.products.result_classes import map_legend
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DOUBT, RunFolder

PLACES, APART_M = 10, 40.0
"""How many places a summary names, and how far apart at least; `landcover doubt` lists more."""


@dataclass(frozen=True)
class DoubtSummary:
    """Doubtful ground of a map: where the doubt is ``DOUBTFUL`` percent or more.

    Attributes:
        share: Its share of the mapped ground, 0..1; 0 of an empty map.
        hectares: Its area.
        by_class: Share of what is mapped as each class that is doubtful, 0..1.
        by_reason: Share of the doubtful ground by the contradiction that adds most, 0..1.
        places: The most doubtful places, most first, see ``doubtful_places``.
    """

    share: float
    hectares: float
    by_class: dict[str, float]
    by_reason: dict[str, float]
    places: tuple[Place, ...]

    def content(self) -> dict[str, Any]:
        """As JSON values."""
        places = [dataclasses.asdict(place) for place in self.places]
        named = [{k: v for k, v in place.items() if k != "box"} for place in places]
        return {**dataclasses.asdict(self), "places": named}


def summarise_doubt(run: Path, scene: Scene) -> DoubtSummary:
    """Counts the doubtful ground of a run's map, and says where there is most of it.

    Args:
        run: Folder of a run with its map and its doubt.
        scene: Its scene.

    Returns:
        Shares, rounded to 4 digits, and hectares.
    """
    paths = RunFolder(run)
    legend = map_legend(paths.landcover).legend
    size = len(legend.classes) + 1
    mapped, doubtful = np.zeros(size, np.int64), np.zeros(size, np.int64)
    reasons = np.zeros(len(KINDS) + 1, np.int64)
    with (
        open_raster(paths.landcover, "class map") as classes,
        open_raster(paths.probability(DOUBT), "doubt") as doubt,
    ):
        hectare_px = 1e4 / abs(classes.res[0] * classes.res[1])
        for box in blocks(Box(0, classes.height, 0, classes.width)):
            codes = legend.numbers(read(classes, 1, box))
            percent, reason = read(doubt, doubt.indexes, box)
            there = (percent >= DOUBTFUL) & (percent != NO_DOUBT_DATA) & (codes > 0)
            mapped += np.bincount(codes.ravel(), minlength=size)
            doubtful += np.bincount(codes[there], minlength=size)
            reasons += np.bincount(reason[there], minlength=len(reasons))
    total = int(doubtful[1:].sum())

    def share(part: int, whole: int) -> float:
        return round(int(part) / int(whole), 4) if whole else 0.0

    return DoubtSummary(
        share(total, mapped[1:].sum()),
        round(total / hectare_px, 2),
        {
            name: share(part, whole)
            for name, part, whole in zip(legend.names, doubtful[1:], mapped[1:], strict=True)
        },
        {name: share(n, total) for name, n in zip(KINDS, reasons[1:], strict=True) if n},
        tuple(doubtful_places(run, scene, PLACES, APART_M)),
    )
