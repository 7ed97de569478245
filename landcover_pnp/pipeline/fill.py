"""The fill stage: a class map and a mask in, the same map with the masked pixels filled out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config import plain
from landcover_pnp.errors import RunError
from landcover_pnp.grid import Box
from landcover_pnp.legend import NO_DATA, Legend
from landcover_pnp.pipeline.fill_folder import FillFolder
from landcover_pnp.pipeline.fill_plan import FillPlan, hide, plan_fill
from landcover_pnp.pipeline.fill_rasters import filled_windows, write_classes
from landcover_pnp.pipeline.fill_samples import filled_areas, sample_filled
from landcover_pnp.pipeline.fill_windows import FillJob, fill_window
from landcover_pnp.pipeline.leftovers import remove_samples
from landcover_pnp.pipeline.map_stages import own_tiles
from landcover_pnp.pipeline.progress import Progress, Watch
from landcover_pnp.pipeline.settings import FillMapSettings
from landcover_pnp.pipeline.tile_counts import TileCounts, run_tiles
from landcover_pnp.pipeline.workers.task_pool import TaskPool
from landcover_pnp.pipeline.workers.worker_pool import WorkerPool
from landcover_pnp.products.areas import SampledAreas
from landcover_pnp.products.ground import FILLED, SEEN, write_ground
from landcover_pnp.products.rasters import SOFTWARE
from landcover_pnp.storage.disk_space import need_named, require_space
from landcover_pnp.storage.geotiff import Band
from landcover_pnp.storage.hashes import HashBook
from landcover_pnp.storage.journal import journal_of
from landcover_pnp.storage.owned_folder import held, require_apart
from landcover_pnp.storage.raster import small_cache
from landcover_pnp.storage.records import Record, file_hashes, ingredients, make_way
from landcover_pnp.storage.run_folder import raster_files
from landcover_pnp.storage.sidecars import part_hashes
from landcover_pnp.version import __version__

KIND = "filled map"
"""What the marker of the folder says."""


@dataclass(frozen=True)
class FilledMap:
    """What ``landcover fill`` has written.

    Attributes:
        folder: Folder of the results; it can be moved as a whole.
        map: The filled map, with the codes, colours and names of the one that was given.
        layer: Which of its pixels were filled: 1 as in the map, 2 filled, 0 no data.
        filled_px: Number of filled pixels.
        share: Their share of the pixels with data.
        hectares: Their area.
        classes_ha: Hectares of each class among them, by name.
        windows: Windows that were filled, those of an earlier call among them.
        notes: What was taken for what, one sentence each.
        areas: Areas of the map's classes with the intervals of its samples; None without samples.
    """

    folder: Path
    map: Path
    layer: Path
    filled_px: int
    share: float
    hectares: float
    classes_ha: dict[str, float]
    windows: int
    notes: tuple[str, ...]
    areas: SampledAreas | None = None


def fill_map(
    path: Path, settings: FillMapSettings, report: Callable[[Progress], None] | None = None
) -> FilledMap:
    """Fills the masked pixels of a class map by a prior over label maps; all others stay.

    The same call again keeps what is finished and made of the same inputs and settings.

    Args:
        path: Class map, or the folder of a map run.
        settings: Mask, legend, prior, windows, where the results go.
        report: Called with the progress whenever it changes.

    Returns:
        What was written.

    Raises:
        RequestError: If it cannot be carried out as asked; nothing is written then.
        RunError: If a window cannot be filled, or a file cannot be written.
        KeyboardInterrupt: After a signal, when the windows in hand are finished.
    """
    plan = plan_fill(path, settings)
    folder = FillFolder.of(plan)
    require_apart(plan.inputs, [folder.path])
    names = folder.names(samples=bool(settings.samples))
    if not folder.path.exists():
        require_space(folder.path, plan.needed_bytes)
    with (
        small_cache(),
        need_named(folder.path, plan.needed_bytes),
        held(folder.path, KIND, names=names) as owned,
        journal_of(folder.path) as journal,
    ):
        watch = Watch(journal, report or (lambda _: None))
        book = HashBook(folder.book)
        made_of = _made_of(plan, book)
        for note in plan.notes:
            watch.say(note)
        hidden = _layer(plan, folder, made_of, watch)
        book.save()
        job = FillJob(
            class_map=plan.class_map,
            filled=folder.layer.absolute(),
            pixels=plan.pixels,
            grid=plan.grid,
            out=folder.windows.absolute(),
            prior=plan.prior_folder,
            settings=settings.fill.complete,
            seed=settings.seed,
            made_of=made_of,
        )
        counts = TileCounts()
        pool = WorkerPool(settings.workers, None, shared=folder.path.absolute())
        with TaskPool(pool, len(plan.grid), watch.say) as task_pool:
            own_tiles(job, owned)
            owned.kept = True
            wanted = [tile for tile in plan.grid if hidden and job.has_hidden(tile)]
            for _ in run_tiles(job, fill_window, wanted, counts, task_pool, watch):
                pass
            _require_all(counts, "filled")
            sampled = TileCounts()
            if settings.samples:
                sampled = sample_filled(plan, job, counts, task_pool, owned, watch)
                _require_all(sampled, "sampled")
        record = _publish(plan, job, counts, folder, made_of, watch)
        areas = filled_areas(plan, folder, sampled, watch) if settings.samples else None
        if not settings.samples:
            remove_samples(owned)
        journal.write("end", exit_code=0)
    return _summary(plan, folder, record, len(counts.done), areas)


def _require_all(counts: TileCounts, done: str) -> None:
    """Refuses a map some of whose windows have no result."""
    if not counts.failed:
        return
    name, reason = min(counts.failed.items())
    raise RunError(
        found=f"{len(counts.failed)} of {len(counts.failed) + len(counts.done)} windows could not "
        f"be {done}, such as {name}: {reason}",
        expected="a result for every window with hidden pixels",
        fix="see to that, then repeat the command: the other windows are kept",
    )


def _made_of(plan: FillPlan, book: HashBook) -> dict[str, Any]:
    inputs = {"map": plan.class_map.path, "mask": plan.settings.mask}
    hashes = {
        name + part: digest
        for name, path in inputs.items()
        for part, digest in part_hashes(path, book.file_hash).items()
    }
    return hashes | ingredients(
        version=__version__,
        mask_values=plan.settings.mask_values,
        mask_layer=plan.settings.mask_layer,
        no_data=plan.settings.fill_no_data,
        legend=plain(plan.class_map.legend),
        classes={str(code): to for code, to in plan.class_map.classes.items()},
        prior=plan.prior.fingerprint,
        fill=plan.settings.fill,
        grid=[plan.grid.core_px, plan.grid.halo_px],
        seed=plan.settings.seed,
    )


def _layer(plan: FillPlan, folder: FillFolder, made_of: dict[str, Any], watch: Watch) -> int:
    """Writes the layer of hidden pixels, unless it stands; returns their number."""
    path, start = folder.layer_record, time.monotonic()
    record, differing = Record.standing(path, made_of)
    if record is None:
        told = ", ".join(differing)
        changes = [f"made again, changed since: {told}"] if told else []
        counts = {NO_DATA: 0, SEEN: 0, FILLED: 0}

        def parts() -> Iterator[tuple[Box, NDArray[np.uint8]]]:
            for box, values in hide(plan):
                for value in counts:
                    counts[value] += int((values == value).sum())
                yield box, values
            # Only a mask that can be used makes way: what was filled by another stands till then.
            plan.require_sense(counts[SEEN], counts[FILLED])
            watch.work(*changes, *make_way(path))

        write_ground(folder.layer, plan.class_map.geobox, parts())
        figures = {"seen_px": counts[SEEN], "filled_px": counts[FILLED]}
        files = file_hashes(folder.path, raster_files_there(folder.layer))
        record = Record("done", made_of, time.monotonic() - start, figures=figures, files=files)
        record.write(path)
    hidden = int(record.figures["filled_px"])
    if not hidden:
        watch.say(f"{plan.settings.mask} hides no pixel of the map: it stays as it is")
    return hidden


def _publish(
    plan: FillPlan,
    job: FillJob,
    counts: TileCounts,
    folder: FillFolder,
    made_of: dict[str, Any],
    watch: Watch,
) -> Record:
    """Writes the filled map, unless it stands."""
    start, path = time.monotonic(), folder.map
    made_of = {**made_of, "finished windows": counts.hash}
    record, _ = Record.standing(folder.record, made_of)
    if record is not None:
        return record
    watch.work(*make_way(folder.record))
    source = plan.class_map
    filled = np.zeros(len(source.back), np.int64)

    def parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        for box, codes, classes in filled_windows(plan, job, counts):
            filled[:] += np.bincount(classes, minlength=len(filled))
            yield box, codes[None]

    small = np.dtype(source.dtype) in (np.uint8, np.uint16)  # others have no colour table
    legend = source.legend if small else None
    tags = {**SOFTWARE, **source.tags}
    band = Band(source.dtype, (source.description,), source.nodata, legend, tags=tags)
    write_classes(path, source.geobox, band, parts(), source.legend)
    layer = Record.read(folder.layer_record)
    figures = {**(layer.figures if layer else {}), **_by_class(source.legend, filled, plan)}
    files = file_hashes(folder.path, raster_files_there(path))
    record = Record("done", made_of, time.monotonic() - start, figures=figures, files=files)
    record.write(folder.record)
    return record


def raster_files_there(path: Path) -> list[Path]:
    """A raster and what lies beside it."""
    return [file for file in raster_files(path) if file.is_file()]


def _by_class(legend: Legend, filled: NDArray[np.int64], plan: FillPlan) -> dict[str, float]:
    names = {c.code: c.name for c in legend.classes}
    back = plan.class_map.back
    return {
        f"ha of {names[int(back[working])]}": round(int(count) * plan.pixel_m2 / 1e4, 4)
        for working, count in enumerate(filled)
        if count
    }


def _summary(
    plan: FillPlan,
    folder: FillFolder,
    record: Record,
    windows: int,
    areas: SampledAreas | None,
) -> FilledMap:
    figures = record.figures
    seen, hidden = int(figures["seen_px"]), int(figures["filled_px"])
    head = "ha of "
    return FilledMap(
        folder=folder.path,
        map=folder.map,
        layer=folder.layer,
        filled_px=hidden,
        share=hidden / max(seen + hidden, 1),
        hectares=round(hidden * plan.pixel_m2 / 1e4, 4),
        classes_ha={k.removeprefix(head): v for k, v in figures.items() if k.startswith(head)},
        windows=windows,
        notes=plan.notes,
        areas=areas,
    )
