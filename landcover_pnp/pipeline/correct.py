"""The correct stage: a finished run and a user's edits in, a corrected map beside its own out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from landcover_pnp.config import load_settings
from landcover_pnp.errors import EditsError, PriorError
from landcover_pnp.grid import blocks
from landcover_pnp.pipeline.completion import Completion
from landcover_pnp.pipeline.corrected_map import CorrectedMap
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.pipeline.correction_stages import CorrectedProbabilities
from landcover_pnp.pipeline.correction_summary import CorrectSummary
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene, require_same_imagery
from landcover_pnp.pipeline.progress import Progress, Watch
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.dataset import LandCover, run_of
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.scenes.edits import Edits, read_edits
from landcover_pnp.storage.disk_space import need_named, require_space
from landcover_pnp.storage.newest import corrected_names
from landcover_pnp.storage.raster import small_cache
from landcover_pnp.storage.records import (
    make_way,
)
from landcover_pnp.storage.run_folder import RunFolder, tile_names
from landcover_pnp.student.mapped_scene import MappedScene

MARGIN_BYTES = 30
"""Size of a corrected map's files per pixel of the image: probabilities twice, and its rasters."""


def correct(
    result: LandCover | str | Path,
    edits: str | Path,
    *,
    class_column: str | None = None,
    workers: int | None = 0,
    **options: Any,
) -> CorrectSummary:
    """Corrects a map by polygons or points of known classes.

    Args:
        result: Of ``map_scene`` or ``open_run``, or a run folder.
        edits: Vector file of the edits, all of them: each call starts from the run's own map.
        class_column: Column of their classes; None finds it.
        workers: Worker processes; 0 works in this process.
        **options: Further fields of ``CorrectSettings``.

    Returns:
        What was changed; ``open_run``, ``evaluate`` and ``publish`` take the corrected map now.

    Raises:
        RequestError: As ``correct_run``.
        RunError: If a file cannot be written.
    """
    settings = CorrectSettings(class_column=class_column, workers=workers, **options)
    return correct_run(run_of(result), Path(edits), settings)


def correct_run(
    run: Path,
    edits: Path,
    settings: CorrectSettings | None = None,
    *,
    report: Callable[[Progress], None] | None = None,
) -> CorrectSummary:
    """Corrects the map of a finished run; the run's own map stays as it is.

    The student learns again, from the edits too; near them its map takes the place of the run's,
    the edits' classes gain weight, and, where it is asked to, the prior completes what stays
    unsure. The same call again keeps what is finished and made of the same edits and settings.

    Args:
        run: Folder of a finished run with a student.
        edits: Vector file of polygons or points, each with a class.
        settings: How they are read, learned from and spread.
        report: Called with the progress whenever it changes.

    Returns:
        What was changed.

    Raises:
        RasterError: If the run is not finished, or the edits cannot be read.
        EditsError: If the edits cannot be used, or the run has no student.
        RequestError: If the run's imagery has changed.
        RunError: If a file cannot be written.
        KeyboardInterrupt: After a signal, when the tiles in hand are finished.
    """
    start, chosen, paths = time.monotonic(), settings or CorrectSettings(), RunFolder(run)
    finished = FinishedRun.open(run, original=True)
    _require_student(finished)
    _require_working_classes(finished)
    paths.require_apart([edits])
    require_same_imagery(run)
    mapped_scene = open_mapped_scene(run)
    grid = mapped_scene.fine.overlay.geobox
    read = read_edits(edits, grid, chosen.class_column, chosen.layer, chosen.point_radius_m)
    _require_ground(read, mapped_scene, edits)
    completion, said = _completion(chosen, mapped_scene) if chosen.complete else (None, ())
    height, width = grid.shape
    needed = MARGIN_BYTES * int(height) * int(width)
    require_space(run, needed)
    names = corrected_names(paths)
    with small_cache(), need_named(run, needed), paths.held(names) as owned:
        watch = _Watch(paths.corrected, report or (lambda _: None))
        run_settings = load_settings(MapSettings, paths.settings)
        made = CorrectedProbabilities(
            finished, run_settings, mapped_scene, chosen, read, completion, owned, watch
        )
        final, failed = made.map()
        notes = (*read.notes, *said)
        corrected = CorrectedMap(
            finished, run_settings, made.known, read.counts, failed, notes, final
        )
        return corrected.write(owned, watch, start)


