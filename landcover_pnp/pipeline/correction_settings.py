"""Settings of corrections: how a user's edits are read, learned from and spread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config import require_within
from landcover_pnp.errors import SettingsError
from landcover_pnp.pipeline.settings import MOST_WORKERS

_FAR_M = 10_000.0

FURTHEST_REACH_M = 300.0
"""Largest reach: windows are read to five times it on each side, and memory grows with its square.

At 300 m and pixels of 1 m a window is 3.5 km wide and takes half a gigabyte in each process.
"""


@dataclass(frozen=True)
class CorrectSettings:
    """A map corrected by a user's edits.

    Attributes:
        class_column: Column of the edits' classes, names or codes; null finds it.
        layer: Layer of the edits' file; null is the only one.
        point_radius_m: Radius of the ground that a point stands for, metres; null is a pixel.
        share: Share of what the student learns from that is edits, as far as they have pixels.
        learning_reach_m: Distance from an edit, metres, at which the student that has learned
            from it has lost all but 1/e of its weight; at most 300 m, since memory grows with
            its square.
        reach_m: The same of the edit's own class.
        strength: Log odds that the edit's class gains beside the edit.
        complete: Whether the prior completes what stays unsure near the edits. It does not pay on
            the cities that settings are chosen on, see docs/correct.md.
        fill_reach_m: Distance from an edit up to which it does, metres.
        fill_below: Probability of its class below which ground there is unsure.
        fill_weight: Power of what the prior says of it.
        prior: Folder of the prior; null is the shipped one.
        workers: Worker processes of one thread; 0 works in this process; null is one a core.
    """

    class_column: str | None = None
    layer: str | None = None
    point_radius_m: float | None = None
    share: float = 0.1
    learning_reach_m: float = 50.0
    reach_m: float = 20.0
    strength: float = 2.0
    complete: bool = False
    fill_reach_m: float = 40.0
    fill_below: float = 0.6
    fill_weight: float = 1.0
    prior: Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuses what is no share, no distance and no number of workers."""
        require_within(self, 0, _FAR_M, "point_radius_m", "fill_reach_m")
        require_within(self, 0, FURTHEST_REACH_M, "learning_reach_m", "reach_m")
        require_within(self, 0, 20, "strength", "fill_weight")
        require_within(self, 0, 1, "fill_below")
        require_within(self, 0, MOST_WORKERS, "workers")
        if not 0 <= self.share < 1:
            raise SettingsError(
                found=f"share is {self.share}",
                expected="a number from 0 to below 1: the rest is learned from the map",
                fix="correct the value on the command line",
            )
