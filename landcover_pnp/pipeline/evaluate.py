"""The evaluate stage: a finished run's maps against truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from landcover_pnp.errors import RasterError
from landcover_pnp.evaluation.scores import Scores, evaluate_map, require_scored
from landcover_pnp.evaluation.truth_legend import Scheme, TruthName, truth_legend
from landcover_pnp.pipeline.settings import EvaluateSettings
from landcover_pnp.storage.integrity import require_intact_rasters
from landcover_pnp.storage.newest import newest
from landcover_pnp.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from landcover_pnp.evaluation.shape_scores import ShapeScores

UNCORRECTED = "map before corrections"
"""What scores call a map that a user has corrected since."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a finished run.

    Attributes:
        run: The run folder.
        truth: The truth raster.
        scheme: How truth of other classes counts, see ``EvaluateSettings``.
        scores: Scores by method: weak labels, evidence, map.
        shapes: Shapes by method, and of the truth, on the map's grid; empty where map or truth do
            not tell the working classes.
    """

    run: Path
    truth: Path
    scheme: Scheme
    scores: Mapping[str, Scores]
    shapes: Mapping[str, ShapeScores]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is scored together, one sentence each."""
        return score_notes(self.scores)

    @classmethod
    def of(cls, run: Path, settings: EvaluateSettings) -> Evaluation:
        """Scores a run.

        Raises:
            LandcoverError: As ``evaluate_run``, or if there is nothing to score.
        """
        scores = evaluate_run(
            run, settings.truth, settings.legend, settings.scheme, overlap=settings.overlap
        )
        require_scored(scores["map"], settings.truth, run)
        # It loads scipy: a run that is not there is refused before.
        from landcover_pnp.evaluation.shape_scores import ShapeScores, shape_scores

        legend, shapes = truth_legend(settings.legend), dict[str, ShapeScores]()
        for name, raster in scored_maps(run).items():
            found = shape_scores(raster, settings.truth, legend, settings.scheme)
            if found:
                shapes[name], shapes["truth"] = found  # the truth's on the last map's ground
        return cls(run, settings.truth, settings.scheme, scores, shapes)


def evaluate_run(
    run: Path,
    truth: Path,
    legend: TruthName | Path,
    scheme: Scheme = "five_classes",
    *,
    overlap: bool = False,
    final: Path | None = None,
) -> dict[str, Scores]:
    """Scores a run's map beside its weak labels and its evidence.

    Args:
        run: Folder of a finished run.
        truth: Truth raster.
        legend: Its legend.
        scheme: ``five_classes`` or ``published``, see ``evaluation.Scheme``.
        overlap: Whether truth and map may cover different ground.
        final: The newest map; None finds it.

    Returns:
        Scores by method: weak labels, evidence, of a corrected map the one before, map.

    Raises:
        RasterError: If the run has no map or the truth cannot be read.
        GridError: If the truth covers other ground.
        LegendError: If the truth holds unknown codes.
    """
    paths = RunFolder(run)
    if not paths.landcover.is_file():
        raise RasterError(
            found=f"no finished map in {run}",
            expected="the folder of a finished run, which its two baselines lie in too",
            fix="give the folder that `landcover map` made, not a file in it; `landcover "
            "status RUN` says how far a run is",
        )
    if final is None:
        require_intact_rasters(run)
    told = truth_legend(legend)
    return {
        name: evaluate_map(path, truth, told, scheme, overlap=overlap)
        for name, path in scored_maps(run, final).items()
    }


def scored_maps(run: Path, final: Path | None = None) -> dict[str, Path]:
    """Rasters of a run that are scored, by what they are called; the newest map comes last.

    Args:
        run: Folder of a finished run.
        final: The newest map; None finds it.
    """
    paths = RunFolder(run)
    newest_map = final or newest(paths).landcover
    before = {} if newest_map == paths.landcover else {UNCORRECTED: paths.landcover}
    baselines = {"weak labels": paths.raster("weak_labels"), "evidence": paths.raster("evidence")}
    return {**baselines, **before, "map": newest_map}


def score_notes(scores: Mapping[str, Scores]) -> tuple[str, ...]:
    """Says what is scored together, one sentence each.

    Args:
        scores: Scores by method, of the same legends; may be empty.
    """
    merged = next(iter(scores.values())).merged if scores else ()
    return tuple(f"scored together, as the truth does not tell them apart: {m}" for m in merged)
