"""The check stage: what a map run would refuse, found beforehand; all inputs read, none written."""

from __future__ import annotations

from dataclasses import dataclass

from landcover_pnp.errors import LandcoverError
from landcover_pnp.evidence.local_mixture import require_enough
from landcover_pnp.evidence.matrix_sources import require_pairs
from landcover_pnp.evidence.scene_borders import sample_windows, scene_borders
from landcover_pnp.pipeline.plan import MapPlan, files_of, plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.checks import LayerReport, read_layers
from landcover_pnp.scenes.survey import Survey, survey_scene

BESIDES = ("truth",)
"""Layers that a map does without, but not its scores: they refuse what they cannot read."""


@dataclass(frozen=True)
class MapCheck:
    """What was found out about a map before it is made.

    Attributes:
        layers: One report a file, all of its pixels read.
        plan: The plan of the map; None where there is none.
        notes: What the pixels have told besides, one sentence each; empty where the map would be
            refused.
        refusal: The error with which ``map_city`` would refuse, None if it would not.
    """

    layers: tuple[LayerReport, ...]
    plan: MapPlan | None
    notes: tuple[str, ...]
    refusal: LandcoverError | None

    @property
    def unusable(self) -> tuple[str, ...]:
        """Names of the layers that cannot be used, or not all of them."""
        return tuple(report.layer for report in self.layers if report.error)

    @property
    def exit_code(self) -> int:
        """That of the map: 0 all could be mapped, 3 not all, 2 (or 1) nothing."""
        if self.refusal is not None:
            return self.refusal.exit_code
        return 3 if self.unusable else 0


def check_map(settings: MapSettings) -> MapCheck:
    """Plans a map as ``map_city`` does, and reads all pixels that could refuse it.

    Args:
        settings: Settings of the map.

    Returns:
        What was found; errors of the inputs are part of it.
    """
    plan: MapPlan | None = None
    notes: tuple[str, ...] = ()
    refusal: LandcoverError | None = None
    try:
        plan = plan_map(settings)
    except LandcoverError as error:
        refusal = error
    layers = _layers(settings)
    if plan is not None:
        try:
            survey = _survey(plan, settings)
            indices = scene_borders([survey.windows]).notes if plan.uses_indices else ()
            said = (*survey.notes, *indices)
            notes = tuple(note for note in said if note not in plan.notes)
        except LandcoverError as error:
            refusal = error
    besides = (report.error for report in layers if report.layer in BESIDES)
    refusal = refusal or next(filter(None, besides), None)
    return MapCheck(tuple(layers), plan, notes, refusal)


def _layers(settings: MapSettings) -> list[LayerReport]:
    try:
        return read_layers(files_of(settings))
    except LandcoverError:
        return []  # the plan has said why


def _survey(plan: MapPlan, settings: MapSettings) -> Survey:
    """Reads the layers of the scene and its source cities as the map would before its tiles."""
    windows = sample_windows(plan.grid.extent) if plan.uses_indices else ()
    survey = survey_scene(plan.scene, windows)
    sources = {name: survey_scene(source) for name, source in plan.sources.items()}
    counted = sources.values() if sources else [survey]
    require_pairs(sum(s.labelled_px for s in counted), settings.weak_labels, sources)
    sampled_px = min(survey.valid_px, settings.clusters.sample_px)
    require_enough(sampled_px, settings.clusters.clusters)
    return survey
