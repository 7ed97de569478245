"""The map stage: a scene's files in, a run folder with georeferenced maps out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config import plain
from landcover_pnp.errors import WeakLabelsWarning
from landcover_pnp.evidence.matrix_sources import matrix_from_source
from landcover_pnp.inference.registry import registered_here
from landcover_pnp.inference.settings import BASELINE
from landcover_pnp.pipeline.evaluate import evaluate_run
from landcover_pnp.pipeline.leftovers import remove_leftovers
from landcover_pnp.pipeline.mosaic import TileResults, blend_tiles
from landcover_pnp.pipeline.observe import Observer
from landcover_pnp.pipeline.overview import write_overview
from landcover_pnp.pipeline.plan import MapPlan, plan_map
from landcover_pnp.pipeline.preview import write_preview
from landcover_pnp.pipeline.progress import Progress, Watch
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.student_tiles import (
    MODEL,
    StudentJob,
    join_tiles,
    student_tile,
    trained,
)
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.tiles import Tiled, TileJob, tile_work
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool
from landcover_pnp.products.rasters import PRODUCTS, drawn_by, provenance_tags, write_products
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.disk_space import need_named, require_space
from landcover_pnp.storage.journal import journal_of
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.raster import small_cache
from landcover_pnp.storage.records import (
    Ingredients,
    Record,
    file_hashes,
    fingerprint,
    ingredients,
    make_way,
    write_json,
)
from landcover_pnp.storage.run_folder import METHODS, STUDENT, RunFolder, tile_names
from landcover_pnp.student.settings import StudentSettings
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
    names = paths.names(PRODUCTS, student=plan.student)
    with small_cache(), needed, paths.held(names) as owned, journal_of(run) as journal:
        watch = Watch(journal, report or (lambda _: None))
        watch.say(str(plan))
        write_json(paths.settings, plain(settings))
        scene = prepare_scene(plan.scene, paths.scene, watch.say, owned)
        watch.stage("scene", time.monotonic() - start)
        matrix = matrix_from_source(settings.weak_labels, scene, plan.sources, paths.sources, owned)
        job = _job(settings, plan, scene, matrix, run)
        tiles = TileCounts()
        pool = WorkerPool(settings.workers, settings.scheduler, shared=run.absolute())
        with TaskPool(pool, len(job.grid), watch.say) as task_pool:
            _own_tiles(job, owned)
            _infer(job, tiles, task_pool, watch, paths.preview)
            # Hours of work: truth or an image that cannot be read may still turn up.
            owned.kept = True
            mosaic = _blend(job, tiles, run, watch)
            inferred = watch.progress
            student = settings.student if tiles.valid_px > tiles.uniform_px else None
            if student:  # where nothing is known there is nothing to learn from
                mosaic = _draw(mosaic, student, tiles, job, task_pool, owned, watch)
        products = _publish(job, scene, mosaic, student is not None, run, watch)
        remove_leftovers(owned, plan.sources, student=student is not None)
        truth = plan.scene.files.truth
        # An area of interest cuts the map, not the truth: the plan has compared their ground.
        scores = evaluate_run(run, truth, overlap=True) if truth else {}
        summary = MapSummary(
            run=run,
            products=tuple(products),
            overview=paths.overview,
            progress=inferred,
            reasons=dict(sorted(tiles.failed.items())),
            unusable=plan.scene.imagery.unusable,
            engine=plan.engine.inference.engine_or_default,
            notes=(*scene.notes, *plan.engine.notes),
            area_km2=scene.valid_px * scene.resolution_m**2 / 1e6,
            seconds=time.monotonic() - start,
            scores=scores,
        )
        summary.write()
        journal.write("end", exit_code=summary.exit_code)
    return summary


def _own_tiles(job: Tiled, owned: OwnedFolder) -> None:
    """Claims the names of a job's tiles, and removes those of a grid the run had before."""
    folder = job.out.relative_to(owned.path.absolute()).as_posix()
    tiles = tile_names(folder, job.grid.shape, job.endings)
    owned.claim(tiles=tiles)
    owned.remove_other_tiles(tiles)


def _job(
    settings: MapSettings, plan: MapPlan, scene: Scene, matrix: NDArray[np.float64], run: Path
) -> TileJob:
    inference, prior = plan.engine.inference, plan.engine.prior
    observer = Observer.of(
        scene,
        matrix,
        settings.weak_labels,
        settings.clusters,
        settings.seed,
        indices=inference.uses_indices,
    )
    return TileJob(
        scene=scene.folder.absolute(),
        out=RunFolder(run).tiles.absolute(),
        grid=plan.grid,
        observer=observer,
        inference=inference,
        made_of=ingredients(
            version=__version__,
            scene=scene.fingerprint,
            weak_labels=settings.weak_labels,
            matrix=matrix.round(9).ravel().tolist(),
            clusters=settings.clusters,
            inference=inference.made_of(BASELINE),
            prior=prior.fingerprint if prior else None,
            seed=settings.seed,
        ),
        engines=registered_here(),
    )


