"""Finished map runs, opened as what a student learns from."""

from __future__ import annotations

from pathlib import Path

from landcover_pnp.config import load_settings
from landcover_pnp.errors import RasterError, RequestError
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.original_image import changed_images
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.fine_image import FineImage
from landcover_pnp.scenes.scene import Scene
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
    scene = Scene.open(paths.scene)
    return MappedScene(run, scene, FineImage.of(scene_files(settings.scene), scene))


def require_same_imagery(run: Path) -> None:
    """Refuses a run whose imagery has changed since it was mapped.

    A student learns from the image as it is today and from the map as it was made then.

    Raises:
        RequestError: If it has; names the files.
        RasterError: If there are no images any more.
    """
    paths = RunFolder(run)
    files = scene_files(load_settings(MapSettings, paths.settings).scene)
    differing = changed_images(run, Scene.open(paths.scene), files)
    if differing:
        names = ", ".join(differing)
        raise RequestError(
            found=f"imagery that has changed since {run} was mapped: {names}",
            expected="the imagery that the map was made of: a student learns from both",
            fix=f"map it again first: landcover resume {run}",
        )
