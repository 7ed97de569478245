"""What ten corrections of 20 m are worth outside of their own ground, with and without the prior.

Accuracy / mean IoU of the map outside of the squares that are corrected (see correction_scenes.py):
before, with the edits held and learned from, and with the prior too. Seed 0 takes the worst places,
the others take places at random among those that are mapped wrong. Defaults were chosen on the
scenes above the line (choose_corrections.py), the others are shown. A line a scene and seed, then
the mean change of each scene in percentage points.

Usage: python benchmarks/corrections.py [--folder FOLDER] [--prior PRIOR] [SCENE ...]
Without --prior it is the shipped masked prior, where there is one.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
from correction_scenes import SHOWN, CorrectedScene, corrected_scenes
from words import parser

from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.pipeline.correct import correct_run
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.products.rasters import classes
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import DRAWN, RunFolder

SEEDS, COUNT = (0, 1), 10


def scores(scene: CorrectedScene, seed: int, prior: Path | None) -> tuple[int, list[Scores]]:
    """Number of edits, and scores before, without the prior and with it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "edits.gpkg"
        count = scene.write_edits(path, COUNT, seed)
        correct_run(scene.run, path, CorrectSettings(workers=0, complete=True, prior=prior))
    own = RunFolder(scene.run).corrected
    with open_raster(own.edits, "edits") as source:
        edits = read(source, 1, scene.everything)
    with open_raster(own.probability(DRAWN), DRAWN) as source:
        drawn = classes(decode(read(source, source.indexes, scene.everything)))
    maps = (scene.labels(), drawn, scene.labels(own.landcover))
    return count, [scene.outside(labels, edits) for labels in maps]


def main(folder: Path, prior: Path | None, wanted: list[str]) -> None:
    """Prints the tables."""
    warnings.simplefilter("ignore")
    print("| scene | seed | edits | before | held, learned | and the prior |")
    print("|---|---:|---:|---:|---:|---:|")
    changes = {}
    for scene in corrected_scenes(folder, wanted):
        parts = []
        for seed in SEEDS:
            count, found = scores(scene, seed, prior)
            cells = " | ".join(f"{s.accuracy:.4f} / {s.mean_iou:.4f}" for s in found)
            print(f"| {scene.name} | {seed} | {count} | {cells} |", flush=True)
            before = np.array([found[0].accuracy, found[0].mean_iou])
            parts.append([np.array([s.accuracy, s.mean_iou]) - before for s in found[1:]])
        changes[scene.name] = 100 * np.mean(parts, axis=0)
    print("\n| scene | held, learned | and the prior |\n|---|---:|---:|")
    for name, change in changes.items():
        told = " | ".join("{:+.2f} / {:+.2f}".format(*row) for row in change)
        print(f"| {name}{' (shown)' * (name in SHOWN)} | {told} |")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, default=Path("runs/corrections"))
    options.add_argument("--prior", type=Path)
    options.add_argument("scene", nargs="*")
    given = options.parse_args()
    main(given.folder, given.prior, given.scene)
