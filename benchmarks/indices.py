"""What a scene tells about its spectral indices, and what they are worth there.

The scenes of benchmarks/choosing_scenes.py that have layers, those with near infrared also without.
Columns: the borders of vegetation (NDVI, or greenness without near infrared), of redness and of
brightness, `-` where the index does not count; accuracy / mean IoU of `evidence` on the working
grid, p(class | NLCD) by the definitions and refined, as it is and weighed by each index and by all.
With --student, instead: `evidence`, and the default student of its map without and with indices, at
the image's resolution.

Usage: python benchmarks/indices.py [--student] [SCENE ...]
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from choosing_scenes import truth_scenes
from numpy.typing import NDArray
from student_scenes import REFINED, evidence_of
from student_scenes import scored as scores_of
from words import parser

from landcover_pnp.evaluation.scores import score
from landcover_pnp.evidence.clusters import responsibilities, sample_centres
from landcover_pnp.evidence.index_borders import Border, IndexBorders, class_given_image
from landcover_pnp.evidence.matrix_sources import refine_for_scene
from landcover_pnp.evidence.scene_borders import scene_borders
from landcover_pnp.evidence.scene_labels import labels_of
from landcover_pnp.evidence.settings import ClusterSettings, RefinementSettings, WeakLabelSettings
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import SceneSettings
from landcover_pnp.storage.bands import BandName
from landcover_pnp.student.settings import StudentSettings
from landcover_pnp.student.training import image_kind, image_model, train

INDICES = ("vegetation", "redness", "brightness")
RGB: list[BandName] = ["red", "green", "blue", "other"]


def scenes(folder: Path) -> Iterator[tuple[str, SceneSettings]]:
    """The scenes' files by name, those with near infrared also without."""
    for name, truth in truth_scenes(folder).items():
        if truth.files is None:
            continue
        yield name, truth.files
        files = scene_files(truth.files)
        with rasterio.open(files.image) as image:
            if image.count == len(RGB) and files.bands is None:
                yield f"{name}, RGB", replace(truth.files, rasters=replace(files, bands=RGB))


def observed(scene: Scene) -> Observations:
    """What `evidence` is given, without indices."""
    box, settings = scene.extent, ClusterSettings()
    valid = scene.valid(box)
    given = [legend.definitions for legend in scene.legends]
    matrices = [
        refine_for_scene(scene, matrix, RefinementSettings(), number).matrix
        for number, matrix in enumerate(given)
    ]
    weak = labels_of(scene, box, matrices, WeakLabelSettings())
    centres = sample_centres(scene.sample(settings.sample_px, 0), settings, 0)
    clusters = responsibilities(scene.image(box), valid, centres, settings, 0)
    return Observations(clusters, weak.probabilities, valid, (0, 0))


def scored(known: Observations, truth: NDArray[np.uint8]) -> str:
    """Accuracy / mean IoU of `evidence`, weighed by the indices that are known."""
    own = EvidenceSettings(spectral_indices=True, smooth_px=0)
    settings = InferenceSettings("evidence", options={"evidence": own})
    p = infer(known, settings, None, seed=0)
    s = score(np.where(known.valid, p.argmax(axis=0) + 1, 0), truth, "five_classes")
    return f"{s.accuracy:.3f} / {s.mean_iou:.3f}"


def shown(border: Border | None) -> str:
    """A border as the table has it."""
    return "-" if border is None else f"{border.middle:+.3f} +- {border.slope:.3f}"


def row(name: str, files: SceneSettings, folder: Path) -> str:
    """A row of the table of borders."""
    plan = plan_scene(scene_files(files), files.resolution_m)
    scene = prepare_scene(plan, folder / "scenes" / name)
    borders, known, truth = scene_borders([scene]), observed(scene), scene.truth(scene.extent)
    assert truth is not None  # noqa: S101
    image = scene.image(scene.extent)
    alone = {
        index: replace(borders, **{i: None for i in INDICES if i != index})  # type: ignore[arg-type]
        for index in INDICES
        if getattr(borders, index) is not None
    }

    def cell(some: IndexBorders | None) -> str:
        if some is None:
            return "-"
        return scored(replace(known, spectral_indices=class_given_image(image, some)), truth)

    cells = [shown(getattr(borders, index)) for index in INDICES]
    cells += [scored(known, truth), *(cell(alone.get(i)) for i in INDICES), cell(borders)]
    return f"| {name} | " + " | ".join(cells) + " |"


def student_row(name: str, files: SceneSettings, folder: Path) -> str:
    """A row of the table of students."""
    engine = InferenceSettings("evidence")
    map_city(MapSettings(files, weak_labels=REFINED, inference=engine, workers=0), folder / name)
    mapped = open_mapped_scene(folder / name)
    found = [scores_of(mapped, evidence_of(mapped), 0)]
    for indices in (False, True):
        settings = StudentSettings(teacher="evidence", spectral_indices=indices)
        student = train([mapped], image_model(settings, image_kind([mapped])), settings)
        found.append(scores_of(mapped, student.predict(mapped), student.model.reach_px))
    return f"| {name} | " + " | ".join(f"{s.accuracy:.3f} / {s.mean_iou:.3f}" for s in found) + " |"


def main(wanted: Iterable[str], *, student: bool) -> None:
    """Prints a table."""
    warnings.simplefilter("ignore")
    if student:
        print("| scene | `evidence` | student without indices | student |\n|---|---:|---:|---:|")
    else:
        print("| scene | vegetation | redness | brightness | `evidence` | V | R | B | all |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        for name, files in scenes(Path(folder)):
            if not wanted or name in wanted:
                print((student_row if student else row)(name, files, Path(folder)), flush=True)


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("scene", nargs="*")
    words.add_argument("--student", action="store_true")
    options = words.parse_args()
    main(options.scene, student=options.student)
