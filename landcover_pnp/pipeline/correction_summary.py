"""What a correction has changed, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from landcover_pnp.evaluation.scores import Scores


@dataclass(frozen=True)
class CorrectSummary:
    """What was changed in a run's map.

    Attributes:
        run: The run folder.
        landcover: The newest map: the corrected one, or the run's own after an undo.
        edits: Number of edits by class.
        corrected_ha: Hectares that the edits cover.
        filled_ha: Hectares around them that the prior has completed.
        changed_ha: Hectares outside of the edits whose class is another than before.
        seconds: Time of the whole work.
        failed: Reason by name of each tile that stays as it was.
        scores: Scores by method where the scene has truth, else empty; what the edits cover
            counts too.
        notes: What was done to the edits, and why without the prior; one sentence each.
    """

    run: Path
    landcover: Path
    edits: Mapping[str, int]
    corrected_ha: float
    filled_ha: float
    changed_ha: float
    seconds: float
    failed: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Scores] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 all done, 3 tiles failed and stay as they were."""
        return 3 if self.failed else 0
