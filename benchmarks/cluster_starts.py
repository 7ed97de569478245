"""How much a map owes to the start of its clusters: k-means finds one of several optima.

Accuracy / mean IoU of `evidence` at the working grid, lowest and highest over seeds of the k-means
that the clusters start from, on the scenes of choosing_scenes.py that have NLCD; and the spread of
its inertia, the mean squared distance to the centres, relative to the lowest found. --starts are
the numbers of starts of which k-means keeps the best: the package takes 4.

    python benchmarks/cluster_starts.py [--seeds 6] [--starts 4 32] [SCENE ...]
"""

import warnings
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from refinement import NLCD, scenes
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from words import parser

from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.evidence.clusters import clustered_features, responsibilities
from landcover_pnp.evidence.matrix_sources import refine_for_scene
from landcover_pnp.evidence.scene_labels import labels_of
from landcover_pnp.evidence.settings import ClusterSettings, RefinementSettings, WeakLabelSettings
from landcover_pnp.inference.engines.evidence import EvidenceSettings, evidence_map
from landcover_pnp.scenes.scene import Scene

SETTINGS = ClusterSettings()


def started(scene: Scene, starts: int, seeds: int) -> list[tuple[float, Scores]]:
    """Inertia and scores by seed."""
    box = scene.extent
    valid, image, truth = scene.valid(box), scene.image(box), scene.truth(box)
    matrix = refine_for_scene(scene, NLCD.definitions, RefinementSettings()).matrix
    weak = labels_of(scene, box, [matrix], WeakLabelSettings()).probabilities
    sample = scene.sample(SETTINGS.sample_px, 0).T.astype(np.float64)
    features = clustered_features(sample, SETTINGS).T
    found = []
    for seed in range(seeds):
        with threadpool_limits(1):
            kmeans = KMeans(SETTINGS.clusters, n_init=starts, random_state=seed).fit(features)
        centres = kmeans.cluster_centers_.astype(np.float32)
        clusters = responsibilities(image, valid, centres, SETTINGS, 0)
        p = evidence_map(clusters, weak, valid, EvidenceSettings())
        labels = np.where(valid, p.argmax(axis=0) + 1, 0)
        found.append((kmeans.inertia_, score(labels, truth, "five_classes")))
    return found


def main(options: Namespace) -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    print("| scene | starts | lowest | highest | spread of inertia |\n|---|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        for name, scene in scenes(Path(folder)).items():
            if options.scene and name not in options.scene:
                continue
            for starts in options.starts:
                inertias, scored = zip(*started(scene, starts, options.seeds), strict=True)
                ends = [f(scored, key=lambda s: s.accuracy) for f in (min, max)]
                cells = " | ".join(f"{s.accuracy:.3f} / {s.mean_iou:.3f}" for s in ends)
                spread = max(inertias) / min(inertias) - 1
                print(f"| {name} | {starts} | {cells} | {spread:.2%} |", flush=True)


if __name__ == "__main__":
    parse = parser(__doc__)
    parse.add_argument("scene", nargs="*")
    parse.add_argument("--seeds", type=int, default=6)
    parse.add_argument("--starts", type=int, nargs="+", default=[4, 32])
    main(parse.parse_args())
