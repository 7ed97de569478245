"""Maps of the choosing protocol: made once for each scene and settings, and kept in a folder.

What is kept are counts by cell of ground, of the engine's map and of the student's. They are found
again by a hash of the settings and of the code that makes maps, without its comments; code of the
refinement and of the spectral indices counts only where these have a part.
"""

import ast
import json
import os
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from choosing_scenes import TruthScene
from engine_scenes import REAL, ROOT, patch
from numpy.typing import NDArray

from landcover_pnp.config import load_settings
from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.cell_scores import cell_confusion, score_cells
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.inference.choice import choose_engine
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.settings import BASELINE
from landcover_pnp.legend import ENVIROATLAS
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.storage.records import fingerprint, ingredients
from landcover_pnp.storage.run_folder import RunFolder

NEWCOMER = ROOT / "configs" / "cities" / "own_files.yaml"
"""The configuration that a newcomer copies; variants are changes of it."""

_PACKAGE = ROOT / "landcover_pnp"
_CODE = ("evidence", "inference", "student", "scenes", "pipeline/observe.py", "box_filter.py")
_HIDING = ("pipeline/fill_grid.py", "pipeline/fill_rims.py", "pipeline/hidden_ground.py")
_REFINEMENT = ("matrix_refinement", "city_mix")
_INDICES = ("spectral_", "road_reference", "index_", "scene_borders")
_PATCH_CELL_PX = 8


@dataclass(frozen=True)
class Variant:
    """A configuration by name.

    Attributes:
        name: What the tables call it.
        words: Changes of the newcomer's configuration, ``key=value`` each.
    """

    name: str
    words: tuple[str, ...]

    @property
    def settings(self) -> MapSettings:
        """The configuration, of a scene that is yet to be named."""
        return load_settings(MapSettings, NEWCOMER, [f"--{word}" for word in self.words])


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of a map.

    Attributes:
        engine: Scores by cell of the engine's map.
        student: Those of the student's; None where there is none.
        seconds: Processor time of the map.
        told: What the map's run warned of.
    """

    engine: Scores
    student: Scores | None
    seconds: float
    told: tuple[str, ...]


def settings_on(scene: TruthScene, settings: MapSettings) -> MapSettings:
    """A variant's settings on a scene: without a prior where none serves its grid."""
    inference = settings.inference
    if not scene.served and inference.needs_prior:
        inference = replace(inference, engine=BASELINE)
    files = scene.files or settings.scene
    return replace(settings, scene=files, inference=inference, workers=0)


def takes_part(scene: TruthScene, variant: Variant, plain: Variant) -> bool:
    """Whether a variant can differ from the plain one on a scene."""
    if scene.files is not None:
        return True
    return variant.settings.inference.made_of() != plain.settings.inference.made_of()


def kept(folder: Path, scene: TruthScene, settings: MapSettings) -> str:
    """Makes a scene's map, unless that was done.

    Args:
        folder: Folder of what is kept.
        scene: The scene.
        settings: The variant's.

    Returns:
        Name of the file of its scores in that folder, see ``opened``.
    """
    settings = settings_on(scene, settings)
    path = folder / f"{scene.name.replace(' ', '_')}-{_fingerprint(scene, settings)}.npz"
    if not path.exists():
        start = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = _mapped(scene, settings) if scene.files else {"engine": _patch(scene, settings)}
        told = [w.message for w in caught]
        about = {
            "settings": ingredients(settings=settings),
            "seconds": time.process_time() - start,
            "told": sorted({str(w) for w in told if isinstance(w, LandcoverWarning)}),
        }
        partial = path.with_name(f".{os.getpid()}-{path.name}")
        np.savez_compressed(partial, about=np.array(json.dumps(about)), **made)
        partial.replace(path)
    return path.name


def opened(path: Path) -> Kept:
    """What is kept in a file."""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        student = Scores(file["student"], "five_classes") if "student" in file else None
        engine = Scores(file["engine"], "five_classes")
    return Kept(engine, student, float(about["seconds"]), tuple(about["told"]))


def _mapped(scene: TruthScene, settings: MapSettings) -> dict[str, NDArray[np.int64]]:
    """Maps a scene as `landcover map` does: confusion (cell, truth, predicted) by kind of map."""
    truth = settings.scene.rasters and settings.scene.rasters.truth
    if truth is None:
        raise ValueError(f"{scene.name} has no truth")
    with tempfile.TemporaryDirectory(prefix="choose-") as name:
        map_city(settings, Path(name) / "run")
        paths = RunFolder(Path(name) / "run")
        methods = {"engine": "map"} | ({"student": "student"} if settings.student else {})
        return {
            kind: score_cells(
                paths.probability(method),
                truth.path,
                ENVIROATLAS,
                "five_classes",
                cell_m=scene.cell_m,
                overlap=True,
            ).cells.confusion
            for kind, method in methods.items()
        }


def _patch(scene: TruthScene, settings: MapSettings) -> NDArray[np.int64]:
    """The engine's map of a patch, on its grid of 4 m; cells of 32 m."""
    engine = replace(settings.inference, hide_below=0.0)  # which is that of map runs
    case, choice = _case(scene.patch), choose_engine(engine, 4.0)
    p = infer(case.observations, choice.inference, choice.prior, seed=settings.seed)
    predicted = np.where(case.observations.valid, p.argmax(axis=0) + 1, 0)
    y, x = np.indices(case.truth.shape) // _PATCH_CELL_PX
    across = int(x.max()) + 1
    return cell_confusion(predicted, case.truth, y * across + x, across * (int(y.max()) + 1))


@cache
def _case(name: str) -> Any:
    return patch(REAL / "ea-patches", name)


def _fingerprint(scene: TruthScene, settings: MapSettings) -> str:
    """Hash of what a map's scores depend on."""
    inference = settings.inference.made_of(BASELINE)
    made_of = {"inference": inference, "prior": str(settings.inference.prior), "seed": 0}
    indices = settings.inference.uses_indices
    left_out: tuple[str, ...] = ()
    if scene.files is not None:
        student = settings.student
        indices |= student is not None and student.spectral_indices
        made_of |= {
            "weak_labels": settings.weak_labels,
            "clusters": settings.clusters,
            "student": student,
            "tiles": settings.tiles,
            "seed": settings.seed,
        }
        left_out += () if settings.weak_labels.refinement else _REFINEMENT
        if settings.inference.hide_below:
            own = settings.inference.of("fill")
            made_of["hide"] = ingredients(below=settings.inference.hide_below, fill=own)
            made_of["hiding"] = _code((), _HIDING)
    left_out += () if indices else _INDICES
    return fingerprint(ingredients(**made_of, code=_code(left_out)))


@cache
def _code(left_out: tuple[str, ...], names: tuple[str, ...] = _CODE) -> str:
    """Hash of the code that makes maps, without comments and docstrings."""
    found = {}
    for name in names:
        path = _PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if not file.name.startswith(left_out or ("\n",)):
                found[str(file.relative_to(_PACKAGE))] = _bare(file)
    return fingerprint(found)


def _bare(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            body[0] = ast.Pass()
    return ast.dump(tree)
