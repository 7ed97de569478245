"""The summary of a map run: what was mapped, what was not, where it lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.pipeline.doubt_summary import DoubtSummary
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.products.areas import SampledAreas
from landcover_pnp.storage.journal import command_line
from landcover_pnp.storage.records import Record, fingerprint, now
from landcover_pnp.storage.run_folder import RunFolder


@dataclass(frozen=True)
class MapSummary:
    """What a map run did.

    Attributes:
        run: The run folder.
        products: Cloud-optimised GeoTIFFs, the class map first.
        overview: Picture of the run.
        progress: Tiles done, kept and failed.
        reasons: Reason by name of each failed tile.
        unusable: Reason by name of each image that could not be opened, of several.
        engine: Name of the engine.
        notes: What was done to the layers, and why without a prior; one sentence each.
        area_km2: Mapped area.
        seconds: Time of the whole run.
        legend: Legend of the map.
        doubt: How much of the map is doubtful, and why.
        scores: Scores by method where the scene has truth, else empty.
        stages: Seconds by stage.
        areas: Class areas with the intervals of posterior samples; None without samples.
    """

    run: Path
    products: tuple[Path, ...]
    overview: Path
    progress: Progress
    reasons: Mapping[str, str]
    unusable: Mapping[str, str]
    engine: str
    notes: tuple[str, ...]
    area_km2: float
    seconds: float
    legend: ResultLegend
    doubt: DoubtSummary
    scores: Mapping[str, Scores]
    stages: Mapping[str, float]
    areas: SampledAreas | None = None

    @property
    def exit_code(self) -> int:
        """0 all done, 3 tiles or images failed, 1 no tile done."""
        if not (self.reasons or self.unusable):
            return 0
        return 3 if self.progress.done + self.progress.kept else 1

    def content(self) -> dict[str, Any]:
        """What ``summary.json`` holds, as JSON values."""
        rasters = Record.read(RunFolder(self.run).rasters_record)
        return {
            **{k: v for k, v in dataclasses.asdict(self.progress).items() if k != "note"},
            "failed_tiles": dict(self.reasons),
            "unusable_images": dict(self.unusable),
            "products": [path.name for path in self.products],
            "engine": self.engine,
            "legend": self.legend.name,
            "fingerprint": fingerprint(dict(rasters.files)) if rasters else "",
            "notes": list(self.notes),
            "area_km2": self.area_km2,
            "seconds": round(self.seconds, 1),
            "stages": dict(self.stages),
            "finished": now(),
            "command": command_line(),
            "doubt": self.doubt.content(),
            **({"areas": self.areas.content()} if self.areas else {}),
            "scores": {
                name: {"accuracy": s.accuracy, "mean_iou": s.mean_iou}
                for name, s in self.scores.items()
            },
        }
