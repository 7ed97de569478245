"""Finished map runs, opened as what a student learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from landcover_pnp.config import load_settings
from landcover_pnp.errors import RasterError
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.fine_image import FineImage
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.records import Record
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.student.mapped_scene import MappedScene


def open_mapped_scene(run: Path) -> MappedScene:
    """Opens a run folder.

    Raises:
        RasterError: If it holds no finished map run.
    """
    paths = RunFolder(run)
    if not paths.probability("map").is_file():
        raise RasterError(
            found=f"no finished map run in {run}",
            expected="a folder that `landcover map` has written",
            fix="map the scene first, or correct the path",
        )
    settings = load_settings(MapSettings, paths.settings)
    record = Record.read(paths.mosaic_record)
    made_by = record.ingredients.get("inference.engine") if record else None
    engine = str(made_by or settings.inference.engine_or_default)  # of null, the run has chosen
    scene = Scene.open(paths.scene)
    fine = FineImage.of(scene_files(settings.scene), scene)
    return MappedScene(run, scene, fine, replace(settings.inference, engine=engine).uses_indices)
