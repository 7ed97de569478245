"""What each rule of a student is worth: the default student without it, accuracy / mean IoU.

At the image's resolution, on the real window of Pittsburgh (where the folder ../shared is there)
and on synthetic cities of 512 m: those of seed 11, on which the rules were chosen, two of seed 21,
and those of seed 31, which were looked at when the rule of redness was. Students are forests of 30
trees that learn from `evidence`. p(class | NLCD) is Pittsburgh's own or that of the NLCD
definitions, refined.

Usage: python benchmarks/student_rules.py [CITY ...]
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args
from unittest.mock import patch

import numpy as np
from student_scenes import REFINED, TARGET, evidence_of, mapped, pittsburgh, scored, synthetic
from words import parser

from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.evidence.index_borders import IndexBorders
from landcover_pnp.evidence.scene_borders import scene_borders
from landcover_pnp.evidence.settings import WeakLabelSettings
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import Look, RasterFiles
from landcover_pnp.student import fusion, training
from landcover_pnp.student.mapped_scene import MappedScene
from landcover_pnp.student.settings import ForestSettings, StudentSettings

Floats = fusion.Floats
DEFAULT = StudentSettings(teacher="evidence", forest=ForestSettings(trees=30, sample_px=12_000))


def without(index: str) -> Callable[[Iterable[Scene]], IndexBorders]:
    """The borders of a city as if one index told nothing."""

    def borders(scenes: Iterable[Scene]) -> IndexBorders:
        return dataclasses.replace(scene_borders(scenes), **{index: None})

    return borders


def bayes(p: Floats, weak: Floats, share: Floats, _: Floats) -> Floats:
    """``fuse`` with water like any other class."""
    q = p * weak / np.maximum(share, 1e-6)[:, None, None]
    return np.asarray(q / np.maximum(q.sum(axis=0), 1e-12), np.float32)


RULES: dict[str, tuple[StudentSettings, dict[str, Any]]] = {
    "student": (DEFAULT, {}),
    "without spectral indices": (dataclasses.replace(DEFAULT, spectral_indices=False), {}),
    **{
        f"without {index}": (DEFAULT, {"scene_borders": without(index)})
        for index in ("vegetation", "brightness", "redness")
    },
    "without the teacher's water": (DEFAULT, {"fuse": bayes}),
    "one round": (dataclasses.replace(DEFAULT, rounds=1), {}),
    "three rounds": (dataclasses.replace(DEFAULT, rounds=3), {}),
}


def cities(folder: Path) -> dict[str, tuple[RasterFiles, WeakLabelSettings]]:
    """Files and p(class | NLCD) by the columns' names."""
    found = {}
    real = pittsburgh()
    if real is not None:
        found |= {"Pittsburgh, own": (real, TARGET), "Pittsburgh, definitions": (real, REFINED)}
    looks: tuple[Look, ...] = get_args(Look)
    drawn = [(look, 11) for look in looks] + [(look, 21) for look in looks[2:]]
    drawn += [(look, 31) for look in looks]
    for look, seed in drawn:
        found[f"{look}, {seed}"] = synthetic(look, seed, folder), REFINED
    return found


def scores_of(
    mapped_scene: MappedScene, settings: StudentSettings, changed: dict[str, Any]
) -> Scores:
    """Scores of a student in whose module some functions are others."""
    with ExitStack() as stack:
        for name, function in changed.items():
            stack.enter_context(patch.object(training, name, function))
        trained = training.train(
            [mapped_scene],
            training.image_model(settings, training.image_kind([mapped_scene])),
            settings,
        )
        return scored(mapped_scene, trained.predict(mapped_scene), trained.model.reach_px)


def main(wanted: list[str]) -> None:
    """Prints the table, a row a city."""
    warnings.simplefilter("ignore")
    print(f"| city | `evidence` | {' | '.join(RULES)} |\n|---|" + "---:|" * (len(RULES) + 1))
    with TemporaryDirectory() as name:
        for city, (files, weak_labels) in cities(Path(name)).items():
            if wanted and city not in wanted:
                continue
            mapped_scene = mapped(files, weak_labels, Path(name) / city.replace(", ", "-"))
            rows = [scored(mapped_scene, evidence_of(mapped_scene), 0)]
            rows += [scores_of(mapped_scene, *rule) for rule in RULES.values()]
            cells = " | ".join(f"{s.accuracy:.3f} / {s.mean_iou:.3f}" for s in rows)
            print(f"| {city} | {cells} |", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("city", nargs="*")
    main(options.parse_args().city)
