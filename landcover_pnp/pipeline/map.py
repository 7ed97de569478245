"""The map stage: a scene's files in, a run folder with georeferenced maps out."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config import plain
from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.matrix_sources import matrices_from_source
from landcover_pnp.evidence.scene_borders import scene_borders
from landcover_pnp.inference.registry import registered_here
from landcover_pnp.inference.settings import BASELINE
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.pipeline.clouded_ground import has_clouds
from landcover_pnp.pipeline.doubt_summary import summarise_doubt
from landcover_pnp.pipeline.evaluate import evaluate_run, score_notes
from landcover_pnp.pipeline.hide_stage import fill_unsure
from landcover_pnp.pipeline.leftovers import remove_leftovers
from landcover_pnp.pipeline.map_stages import (
    blend_map,
    doubt_map,
    draw_map,
    own_tiles,
    write_map,
)
from landcover_pnp.pipeline.observe import Observer
from landcover_pnp.pipeline.plan import MapPlan, plan_map
from landcover_pnp.pipeline.preview import preview
from landcover_pnp.pipeline.progress import Progress, Watch
from landcover_pnp.pipeline.sample_stage import NO_AREAS, sample_map, write_areas
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.small_files import SmallFiles
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.tiles import TileJob, infer_tile
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool
from landcover_pnp.products.rasters import PRODUCTS
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.checked_json import json_text
from landcover_pnp.storage.disk_space import need_named, require_space
from landcover_pnp.storage.files import text_hash
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.journal import journal_of
from landcover_pnp.storage.raster import small_cache
from landcover_pnp.storage.records import (
    ingredients,
)
from landcover_pnp.storage.run_folder import FILLED, RunFolder, raster_files
from landcover_pnp.version import __version__

PREVIEW_EVERY_S = 60.0
"""Time between looks that the preview allows."""


def map_city(
    settings: MapSettings, run: Path, report: Callable[[Progress], None] | None = None
) -> MapSummary:
    """Maps a scene: layers -> weak labels and clusters -> inference by tile -> mosaic -> student.

    The same call again keeps what is finished and made of the same settings and inputs: the
    prepared scene, each tile, the mosaic, the products.

    Args:
        settings: Scene, evidence, engine, tiles, seed.
        run: Run folder; made if it does not exist.
        report: Called with the progress whenever it changes.

    Returns:
        Where the map lies and what became of the tiles.

    Raises:
        RequestError: If the request cannot be carried out; nothing is written then.
        RunError: If a product cannot be written.
        KeyboardInterrupt: After a signal, when the tiles in hand are finished.
    """
    start = time.monotonic()
    plan = plan_map(settings)
    paths = RunFolder(run)
    paths.require_apart(plan.inputs)
    if not run.exists():
        require_space(run, plan.needed_bytes)
    needed = need_named(run, plan.needed_bytes)
    hides = plan.hide is not None
    names = list(paths.names(PRODUCTS, student=plan.student, samples=plan.samples is not None))
    names += HiddenFiles(paths).names if hides else []
    told = json_text(plain(settings))
    started_with = {paths.settings.name: text_hash(told)}
    with (
        small_cache(),
        needed,
        paths.held(names) as owned,
        journal_of(run, files=started_with) as journal,
    ):
        watch = Watch(journal, report or (lambda _: None))
        small = SmallFiles(paths, journal, watch)
        watch.say(str(plan))
        small.write(paths.settings, told)
        scene = prepare_scene(plan.scene, paths.scene, watch.work, owned)
        watch.stage("scene", time.monotonic() - start)
        matrices = matrices_from_source(
            settings.weak_labels, scene, plan.sources, paths.sources, owned, watch.work
        )
        borders = scene_borders([scene]) if plan.uses_indices else None
        job = _job(settings, plan, scene, matrices, run)
        observe = partial(
            Observer.of,
            scene,
            matrices,
            settings.weak_labels,
            settings.clusters,
            settings.seed,
            borders=borders if plan.engine.inference.needs_indices else None,
        )
        tiles = TileCounts()
        pool = WorkerPool(settings.workers, settings.scheduler, shared=run.absolute())
        with TaskPool(pool, len(job.grid), watch.say) as task_pool:
            own_tiles(job, owned)
            _infer(job, observe, tiles, task_pool, watch, small, plan.legend)
            # Hours of work: truth or an image that cannot be read may still turn up.
            owned.kept = True
            student = settings.student if tiles.valid_px > tiles.uniform_px else None
            drawn = student is not None
            mosaic = blend_map(job, tiles, run, watch, last=drawn or not hides)
            inferred = watch.progress
            if student:  # where nothing is known there is nothing to learn from
                mosaic = draw_map(
                    *(mosaic, student, borders, tiles, job, task_pool, owned, watch),
                    last=not hides,
                )
            filled = None
            if plan.hide:
                filled = fill_unsure(
                    *(plan.hide, mosaic, scene, settings.tiles, task_pool, owned, watch),
                    seed=settings.seed,
                    student=drawn,
                )
                mosaic = filled.made_of
            sampled = None
            if plan.samples:
                sampled = sample_map(
                    *(plan.samples, mosaic, job, tiles, task_pool, owned, watch),
                    seed=settings.seed,
                    student=drawn,
                )
        doubt = doubt_map(mosaic, scene, matrices, run, watch, student=drawn)
        clouds = has_clouds(scene)
        if clouds or hides:
            owned.claim(*map(paths.name, raster_files(paths.raster(FILLED))))
        products = write_map(
            *(job, scene, mosaic, doubt, drawn, plan.legend, run, watch), hidden=hides
        )
        areas = None
        if plan.samples and sampled:
            areas = write_areas(run, plan.samples, sampled, watch, student=drawn)
        samples = plan.samples is not None
        remove_leftovers(
            *(owned, plan.sources),
            student=drawn,
            samples=samples,
            clouds=clouds,
            hidden=hides,
        )
        truth = plan.scene.files.truth
        # An area of interest cuts the map, not the truth: the plan has compared their ground.
        scores = (  # of the run's own map, corrected or not
            evaluate_run(run, truth.path, truth.legend, overlap=True, final=paths.landcover)
            if truth
            else {}
        )
        summary = MapSummary(
            run=run,
            products=tuple(products),
            overview=paths.overview,
            progress=inferred,
            reasons=dict(sorted(tiles.failed.items())),
            unusable=plan.scene.imagery.unusable,
            engine=plan.engine.inference.engine_or_default,
            notes=(
                *scene.notes,
                plan.map_note(student=drawn),
                *(borders.notes if borders else ()),
                *score_notes(scores),
                *([filled.note(plan.hide.below)] if plan.hide and filled else []),
                *([plan.samples.note] if plan.samples else []),
                *(sampled.failed and [NO_AREAS] if sampled else []),
            ),
            area_km2=scene.valid_px * scene.resolution_m**2 / 1e6,
            seconds=time.monotonic() - start,
            legend=plan.legend,
            doubt=summarise_doubt(run, scene),
            scores=scores,
            stages=watch.stages,
            areas=areas,
        )
        small.conclude(summary)
    return summary


def _job(
    settings: MapSettings,
    plan: MapPlan,
    scene: Scene,
    matrices: Sequence[NDArray[np.float64]],
    run: Path,
) -> TileJob:
    inference, prior = plan.engine.inference, plan.engine.prior
    return TileJob(
        scene=scene.folder.absolute(),
        out=RunFolder(run).tiles.absolute(),
        grid=plan.grid,
        inference=inference,
        made_of=ingredients(
            version=__version__,
            scene=scene.fingerprint,
            weak_labels=settings.weak_labels,
            matrix=np.concatenate(matrices).round(9).ravel().tolist(),
            clusters=settings.clusters,
            inference=inference.made_of(BASELINE),
            prior=prior.fingerprint if prior else None,
            seed=settings.seed,
        ),
        engines=registered_here(),
    )


def _infer(
    job: TileJob,
    observe: Callable[[], Observer],
    tiles: TileCounts,
    task_pool: TaskPool,
    watch: Watch,
    small: SmallFiles,
    legend: ResultLegend,
) -> None:
    shown = start = time.monotonic()

    def show() -> None:
        small.write(small.paths.preview, preview(job.grid, job.out.name, tiles.done, legend))

    def ready(job: TileJob) -> TileJob:
        return dataclasses.replace(job, observer=observe())

    try:
        for _ in run_tiles(job, infer_tile, list(job.grid), tiles, task_pool, watch, ready):
            if time.monotonic() - shown >= PREVIEW_EVERY_S:
                show()
                shown = time.monotonic()
    except KeyboardInterrupt:
        show()
        raise
    show()
    watch.stage("tiles", time.monotonic() - start)
    if tiles.uniform_px:
        warnings.warn(
            f"nothing is known of {tiles.uniform_px} pixels: neither a coarse map nor roads, "
            "buildings or water reach them; their weak labels are uniform",
            WeakLabelsWarning,
            stacklevel=2,
        )
