"""The student as a stage of a map run: trained once, then it draws the map tile by tile."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import ModelError
from landcover_pnp.evidence.index_borders import IndexBorders
from landcover_pnp.grid import Box, Tile, blocks
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.progress import Watch
from landcover_pnp.pipeline.run_tiles import RunTiles
from landcover_pnp.pipeline.tiles import make_tile
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND, encode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Ingredients, Record, file_hashes, make_way
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.student.correction import Correction
from landcover_pnp.student.known_ground import KnownGround
from landcover_pnp.student.mapped_scene import DRAWN_PX, MappedScene
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.stored_model import open_student, save_student
from landcover_pnp.student.training import Student, image_kind, image_model, train


@dataclass(frozen=True)
class StudentJob(RunTiles):
    """All that a worker needs to draw any tile of a run by its student.

    Attributes:
        run: The run folder.
        grid: The tiles, on the working grid.
        settings: What the student was trained by.
        model_hash: Hash of the trained student's file.
        made_of: What the tiles depend on besides their position.
        into: Where the student and its tiles lie; None is the run folder itself.
        correction: How the student's map is put together with the run's, where a user's edits
            have trained it; None takes it as it is.
    """

    settings: StudentSettings
    model_hash: str
    made_of: Ingredients
    into: RunFolder | None = None
    correction: Correction | None = None

    @property
    def paths(self) -> RunFolder:
        """The folder of the student."""
        return self.into or RunFolder(self.run)

    @property
    def out(self) -> Path:
        """Folder of the student and of the tiles' files."""
        return self.paths.student

    def made_of_tile(self, tile: Tile) -> Ingredients:
        """What one tile's result depends on."""
        return {**self.made_of, "model": self.model_hash, "core": list(tile.core)}


def trained(
    run: Path,
    settings: StudentSettings,
    made_of: Ingredients,
    watch: Watch,
    borders: IndexBorders | None = None,
    known: KnownGround | None = None,
    into: RunFolder | None = None,
) -> Record:
    """Trains a student on a run's own map, unless that was done.

    Args:
        run: Folder of a run whose probabilities are blended.
        settings: Model, rounds, windows.
        made_of: What the student depends on.
        watch: Told when there is work.
        borders: Borders of the scene's spectral indices, where they are known already.
        known: Ground whose class a user has said.
        into: Where the student is stored; None is the run folder itself.

    Returns:
        The record, with agreement and changes by round among its figures and the hash of
        ``student/model.safetensors``.

    Raises:
        RasterError: If the run's image cannot be read.
        RunError: If the student cannot be written.
    """
    paths = into or RunFolder(run)
    path, stored = paths.student_record, paths.model
    mapped_scenes = [open_mapped_scene(run)]
    record, _ = Record.standing(path, made_of)
    if record is not None:
        try:
            _open(stored, record.files.get(stored.name, ""), mapped_scenes[0], settings)
            return record
        except ModelError as error:
            watch.work(f"the student is trained again: {error.found}")
    watch.work(*make_way(path), "the student learns from the map")
    start = time.monotonic()
    model = image_model(settings, image_kind(mapped_scenes))
    student = train(mapped_scenes, model, settings, borders, known)
    save_student(stored, student, settings)
    files, seconds = file_hashes(path.parent, [stored]), time.monotonic() - start
    record = Record("done", made_of, seconds, figures=student_figures(student), files=files)
    record.write(path)
    return record


def student_figures(student: Student) -> dict[str, float]:
    """What the rounds of a student did, by name."""
    return {
        f"{what} in round {number}": value
        for number, r in enumerate(student.rounds, start=1)
        for what, value in (("changed", r.changed), ("agreement", r.agreement))
    }


def student_tile(job: StudentJob, tile_id: str) -> Record:
    """Draws the image's own pixels of a tile's core and writes them, then its record.

    Args:
        job: What all tiles of the run share.
        tile_id: Name of the tile.

    Returns:
        As ``make_tile``.

    Raises:
        DiskFullError: If there is no room for the tile, and hence for no other.
    """

    def make(tile: Tile) -> None:
        student, mapped_scene = _opened(job)
        overlay = mapped_scene.fine.overlay
        core = overlay.box(tile.core)
        geobox = overlay.geobox[core.y0 : core.y1, core.x0 : core.x1]

        def parts() -> Iterator[tuple[Box, NDArray[np.uint16]]]:
            predict = student.predict(mapped_scene)
            for box in blocks(tile.core, DRAWN_PX):
                drawn = partial(mapped_scene.drawn, predict, box, student.model.reach_px)
                y, x = overlay.box(box).within(core)
                yield (
                    Box(y.start, y.stop, x.start, x.stop),
                    job.correction.drawn(mapped_scene, box, drawn)
                    if job.correction
                    else encode(drawn()),
                )

        write_raster(job.raster(tile), geobox, BAND, parts())

    return make_tile(job, tile_id, make)


def join_tiles(
    job: StudentJob, done: Collection[str], path: Path, elsewhere: Path | None = None
) -> Path:
    """Writes all tiles' probabilities to one GeoTIFF.

    Args:
        job: The tiles.
        done: Names of those that are there.
        elsewhere: What the others are taken from, on the same grid; None is no data there.
        path: File to write: (class, y, x) uint16 on the image's own pixels, 65535 = 1, all 0 = no
            data.

    Returns:
        The file.

    Raises:
        RunError: If the file cannot be written.
    """
    overlay = open_mapped_scene(job.run).fine.overlay

    def parts() -> Iterator[tuple[Box, NDArray[np.uint16]]]:
        for tile in job.grid:
            core = overlay.box(tile.core)
            if tile.id not in done and elsewhere is None:
                yield core, np.zeros((CLASS_COUNT, *core.shape), np.uint16)
                continue
            if tile.id not in done and elsewhere is not None:
                with open_raster(elsewhere, "map") as source:
                    yield core, read(source, source.indexes, core)
                continue
            with open_raster(job.raster(tile), "tile") as source:
                yield core, read(source, source.indexes, Box(0, core.shape[0], 0, core.shape[1]))

    write_raster(path, overlay.geobox, BAND, parts())
    return path


_OPENED: dict[tuple[Path, str], tuple[Student, MappedScene]] = {}
"""The run and its student that this process has opened last."""


def _opened(job: StudentJob) -> tuple[Student, MappedScene]:
    """The run and its student, once a process; only the student that this run has trained."""
    key = job.run, job.model_hash
    if key not in _OPENED:
        mapped_scene = open_mapped_scene(job.run)
        student = _open(job.paths.model, job.model_hash, mapped_scene, job.settings)
        _OPENED.clear()
        _OPENED[key] = student, mapped_scene
    return _OPENED[key]


def _open(
    path: Path, model_hash: str, mapped_scene: MappedScene, settings: StudentSettings
) -> Student:
    """A run's student; the bytes that were compared with its hash are those that are opened.

    Raises:
        ModelError: If it is not the one that the run has trained, or not of these settings.
    """
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != model_hash:
        raise ModelError(
            found=f"{path} is not the student that this run has trained",
            expected=f"a file with the hash {model_hash}",
            fix="repeat the command: the student is trained again",
        )
    return open_student(content, str(path), image_kind([mapped_scene]), settings)
