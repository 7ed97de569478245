"""Chooses how hidden pixels are filled where weak labels or a map say something of them.

Three uses of `inference.filling.fill`, each on scenes whose labels the shipped prior has not
learned from (Durham's were used to choose it):

  clouds   a quarter of the image is hidden by clouds of 48 to 160 m; the map is the engine
           `evidence`'s, which knows coarse map, roads, buildings and water there
  doubt    what `evidence` gives less than .6 to any class is hidden from its own map
  holes    squares of 16 to 128 m and stripes in real and synthetic truth, of which nothing is
           known: passes alone count

Negative log-likelihood (nats a pixel) and accuracy of the hidden pixels, by scene; then what each
scene gains and loses when the values are chosen on all the others by the likelihood, the mean of
real and of synthetic scenes as heavy, against the values that were the defaults before.

Usage: python benchmarks/choose_filling.py FOLDER [--prior FOLDER] [--uses clouds doubt holes]
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import rasterio
from choosing_runs import NEWCOMER
from choosing_scenes import TruthScene, truth_scenes
from engine_scenes import PIXEL_M, REAL, patch
from filling import real_maps
from numpy.typing import NDArray
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.evaluation.hole_baselines import harmonic
from landcover_pnp.evaluation.holes import holes
from landcover_pnp.evaluation.scores import score
from landcover_pnp.evidence.matrix_sources import matrices_from_source
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.observe import Observer
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.prior.crops import cut
from landcover_pnp.prior.label_maps import draw_label_maps
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import LayerFile, Look, RasterFiles

LEARNED = ("Pittsburgh", "WV patches")
"""Scenes whose labels the shipped prior has learned from."""

WEIGHTS, SHARES, STEPS = (0.0, 0.35, 0.5, 0.7, 1.0, 1.4), (0.0, 0.5, 1.0), (1, 4)
BEFORE = (0.7, 0.0, 4)
CLOUDS, HIDDEN_SHARE, SEEDS = (48, 160), 0.25, (0, 1)
HOLES, HOLE_SEED, CITY_SEED = 6, 3, 1009
DOUBT = 0.6
USES = ("clouds", "doubt", "holes")

Values = tuple[float, float, int]


class Case(NamedTuple):
    """A map with hidden pixels.

    Attributes:
        codes: (y, x) uint8 working classes, 0 where hidden or without data.
        hidden: (y, x) bool.
        start: (class, y, x) float32 what is known of hidden pixels; None is nothing.
        weak: (class, y, x) float32 weak labels, or None.
        truth: (y, x) uint8 working classes, 0 = none.
    """

    codes: NDArray[np.uint8]
    hidden: NDArray[np.bool_]
    start: NDArray[np.float32] | None
    weak: NDArray[np.float32] | None
    truth: NDArray[np.uint8]


class Found(NamedTuple):
    """How well hidden pixels are filled."""

    nll: float
    accuracy: float
    mean_iou: float


def clouds(shape: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    """Round clouds at random places, until a quarter is hidden: (y, x) at 4 m."""
    random, hidden = np.random.default_rng(seed), np.zeros(shape, np.bool_)
    y, x = np.indices(shape)
    while hidden.mean() < HIDDEN_SHARE:
        radius = random.uniform(*CLOUDS) / 2 / PIXEL_M
        at = [random.uniform(0, n) for n in shape]
        hidden |= np.hypot(y - at[0], x - at[1]) < radius
    return hidden


def cloudy(files: RasterFiles, seed: int, folder: Path) -> RasterFiles:
    """A scene under clouds."""
    with rasterio.open(files.image) as source:
        left, bottom, right, top = source.bounds
        shape = round((top - bottom) / PIXEL_M), round((right - left) / PIXEL_M)
        grid = rasterio.transform.from_bounds(left, bottom, right, top, *shape[::-1])
        crs = source.crs
    path = folder / f"clouds-{seed}.tif"
    size = {"height": shape[0], "width": shape[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=grid, **size) as target:
        target.write(clouds(shape, seed).astype(np.uint8), 1)
    return replace(files, clouds=LayerFile(path))


def observed(files: RasterFiles, folder: Path) -> tuple[Observations, NDArray[np.uint8]]:
    """A scene as `landcover map` observes it, and its truth on the working grid."""
    settings = load_settings(MapSettings, NEWCOMER)
    scene = prepare_scene(plan_scene(files, PIXEL_M), folder)
    matrices = matrices_from_source(settings.weak_labels, scene, {}, folder)
    own = (settings.weak_labels, settings.clusters, 0, None)
    seen = Observer.of(scene, matrices, *own).observe(scene, scene.extent)
    truth = scene.truth(scene.extent)
    if truth is None:
        raise ValueError(f"{files.image} has no truth")
    return seen, truth


def evidence_of(seen: Observations) -> NDArray[np.float32]:
    """The map of the engine `evidence`."""
    return infer(seen, InferenceSettings("evidence"), None, seed=0)


def case(seen: Observations, truth: NDArray[np.uint8], use: str) -> Case:
    """A use of a scene."""
    start = evidence_of(seen)
    hidden = seen.unseen if use == "clouds" else seen.valid & (start.max(axis=0) < DOUBT)
    if hidden is None:
        raise ValueError("a scene without clouds")
    codes = np.where(seen.valid & ~hidden, start.argmax(axis=0) + 1, 0).astype(np.uint8)
    return Case(codes, hidden, start, seen.weak_labels, truth)


def under_clouds(seen: Observations, hidden: NDArray[np.bool_]) -> Observations:
    """A patch whose image is hidden in part."""
    patterns = np.where(hidden, np.float32(1 / len(seen.clusters)), seen.clusters)
    return replace(seen, clusters=patterns.astype(np.float32), spectral_indices=None, unseen=hidden)


def cases_of(scene: TruthScene, use: str, folder: Path) -> list[Case]:
    """All cases of a scene."""
    folder.mkdir(parents=True, exist_ok=True)
    if scene.files is None:
        given = patch(REAL / "ea-patches", scene.patch)
        seen, truth = replace(given.observations, spectral_indices=None), given.truth
        if use == "doubt":
            return [case(seen, truth, use)]
        masks = (clouds(truth.shape, seed) for seed in SEEDS)
        return [case(under_clouds(seen, hidden), truth, use) for hidden in masks]
    files = scene.files.rasters
    if files is None:
        raise ValueError(f"{scene.name} is no scene of rasters")
    if use == "doubt":
        return [case(*observed(files, folder / "clear"), use)]
    return [
        case(*observed(cloudy(files, seed, folder), folder / f"clouds {seed}"), use)
        for seed in SEEDS
    ]


def hole_cases() -> dict[str, list[Case]]:
    """Holes in truth, by scene."""
    drawn = draw_label_maps(4, 500, CITY_SEED)
    centre, flat = np.array([250.0, 250.0]), np.zeros(2)
    maps = {m.name: cut(m, centre, flat, 0, 1.0, 124, PIXEL_M) for m in drawn}
    maps = (real_maps() if REAL.is_dir() else {}) | maps
    found: dict[str, list[Case]] = {}
    for hole in holes(maps, PIXEL_M, HOLES, HOLE_SEED):
        own = Case(hole.visible, hole.hidden, None, None, hole.labels)
        found.setdefault(hole.scene, []).append(own)
    return found


def scored(p: NDArray[np.floating], own: Case) -> Found:
    """Scores of the hidden pixels with truth."""
    where = own.hidden & (own.truth > 0)
    true = own.truth[where]
    q = np.maximum(p[:, where], 1e-4)
    guess = (q.argmax(axis=0) + 1).astype(np.uint8)
    nll = -np.log(q[true - 1, np.arange(len(true))]).mean()
    scores = score(guess, true, "five_classes")
    return Found(float(nll), scores.accuracy, scores.mean_iou)


def settings_of(values: Values) -> FillSettings:
    """How hidden pixels are filled with these values."""
    weight, share, steps = values
    return FillSettings(evidence_weight=weight, share_weight=share, steps=steps)


def results(prior: AnyPrior, cases: Sequence[Case], use: str) -> dict[str | Values, Found]:
    """Means of a scene's cases, by values and by what needs no prior."""
    grid = list(product(WEIGHTS, SHARES, STEPS)) if use != "holes" else [
        (BEFORE[0], BEFORE[1], steps) for steps in (1, 2, 4, 8)
    ]  # fmt: skip
    rows: dict[str | Values, list[Found]] = {}
    for own in cases:
        if not (own.hidden & (own.truth > 0)).any():
            continue
        if own.start is not None:
            rows.setdefault("as it was", []).append(scored(own.start, own))
        rows.setdefault("harmonic", []).append(scored(harmonic(own.codes, own.hidden), own))
        for values in grid:
            how = settings_of(values)
            p = fill(prior, own.codes, own.hidden, own.start, how, 0, (0, 0), weak_labels=own.weak)
            rows.setdefault(values, []).append(scored(p, own))
    return {key: Found(*np.mean(found, axis=0).tolist()) for key, found in rows.items()}


