"""Processor seconds per km2: inference against the last pass of a student, on one core.

A synthetic city of 512 m (hill country, seed 11), image of 1 m, working grid of 4 m. Inference is
clusters and engine of all tiles; a student's last pass maps the city at 1 m, with weak labels.

Usage: python benchmarks/student_speed.py
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from words import parser

from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.settings import ClusterSettings
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import EnviroAtlasTile, SceneSettings, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.student.mapped_scene import map_with_model
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import image_kind, image_model, train


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a piece of work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        city = write_city(SyntheticSettings("hill_country", 512, 11), folder)
        files = tile_files(EnviroAtlasTile(folder, city.city))
        map_city(MapSettings(SceneSettings(rasters=files), student=None, workers=0), folder / "run")
        mapped_scene, prior, options = (
            open_mapped_scene(folder / "run"),
            Prior.load(),
            ClusterSettings(),
        )
        box = mapped_scene.scene.extent
        image, valid = mapped_scene.scene.image(box), mapped_scene.scene.valid(box)
        centres = sample_centres(mapped_scene.scene.sample(options.sample_px, 0), options, 0)

        def inference(engine: InferenceSettings) -> None:
            clusters = responsibilities(image, valid, centres, options, 0)
            weak = mapped_scene.probabilities("weak_labels", box)
            infer(Observations(clusters, weak, valid, (0, 0)), engine, prior, seed=0)

        rows = {
            "`evidence`": seconds(lambda: inference(InferenceSettings(engine="evidence"))),
            "`denoise`": seconds(lambda: inference(InferenceSettings(engine="denoise"))),
        }
        for model in ("forest", "unet"):
            settings = dataclasses.replace(StudentSettings(), model=model)
            student = train(
                [mapped_scene], image_model(settings, image_kind([mapped_scene])), settings
            )
            rows[f"student, {model}: last pass"] = seconds(
                lambda student=student: map_with_model(  # type: ignore[misc]
                    mapped_scene,
                    student.predict(mapped_scene),
                    student.model.reach_px,
                    folder,
                    "student",
                )
            )
        km2 = valid.sum() * mapped_scene.scene.resolution_m**2 / 1e6
        print("| | s / km2 | faster than `denoise` | than `evidence` |\n|---|---:|---:|---:|")
        for row, cost in rows.items():
            against = " | ".join(f"{rows[e] / cost:.2f}" for e in ("`denoise`", "`evidence`"))
            print(f"| {row} | {cost / km2:.1f} | {against} |")


if __name__ == "__main__":
    parser(__doc__).parse_args()
    main()
