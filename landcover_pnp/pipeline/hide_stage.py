"""The last stage of a map: pixels that it is unsure of are hidden, and filled by a prior."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import HiddenWarning, RunError
from landcover_pnp.grid import Box, Tile, TileGrid, blocks
from landcover_pnp.pipeline.fill_grid import FillGrid
from landcover_pnp.pipeline.fill_rasters import BLOCK_PX, at_pixels
from landcover_pnp.pipeline.fill_windows import METHOD
from landcover_pnp.pipeline.hidden_ground import completed
from landcover_pnp.pipeline.hide_plan import HidePlan
from landcover_pnp.pipeline.hide_tiles import HideJob, hide_tile
from landcover_pnp.pipeline.map_stages import own_tiles
from landcover_pnp.pipeline.mosaic import TileResults
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.settings import TileSettings
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.scenes.scene import CLOUDS, Scene
from landcover_pnp.storage.georeference import pixel_sides_m
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.probabilities import BAND, decode, encode
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.records import (
    Ingredients,
    Record,
    file_hashes,
    fingerprint,
    ingredients,
    make_way,
)
from landcover_pnp.storage.run_folder import DRAWN, STUDENT, RunFolder
from landcover_pnp.version import __version__

MOST_CORE_PX, MOST_HALO_PX = 192, 32
"""Largest windows, pixels of the prior, as those of ``landcover fill``: the memory that attention
takes grows with the square of their area."""


@dataclass(frozen=True)
class HiddenMap:
    """A map whose unsure pixels have been filled.

    Attributes:
        made_of: What it is made of.
        seen_px: Its pixels that were sure of their class.
        filled_px: Those that were filled.
        changed_px: Those of them whose class is another now.
        pixel_m2: Area of a pixel.
    """

    made_of: Ingredients
    seen_px: int
    filled_px: int
    changed_px: int
    pixel_m2: float

    def note(self, below: float) -> str:
        """What became of it, in a sentence.

        Args:
            below: Probability of its class below which a pixel was hidden.
        """
        share = self.filled_px / max(self.seen_px + self.filled_px, 1)
        return (
            f"{self.filled_px * self.pixel_m2 / 1e4:.2f} ha ({share:.1%}) of the map whose class "
            f"had less than {below:g} were filled by the prior; "
            f"{self.changed_px / max(self.filled_px, 1):.1%} of them changed class"
        )


def fill_unsure(
    plan: HidePlan,
    mosaic: Ingredients,
    scene: Scene,
    cut: TileSettings,
    task_pool: TaskPool,
    owned: OwnedFolder,
    watch: Watch,
    *,
    seed: int,
    student: bool,
) -> HiddenMap:
    """Fills the pixels that a map is unsure of, and writes the map that the run ends with.

    Args:
        plan: Which pixels, by which prior.
        mosaic: What the map is made of.
        scene: The scene; ground under its clouds is filled already.
        cut: How the map is cut into windows, if into smaller ones than ``MOST_CORE_PX``.
        task_pool: Does the work.
        owned: The run folder, held.
        watch: Told when there is work.
        seed: Seed of the run.
        student: Whether a student has drawn the map.

    Returns:
        What was filled.

    Raises:
        RunError: If a window cannot be filled.
    """
    start, paths = time.monotonic(), RunFolder(owned.path)
    job, pixel_m2 = _job(plan, mosaic, scene, cut, paths, seed)
    final = paths.probability(STUDENT if student else "map")
    path = paths.student_mosaic_record if student else HiddenFiles(paths).engine_record
    own_tiles(job, owned)
    record, differing = Record.standing(path, job.made_of)
    if record is None:
        told = ", ".join(differing)
        why = [f"unsure pixels filled again, changed since the last run: {told}"] if told else []
        watch.work(*why, *make_way(path), "unsure pixels are filled by the prior")
        figures = _filled(job, final, task_pool, watch)
        files, seconds = file_hashes(path.parent, [final]), time.monotonic() - start
        record = Record("done", job.made_of, seconds, figures=figures, files=files)
        record.write(path)
    watch.stage("unsure pixels", time.monotonic() - start)
    counts = {name: int(record.figures[name]) for name in ("seen_px", "filled_px", "changed_px")}
    return HiddenMap(made_of=job.made_of, pixel_m2=pixel_m2, **counts)


def _job(
    plan: HidePlan,
    mosaic: Ingredients,
    scene: Scene,
    cut: TileSettings,
    paths: RunFolder,
    seed: int,
) -> tuple[HideJob, float]:
    """The windows, and the area of a pixel of the map."""
    before = paths.probability(DRAWN)
    with open_raster(before, "map") as source:
        geobox, sides = GeoBox.from_rio(source), pixel_sides_m(source)
    pixels = FillGrid.of(geobox, (sides[1], sides[0]), plan.prior_m)
    core_px, halo_px = min(cut.core_px, MOST_CORE_PX), min(cut.halo_px, MOST_HALO_PX)
    core_px = -(-core_px // pixels.parts) * pixels.parts
    made_of = {
        "map": fingerprint(mosaic),
        "scene": scene.fingerprint,
        **plan.made_of,
        **ingredients(version=__version__, grid=[core_px, halo_px], seed=seed),
    }
    job = HideJob(
        run=paths.path.absolute(),
        before=before.absolute(),
        clouds=(scene.folder / f"{CLOUDS}.tif").absolute() if CLOUDS in scene.layers else None,
        below=plan.below,
        pixels=pixels,
        grid=TileGrid(pixels.geobox, core_px, halo_px),
        prior=plan.prior and plan.prior.absolute(),
        settings=plan.fill,
        seed=seed,
        made_of=made_of,
    )
    return job, sides[0] * sides[1]


def _filled(job: HideJob, final: Path, task_pool: TaskPool, watch: Watch) -> dict[str, float]:
    """Fills window by window and writes the map; returns the counts of its pixels."""
    seen, hidden = _counted(job)
    filled = sum(hidden.values())
    if filled and not sum(seen.values()):
        warnings.warn(
            f"the map is sure of no pixel: inference.hide_below {job.below:g} would hide all "
            f"{filled}, and leave the prior nothing to hold on to; the map stays as it is",
            HiddenWarning,
            stacklevel=2,
        )
        filled, hidden = 0, dict.fromkeys(hidden, 0)
    near = (t for t in job.grid if any(hidden[n.id] for n in job.grid.neighbours(t)))
    counts, wanted = TileCounts(), list(near)
    for _ in run_tiles(job, hide_tile, wanted, counts, task_pool, watch):
        pass
    if counts.failed:
        name, reason = min(counts.failed.items())
        raise RunError(
            found=f"{len(counts.failed)} of {len(wanted)} windows of unsure pixels could not be "
            f"filled, such as {name}: {reason}",
            expected="a result for every window with hidden pixels",
            fix="see to that, then repeat the command: the other windows are kept; or leave "
            "inference.hide_below out",
        )
    changed = 0

    def parts() -> Iterator[tuple[Box, NDArray[np.uint16]]]:
        nonlocal changed
        for box, before, after in _windows(job, counts, hidden):
            yield box, after
            changed += int((before.argmax(axis=0) != after.argmax(axis=0)).sum())

    with open_raster(job.before, "map") as source:
        geobox = GeoBox.from_rio(source)
    write_raster(final, geobox, BAND, parts())
    figures = {"seen_px": sum(seen.values()), "filled_px": filled, "changed_px": changed}
    return {name: float(value) for name, value in figures.items()}


def _counted(job: HideJob) -> tuple[dict[str, int], dict[str, int]]:
    """Sure and hidden pixels in the core of each window, by its name."""
    seen, hidden = {}, {}
    for tile in job.grid:
        seen[tile.id] = hidden[tile.id] = 0
        for box in blocks(job.pixels.fine(tile.core), BLOCK_PX):
            p = decode(job.stored(box))
            count = int(job.hidden(p, box).sum())
            hidden[tile.id] += count
            seen[tile.id] += int(p.any(axis=0).sum()) - count
    return seen, hidden


def _windows(
    job: HideJob, counts: TileCounts, hidden: dict[str, int]
) -> Iterator[tuple[Box, NDArray[np.uint16], NDArray[np.uint16]]]:
    """Windows that partition the map: stored probabilities before and after."""
    results = TileResults(job.grid, job.out, counts.done)
    stored = lru_cache(9)(partial(results.stored, method=METHOD))  # a core and those around it
    blended = lru_cache(9)(partial(results.blended, stored=stored))

    def seen(box: Box) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        p = decode(job.stored(box))
        codes = np.where(p.any(axis=0), p.argmax(axis=0) + 1, 0).astype(np.uint8)
        return codes, job.hidden(p, box)

    def after(tile: Tile, box: Box, before: NDArray[np.uint16]) -> NDArray[np.uint16]:
        p = decode(before)
        there = job.hidden(p, box)
        if not there.any():
            return before
        message = at_pixels(job.pixels, job.grid, tile, box, blended, seen)
        q = completed(p, message, there, job.settings.evidence_weight)
        return np.where(there, encode(q), before).astype(np.uint16)

    for tile in job.grid:
        for box in blocks(job.pixels.fine(tile.core), BLOCK_PX):
            before = job.stored(box)
            yield box, before, after(tile, box, before) if hidden[tile.id] else before
