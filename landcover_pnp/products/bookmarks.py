"""Places of a map that a QGIS project marks: tiles without a result, and the most doubtful ones."""

from __future__ import annotations

from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.qgis_layout import Bounds

SIGHT_M = 100.0
"""What a bookmark of a doubtful place shows to each side, metres."""


def bookmarks(run: FinishedRun) -> dict[str, Bounds]:
    """Tiles without a result, and the most doubtful places with what is around them."""
    boxes = {f"no result: {name}": box for name, box in failed_boxes(run).items()}
    for place in (run.summary.get("doubt") or {}).get("places", ()):
        x, y = place["x"], place["y"]
        around = (x - SIGHT_M, y - SIGHT_M, x + SIGHT_M, y + SIGHT_M)
        boxes[f"doubtful {place['rank']}: {place['reason']}"] = around
    return boxes


def failed_boxes(run: FinishedRun) -> dict[str, Bounds]:
    """Bounds of the tiles without a result, by name."""
    return {name: run.bounds(run.core(name)) for name in run.failed}
