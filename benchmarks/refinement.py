"""What re-estimating p(class | NLCD) without labels is worth, with right and wrong matrices.

Accuracy / mean IoU of `evidence` at the working grid, on the scenes of choosing_scenes.py that have
NLCD: with the matrix as given, refined, and with the mix of the scene's own truth in it (`true
mix`, soil/trees/grass of the unpaved ground of developed classes). Matrices: the NLCD definitions
and, with --others, the true ones of two synthetic cities. `step` is how far a refinement went,
`moved` how much of the matrix. The mapped scene gives no label but for the scores.

Usage: python benchmarks/refinement.py [--others] [--settings KEY=VALUE ...] [SCENE ...]
"""

import dataclasses
import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from choosing_scenes import truth_scenes
from numpy.typing import NDArray
from words import parser

from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.evidence.anchors import GroundRows
from landcover_pnp.evidence.city_mix import CityMix
from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.matrix_sources import refine_for_scene
from landcover_pnp.evidence.scene_labels import labels_of
from landcover_pnp.evidence.settings import ClusterSettings, RefinementSettings, WeakLabelSettings
from landcover_pnp.evidence.weak_labels import class_given_code, cooccurrence
from landcover_pnp.inference.engines.evidence import EvidenceSettings, evidence_map
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene

Matrix = NDArray[np.float64]
OTHERS = ("humid_east 53", "desert 83")
NLCD = CoarseLegend.load("nlcd")
GROUND = GroundRows.of(NLCD.roles)


def scenes(folder: Path) -> dict[str, Scene]:
    """The prepared scenes by name."""
    found = {}
    for name, scene in truth_scenes(folder).items():
        if scene.files is not None:
            plan = plan_scene(scene_files(scene.files), scene.files.resolution_m)
            found[name] = prepare_scene(plan, folder / "scenes" / name)
    return found


def counts_of(scene: Scene) -> Matrix:
    """(nlcd class, class) pixels of a scene's truth."""
    box = scene.extent
    known = np.where(scene.valid(box), scene.truth(box), 0)
    return cooccurrence(scene.coarse(box)[0], known, NLCD)


def true_mix(scene: Scene) -> CityMix:
    """The mix of a scene's own truth."""
    soil, trees, grass = counts_of(scene)[list(GROUND.developed), 2:].sum(axis=0)
    total = soil + trees + grass
    return CityMix(soil / total, trees / max(trees + grass, 1), soil / total)


def evidence_scores(scene: Scene, matrix: Matrix) -> Scores:
    """Scores of the engine `evidence` with a matrix."""
    box, settings = scene.extent, ClusterSettings()
    valid = scene.valid(box)
    weak = labels_of(scene, box, [matrix], WeakLabelSettings())
    centres = sample_centres(scene.sample(settings.sample_px, 0), settings, 0)
    clusters = responsibilities(scene.image(box), valid, centres, settings, 0)
    p = evidence_map(clusters, weak.probabilities, valid, EvidenceSettings())
    return score(np.where(valid, p.argmax(axis=0) + 1, 0), scene.truth(box), "five_classes")


def shown(mix: CityMix | None) -> str:
    """A mix as the table has it."""
    return "-" if mix is None else "/".join(f"{share:.2f}"[-3:] for share in mix.shares)


def print_row(name: str, given: str, scene: Scene, matrix: Matrix, s: RefinementSettings) -> None:
    """A row of the table."""
    true, found = true_mix(scene), refine_for_scene(scene, matrix, s)
    with_true = dataclasses.replace(true, dry_grassland=0.0).applied(matrix, GROUND)
    cells = [evidence_scores(scene, m) for m in (matrix, found.matrix, with_true)]
    scored = " | ".join(f"{c.accuracy:.3f} / {c.mean_iou:.3f}" for c in cells)
    went = f"{found.step:.2f} | {found.change:.2f}"
    print(f"| {name} | {given} | {shown(true)} | {shown(found.mix)} | {went} | {scored} |")


def main(wanted: Iterable[str], others: bool, s: RefinementSettings) -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    print("| scene | matrix of | true mix | mix | step | moved | as given | refined | true mix |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        found = scenes(Path(folder))
        matrices = {"definitions": NLCD.definitions}
        if others:
            matrices |= {name: class_given_code(counts_of(found[name]), NLCD) for name in OTHERS}
        for name, scene in found.items():
            for given, matrix in matrices.items():
                if name in (wanted or found) and name != given:
                    print_row(name, given, scene, matrix, s)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("scene", nargs="*")
    options.add_argument("--others", action="store_true")
    options.add_argument("--settings", nargs="*", default=[], metavar="KEY=VALUE")
    words = options.parse_args()
    plain = RefinementSettings()
    pairs = dict(word.split("=") for word in words.settings)
    typed = {key: type(getattr(plain, key))(value) for key, value in pairs.items()}
    main(words.scene, words.others, dataclasses.replace(plain, **typed))
