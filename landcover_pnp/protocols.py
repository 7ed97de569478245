"""Where p(class | NLCD) comes from: the protocols ``target``, ``source`` and ``definitions``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.configuration import load_settings
from landcover_pnp.errors import SettingsError
from landcover_pnp.raster import blocks
from landcover_pnp.settings import MapSettings, WeakLabelSettings
from landcover_pnp.sources.enviroatlas import scene_files
from landcover_pnp.sources.preparation import prepare_scene
from landcover_pnp.sources.rasters import ScenePlan, plan_scene
from landcover_pnp.sources.scene import Scene
from landcover_pnp.weak_labels import DEFINITIONS, class_given_nlcd, cooccurrence


def plan_sources(settings: WeakLabelSettings) -> dict[str, ScenePlan]:
    """Plans the scenes of the source cities.

    Args:
        settings: Protocol and source cities.

    Returns:
        Plans by the cities' names; empty but for the protocol ``source``.

    Raises:
        RequestError: If there is no source city, one has no truth or cannot be read.
    """
    if settings.protocol != "source":
        return {}
    if not settings.source_scenes:
        raise SettingsError(
            found="weak_labels.protocol is source, but weak_labels.source_scenes is empty",
            expected="configuration files of cities with truth",
            way_out="name them, or choose the protocol definitions",
        )
    plans = {}
    for config in settings.source_scenes:
        city = load_settings(MapSettings, config).scene
        files = scene_files(city)
        if files.truth is None:
            raise SettingsError(
                found=f"the source city of {config} has no truth",
                expected="truth, from which p(class | NLCD) is counted",
                way_out="give its scene.rasters.truth",
            )
        plans[config.stem] = plan_scene(files, city.resolution_m)
    return plans


def protocol_matrix(
    settings: WeakLabelSettings, scene: Scene, sources: Mapping[str, ScenePlan], folder: Path
) -> NDArray[np.float64]:
    """p(class | NLCD) by the protocol of the settings.

    Args:
        settings: Protocol.
        scene: The scene itself, whose truth only ``target`` reads.
        sources: Plans of the source cities.
        folder: Where the source cities' scenes are prepared.

    Returns:
        (nlcd class, class) float64, rows sum to 1.
    """
    if settings.protocol == "definitions":
        return DEFINITIONS
    if settings.protocol == "target":
        return class_given_nlcd(_count_pairs(scene))
    prepared = [prepare_scene(plan, folder / name) for name, plan in sources.items()]
    return class_given_nlcd(sum((_count_pairs(s) for s in prepared), np.zeros_like(DEFINITIONS)))


def _count_pairs(scene: Scene) -> NDArray[np.float64]:
    counts = np.zeros_like(DEFINITIONS)
    for box in blocks(scene.extent):
        truth = scene.truth(box)
        if truth is not None:
            counts += cooccurrence(scene.nlcd(box), np.where(scene.valid(box), truth, 0))
    return counts
