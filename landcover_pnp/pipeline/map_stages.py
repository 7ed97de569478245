"""Stages of a map run that come after the tiles: mosaic, student, rasters of the map."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config import plain
from landcover_pnp.evidence.index_borders import IndexBorders
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.pipeline.clouded_ground import has_clouds, write_filled
from landcover_pnp.pipeline.doubt import DoubtSources, write_doubt
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.mosaic import TileResults, blend_tiles
from landcover_pnp.pipeline.overview import write_overview
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.student_tiles import StudentJob, join_tiles, student_tile, trained
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.tiles import Tiled, TileJob
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.products.rasters import (
    PRODUCTS,
    drawn_by,
    products_of,
    provenance_tags,
    write_products,
)
from landcover_pnp.products.result_classes import ResultClasses
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import (
    Ingredients,
    Record,
    file_hashes,
    fingerprint,
    ingredients,
    make_way,
)
from landcover_pnp.storage.run_folder import (
    DRAWN,
    METHODS,
    STUDENT,
    RunFolder,
    tile_names,
    with_sidecars,
)
from landcover_pnp.student.settings import StudentSettings


def own_tiles(job: Tiled, owned: OwnedFolder) -> None:
    """Claims the names of a job's tiles, and removes those of a grid the run had before."""
    folder = job.out.relative_to(owned.path.absolute()).as_posix()
    tiles = tile_names(folder, job.grid.shape, job.endings)
    owned.claim(tiles=tiles)
    owned.remove_other_tiles(tiles)


def blend_map(
    job: TileJob, tiles: TileCounts, run: Path, watch: Watch, *, last: bool = True
) -> Ingredients:
    """Blends the tiles' probabilities by every method; returns what they are made of.

    Args:
        job: The tiles.
        tiles: Which of them are there.
        run: The run folder.
        watch: Told when there is work.
        last: Whether the engine's map is what the run ends with, or is written as ``DRAWN``.
    """
    results, paths = TileResults(job.grid, job.out, tiles.done), RunFolder(run)
    cut = {"core_px": job.grid.core_px, "halo_px": job.grid.halo_px}
    made_of = {**job.made_of, **ingredients(tiles=cut), "finished tiles": tiles.hash}
    names = {method: method if last or method != METHODS[0] else DRAWN for method in METHODS}

    def blend() -> Iterator[Path]:
        # What they tell of is written over.
        (HiddenFiles(paths).engine_record if last else paths.drawn_record).unlink(missing_ok=True)
        for method, name in names.items():
            yield blend_tiles(results, method, paths.probability(name))

    written = {**made_of, **({} if last else {"map": DRAWN})}
    stage("mosaic", paths.mosaic_record, written, blend, watch)
    return made_of


def draw_map(
    mosaic: Ingredients,
    student: StudentSettings,
    borders: IndexBorders | None,
    tiles: TileCounts,
    inferred: TileJob,
    task_pool: TaskPool,
    owned: OwnedFolder,
    watch: Watch,
    *,
    last: bool = True,
) -> Ingredients:
    """Trains the student and lets it draw the finished tiles; returns what they are made of.

    Args:
        mosaic: What the engine's map is made of.
        student: Settings of the student.
        borders: Borders of the scene's spectral indices, where they are known already.
        tiles: Which tiles are there.
        inferred: The tiles of the engine.
        task_pool: Does the work.
        owned: The run folder, held.
        watch: Told when there is work.
        last: Whether the student's map is what the run ends with, or is written as ``DRAWN``.
    """
    start, run = time.monotonic(), owned.path
    paths = RunFolder(run)
    owned.claim(paths.name(paths.model))
    pixels = open_mapped_scene(run).fine.overlay.geobox
    made_of = {
        "mosaic": fingerprint(mosaic),
        **ingredients(student=student, map_transform=pixels.transform, map_shape=pixels.shape),
    }
    model_hash = trained(run, student, made_of, watch, borders).files[paths.model.name]
    watch.stage("student", time.monotonic() - start)
    job = StudentJob(run.absolute(), inferred.grid, student, model_hash, made_of)
    own_tiles(job, owned)
    start, drawn = time.monotonic(), TileCounts()
    watch.say("the student draws the map, tile by tile")
    wanted = [tile for tile in job.grid if tile.id in tiles.done]
    for _ in run_tiles(job, student_tile, wanted, drawn, task_pool, watch):
        pass
    watch.stage("student's tiles", time.monotonic() - start)
    tiles.failed.update(drawn.failed)
    path = paths.probability(STUDENT if last else DRAWN)
    record = paths.student_mosaic_record if last else paths.drawn_record
    made_of = {**made_of, "finished tiles": drawn.hash}

    def join() -> Iterator[Path]:
        yield join_tiles(job, drawn.done, path)

    stage("student's mosaic", record, made_of, join, watch)
    return made_of


