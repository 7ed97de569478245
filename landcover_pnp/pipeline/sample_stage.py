"""Posterior samples as a stage of a map run: class frequencies, and areas with intervals."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from landcover_pnp.evaluation.area_spread import SPREAD, drawn_shares
from landcover_pnp.inference.class_tilt import tilt_to
from landcover_pnp.inference.posterior_samples import share_correction
from landcover_pnp.legend import WORKING
from landcover_pnp.pipeline.map_stages import own_tiles, stage
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.sample_plan import SamplePlan
from landcover_pnp.pipeline.sample_tiles import (
    SampleJob,
    join_frequencies,
    sample_tile,
    total_counts,
)
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.tiles import TileJob, one_thread
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.working_map import WorkingMap
from landcover_pnp.products.areas import SampledAreas, mapped_areas
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import Ingredients, fingerprint, ingredients
from landcover_pnp.storage.run_folder import STUDENT, RunFolder
from landcover_pnp.storage.sample_files import SampleFiles
from landcover_pnp.version import __version__

if TYPE_CHECKING:
    from landcover_pnp.prior.masked_prior import MaskedPrior

PIXELS = 40_000
"""About how many pixels of a map the classes' odds are fitted on."""

WINDOW_PX, WINDOWS = 64, 12
"""Windows that are drawn beforehand, to keep the classes' shares."""


def sample_map(
    plan: SamplePlan,
    mosaic: Ingredients,
    inferred: TileJob,
    tiles: TileCounts,
    task_pool: TaskPool,
    owned: OwnedFolder,
    watch: Watch,
    *,
    seed: int,
    student: bool,
) -> TileCounts:
    """Draws the samples tile by tile and joins the class frequencies.

    Args:
        plan: How.
        mosaic: What the map is made of.
        inferred: The tiles of the map.
        tiles: Which of them are there.
        task_pool: Does the work.
        owned: The run folder, held.
        watch: Told when there is work.
        seed: Seed of the run.
        student: Whether a student has drawn the map.

    Returns:
        What became of the tiles.
    """
    start, run = time.monotonic(), owned.path
    made_of = {
        "map": fingerprint(mosaic),
        **ingredients(
            version=__version__,
            prior=plan.fingerprint,
            samples=plan.count,
            spread=SPREAD,
            fill=plan.fill,
            view_px=plan.view_px,
            seed=seed,
        ),
    }
    job = SampleJob(
        run=run.absolute(),
        grid=inferred.grid,
        student=student,
        prior=plan.prior,
        tilts=(),
        fill=plan.fill,
        view_px=plan.view_px,
        seed=seed,
        made_of=made_of,
    )
    own_tiles(job, owned)

    def ready(job: SampleJob) -> SampleJob:
        final = WorkingMap.of(run, job.grid.geobox, student=student)
        return dataclasses.replace(job, tilts=_tilts(job, final, plan.count))

    watch.say(f"{plan.count} samples of the map are drawn, tile by tile")
    sampled = TileCounts()
    wanted = [tile for tile in job.grid if tile.id in tiles.done]
    for _ in run_tiles(job, sample_tile, wanted, sampled, task_pool, watch, ready):
        pass
    watch.stage("samples", time.monotonic() - start)
    paths = RunFolder(run)
    stage(
        "frequencies",
        paths.sampled.frequencies_record,
        {**made_of, "finished tiles": sampled.hash},
        lambda: [join_frequencies(job, sampled.done, paths.sampled.frequencies)],
        watch,
    )
    return sampled


def _tilts(job: SampleJob, final: WorkingMap, count: int) -> tuple[tuple[float, ...], ...]:
    """What favours each sample's classes, (sample, class): its part of the systematic error."""
    from landcover_pnp.prior.loading import load_prior  # torch: seconds

    p = final.sample(PIXELS)
    if not p.size:
        return ((0.0,) * len(p),) * count
    shares = p.mean(axis=1, dtype=np.float64)
    wanted = drawn_shares(shares / shares.sum(), SPREAD, count, job.seed)
    one_thread()
    prior = cast("MaskedPrior", load_prior(job.prior, "masked"))
    windows = final.windows(WINDOW_PX, WINDOWS)
    kept = share_correction(prior, windows, job.fill, job.seed, job.view_px)
    return tuple(tuple((tilt_to(p, row) + kept).round(6).tolist()) for row in wanted)


NO_AREAS = "no intervals of class areas: not every tile could be sampled"
"""Note of a run some of whose samples are missing."""


def write_areas(
    run: Path, plan: SamplePlan, sampled: TileCounts, watch: Watch, *, student: bool
) -> SampledAreas | None:
    """Areas with intervals of a finished map, of which it writes a table.

    Args:
        run: The run folder.
        plan: How the samples were drawn.
        sampled: What became of the tiles.
        watch: Told when there is work.
        student: Whether a student has drawn the map.

    Returns:
        The areas; None where a tile could not be sampled.
    """
    paths = RunFolder(run)
    if sampled.failed:
        paths.sampled.areas_record.unlink(missing_ok=True)
        paths.sampled.areas.unlink(missing_ok=True)
        return None
    final = paths.probability(STUDENT if student else "map")
    counts = total_counts(paths.sampled.posterior, sampled.done, plan.count)
    areas = SampledAreas.of(counts, mapped_areas(final), WORKING.names)
    keep_areas(paths.sampled, areas, watch)
    return areas


def keep_areas(files: SampleFiles, areas: SampledAreas, watch: Watch) -> None:
    """Writes the table of areas, unless it stands.

    Args:
        files: Where.
        areas: The areas.
        watch: Told when there is work.
    """

    def write() -> list[Path]:
        areas.write(files.areas)
        return [files.areas]

    stage("areas", files.areas_record, ingredients(areas=areas.content()), write, watch)
