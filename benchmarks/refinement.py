"""What re-estimating p(class | NLCD) from colours is worth, with right and wrong matrices.

Accuracy / mean IoU of `evidence` at 4 m on synthetic cities of 512 m (seeds 11 and 21) and, where
the folder ../shared is there, the real window of Pittsburgh. Matrices: the NLCD definitions, and
the true ones of two cities of the first seed. The mapped city gives no label but for the scores.
`by pixel` is the refinement without what is expected of whole colours alone.

Usage: python benchmarks/refinement.py [SEED ...]
"""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.evidence import matrix_refinement
from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.matrix_sources import refine_for_scene
from landcover_pnp.evidence.settings import ClusterSettings, RefinementSettings, WeakLabelSettings
from landcover_pnp.evidence.spectral_indices import class_given_indices
from landcover_pnp.evidence.weak_labels import (
    DEFINITIONS,
    class_given_nlcd,
    cooccurrence,
    weak_labels,
)
from landcover_pnp.inference.engines.evidence import EvidenceSettings, evidence_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import scene_files, tile_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import EnviroAtlasTile, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.scenes.synthetic.style import Look

ROOT = Path(__file__).parents[1]
REAL = ROOT / "configs" / "cities" / "ea_mini_pittsburgh_pa.yaml"


def scenes(folder: Path, seeds: list[int]) -> dict[str, Scene]:
    """The prepared scenes by name."""
    found = {}
    for seed, look in itertools.product(seeds, get_args(Look)):
        city = write_city(SyntheticSettings(look, 512, seed), folder)
        files = tile_files(EnviroAtlasTile(folder, city.city))
        name = f"{look}, {seed}"
        found[name] = prepare_scene(plan_scene(files, 4.0), folder / "scenes" / name)
    if (ROOT.parent / "shared" / "data" / "ea-mini").is_dir():
        files = scene_files(load_settings(MapSettings, REAL).scene)
        found["Pittsburgh (real)"] = prepare_scene(plan_scene(files, 4.0), folder / "pittsburgh")
    return found


def own_matrix(scene: Scene) -> NDArray[np.float64]:
    """p(class | NLCD) of a scene's own truth."""
    box = scene.extent
    return class_given_nlcd(cooccurrence(scene.nlcd(box), scene.truth(box)))


def evidence_scores(scene: Scene, matrix: NDArray[np.float64]) -> Scores:
    """Scores of the engine `evidence` with a matrix."""
    box, settings = scene.extent, ClusterSettings()
    valid = scene.valid(box)
    layers = [scene.coverage(name, box) for name in ("roads", "buildings", "water")]
    weak = weak_labels(scene.nlcd(box), matrix, *layers, valid, WeakLabelSettings(), 4.0)
    centres = sample_centres(scene.sample(settings.sample_px, 0), settings, 0)
    clusters = responsibilities(scene.image(box), valid, centres, settings, 0)
    p = evidence_map(clusters, weak.probabilities, valid, EvidenceSettings())
    return score(np.where(valid, p.argmax(axis=0) + 1, 0), scene.truth(box), "five_classes")


def main(seeds: list[int]) -> None:
    """Prints the table."""
    print("| city | matrix of | as given | by pixel | refined | moved |")
    print("|---|---|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        cities = scenes(Path(folder), seeds)
        matrices = {"definitions": DEFINITIONS}
        for look in ("humid_east", "desert"):
            matrices[look] = own_matrix(cities[f"{look}, {seeds[0]}"])
        for city, scene in cities.items():
            for given, matrix in matrices.items():
                if city.startswith(given):
                    continue
                with patch.object(matrix_refinement, "class_given_colour", class_given_indices):
                    plain = refine_for_scene(scene, matrix, RefinementSettings())
                full = refine_for_scene(scene, matrix, RefinementSettings())
                cells = [evidence_scores(scene, m) for m in (matrix, plain.matrix, full.matrix)]
                shown = " | ".join(f"{s.accuracy:.3f} / {s.mean_iou:.3f}" for s in cells)
                print(f"| {city} | {given} | {shown} | {full.change:.2f} |", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("seed", type=int, nargs="*", default=[11, 21])
    main(options.parse_args().seed)
