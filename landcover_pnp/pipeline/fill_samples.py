"""Posterior samples of a filled map: known pixels are held in all of them, hidden ones drawn."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evaluation.area_spread import HOLE_SPREAD, drawn_shares
from landcover_pnp.grid import Box, Tile, blocks
from landcover_pnp.inference.class_tilt import tilt_to
from landcover_pnp.inference.posterior_samples import completed_samples
from landcover_pnp.legend import CLASS_COUNT, NO_DATA
from landcover_pnp.pipeline.fill_folder import FillFolder
from landcover_pnp.pipeline.fill_grid import majority
from landcover_pnp.pipeline.fill_windows import FillJob
from landcover_pnp.pipeline.map_stages import own_tiles, stage
from landcover_pnp.pipeline.sample_stage import keep_areas
from landcover_pnp.pipeline.sample_tiles import (
    DrawnTiles,
    TileSamples,
    join_frequencies,
    sample_tile,
    total_counts,
)
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.products.areas import HECTARE_M2, SampledAreas
from landcover_pnp.products.ground import FILLED, SEEN
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import ingredients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from landcover_pnp.pipeline.fill_plan import FillPlan
    from landcover_pnp.pipeline.progress import Watch
    from landcover_pnp.pipeline.workers.task_pool import TaskPool
    from landcover_pnp.storage.owned_folder import OwnedFolder

PIXELS = 40_000
"""About how many filled pixels the classes' odds are fitted on."""


@dataclass(frozen=True)
class HoleSamples(DrawnTiles):
    """The samples of a map whose holes are filled.

    Attributes:
        filling: The windows that fill it.
    """

    filling: FillJob

    def drawn(self, tile: Tile) -> TileSamples:
        """The samples of a window, one for each of ``tilts``."""
        from landcover_pnp.prior.loading import load_prior  # torch: seconds in every process

        core, counted = tile.core.within(tile.canvas), self.filling.counted(tile)
        codes, hidden = majority(counted)
        pixels = self.filling.pixels
        # Of a coarser map the pixel at the centre is counted, by each working pixel inside it.
        weight = counted[-1] / (max(pixels.rows.ratio, 1) * max(pixels.columns.ratio, 1))
        mix = self.filling.mix(codes)
        expected = np.ones(CLASS_COUNT) if mix is None else mix.astype(np.float64)
        expected **= self.fill.evidence_weight
        expected[self.filling.class_map.back[1:] == NO_DATA] = 0  # classes the map has not
        samples = completed_samples(
            load_prior(self.prior, "masked"),
            codes,
            hidden,
            expected,
            np.asarray(self.tilts),
            self.fill,
            self.seed,
            (tile.canvas.y0, tile.canvas.x0),
            max(tile.canvas.shape),
        )
        return TileSamples((labels[core] for labels in samples), weight[core], hidden[core])


def sample_filled(
    plan: FillPlan,
    filling: FillJob,
    filled: TileCounts,
    task_pool: TaskPool,
    owned: OwnedFolder,
    watch: Watch,
) -> TileCounts:
    """Draws the samples window by window and joins the class frequencies of filled pixels.

    Args:
        plan: The plan of the filled map.
        filling: The windows that fill it.
        filled: What became of them.
        task_pool: Does the work.
        owned: The folder, held.
        watch: Told when there is work.

    Returns:
        What became of the windows.
    """
    start, count = time.monotonic(), plan.settings.samples
    made_of = {**filling.made_of, **ingredients(samples=count, spread=HOLE_SPREAD)}
    job = HoleSamples(
        run=filling.home,
        grid=filling.grid,
        prior=filling.prior,
        tilts=(),
        fill=filling.settings,
        seed=filling.seed,
        made_of=made_of,
        filling=filling,
    )
    own_tiles(job, owned)
    wanted = [tile for tile in job.grid if tile.id in filled.done]

    def ready(job: HoleSamples) -> HoleSamples:
        return dataclasses.replace(job, tilts=_tilts(job, wanted, count))

    watch.say(f"{count} samples of the filled pixels are drawn, window by window")
    sampled = TileCounts()
    for _ in run_tiles(job, sample_tile, wanted, sampled, task_pool, watch, ready):
        pass
    watch.stage("samples", time.monotonic() - start)
    files = FillFolder.of(plan).sampled
    stage(
        "frequencies",
        files.frequencies_record,
        {**made_of, "finished tiles": sampled.hash},
        lambda: [join_frequencies(job, sampled.done, files.frequencies)],
        watch,
    )
    return sampled


def _tilts(job: HoleSamples, tiles: Sequence[Tile], count: int) -> tuple[tuple[float, ...], ...]:
    """What favours each sample's classes, (sample, class): its part of the systematic error."""
    parts = [np.zeros((CLASS_COUNT, 0), np.float32)]
    for tile in tiles:
        core = tile.core.within(tile.canvas)
        with open_raster(job.filling.raster(tile), "window") as source:
            whole = Box(0, source.height, 0, source.width)
            p = decode(read(source, source.indexes, whole))[:, *core]
        parts.append(p[:, majority(job.filling.counted(tile))[1][core]])
    p = np.concatenate(parts, axis=1)
    p = p[:, :: -(-max(p.shape[1], 1) // PIXELS)]
    if not p.size:
        return ((0.0,) * CLASS_COUNT,) * count
    shares = p.mean(axis=1, dtype=np.float64)
    wanted = drawn_shares(shares / shares.sum(), HOLE_SPREAD, count, job.seed)
    return tuple(tuple(tilt_to(p, row).round(6).tolist()) for row in wanted)


def filled_areas(
    plan: FillPlan, folder: FillFolder, sampled: TileCounts, watch: Watch
) -> SampledAreas:
    """Areas of the whole map with intervals, known pixels as they are, of which it writes a table.

    Args:
        plan: The plan of the filled map.
        folder: Its folder, with the map.
        sampled: What became of the samples' windows.
        watch: Told when there is work.
    """
    source, files = plan.class_map, folder.sampled
    codes = np.array([c.code for c in source.legend.classes if c.code != NO_DATA])
    names = [c.name for c in source.legend.classes if c.code != NO_DATA]
    seen, filled = _counts(folder, codes)
    by_working = total_counts(files.posterior, sampled.done, plan.settings.samples)
    drawn = np.stack([by_working[:, source.back[1:] == code].sum(axis=1) for code in codes], axis=1)
    # Windows count in pixels of the prior: the hidden ones of the map are as many as they are.
    drawn *= filled.sum() / np.maximum(drawn.sum(axis=1, keepdims=True), 1)
    mapped_ha = np.asarray((seen + filled) * plan.pixel_m2 / HECTARE_M2, np.float64)
    areas = SampledAreas.of(seen + drawn, mapped_ha, names)
    keep_areas(files, areas, watch)
    return areas


def _counts(folder: FillFolder, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Pixels of the filled map by class, (class,) each: those that were known, and the filled."""
    counts = np.zeros((2, len(codes)), np.int64)
    with open_raster(folder.map, "map") as source, open_raster(folder.layer, "filled") as layer:
        for box in blocks(Box(0, source.height, 0, source.width)):
            values, how = read(source, 1, box), read(layer, 1, box)
            for row, kind in zip(counts, (SEEN, FILLED), strict=True):
                row += np.array([(values[how == kind] == code).sum() for code in codes])
    return counts[0], counts[1]
