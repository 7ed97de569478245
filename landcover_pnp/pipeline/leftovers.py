"""Files of a run that other settings had made, and today's do not: they go when the map is done."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from landcover_pnp.storage.atomic import PARTIAL
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.replaced_folder import PREVIOUS
from landcover_pnp.storage.run_folder import (
    FILLED,
    STUDENT,
    RunFolder,
    raster_files,
    sample_paths,
    tile_names,
)
from landcover_pnp.storage.sample_files import SampleFiles


def remove_leftovers(
    owned: OwnedFolder,
    sources: Collection[str],
    *,
    student: bool,
    samples: bool,
    clouds: bool,
    hidden: bool,
) -> None:
    """Removes what a finished run holds beyond what a fresh one of the same settings would.

    What other commands have written into the folder stays.

    Args:
        owned: The run folder, held.
        sources: Names of the source cities.
        student: Whether a student of the run's own has drawn the map.
        samples: Whether posterior samples of it have been drawn.
        clouds: Whether clouds hide a part of the scene.
        hidden: Whether unsure pixels of the map have been filled.
    """
    paths = RunFolder(owned.path)
    unused = {name for name in owned.names if _is_of_another_source(name, paths, sources)}
    if not student and paths.name(paths.student_record) in owned.names:
        drawn = [*raster_files(paths.probability(STUDENT)), paths.student_mosaic_record]
        learned = [paths.student_record, paths.model]
        unused |= set(map(paths.name, [*drawn, *learned]))
        owned.remove_other_tiles(tile_names(paths.name(paths.student), (0, 0), ()))
    if not samples:
        unused |= _samples(owned)
    files = HiddenFiles(paths)
    unused |= files.unused(hidden=hidden, student=student) & owned.names
    if not hidden:
        owned.remove_other_tiles(tile_names(paths.name(files.windows), (0, 0), ()))
    if not (clouds or hidden):
        unused |= {paths.name(p) for p in raster_files(paths.raster(FILLED))} & owned.names
    _remove(owned, unused)


def remove_samples(owned: OwnedFolder) -> None:
    """Removes posterior samples that are no longer asked for, of a folder that is held."""
    _remove(owned, _samples(owned))


def _samples(owned: OwnedFolder) -> set[str]:
    """Names of what samples have left, whose tiles it removes."""
    files = SampleFiles(owned.path)
    names = {path.relative_to(owned.path).as_posix() for path in sample_paths(files)}
    if not names & owned.names:
        return set()
    owned.remove_other_tiles(tile_names(files.posterior.name, (0, 0), ()))
    return names


def _remove(owned: OwnedFolder, unused: Collection[str]) -> None:
    if not unused:
        return
    owned.remove(*unused)
    owned.disown(*unused)
    for folder in {(owned.path / name).parent for name in unused} - {owned.path}:
        with suppress(OSError):  # not empty: something there is not ours
            folder.rmdir()


def _is_of_another_source(name: str, paths: RunFolder, sources: Collection[str]) -> bool:
    folder, _, rest = name.partition("/")
    city = rest.partition("/")[0].removeprefix(PARTIAL).removeprefix(PREVIOUS)
    known = (city, city.removesuffix("-inputs.json"))
    return folder == paths.sources.name and not any(name in sources for name in known)
