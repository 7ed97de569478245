"""The plan of a map: everything checked and loaded that can refuse it, nothing written."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config import load_settings, paths_in
from landcover_pnp.errors import LandcoverWarning, ResolutionError, SettingsError
from landcover_pnp.evidence.local_mixture import require_enough
from landcover_pnp.evidence.settings import ClusterSettings, WeakLabelSettings
from landcover_pnp.grid import TileGrid
from landcover_pnp.inference.choice import EngineChoice, Served, choose_engine
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.legends.result_legend import FIVE, ResultLegend
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.pipeline.advice import advised
from landcover_pnp.pipeline.hide_plan import HidePlan, plan_hide
from landcover_pnp.pipeline.sample_plan import SamplePlan, plan_samples
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.folder import require_serves
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.image_grid import is_whole
from landcover_pnp.scenes.rasters import ScenePlan, plan_scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.georeference import system_name

FILL = "fill"
"""Engine that fills what the image does not show."""

BYTES_PER_PX = 80
"""Size of a run folder per working pixel, measured by ``benchmarks/city_memory.py``."""

BYTES_PER_FINE_PX = 16
"""Size of a student's tiles, mosaic and products per pixel of the image, by a run of the demo."""

BYTES_PER_HIDDEN_PX = 16
"""Size of the map before unsure pixels are filled, and of the windows, per pixel of the map."""

BYTES_PER_SAMPLED_PX = 10
"""Size of the class frequencies per working pixel, of tiles and mosaic together, compressed."""


@dataclass(frozen=True)
class MapPlan:
    """What a map run is going to do.

    Attributes:
        scene: The scene's files, checked, and the working grid.
        grid: The tiles.
        sources: Source cities of p(class | code) by name.
        engine: The engine, its settings, and the prior where it needs one.
        student: Whether a student draws the map at the image's resolution.
        uses_indices: Whether the engine or the student takes spectral indices.
        legend: Legend of the map.
        legend_file: Its file, where it has one.
        samples: How its posterior samples are drawn; None draws none.
        hide: How pixels of the map that are unsure are filled; None leaves them.
    """

    scene: ScenePlan
    grid: TileGrid
    sources: dict[str, ScenePlan]
    engine: EngineChoice
    student: bool
    uses_indices: bool
    legend: ResultLegend
    legend_file: Path | None
    samples: SamplePlan | None = None
    hide: HidePlan | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What will be done, one sentence each."""
        told = (*self.scene.notes, self.map_note(student=self.student))
        told += tuple(part.note for part in (self.hide, self.samples) if part)
        if self.legend.is_working:
            return told
        listed = ", ".join(self.legend.legend.names)
        return (*told, f"legend {self.legend.name} of the map: {listed}")

    def map_note(self, *, student: bool) -> str:
        """Which pixels the map has.

        Args:
            student: Whether a student draws it.
        """
        own, side_m = self.scene.own, self.scene.resolution_m
        own_m, whole = abs(own.resolution.x), is_whole(own, side_m)
        if whole and self.scene.factor == 1:
            return f"the map has the image's own pixels of {own_m:g} m"
        if not student:
            return (
                f"without a student the map has the working grid of {side_m:g} m, not the image's "
                f"pixels of {own_m:g} m"
            )
        note = f"the map has the image's own pixels of {own_m:g} m"
        if whole:
            return note
        drawn_m = side_m / self.scene.factor
        return f"{note}: drawn in pixels of {drawn_m:.3g} m, which divide {side_m:g} m, resampled"

    @property
    def inputs(self) -> list[Path]:
        """Files and folders that the map reads."""
        scenes = (self.scene, *self.sources.values())
        images = [image.path for scene in scenes for image in scene.imagery.images]
        own = [] if self.legend_file is None else [self.legend_file]
        return [*images, *own, *(path for scene in scenes for path in paths_in(scene.files))]

    @property
    def needed_bytes(self) -> int:
        """Estimate of the run folder's size."""
        height, width = self.grid.extent.shape
        drawn = BYTES_PER_FINE_PX * self.scene.factor**2 if self.student else 0
        sampled = BYTES_PER_SAMPLED_PX if self.samples else 0
        hidden = BYTES_PER_HIDDEN_PX * (self.scene.factor**2 if self.student else 1)
        hidden = hidden if self.hide else 0
        return round((BYTES_PER_PX + drawn + sampled + hidden) * height * width)

    def __str__(self) -> str:
        """The plan in one line."""
        height, width = self.grid.extent.shape
        geobox = self.scene.geobox
        system = system_name(geobox.crs)
        return (
            f"{width} x {height} px of {abs(geobox.resolution.x):g} m in {system}, "
            f"{len(self.grid)} tile{'s' * (len(self.grid) != 1)}; " + "; ".join(self.notes)
        )


def plan_map(settings: MapSettings) -> MapPlan:
    """Checks settings and headers of all files, and loads the prior.

    Args:
        settings: Settings of the map.

    Returns:
        The plan.

    Raises:
        RequestError: If the request cannot be carried out.
    """
    try:
        return _planned(settings)
    except ResolutionError as error:
        raise advised(error, settings, _planned) from error


def _planned(settings: MapSettings) -> MapPlan:
    scene, sources = _plan_scene(settings), plan_sources(settings.weak_labels)
    _require_legends(scene, sources)
    inference = under_clouds(settings.inference, clouds=scene.files.clouds is not None)
    engine = choose_engine(inference, settings.scene.resolution_m)
    if engine.prior and scene.resolution_m not in Served(engine.prior.resolution_m):
        with warnings.catch_warnings():  # said when it was planned with other pixels
            warnings.simplefilter("ignore", LandcoverWarning)
            scene = _plan_scene(settings, adapts=False)
    student = settings.student
    plan = MapPlan(
        scene,
        TileGrid(scene.geobox, settings.tiles.core_px, settings.tiles.halo_px),
        sources,
        engine,
        student is not None,
        engine.inference.needs_indices or (student is not None and student.spectral_indices),
        _plan_legend(settings.legend, scene, engine),
        settings.legend if isinstance(settings.legend, Path) else None,
        plan_samples(settings),
        plan_hide(settings.inference),
    )
    _require_pixels(scene, settings.clusters)
    return plan


