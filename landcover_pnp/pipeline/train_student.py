"""The stage that trains one student on the map runs of a city and maps them with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config import load_settings
from landcover_pnp.errors import RequestError
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene, require_same_imagery
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.student_tiles import student_figures
from landcover_pnp.storage.integrity import require_intact
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import (
    Ingredients,
    Record,
    file_hashes,
    fingerprint,
    ingredients,
    make_way,
)
from landcover_pnp.storage.run_folder import STUDENT, RunFolder, raster_files, with_sidecars
from landcover_pnp.student.mapped_scene import MappedScene, map_with_model
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import Student, image_kind, image_model, train
from landcover_pnp.version import __version__


@dataclass(frozen=True)
class StudentSummary:
    """What a student did.

    Attributes:
        maps: Class map of each run, at the image's resolution.
        agreement: Agreement of image and weak labels by round, nats a pixel.
        changed: Share of pixels that changed class by round.
        area_km2: Mapped area.
        teaching_s: Time of the rounds.
        mapping_s: Time of the last pass over the whole area.
        notes: What was not as it had been written, and is made again.
    """

    maps: str
    agreement: tuple[float, ...]
    changed: tuple[float, ...]
    area_km2: float
    training_s: float
    mapping_s: float
    notes: str = ""


def train_student(settings: StudentSettings, runs: Sequence[Path]) -> StudentSummary:
    """Trains one student on the map runs of a city and maps each run's area with it.

    The same call again keeps what is as it was written.

    Args:
        settings: Model, rounds, windows.
        runs: Folders of finished map runs of one city. Each gets ``student.tif`` with its
            probabilities and ``student.json``.

    Returns:
        Rounds and times.

    Raises:
        RequestError: If a run has a student of its own, or its imagery has changed since.
        RasterError: If a folder holds no finished run, or the runs' images have different bands
            or pixels, or there is nothing to learn from.
        DamagedError: If the map of a run is not as it was written.
        RunLockedError: If another process works in a run.
        RunError: If a map cannot be written.
    """
    runs = list({run.resolve(): run for run in runs}.values())  # none is held twice
    for run in runs:
        require_intact(run)
    mapped_scenes = [open_mapped_scene(run) for run in runs]
    for run in runs:
        _require_undrawn(run)
        require_same_imagery(run)
    with ExitStack() as stack:  # before hours of work: whatever is refused is refused now
        owned = [stack.enter_context(_held(RunFolder(run))) for run in runs]
        return _train_and_map(settings, mapped_scenes, owned)


def _held(paths: RunFolder) -> AbstractContextManager[OwnedFolder]:
    rasters = (paths.probability(STUDENT), paths.raster(STUDENT))
    files = [file for raster in rasters for file in raster_files(raster)]
    return paths.held(map(paths.name, [*files, paths.trained_summary]))


def _train_and_map(
    settings: StudentSettings, mapped_scenes: Sequence[MappedScene], owned: Sequence[OwnedFolder]
) -> StudentSummary:
    """Trains, and maps the runs whose student is not this one, or not as it was written."""
    start = time.monotonic()
    paths = [RunFolder(folder.path) for folder in owned]
    made_of = ingredients(version=__version__, student=settings, runs=[_state(p) for p in paths])
    records = [Record.standing(p.trained_summary, made_of)[0] for p in paths]
    notes: list[str] = []
    trained = start
    if not all(records):
        image = image_kind(mapped_scenes)
        student = train(mapped_scenes, image_model(settings, image), settings)
        trained = time.monotonic()
        for number, folder in enumerate(owned):
            if records[number] is None:
                notes += make_way(paths[number].trained_summary)
                records[number] = _map(student, mapped_scenes[number], folder, made_of)
    figures = next(record.figures for record in records if record is not None)
    rounds = sum(name.startswith("changed") for name in figures)
    return StudentSummary(
        maps=" ".join(str(p.raster(STUDENT)) for p in paths),
        agreement=tuple(figures[f"agreement in round {n}"] for n in range(1, rounds + 1)),
        changed=tuple(figures[f"changed in round {n}"] for n in range(1, rounds + 1)),
        area_km2=sum(s.scene.valid_px * s.scene.resolution_m**2 for s in mapped_scenes) / 1e6,
        training_s=trained - start,
        mapping_s=time.monotonic() - trained,
        notes=" ".join(notes),
    )


def _map(
    student: Student, mapped_scene: MappedScene, folder: OwnedFolder, made_of: Ingredients
) -> Record:
    """Maps a run by a student, and writes the record of both."""
    start, paths = time.monotonic(), RunFolder(folder.path)
    # Of a student that the run had before: it would vouch for this one's probabilities.
    folder.remove(paths.name(paths.student_mosaic_record))
    predict, reach_px = student.predict(mapped_scene), student.model.reach_px
    raster = map_with_model(mapped_scene, predict, reach_px, folder.path, STUDENT)
    files = file_hashes(paths.path, with_sidecars([raster, paths.probability(STUDENT)]))
    figures = student_figures(student)
    record = Record("done", made_of, time.monotonic() - start, figures=figures, files=files)
    record.write(paths.trained_summary)
    return record


def _state(paths: RunFolder) -> str:
    """What a student depends on of a run."""
    mosaic = Record.read(paths.mosaic_record)
    return fingerprint(mosaic.ingredients) if mosaic else ""


def _require_undrawn(run: Path) -> None:
    if load_settings(MapSettings, RunFolder(run).settings).student is not None:
        raise RequestError(
            found=f"the map of {run} is drawn by a student of the run's own",
            expected="runs without one: another's probabilities would take its place",
            fix="map the scene into another folder with --student null",
        )
