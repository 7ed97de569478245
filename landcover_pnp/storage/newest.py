"""Which map of a run is its newest: its own, or the one that a user has corrected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from landcover_pnp.storage.checked_json import read_object
from landcover_pnp.storage.records import Record
from landcover_pnp.storage.run_folder import (
    DOUBT,
    DRAWN,
    FILLED,
    STUDENT,
    RunFolder,
    raster_files,
)

RASTERS = ("landcover", "confidence", "entropy", DOUBT)
"""Class and percent rasters that a corrected map has of its own."""

ORIGINAL = "original"
"""Ingredient of a corrected map: hash of the map that was corrected."""


def newest(paths: RunFolder) -> RunFolder:
    """Where the newest map of a run lies: the corrected one, if it is one of the run's own.

    Of a map that was made again since, or that is being corrected anew, there is none.

    Args:
        paths: The run folder.

    Returns:
        ``paths.corrected``, whose files have the names of the run's own, or ``paths`` itself.
    """
    corrected = Record.read(paths.corrected.rasters_record)
    if corrected is None or corrected.status != "done":
        return paths
    same = corrected.ingredients.get(ORIGINAL) == original_hash(paths)
    return paths.corrected if same else paths


def is_corrected(paths: RunFolder) -> bool:
    """Whether the newest map of a run is one that a user has corrected."""
    return newest(paths) != paths


def has_outdated_corrections(paths: RunFolder) -> bool:
    """Whether a run's map was made again since a user has corrected it."""
    there = Record.read(paths.corrected.rasters_record)
    return there is not None and not is_corrected(paths)


def original_hash(paths: RunFolder) -> str:
    """Hash of a run's own map as its record tells it; empty without a finished map."""
    own = Record.read(paths.rasters_record)
    return own.files.get(paths.landcover.name, "") if own else ""


def newest_summary(paths: RunFolder) -> dict[str, Any] | None:
    """What a run's summary says, of a corrected map what that map's says instead.

    Returns:
        The summary; None where there is none that can be read.
    """
    summary = read_object(paths.summary)
    if summary is None or not is_corrected(paths):
        return summary
    of_both = {k: v for k, v in summary.items() if k != "areas"}  # intervals of the map before
    return {**of_both, **(read_object(paths.corrected.summary) or {})}


def corrected_names(paths: RunFolder) -> Iterator[str]:
    """Names that a corrected map takes in a run folder, but for its tiles."""
    own = paths.corrected
    rasters = [own.edits, own.raster(FILLED), *map(own.raster, RASTERS)]
    rasters += map(own.probability, (DRAWN, STUDENT, DOUBT))
    single = [
        *(own.edits.with_suffix(".json"), own.student_record, own.model, own.drawn_record),
        *(own.student_mosaic_record, own.doubt_record, own.rasters_record, own.summary),
    ]
    files = [file for raster in rasters for file in raster_files(raster)]
    yield from map(paths.name, [*single, *files])
