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
from landcover_pnp.storage.owned_folder import OwnedFolder
from landcover_pnp.storage.records import write_json
from landcover_pnp.storage.run_folder import STUDENT, RunFolder, raster_files
from landcover_pnp.student.mapped_scene import MappedScene, map_with_model
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import image_kind, image_model, train


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
    """

    maps: str
    agreement: tuple[float, ...]
    changed: tuple[float, ...]
    area_km2: float
    training_s: float
    mapping_s: float


def train_student(settings: StudentSettings, runs: Sequence[Path]) -> StudentSummary:
    """Trains one student on the map runs of a city and maps each run's area with it.

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
        RunLockedError: If another process works in a run.
        RunError: If a map cannot be written.
    """
    runs = list({run.resolve(): run for run in runs}.values())  # none is held twice
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
    start = time.monotonic()
    student = train(mapped_scenes, image_model(settings, image_kind(mapped_scenes)), settings)
    trained = time.monotonic()
    maps = []
    for mapped_scene, folder in zip(mapped_scenes, owned, strict=True):
        paths = RunFolder(mapped_scene.run)
        # Of a student that the run had before: it would vouch for this one's probabilities.
        folder.remove(paths.name(paths.student_mosaic_record))
        predict, reach_px = student.predict(mapped_scene), student.model.reach_px
        maps.append(map_with_model(mapped_scene, predict, reach_px, mapped_scene.run, STUDENT))
        write_json(
            paths.trained_summary,
            {
                "share": student.share.tolist(),
                "changed": [r.changed for r in student.rounds],
                "agreement": [r.agreement for r in student.rounds],
            },
        )
    return StudentSummary(
        maps=" ".join(map(str, maps)),
        agreement=tuple(r.agreement for r in student.rounds),
        changed=tuple(r.changed for r in student.rounds),
        area_km2=sum(s.scene.valid_px * s.scene.resolution_m**2 for s in mapped_scenes) / 1e6,
        training_s=trained - start,
        mapping_s=time.monotonic() - trained,
    )


def _require_undrawn(run: Path) -> None:
    if load_settings(MapSettings, RunFolder(run).settings).student is not None:
        raise RequestError(
            found=f"the map of {run} is drawn by a student of the run's own",
            expected="runs without one: another's probabilities would take its place",
            fix="map the scene into another folder with --student null",
        )
