"""Cities for the benchmarks of students: mapped by `evidence`, with truth to score with."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from engine_scenes import REAL, ROOT
from numpy.typing import NDArray

from landcover_pnp.config import load_settings
from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.evidence.settings import RefinementSettings, WeakLabelSettings
from landcover_pnp.grid import Box, blocks
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import scene_files, tile_files
from landcover_pnp.scenes.settings import (
    EnviroAtlasTile,
    Look,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
)
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.student.mapped_scene import MappedScene, Predict

TARGET = WeakLabelSettings("target")
REFINED = WeakLabelSettings("definitions", refinement=RefinementSettings())


def synthetic(look: Look, seed: int, folder: Path) -> RasterFiles:
    """The files of a synthetic city of 512 m, drawn into a folder."""
    root = folder / f"{look}-{seed}"
    return tile_files(
        EnviroAtlasTile(root, write_city(SyntheticSettings(look, 512, seed), root).city)
    )


def pittsburgh() -> RasterFiles | None:
    """The files of the real window of Pittsburgh, 500 m; None without the folder ../shared."""
    config = ROOT / "configs" / "cities" / "ea_mini_pittsburgh_pa.yaml"
    return scene_files(load_settings(MapSettings, config).scene) if REAL.is_dir() else None


def mapped(files: RasterFiles, weak_labels: WeakLabelSettings, run: Path) -> MappedScene:
    """A city as a finished run of `evidence`."""
    scene, engine = SceneSettings(rasters=files), InferenceSettings(engine="evidence")
    settings = MapSettings(scene, weak_labels, inference=engine, student=None, workers=0)
    map_city(settings, run)
    return open_mapped_scene(run)


def scored(mapped_scene: MappedScene, predict: Predict, reach_px: int) -> Scores:
    """Scores of a prediction at the image's resolution."""

    def parts() -> Iterator[Scores]:
        for box in blocks(mapped_scene.scene.extent, 128):
            p = mapped_scene.predicted(predict, box, reach_px)
            labels = np.where(p.any(axis=0), p.argmax(axis=0) + 1, 0)
            yield score(labels, mapped_scene.fine.truth(box), "five_classes")

    first, *others = parts()
    return sum(others, start=first)


def evidence_of(mapped_scene: MappedScene) -> Predict:
    """The map of `evidence`, each working pixel repeated."""

    def predict(_: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        return mapped_scene.upsampled(mapped_scene.probabilities("evidence", box))

    return predict