def balanced(found: Mapping[str, float], real: Sequence[str]) -> float:
    """Mean of the means of real and of synthetic scenes."""
    parts = [[v for n, v in found.items() if (n in real) == kind] for kind in (True, False)]
    return float(np.mean([np.mean(part) for part in parts if part]))


def report(use: str, rows: Mapping[str, Mapping[str | Values, Found]], real: list[str]) -> None:
    """Prints the table of a use, and what choosing on the others brings."""
    keys = list(next(iter(rows.values())))
    print(f"\n{use}: nll / accuracy / mean IoU\n\n| values | all | " + " | ".join(rows) + " |")
    print("|---|" + "---:|" * (len(rows) + 1))
    for key in keys:
        cells = [rows[name][key] for name in rows]
        whole = [balanced({n: rows[n][key][i] for n in rows}, real) for i in range(3)]
        told = (" / ".join(f"{v:.3f}" for v in cell) for cell in [whole, *cells])
        print(f"| {key} | " + " | ".join(told) + " |")
    tried = [key for key in keys if not isinstance(key, str)]
    gains = {}
    for left in rows:
        others = [n for n in rows if n != left]
        best = min(tried, key=lambda v: balanced({n: rows[n][v].nll for n in others}, real))
        gains[left] = np.subtract(rows[left][best], rows[left][BEFORE])
        print(f"chosen without {left}: {best}, there {gains[left].round(3).tolist()}")
    best = min(tried, key=lambda v: balanced({n: rows[n][v].nll for n in rows}, real))
    for i, name in enumerate(Found._fields):
        changes = [g[i] for g in gains.values()]
        worst = max(changes) if name == "nll" else min(changes)
        print(f"chosen on all others: {name} {np.mean(changes):+.3f}, worst {worst:+.3f}")
    print(f"chosen on all: {best}", flush=True)


def main(folder: Path, prior: AnyPrior, uses: list[str]) -> None:
    """Prints the tables of all uses."""
    folder.mkdir(parents=True, exist_ok=True)
    for use in uses:
        rows = {}
        for name, cases in scenes_of(use, folder):
            rows[name] = results(prior, cases, use)
        report(use, rows, [name for name in rows if not name.startswith(get_args(Look))])


def scenes_of(use: str, folder: Path) -> Iterator[tuple[str, list[Case]]]:
    """Scenes of a use, with their cases."""
    if use == "holes":
        yield from hole_cases().items()
        return
    for name, scene in truth_scenes(folder).items():
        if scene.served and name not in LEARNED:
            yield name, cases_of(scene, use, folder / "prepared" / name.replace(" ", "_"))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="folder of scenes, which are kept")
    options.add_argument("--prior", type=Path, help="a masked prior; the shipped one if left out")
    options.add_argument("--uses", nargs="+", default=list(USES), choices=USES)
    given = options.parse_args()
    main(given.folder, load_prior(given.prior, "masked"), given.uses)
