"""Files of a run folder that are ours by all that is known, for where its marker is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.marker import TILE
from landcover_pnp.storage.newest import corrected_names
from landcover_pnp.storage.published_names import published_names
from landcover_pnp.storage.records import RECORD, Record
from landcover_pnp.storage.replaced_folder import beside
from landcover_pnp.storage.run_folder import (
    FILLED,
    RASTERS,
    STUDENT,
    RunFolder,
    raster_files,
)

_SCENE = (
    *(f"{n}.tif" for n in ("image", "valid", "coarse", "truth", "roads", "buildings", "water")),
    "clouds.tif",
    *(f"{n}.tif" for n in ("impervious", "canopy", "nlcd")),  # the last was that of version 0.2
    "scene.json",
    RECORD,
)
"""Names of a prepared scene's files."""


def lost_names(paths: RunFolder) -> Iterator[str]:
    """Names of files that are there, relative to the run folder.

    Args:
        paths: The run folder.
    """
    scenes = [paths.scene, *(p.parent for p in sorted(paths.sources.glob(f"*/{RECORD}")))]
    listed = Record.read(paths.doubtful_record)
    found = [
        *paths.names(RASTERS, student=True, samples=True),
        *map(paths.name, (paths.model, *_further(paths))),
        *map(paths.name, _of_scenes(scenes)),
        *HiddenFiles(paths).names,
        *(paths.name(paths.products / name) for name in published_names()),
        *(paths.name(paths.doubtful_record), *(listed.files if listed else ())),
        *corrected_names(paths),
    ]
    yield from (name for name in found if (paths.path / name).is_file())
    for folder in filter(Path.is_dir, (*scenes, paths.products, paths.doubtful)):
        yield from map(paths.name, beside(folder))
    drawn = paths.student, paths.corrected.student, paths.sampled.posterior
    for folder in filter(Path.is_dir, (paths.tiles, *drawn, HiddenFiles(paths).windows)):
        yield from (paths.name(p) for p in folder.iterdir() if TILE.fullmatch(p.name))
    for path in sorted(paths.zonal.glob("*.json")):
        record = Record.read(path)
        files = [path, *(paths.zonal / name for name in record.files)] if record else []
        yield from (paths.name(file) for file in files if file.is_file())


def _of_scenes(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (folder / name for name in _SCENE)
        yield folder.with_name(f"{folder.name}-inputs.json")


def _further(paths: RunFolder) -> tuple[Path, ...]:
    """What commands besides ``map`` write into the run folder itself."""
    others = [f for stem in (STUDENT, FILLED) for f in raster_files(paths.raster(stem))]
    ground = (*raster_files(paths.sampled.ground), paths.sampled.ground_record)
    return *ground, paths.report, paths.published_record, paths.trained_summary, *others
