"""The verify stage: a run folder compared with what its plan, records and journal say."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.errors import NotGeoreferencedWarning

from landcover_pnp.errors import LandcoverError, RequestError
from landcover_pnp.grid import Box, TileGrid, blocks
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.checked_json import read_checked, read_object
from landcover_pnp.storage.files import CHANGED
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.integrity import MISSING, record_faults, small_faults
from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.lost_names import lost_names
from landcover_pnp.storage.marker import TILE, Marker
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import RECORD, Record
from landcover_pnp.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Verification:
    """What was found in a run folder.

    Attributes:
        run: The run folder.
        files: Number of files compared.
        pixels: Number of pixels read, all bands of a pixel counted as one.
        faults: What is wrong, by the file's name; empty if all is well.
        finished: Whether the run has come to its end.
    """

    run: Path
    files: int
    pixels: int
    faults: dict[str, str]
    finished: bool

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if something is damaged, 3 if only the rest of the map is missing."""
        if self.faults:
            return 1
        return 0 if self.finished else 3


def verify_run(run: Path) -> Verification:
    """Reads every pixel of every raster of a run and compares every file with its hash.

    What should be there follows from the run's settings, its grid and what has been published,
    so that a file is missed that has vanished together with its record.

    Args:
        run: The run folder; nothing in it is changed.

    Returns:
        What was found.

    Raises:
        RequestError: If the folder holds no records of a map run.
    """
    paths, journal = RunFolder(run), Journal(run)
    there = [path for path in _known_records(paths) if os.path.lexists(path)]
    if not there and not paths.marker.exists():
        raise RequestError(
            found=f"no records of finished work in {run}",
            expected="the folder of a map run",
            fix="name the folder that `landcover map --run` was given",
        )
    finished = journal.broken_off is None or (
        journal.last_result is None and paths.summary.is_file()
    )
    faults: dict[str, str] = {}
    if not _is_old(paths, there):
        faults = {**small_faults(paths), **_book_faults(paths)}
        there = sorted({*there, *(_planned_records(paths) if finished else ())})
    faults |= record_faults(paths, there, thorough=True)
    pixels = files = 0
    for path in there:
        record = Record.read(path)
        for name in record.files if record else ():
            file = path.parent / name
            files += 1
            if file.suffix == ".tif" and paths.name(file) not in faults:
                try:
                    pixels += _read_all(file)
                except LandcoverError as error:
                    faults[paths.name(file)] = error.found
    return Verification(run, files, pixels, dict(sorted(faults.items())), finished)


def _known_records(paths: RunFolder) -> Iterator[Path]:
    """Where the records of finished work lie, those of commands besides ``map`` too."""
    yield from (paths.scene_record, *paths.sources.glob(f"*/{RECORD}"))
    yield from (paths.mosaic_record, paths.student_record, paths.student_mosaic_record)
    yield from (paths.drawn_record, HiddenFiles(paths).engine_record)
    yield from (paths.doubt_record, paths.doubtful_record)
    yield from (
        paths.sampled.frequencies_record,
        paths.sampled.areas_record,
        paths.sampled.ground_record,
    )
    yield from (paths.rasters_record, paths.published_record, paths.trained_summary)
    yield from _corrected_records(paths.corrected)
    drawn = paths.student, paths.corrected.student
    for folder in (paths.tiles, *drawn, paths.sampled.posterior, HiddenFiles(paths).windows):
        yield from (path for path in folder.glob("*.json") if TILE.fullmatch(path.name))
    yield from (path for path in paths.zonal.glob("*.json") if Record.read(path) is not None)


def _corrected_records(own: RunFolder) -> tuple[Path, ...]:
    """Records of a corrected map, the last one first."""
    return (
        *(own.rasters_record, own.doubt_record, own.student_mosaic_record),
        *(own.drawn_record, own.student_record, own.edits.with_suffix(".json")),
    )


def _planned_records(paths: RunFolder) -> Iterator[Path]:
    """Records that a finished run must have, as far as settings, grid and claims can be read."""
    yield from (paths.scene_record, paths.mosaic_record, paths.rasters_record, paths.doubt_record)
    marker = Marker.read(paths.path)
    claimed = marker.names if marker else frozenset(lost_names(paths))
    if any(name.startswith(f"{paths.products.name}/") for name in claimed):
        yield paths.published_record
    if paths.name(paths.trained_summary) in claimed:
        yield paths.trained_summary
    if any(name.startswith(f"{paths.doubtful.name}/") for name in claimed):
        yield paths.doubtful_record
    # Of a correction that has come to its end; one that was broken off is no damage.
    if paths.name(paths.corrected.summary) in claimed and paths.corrected.summary.is_file():
        yield from _corrected_records(paths.corrected)
    settings = read_object(paths.settings) or {}
    weak, cut = _block(settings, "weak_labels"), _block(settings, "tiles")
    if weak.get("matrix_source") == "source":
        for config in weak.get("source_scenes") or ():
            yield paths.sources / Path(str(config)).stem / RECORD
    try:
        grid = TileGrid(Scene.open(paths.scene).geobox, int(cut["core_px"]), int(cut["halo_px"]))
    except (LandcoverError, KeyError, TypeError, ValueError):
        return  # which is said of their own files
    done = []
    for tile in grid:
        yield paths.tiles / f"{tile.id}.json"
        record = Record.read(paths.tiles / f"{tile.id}.json")
        if record is not None and record.status == "done":
            done.append((tile.id, record.figures))
    if settings.get("samples"):
        yield from (paths.sampled.frequencies_record, paths.sampled.areas_record)
        yield from (paths.sampled.posterior / f"{name}.json" for name, _ in done)
    told = sum(f.get("valid_px", 0) - f.get("uniform_px", 0) for _, f in done)
    student = settings.get("student") is not None and told > 0
    if _block(settings, "inference").get("hide_below"):
        yield paths.drawn_record if student else HiddenFiles(paths).engine_record
    if student:
        yield from (paths.student_record, paths.student_mosaic_record)
        yield from (paths.student / f"{name}.json" for name, _ in done)


def _book_faults(paths: RunFolder) -> dict[str, str]:
    """Faults of the remembered hashes of the inputs."""
    faults = {}
    for folder in (paths.scene, *(path.parent for path in paths.sources.glob(f"*/{RECORD}"))):
        book = folder.with_name(f"{folder.name}-inputs.json")
        if folder.is_dir() and read_checked(book) is None:
            faults[paths.name(book)] = CHANGED if book.exists() else MISSING
    return faults


def _is_old(paths: RunFolder, records: Sequence[Path]) -> bool:
    """Whether the run is of version 0.1.0: no marker, and no checksum in any record."""
    return not paths.marker.exists() and all(read_checked(path) is None for path in records)


def _block(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    block = settings.get(name)
    return block if isinstance(block, dict) else {}


def _read_all(path: Path) -> int:
    with warnings.catch_warnings():
        # a file cut short loses its place on the earth first; its pixels tell
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path, "raster of the run") as source:
            for box in blocks(Box(0, source.height, 0, source.width)):
                read(source, source.indexes, box)
            return int(source.height * source.width)
