"""Files of a run that a masked prior makes beside its map: samples, and the ground under trees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FREQUENCIES = "frequencies"
"""Class frequencies of posterior samples, on the working grid."""

GROUND = "ground"
"""The ground under trees, on the map's grid."""


@dataclass(frozen=True)
class SampleFiles:
    """Paths in a run folder; nothing needs to be there.

    Attributes:
        path: The run folder.
    """

    path: Path

    @property
    def posterior(self) -> Path:
        """Folder of what the tiles' posterior samples say."""
        return self.path / "posterior"

    @property
    def frequencies(self) -> Path:
        """Class frequencies of the samples, stored as probabilities."""
        return self.path / "probabilities" / f"{FREQUENCIES}.tif"

    @property
    def frequencies_record(self) -> Path:
        """Record of these frequencies."""
        return self.frequencies.with_suffix(".json")

    @property
    def areas(self) -> Path:
        """Table of class areas with the intervals of the samples."""
        return self.path / "areas.csv"

    @property
    def areas_record(self) -> Path:
        """Record of this table."""
        return self.areas.with_suffix(".json")

    @property
    def records(self) -> list[Path]:
        """The table, and the records of it and of the frequencies."""
        return [self.areas, self.areas_record, self.frequencies_record]

    @property
    def ground(self) -> Path:
        """The ground under trees, of a run whose publishing asked for it."""
        return self.path / "probabilities" / f"{GROUND}.tif"

    @property
    def ground_record(self) -> Path:
        """Record of this ground."""
        return self.ground.with_suffix(".json")