def doubt_map(
    mosaic: Ingredients,
    scene: Scene,
    matrices: Sequence[NDArray[np.float64]],
    run: Path,
    watch: Watch,
    *,
    student: bool,
) -> Ingredients:
    """Holds the map's sources against each other; returns what its doubt is made of.

    Args:
        mosaic: What the map is made of.
        scene: The scene.
        matrices: p(class | code) of the run's coarse maps.
        run: The run folder.
        watch: Told when there is work.
        student: Whether a student has drawn the map.
    """
    made_of = {"mosaic": fingerprint(mosaic), "scene": scene.fingerprint}

    def doubt() -> Iterator[Path]:
        yield write_doubt(DoubtSources(run, scene, matrices, student))

    stage("doubt", RunFolder(run).doubt_record, made_of, doubt, watch)
    return made_of


def write_map(
    job: TileJob,
    scene: Scene,
    mosaic: Ingredients,
    doubt: Ingredients,
    student: bool,
    legend: ResultLegend,
    run: Path,
    watch: Watch,
    *,
    hidden: bool = False,
) -> list[Path]:
    """Writes the products and the overview of what has been blended or drawn, in its legend.

    Args:
        job: The tiles.
        scene: The scene.
        mosaic: What the map is made of.
        doubt: What its doubt is made of.
        student: Whether a student has drawn it.
        legend: Its legend.
        run: The run folder.
        watch: Told when there is work.
        hidden: Whether its unsure pixels have been filled.

    Returns:
        The products.
    """
    paths = RunFolder(run)

    def publish() -> Iterator[Path]:
        tags = provenance_tags(job.made_of)
        products = drawn_by(products_of(legend.legend), student)
        result = ResultClasses.of(run, legend)
        yield from with_sidecars(write_products(paths.probabilities, run, tags, products, result))
        if has_clouds(scene) or hidden:
            final = paths.probability(STUDENT if student else METHODS[0])
            yield from with_sidecars([write_filled(run, scene, final if hidden else None)])
        yield write_overview(run)

    made_of = ingredients(
        mosaic=fingerprint(mosaic),
        doubt=fingerprint(doubt),
        scene=fingerprint(scene.made_of),  # truth too: the overview shows it
        products=list(PRODUCTS),
        legend=plain(legend),
    )
    stage("products", paths.rasters_record, made_of, publish, watch)
    return [paths.raster(stem) for stem in PRODUCTS]


def stage(
    name: str, path: Path, made_of: Ingredients, work: Callable[[], Iterable[Path]], watch: Watch
) -> None:
    """Does work whose files lie beside its record, unless they can stay as they are."""
    start = time.monotonic()
    record, differing = Record.standing(path, made_of)
    if record is None:
        told = ", ".join(differing)
        why = [f"{name} made again, changed since the last run: {told}"] if told else []
        watch.work(*why, *make_way(path))
        files = file_hashes(path.parent, work())
        Record("done", made_of, time.monotonic() - start, files=files).write(path)
    watch.stage(name, time.monotonic() - start)
