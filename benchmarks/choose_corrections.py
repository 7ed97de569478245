"""Chooses how edits are learned from and spread, on Pittsburgh and six synthetic cities.

Change of accuracy and mean IoU outside of ten corrections (percentage points, mean of three seeds),
of every scene with every value, and what each scene loses or gains when the values are chosen on
the others (by mean accuracy, the real scene as heavy as all synthetic ones together).

Usage: python benchmarks/choose_corrections.py [--folder FOLDER] [--prior PRIOR]
With --prior, how far and where the prior completes is chosen, by the default values of the rest.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from correction_scenes import CHOSEN_ON, CorrectedScene, corrected_scenes
from numpy.typing import NDArray
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.completion import Completion
from landcover_pnp.pipeline.correct import correct_run
from landcover_pnp.pipeline.correction_settings import CorrectSettings
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.products.rasters import classes
from landcover_pnp.scenes.edits import DRAWN, read_edits
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.run_folder import STUDENT, RunFolder
from landcover_pnp.student.correction import Correction, nearest_edit
from landcover_pnp.student.known_ground import KnownGround
from landcover_pnp.student.training import image_kind, image_model, train

SEEDS, COUNT = (0, 1, 2), 10
SHARES, LEARNING_M = (0.05, 0.1, 0.2), (20.0, 50.0, 100.0)
REACH_M, STRENGTH = (10.0, 20.0), (1.0, 2.0)
FILL_M, BELOW, WEIGHT = (20.0, 40.0), (0.6, 0.8, 1.0), (0.5, 1.0, 2.0)

Gain = NDArray[np.float64]
Values = tuple[float, ...]


def gains(scene: CorrectedScene, seed: int, folder: Path) -> Iterator[tuple[Values, Gain]]:
    """Gains of every way to learn and to spread."""
    edits = drawn(scene, seed, folder)
    whole = scene.mapped.scene.extent
    with open_raster(RunFolder(scene.run).probability(STUDENT), STUDENT) as source:
        stored = read(source, source.indexes, scene.everything)
    with open_raster(edits, "edits") as source:
        codes = read(source, 1, scene.everything)
    before = scene.outside(scene.labels(), codes)
    near = nearest_edit(codes, (scene.pixel_m, scene.pixel_m))
    student = load_settings(MapSettings, RunFolder(scene.run).settings).student
    for share in SHARES:
        known = KnownGround(edits, scene.mapped.scene.geobox, share)
        model = image_model(student, image_kind([scene.mapped]))
        trained = train([scene.mapped], model, student, known=known)
        predict, reach = trained.predict(scene.mapped), trained.model.reach_px
        learned = scene.mapped.drawn(predict, whole, reach)
        for learning_m, reach_m, strength in itertools.product(LEARNING_M, REACH_M, STRENGTH):
            correction = Correction(known, learning_m, reach_m, strength)
            labels = classes(decode(correction.applied(stored, learned, *near)))
            after = scene.outside(labels, codes)
            yield (share, learning_m, reach_m, strength), gain(before, after)


def completed(
    scene: CorrectedScene, seed: int, folder: Path, prior: Path
) -> Iterator[tuple[Values, Gain]]:
    """Gains of every way to complete by the prior, over the map without it."""
    path = folder / "edits.gpkg"
    scene.write_edits(path, COUNT, seed)
    correct_run(scene.run, path, CorrectSettings(workers=0))
    own = RunFolder(scene.run).corrected
    known = KnownGround(own.edits, scene.mapped.scene.geobox, 0)
    with open_raster(own.edits, "edits") as source:
        codes = read(source, 1, scene.everything)
    before = scene.outside(scene.labels(own.landcover), codes)
    loaded = load_prior(prior, "masked")
    for reach_m, below, weight in itertools.product(FILL_M, BELOW, WEIGHT):
        labels = np.zeros(codes.shape, np.uint8)
        for box, part in Completion(loaded, reach_m, below, weight).parts(scene.mapped, known):
            labels[box.y0 : box.y1, box.x0 : box.x1] = classes(decode(part))
        yield (reach_m, below, weight), gain(before, scene.outside(labels, codes))


def drawn(scene: CorrectedScene, seed: int, folder: Path) -> Path:
    """Edits of a scene as a raster."""
    path = folder / f"{scene.name}-{seed}.gpkg"
    scene.write_edits(path, COUNT, seed)
    edits = read_edits(path, scene.mapped.fine.overlay.geobox)
    whole = scene.everything
    raster = path.with_suffix(".tif")
    write_raster(raster, edits.geobox, DRAWN, [(whole, edits.drawn(whole)[None])])
    return raster


def gain(before: object, after: object) -> Gain:
    """Percentage points of accuracy and mean IoU."""
    pairs = [(getattr(after, n), getattr(before, n)) for n in ("accuracy", "mean_iou")]
    return np.array([100 * (a - b) for a, b in pairs])


def weight(name: str) -> float:
    """How much a scene counts."""
    return 1.0 if name == CHOSEN_ON[0] else 1 / (len(CHOSEN_ON) - 1)


def main(folder: Path, prior: Path | None, wanted: list[str]) -> None:
    """Prints the tables."""
    warnings.simplefilter("ignore")
    found: dict[Values, dict[str, Gain]] = {}
    scenes = [s for s in corrected_scenes(folder, wanted) if s.name in CHOSEN_ON or wanted]
    with tempfile.TemporaryDirectory() as name:
        for scene in scenes:
            parts: dict[Values, list[Gain]] = {}
            for seed in SEEDS:
                way = completed(scene, seed, Path(name), prior) if prior else None
                for values, change in way or gains(scene, seed, Path(name)):
                    parts.setdefault(values, []).append(change)
            for values, changes in parts.items():
                found.setdefault(values, {})[scene.name] = np.mean(changes, axis=0)
    names = [scene.name for scene in scenes]
    print(f"| values | {' | '.join(names)} | mean | worst |\n|---|" + "---:|" * (len(names) + 2))
    for values, by_scene in sorted(found.items(), key=lambda item: -mean(item[1], names)):
        cells = " | ".join("{:+.2f} / {:+.2f}".format(*by_scene[n]) for n in names)
        worst = min(by_scene[n][0] for n in names)
        print(f"| {values} | {cells} | {mean(by_scene, names):+.2f} | {worst:+.2f} |")
    for left in names:
        others = [n for n in names if n != left]
        best = max(found, key=lambda values: mean(found[values], others))
        print(f"chosen without {left}: {best}, there {found[best][left][0]:+.2f}")


def mean(by_scene: dict[str, Gain], names: list[str]) -> float:
    """Mean gain of accuracy, the real scene as heavy as all others."""
    return float(np.average([by_scene[n][0] for n in names], weights=[weight(n) for n in names]))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, default=Path("runs/corrections"))
    options.add_argument("--prior", type=Path)
    options.add_argument("scene", nargs="*")
    given = options.parse_args()
    main(given.folder, given.prior, given.scene)