def _plan_legend(which: str | Path, scene: ScenePlan, engine: EngineChoice) -> ResultLegend:
    """The legend of the map, if scene and prior can serve it.

    Raises:
        SettingsError: If there is no such legend, or it asks for buildings and the scene has none.
        LegendError: If the scene's truth tells no two classes of it apart.
        PriorError: If the prior's classes are others.
    """
    legend = ResultLegend.load(which)
    if legend.needs_buildings and scene.files.buildings is None:
        raise SettingsError(
            found=f"the legend {legend.name!r} has buildings apart, and the scene no layer of them",
            expected="outlines of buildings, which say what impervious ground is a roof",
            fix="give scene.rasters.buildings (`landcover fetch place` fetches them), or take "
            "`legend: five`",
        )
    if scene.files.truth is not None:
        SharedLegend.of(legend, FIVE)  # else no class of the map could be scored
    if engine.prior is not None:
        require_serves(engine.prior.legend, legend)
    return legend


def under_clouds(inference: InferenceSettings, *, clouds: bool) -> InferenceSettings:
    """Settings by which ground under clouds is filled: the engine ``fill``, behind that asked for.

    Args:
        inference: What was asked for.
        clouds: Whether clouds hide a part of the scene.
    """
    name = inference.engine_or_default
    if not clouds or name == FILL:
        return inference
    own = dataclasses.replace(inference.of(FILL), start=name)
    return dataclasses.replace(inference.with_options(**{FILL: own}), engine=FILL)


def _require_pixels(scene: ScenePlan, clusters: ClusterSettings) -> None:
    """Refuses a grid of fewer pixels than clusters; its pixels without data nobody knows yet."""
    height, width = map(int, scene.geobox.shape)
    if height * width < clusters.clusters:
        side_m = abs(scene.geobox.resolution.x)
        raise ResolutionError(
            found=f"a working grid of {width} x {height} px of {side_m:g} m",
            expected=f"at least one pixel for each of the {clusters.clusters} clusters",
            fix=f"set clusters.clusters to {height * width}, or map a larger area",
            tries_m=(min(height, width) * side_m / (1 + math.isqrt(clusters.clusters)),),
        )
    require_enough(clusters.sample_px, clusters.clusters)


def files_of(settings: MapSettings) -> RasterFiles:
    """The files of a map's scene, its coarse map with the legend that the settings name.

    Raises:
        RequestError: As ``scene_files``.
    """
    files, legend = scene_files(settings.scene), settings.weak_labels.legend
    return files if legend is None else dataclasses.replace(files, legend=legend)


def _plan_scene(settings: MapSettings, *, adapts: bool = True) -> ScenePlan:
    files = files_of(settings)
    if settings.weak_labels.matrix_source == "target" and files.truth is None:
        raise SettingsError(
            found="weak_labels.matrix_source is target, but the scene has no truth",
            expected="truth of the scene, in which p(class | code) is counted",
            fix="give scene.rasters.truth, or choose the matrix source source or definitions",
        )
    return plan_scene(files, settings.scene.resolution_m, adapts=adapts)


def plan_sources(settings: WeakLabelSettings) -> dict[str, ScenePlan]:
    """Plans the scenes of the source cities.

    Args:
        settings: Matrix source and source cities.

    Returns:
        Plans by the cities' names; empty but for the matrix source ``source``.

    Raises:
        RequestError: If there is no source city, one has no truth or cannot be read.
    """
    if settings.matrix_source != "source":
        return {}
    if not settings.source_scenes:
        raise SettingsError(
            found="weak_labels.matrix_source is source, but weak_labels.source_scenes is empty",
            expected="configuration files of cities with truth",
            fix="name them, or choose the matrix source definitions",
        )
    names = [config.stem for config in settings.source_scenes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(
            found=f"source cities of the same name: {', '.join(twice)}",
            expected="configuration files, each of another name: it becomes the city's folder",
            fix="rename the files of weak_labels.source_scenes",
        )
    plans = {}
    for config in settings.source_scenes:
        city = load_settings(MapSettings, config)
        files = files_of(city)
        if files.truth is None:
            raise SettingsError(
                found=f"the source city of {config} has no truth",
                expected="truth, in which p(class | code) is counted",
                fix="give its scene.rasters.truth",
            )
        plans[config.stem] = plan_scene(files, city.scene.resolution_m)
    return plans


def _require_legends(scene: ScenePlan, sources: Mapping[str, ScenePlan]) -> None:
    """Refuses source cities none of which has a coarse map of the scene's legend."""

    def legends(plan: ScenePlan) -> list[CoarseLegend]:
        return [CoarseLegend.load(file.legend) for file in plan.files.coarse_maps]

    there = [legend for plan in sources.values() for legend in legends(plan)]
    missing = [legend.name for legend in legends(scene) if legend not in there]
    if sources and missing:
        raise SettingsError(
            found=f"no source city with a coarse map of the legend {', '.join(missing)}; they have "
            + ", ".join(sorted({legend.name for legend in there})),
            expected="in one of weak_labels.source_scenes, the same legend as in the scene",
            fix="name a city with such a map, or choose the matrix source definitions",
        )