def undo_correction(run: str | Path) -> CorrectSummary:
    """Goes back to a run's own map: removes the corrected one.

    Args:
        run: The run folder.

    Returns:
        A summary without edits.

    Raises:
        EditsError: If the run has no corrected map.
    """
    run = Path(run)
    paths = RunFolder(run)
    if not paths.corrected.path.is_dir():
        raise EditsError(
            found=f"{run} has no corrected map",
            expected="a run that `landcover correct` has corrected",
            fix="there is nothing to undo: its map is its own",
        )
    with paths.held() as owned:
        names = [name for name in corrected_names(paths) if owned.owns(name)]
        # First what makes it the newest: whenever this ends, one of the maps is whole.
        owned.remove(paths.name(paths.corrected.rasters_record))
        owned.remove(*names)
        owned.remove_other_tiles(tile_names(paths.name(paths.corrected.student), (0, 0), ()))
        owned.disown(*names)
        own = paths.corrected
        for folder in (own.student, own.probabilities, own.path):
            with suppress(OSError):  # not empty: something there is not ours
                folder.rmdir()
    return CorrectSummary(run, paths.landcover, {}, 0.0, 0.0, 0.0, 0.0)


class _Watch(Watch):
    """What a correction says; with its first work the map of an earlier one is no longer valid.

    Args:
        own: Where the corrected map lies.
        report: As of ``Watch``.
    """

    def __init__(self, own: RunFolder, report: Callable[[Progress], None]) -> None:
        super().__init__(None, report)
        self._own: RunFolder | None = own

    def work(self, *notes: str) -> None:
        """There is work to do: what lies there shall not be taken for a whole map meanwhile."""
        own, self._own = self._own, None
        if own is not None:
            notes = (*make_way(own.rasters_record), *notes)
            own.summary.unlink(missing_ok=True)
        super().work(*notes)


def _require_student(finished: FinishedRun) -> None:
    if not finished.student:
        raise EditsError(
            found=f"the map of {finished.folder} is not drawn by a student of its own",
            expected="a run with one: it learns from the edits",
            fix="map the scene into another folder by --profile balanced, or with --student.model "
            "forest, and correct that map",
        )


def _require_working_classes(finished: FinishedRun) -> None:
    if not finished.legend.is_working:
        raise EditsError(
            found=f"the map of {finished.folder} has the legend {finished.legend.name!r}",
            expected="a map in the working classes, in which edits are drawn and learned from",
            fix="map the scene into another folder with that legend left out, and correct that map",
        )


def _require_ground(edits: Edits, mapped_scene: MappedScene, path: Path) -> None:
    """Refuses edits that all lie where the map has no data.

    Raises:
        EditsError: If they cover no pixel with data.
    """
    overlay = mapped_scene.fine.overlay
    for box in blocks(mapped_scene.scene.extent):
        codes = edits.drawn(overlay.box(box))
        if codes.any():
            valid = overlay.spread(mapped_scene.scene.valid(box), box)
            if (valid & (codes > 0)).any():
                return
    raise EditsError(
        found=f"no edit in {path} lies where the map has data",
        expected="at least one edit on mapped ground",
        fix="name the edits of this map, and check their CRS",
    )


def _completion(
    chosen: CorrectSettings, mapped_scene: MappedScene
) -> tuple[Completion | None, tuple[str, ...]]:
    """The prior's part, and why there is none.

    Raises:
        PriorError: If a prior that was named cannot be used.
    """
    from landcover_pnp.inference.choice import Served
    from landcover_pnp.prior.loading import load_prior  # seconds, where none is wanted

    resolution_m = mapped_scene.scene.resolution_m
    try:
        prior = load_prior(chosen.prior, "masked")
        served = Served(prior.resolution_m)
        if resolution_m not in served:
            raise PriorError(
                found=f"a prior of label maps at {served.own_m:g} m for a working grid of "
                f"{resolution_m:g} m",
                expected=f"pixels that it serves, {served}",
                fix="name a prior of such label maps by --prior, or leave it out: --complete false",
            )
    except PriorError as error:
        if chosen.prior is not None:
            raise
        return None, (f"without the prior: {error.found}",)
    return Completion(prior, chosen.fill_reach_m, chosen.fill_below, chosen.fill_weight), ()
