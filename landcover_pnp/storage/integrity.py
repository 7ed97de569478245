"""Whether a run folder is as it was written: what its records, its journal and its lock tell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from landcover_pnp.errors import DamagedError
from landcover_pnp.storage.checked_json import read_regular
from landcover_pnp.storage.files import CHANGED, text_hash
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.journal import Journal
from landcover_pnp.storage.lock import owner
from landcover_pnp.storage.marker import marker_fault
from landcover_pnp.storage.newest import newest
from landcover_pnp.storage.presence import LOCK
from landcover_pnp.storage.records import Record
from landcover_pnp.storage.run_folder import RunFolder

MISSING = "is missing"
"""What is said of a file that should be there."""


def record_faults(
    paths: RunFolder, records: Iterable[Path], *, thorough: bool = False
) -> dict[str, str]:
    """What is wrong with finished work.

    Args:
        paths: The run folder.
        records: Records that should be there.
        thorough: As for ``Record.damage``.

    Returns:
        A phrase such as ``is missing`` by the name of each file that is not as it was written,
        the records themselves among them.
    """
    faults = {}
    for path in records:
        record = Record.read(path)
        if record is None:
            faults[paths.name(path)] = CHANGED if os.path.lexists(path) else MISSING
            continue
        for name, fault in record.damage(path.parent, thorough=thorough).items():
            faults[paths.name(path.parent / name)] = fault
    return faults


def small_faults(paths: RunFolder) -> dict[str, str]:
    """The same of the files that the journal tells of, of itself, the marker and the lock."""
    journal = Journal(paths.path)
    faults = {paths.name(paths.journal): journal.fault()}
    faults[paths.name(paths.marker)] = marker_fault(paths.path)
    for name, expected in journal.hashes().items():
        content = read_regular(paths.path / name)
        if text_hash(content) != expected:
            there = os.path.lexists(paths.path / name)
            faults[name] = (CHANGED if content else "is empty") if there else MISSING
    if journal.last_result is None and paths.summary.is_file():
        faults[paths.name(paths.journal)] = "does not tell how the map came about"
    lock = paths.path / LOCK
    if os.path.lexists(lock) and owner(paths.path) is None:
        faults[LOCK] = "was left by a process that is no more"
    return {name: fault for name, fault in faults.items() if fault}


def require_intact(run: Path, *, original: bool = False) -> None:
    """Refuses a run whose map, or what it was made from, is not as it was written.

    Files are read only where size, place or times are others than when they were written.

    Args:
        run: The run folder.
        original: Whether the run's own map is meant, whatever corrections there are.

    Raises:
        DamagedError: Names the first file and how to mend it.
    """
    paths = RunFolder(run)
    records = [paths.scene_record, paths.mosaic_record, paths.rasters_record]
    later = [paths.student_mosaic_record, paths.doubt_record]
    later += [paths.drawn_record, HiddenFiles(paths).engine_record]
    later += [paths.sampled.frequencies_record, paths.sampled.areas_record]
    records += filter(Path.exists, later)
    if not original:
        _require_corrected(paths)
    small = {paths.name(path) for path in (paths.settings, paths.summary)}
    faults = record_faults(paths, records)
    _refuse(run, faults | {k: fault for k, fault in small_faults(paths).items() if k in small})


def _require_corrected(paths: RunFolder) -> None:
    """The same of the corrected map, where that is the newest."""
    own = newest(paths)
    if own != paths:
        records = [own.student_mosaic_record, own.doubt_record, own.rasters_record]
        _refuse(paths.path, record_faults(paths, records), by="correct")


def require_intact_rasters(folder: Path) -> None:
    """The same of the rasters of the map alone, where the folder is that of a run.

    Raises:
        DamagedError: As ``require_intact``.
    """
    paths = RunFolder(folder)
    _require_corrected(paths)
    if paths.rasters_record.exists():
        _refuse(folder, record_faults(paths, [paths.rasters_record]))


def _refuse(run: Path, faults: Mapping[str, str], by: str = "map") -> None:
    for name, fault in faults.items():
        if by == "correct":
            raise DamagedError(
                found=f"{run / name} {fault}",
                expected="the files of a corrected map as `landcover correct` has written them",
                fix="repeat `landcover correct` with the same edits: what is damaged is made again",
            )
        raise DamagedError(
            found=f"{run / name} {fault}",
            expected="the files of a finished run as `landcover map` has written them",
            fix="repeat `landcover map` with this run folder, or `landcover resume` if its "
            "settings are whole: what is damaged is made again. `landcover verify` names all",
        )