def _infer(
    job: TileJob, tiles: TileCounts, task_pool: TaskPool, watch: Watch, preview: Path
) -> None:
    shown = start = time.monotonic()
    try:
        for _ in run_tiles(job, tile_work, list(job.grid), tiles, task_pool, watch):
            if time.monotonic() - shown >= PREVIEW_EVERY_S:
                write_preview(preview, job.grid, job.out, tiles.done)
                shown = time.monotonic()
    except KeyboardInterrupt:
        write_preview(preview, job.grid, job.out, tiles.done)
        raise
    write_preview(preview, job.grid, job.out, tiles.done)
    watch.stage("tiles", time.monotonic() - start)
    if tiles.uniform_px:
        warnings.warn(
            f"nothing is known of {tiles.uniform_px} pixels: neither NLCD nor roads, buildings or "
            "water reach them; their weak labels are uniform",
            WeakLabelsWarning,
            stacklevel=2,
        )


def _blend(job: TileJob, tiles: TileCounts, run: Path, watch: Watch) -> Ingredients:
    """Blends the tiles' probabilities by every method; returns what they are made of."""
    results = TileResults(job.grid, job.out, tiles.done)
    cut = {"core_px": job.grid.core_px, "halo_px": job.grid.halo_px}
    made_of = {**job.made_of, **ingredients(tiles=cut), "finished tiles": tiles.hash}

    def blend() -> Iterator[Path]:
        for method in METHODS:
            yield blend_tiles(results, method, RunFolder(run).probability(method))

    _stage("mosaic", RunFolder(run).mosaic_record, made_of, blend, watch)
    return made_of


def _draw(
    mosaic: Ingredients,
    student: StudentSettings,
    tiles: TileCounts,
    inferred: TileJob,
    task_pool: TaskPool,
    owned: OwnedFolder,
    watch: Watch,
) -> Ingredients:
    """Trains the student and lets it draw the finished tiles; returns what they are made of."""
    start, run = time.monotonic(), owned.path
    paths = RunFolder(run)
    owned.claim(paths.name(paths.student / MODEL))
    made_of = {"mosaic": fingerprint(mosaic), **ingredients(student=student)}
    model_hash = trained(run, student, made_of, watch.say).files[MODEL]
    watch.stage("student", time.monotonic() - start)
    job = StudentJob(run.absolute(), inferred.grid, student, model_hash, made_of)
    _own_tiles(job, owned)
    start, drawn = time.monotonic(), TileCounts()
    watch.say("the student draws the map, tile by tile")
    wanted = [tile for tile in job.grid if tile.id in tiles.done]
    for _ in run_tiles(job, student_tile, wanted, drawn, task_pool, watch):
        pass
    watch.stage("student's tiles", time.monotonic() - start)
    tiles.failed.update(drawn.failed)
    path = paths.probability(STUDENT)
    made_of = {**made_of, "finished tiles": drawn.hash}

    def join() -> Iterator[Path]:
        yield join_tiles(job, drawn.done, path)

    _stage("student's mosaic", paths.student_mosaic_record, made_of, join, watch)
    return made_of


def _publish(
    job: TileJob, scene: Scene, mosaic: Ingredients, student: bool, run: Path, watch: Watch
) -> list[Path]:
    """Writes the products and the overview of what has been blended or drawn."""
    paths = RunFolder(run)

    def publish() -> Iterator[Path]:
        tags = provenance_tags(job.made_of)
        products = drawn_by(PRODUCTS, student)
        yield from write_products(paths.probabilities, run, tags, products)
        yield write_overview(run)

    made_of = ingredients(
        mosaic=fingerprint(mosaic),
        scene=fingerprint(scene.made_of),  # truth too: the overview shows it
        products=list(PRODUCTS),
    )
    _stage("products", paths.rasters_record, made_of, publish, watch)
    return [paths.raster(stem) for stem in PRODUCTS]


def _stage(
    name: str, path: Path, made_of: Ingredients, work: Callable[[], Iterable[Path]], watch: Watch
) -> None:
    """Does work whose files lie beside its record, unless they can stay as they are."""
    start = time.monotonic()
    record, differing = Record.standing(path, made_of)
    if record is None:
        if differing:
            watch.say(f"{name} made again, changed since the last run: {', '.join(differing)}")
        watch.say_all(make_way(path))
        files = file_hashes(path.parent, work())
        Record("done", made_of, time.monotonic() - start, files=files).write(path)
    watch.stage(name, time.monotonic() - start)
