"""What a student's forest is worth and what it costs: random forests and extremely randomised ones.

    python benchmarks/forests.py [SEED ...]

Real windows of Durham and Pittsburgh (1.36 m, not part of this repository) and two synthetic cities
of 512 m, mapped by `evidence` without labels of any city; every student learns from the same map.
Prints accuracy / mean IoU, mean over the students' seeds, and CPU seconds of learning and of the
last pass by km2.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from engine_scenes import ROOT
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from student_scenes import REFINED, mapped, scored, synthetic
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.student import image_models
from landcover_pnp.student.mapped_scene import MappedScene
from landcover_pnp.student.settings import ForestSettings, StudentSettings
from landcover_pnp.student.training import image_kind, image_model, train

FORESTS: Mapping[str, tuple[type[Any], ForestSettings]] = {
    "random forest, 40 trees": (
        RandomForestRegressor,
        ForestSettings(trees=40, leaf_px=10, features_share=0.35),
    ),
    "random forest, 4 trees": (
        RandomForestRegressor,
        ForestSettings(trees=4, leaf_px=10, features_share=0.35),
    ),
    "extremely randomised, 8 trees": (
        ExtraTreesRegressor,
        ForestSettings(trees=8, leaf_px=10, features_share=0.5),
    ),
    "extremely randomised (default)": (ExtraTreesRegressor, ForestSettings()),
}
"""Classes of scikit-learn and settings."""


def scenes(folder: Path) -> Iterator[tuple[str, RasterFiles]]:
    """The scenes' files by name; real ones where they are there."""
    for city in ("durham_nc", "pittsburgh_pa"):
        config = ROOT / "configs" / "cities" / f"ea_mini_{city}.yaml"
        files = scene_files(load_settings(MapSettings, config).scene)
        labels = files.image.parent / "labels.tif"
        if labels.is_file():
            word = f"--scene.rasters.truth={{path: {labels}}}"
            yield city, scene_files(load_settings(MapSettings, config, [word]).scene)
    yield "piedmont", synthetic("piedmont", 71, folder)
    yield "humid_east", synthetic("humid_east", 73, folder)


def measured(scene: MappedScene, forest: ForestSettings, seed: int) -> tuple[float, ...]:
    """Accuracy, mean IoU, and CPU seconds a km2 of learning and of the last pass."""
    settings = StudentSettings(forest=forest, seed=seed)
    start = time.process_time()
    student = train([scene], image_model(settings, image_kind([scene])), settings)
    learned = time.process_time()
    scores = scored(scene, student.predict(scene), student.model.reach_px)
    km2 = scene.scene.valid_px * scene.scene.resolution_m**2 / 1e6
    cost = (learned - start) / km2, (time.process_time() - learned) / km2
    return scores.accuracy, scores.mean_iou, *cost


def main(seeds: list[int]) -> None:
    """Prints the table."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        runs = {n: mapped(files, REFINED, folder / f"run-{n}") for n, files in scenes(folder)}
        print(f"| forest | {' | '.join(runs)} | mean IoU | learning | last pass |")
        print("|---|" + "---:|" * (len(runs) + 3))
        for row, (kind, settings) in FORESTS.items():
            image_models.ExtraTreesRegressor = kind
            found = np.array(
                [[measured(scene, settings, seed) for seed in seeds] for scene in runs.values()]
            ).mean(axis=1)
            cells = [f"{accuracy:.3f} / {iou:.3f}" for accuracy, iou, *_ in found]
            _, iou, learning, last = found.mean(axis=0)
            cells += [f"{iou:.4f}", f"{learning:.1f} s", f"{last:.2f} s"]
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("seed", type=int, nargs="*", default=[0, 1])
    main(options.parse_args().seed)
