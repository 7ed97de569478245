"""Files of a run whose map has unsure pixels filled, besides those that every run has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.storage.run_folder import DRAWN, RunFolder, raster_files


@dataclass(frozen=True)
class HiddenFiles:
    """Where these files lie.

    Attributes:
        paths: The run folder.
    """

    paths: RunFolder

    @property
    def windows(self) -> Path:
        """Folder of what the prior says of the windows that have unsure pixels."""
        return self.paths.path / "hidden"

    @property
    def engine_record(self) -> Path:
        """Record of an engine's map whose unsure pixels were filled; a student's has its own."""
        return self.paths.probabilities / "map.json"

    @property
    def names(self) -> list[str]:
        """Names of all files but those of the windows, whether a student draws or not."""
        drawn = raster_files(self.paths.probability(DRAWN))
        files = [*drawn, self.paths.drawn_record, self.engine_record]
        return [self.paths.name(file) for file in files]

    def unused(self, *, hidden: bool, student: bool) -> set[str]:
        """Those of the names that a run has no use for.

        Args:
            hidden: Whether unsure pixels of its map are filled.
            student: Whether a student draws it.
        """
        used = [*raster_files(self.paths.probability(DRAWN))]
        used += [self.paths.drawn_record if student else self.engine_record]
        return set(self.names) - set(map(self.paths.name, used if hidden else []))
