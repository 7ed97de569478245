"""Whether filling the pixels that a map is unsure of pays: `inference.hide_below` on real truth.

    python benchmarks/hide_below.py [--folder FOLDER] [--scenes NAME ...] [--prior FOLDER]

All scenes with truth of benchmarks/choosing_scenes.py: the student's map at the image's resolution,
mapped once as a newcomer does and kept in the folder, and of dp0 to dp3, which have no student, the
map of the engine at 4 m. Pixels whose class has less than a threshold are hidden, and filled by

- the shipped masked prior, times the map's own probabilities to the power lambda, as the stage of a
  map run does, in one pass (lambda is `inference.fill.evidence_weight`; own shares are a
  `share_weight` of 1),
- a conditional random field and harmonic fill on the same pixels, in the prior's place,
- means of the map's probabilities over 3 x 3 and 5 x 5 of its pixels, and over 12 m.

Printed are accuracy / mean IoU in the hidden pixels and of the whole map, its shapes, and what the
choosing protocol (benchmarks/choosing.py) says against the map as it is. Counts are kept in the
folder too, by a hash of the code they come from, so that a table that was broken off goes on.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from choosing import gain, leave_one_out, verdict
from choosing_runs import Variant, settings_on
from choosing_scenes import TruthScene, truth_scenes
from engine_scenes import REAL, patch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from scipy import ndimage
from words import parser

from landcover_pnp.arrays import normalise
from landcover_pnp.evaluation.boundaries import boundaries
from landcover_pnp.evaluation.cell_scores import cell_confusion
from landcover_pnp.evaluation.hole_baselines import harmonic, potts
from landcover_pnp.evaluation.scores import Scores
from landcover_pnp.evaluation.shapes import Shapes, crop_boxes
from landcover_pnp.grid import Box, TileGrid
from landcover_pnp.inference.choice import choose_engine
from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.legend import CLASS_COUNT, ENVIROATLAS, WORKING, to_working
from landcover_pnp.pipeline.fill_grid import FillGrid
from landcover_pnp.pipeline.fill_rims import REACH, continued
from landcover_pnp.pipeline.hidden_ground import Shown, asked, completed, unsure
from landcover_pnp.pipeline.hide_stage import MOST_CORE_PX, MOST_HALO_PX
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import on_grid, open_raster, read, read_labels
from landcover_pnp.storage.records import fingerprint
from landcover_pnp.storage.run_folder import STUDENT, RunFolder

BELOW = (0.5, 0.6, 0.7, 0.8)
WEIGHTS = (0.7, 1.0, 2.0, 4.0)
PIXEL_M = 4.0
AS_IS, SLOW = "as it is", "WV quad"  # whose pixels are six of the prior's wide

Floats, Labels = NDArray[np.float32], NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Mapped:
    """A map with its truth, on one grid.

    Attributes:
        p: (class, y, x) float32 probabilities.
        truth: (y, x) uint8 working codes, 0 = unlabelled.
        pixels: The pixels of map and prior.
        pixel_m: Side of its pixels.
        cell_m: Side of the cells that are resampled.
    """

    p: Floats
    truth: Labels
    pixels: FillGrid
    pixel_m: float
    cell_m: float

    @property
    def labels(self) -> Labels:
        """(y, x) uint8 classes of the map."""
        return np.where(self.p.any(axis=0), self.p.argmax(axis=0) + 1, 0).astype(np.uint8)

    @property
    def fine(self) -> Box:
        """All of its pixels."""
        return Box(0, self.truth.shape[0], 0, self.truth.shape[1])

    @property
    def working(self) -> Box:
        """All pixels of the prior."""
        return Box(0, self.pixels.rows.working_size, 0, self.pixels.columns.working_size)

    def cells(self, labels: Labels) -> NDArray[np.int64]:
        """Confusion (cell, truth 6, predicted 6)."""
        y, x = np.indices(labels.shape) // max(1, round(self.cell_m / self.pixel_m))
        cell = y * (int(x.max()) + 1) + x
        return cell_confusion(labels, self.truth, cell, int(cell.max()) + 1)

    def shapes(self, labels: Labels) -> tuple[float, float, float]:
        """Boundary F1 at a pixel, impervious parts a km2, and crossing share, where both are."""
        both = (labels > 0) & (self.truth > 0)
        labels = np.where(both, labels, 0).astype(np.uint8)
        found = Shapes.of(np.zeros((0, 1, 1), np.uint8), 1.0)
        for y0, y1, x0, x1 in crop_boxes(labels.shape, self.pixel_m):
            found += Shapes.of(labels[None, y0:y1, x0:x1], self.pixel_m)
        parts = float(found.parts_per_km2[WORKING.index("impervious")])
        return boundaries(labels, self.truth).mean_f1, parts, found.crossing_share


def mapped(scene: TruthScene, folder: Path) -> Mapped:
    """The map of a scene; made unless it is there."""
    if scene.files is None:
        return _patch(scene)
    run = folder / "runs" / scene.name.replace(" ", "_")
    path = RunFolder(run).probability(STUDENT)
    if not path.is_file():
        map_city(settings_on(scene, Variant("newcomer", ()).settings), run)
    files = scene.files.rasters
    if files is None or files.truth is None:
        raise ValueError(f"{scene.name} has no truth")
    with open_raster(path, STUDENT) as source:
        geobox = GeoBox.from_rio(source)
        whole = Box(0, source.height, 0, source.width)
        p = decode(read(source, source.indexes, whole))
    with (
        open_raster(files.truth.path, "truth") as source,
        on_grid(source, geobox, Resampling.nearest) as view,
    ):
        truth = to_working(read_labels(view, whole), ENVIROATLAS)
    side_m = abs(float(geobox.resolution.x))
    pixels = FillGrid.of(geobox, (side_m, side_m), PIXEL_M)
    return Mapped(p, truth, pixels, side_m, scene.cell_m)


def _patch(scene: TruthScene) -> Mapped:
    case = patch(REAL / "ea-patches", scene.patch)
    settings = Variant("newcomer", ()).settings
    choice = choose_engine(settings.inference, PIXEL_M)
    p = infer(case.observations, choice.inference, choice.prior, seed=settings.seed)
    geobox = GeoBox.from_bbox((0, 0, 256, 256), "EPSG:26917", resolution=PIXEL_M)
    pixels = FillGrid.of(geobox, (PIXEL_M, PIXEL_M), PIXEL_M)
    return Mapped(p, case.truth, pixels, PIXEL_M, 32.0)


def fills(
    scene: Mapped, hidden: NDArray[np.bool_], prior: AnyPrior
) -> Iterator[tuple[str, Floats]]:
    """Probabilities (class, y, x) of the map by every method, of which the hidden ones count."""
    p = scene.p
    yield AS_IS, p
    wide = {
        "3 x 3": 3,
        "5 x 5": 5,
        "mean over 12 m": max(3, round(12 / scene.pixel_m) // 2 * 2 + 1),
    }
    for name, side in wide.items():
        yield name, np.stack([ndimage.uniform_filter(c, side, mode="nearest") for c in p])
    shown = Shown.of(scene.pixels, [(scene.fine, p, hidden)], scene.working)
    others: dict[str, Callable[..., NDArray[np.float64]]] = {
        "random field": potts,
        "harmonic fill": harmonic,
    }
    for name, method in others.items():
        message = brought_back(scene, method(shown.codes, shown.hidden), hidden)
        for weight in WEIGHTS[:2]:
            yield f"{name}, lambda {weight:g}", completed(p, message, hidden, weight)
    for share, weights in ((0.0, WEIGHTS), (1.0, (1.0,))):
        settings = FillSettings(steps=1, evidence_weight=1.0, share_weight=share)
        message = brought_back(scene, by_windows(scene, shown, prior, settings), hidden)
        for weight in weights:  # of which the prior's first look does not depend
            own = ", own shares" if share else ""
            yield f"prior, lambda {weight:g}{own}", completed(p, message, hidden, weight)


def by_windows(
    scene: Mapped, shown: Shown, prior: AnyPrior, settings: FillSettings
) -> NDArray[np.floating]:
    """What the prior says of the whole map (class, y, x), window by window as in the stage."""
    grid = TileGrid(scene.pixels.geobox, MOST_CORE_PX, MOST_HALO_PX)
    total = np.zeros((CLASS_COUNT, *shown.hidden.shape))
    for tile in grid:
        y, x = tile.canvas.within(scene.working)
        window = Shown(shown.codes[y, x], shown.hidden[y, x], shown.evidence[:, y, x])
        said = asked(prior, window, settings, 0, (tile.canvas.y0, tile.canvas.x0))
        total[:, y, x] += said * grid.blend_weights(tile)
    return normalise(total)


def brought_back(scene: Mapped, message: NDArray[np.floating], hidden: NDArray[np.bool_]) -> Floats:
    """What is said of the prior's pixels at those of the map, as the stage does."""
    fine = scene.pixels.to_fine(message.astype(np.float32), scene.working, scene.fine)
    if scene.pixels.finer < 2:
        return fine
    return continued(fine, scene.labels, hidden, REACH * scene.pixels.finer)


def counted(scene: Mapped, prior: AnyPrior) -> dict[str, NDArray[np.float64]]:
    """Counts of every method at every threshold, by its name."""
    found, before = dict[str, NDArray[np.float64]](), scene.labels
    for below in BELOW:
        hidden = unsure(scene.p, below)
        for name, q in fills(scene, hidden, prior):
            labels = np.where(hidden, q.argmax(axis=0) + 1, before).astype(np.uint8)
            inside = np.where(hidden, scene.truth, 0).astype(np.uint8)
            n = cell_confusion(labels, inside, np.zeros(labels.shape, np.intp), 1)
            key = f"{below:g}: {name}"
            found[f"{key}/cells"] = scene.cells(labels)
            found[f"{key}/inside"] = n
            found[f"{key}/shapes"] = np.array(scene.shapes(labels))
            found[f"{key}/hidden"] = np.array(hidden.sum() / max(scene.p.any(axis=0).sum(), 1))
    found["truth/shapes"] = np.array(scene.shapes(scene.truth))
    return found


def kept(scene: TruthScene, folder: Path, prior: AnyPrior) -> dict[str, NDArray[np.float64]]:
    """``counted``, unless it was by today's code."""
    package = Path(sys.modules["landcover_pnp"].__file__ or "").parent
    code = [Path(__file__), *package.glob("pipeline/[fh]i*_*.py"), *package.glob("inference/*.py")]
    made_of = {path.name: path.read_text(encoding="utf-8") for path in code}
    key = fingerprint({**made_of, "prior": prior.fingerprint})
    path = folder / f"{scene.name.replace(' ', '_')}-{key}.npz"
    if not path.exists():
        print(scene.name, file=sys.stderr, flush=True)
        found = counted(mapped(scene, folder), prior)
        np.savez_compressed(path.with_suffix(".part.npz"), **found)
        path.with_suffix(".part.npz").replace(path)
    with np.load(path) as stored:
        return dict(stored)


def print_row(cells: list[str]) -> None:
    """A row of a Markdown table."""
    print("| " + " | ".join(cells) + " |")


def print_tables(found: dict[str, dict[str, NDArray[np.float64]]]) -> None:
    """The tables, by threshold and method."""
    scenes = list(found)
    rows = [k.removesuffix("/cells") for k in next(iter(found.values())) if k.endswith("/cells")]
    shares = (" ".join(f"{found[s][f'{b:g}: {AS_IS}/hidden']:.0%}" for s in scenes) for b in BELOW)
    print("hidden share at", "; ".join(f"{b:g}: {t}" for b, t in zip(BELOW, shares, strict=True)))
    for what in ("inside", "cells"):
        print(f"\nAccuracy / mean IoU, {'hidden pixels' if what == 'inside' else 'whole map'}\n")
        print_row(["below: method", *scenes, "mean"])
        print_row(["---", *["---:"] * (len(scenes) + 1)])
        for row in rows:
            scores = [
                Scores(found[s][f"{row}/{what}"].sum(axis=0).astype(np.int64), "five_classes")
                for s in scenes
            ]
            pairs = np.array([(x.accuracy, x.mean_iou) for x in scores])
            print_row([row, *("{:.3f} / {:.3f}".format(*v) for v in (*pairs, pairs.mean(axis=0)))])
    print("\nBoundary F1 / impervious parts a km2 / crossing share, whole map, means\n")
    print_row(["below: method", "F1", "parts", "crossing"])
    print_row(["---", "---:", "---:", "---:"])
    for row in ["truth", *rows]:
        means = np.nanmean([found[s][f"{row}/shapes"] for s in scenes], axis=0)
        print_row([row, f"{means[0]:.3f}", f"{means[1]:.0f}", f"{means[2]:.2f}"])
    _print_choice(found, rows)


def _print_choice(found: dict[str, dict[str, NDArray[np.float64]]], rows: list[str]) -> None:
    """What the choosing protocol says."""
    scenes = list(found)

    def cells(scene: str, row: str) -> Scores:
        return Scores(found[scene][f"{row}/cells"].astype(np.int64), "five_classes")

    plain = f"{BELOW[0]:g}: {AS_IS}"
    gains = {
        row: {s: gain(cells(s, row), cells(s, plain)) for s in scenes}
        for row in rows
        if not row.endswith(AS_IS)
    }
    print("\nMean IoU of the whole map against leaving it, classes above .5 %\n")
    print_row(["below: method", "mean", "best", "worst", "loses in", "may be a default"])
    print_row(["---", "---:", "---", "---", "---", "---"])
    for row, by_scene in gains.items():
        v = verdict(by_scene)
        best = max(by_scene, key=lambda s: by_scene[s].difference.value)
        ends = [f"{s} {by_scene[s].difference.value:+.3f}" for s in (best, v.worst) if s]
        print_row([row, f"{v.mean:+.4f}", *ends, str(len(v.losers)), "yes" if v.allowed else "no"])
    prior = {row: by_scene for row, by_scene in gains.items() if ": prior" in row}
    for label, chosen in (("all methods", gains), ("the prior alone", prior)):
        left = leave_one_out(chosen, scenes, AS_IS)
        print(
            f"\nLeaving each scene out, {label}: mean {np.mean([r.difference for r in left]):+.4f}"
        )
        print("; ".join(f"{r.scene}: {r.chosen} {r.difference:+.3f}" for r in left))


def main(folder: Path, names: list[str], prior: Path | None) -> None:
    """Prints the tables."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    (folder / "scenes").mkdir(parents=True, exist_ok=True)
    there, loaded = truth_scenes(folder / "scenes"), load_prior(prior, "masked")
    chosen = names or sorted(there, key=SLOW.__eq__)
    print_tables({name: kept(there[name], folder, loaded) for name in chosen})


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument(
        "--folder", type=Path, default=Path("data/hide_below"), help="what is kept"
    )
    options.add_argument("--scenes", nargs="*", default=[], help="only these; default: all")
    options.add_argument("--prior", type=Path, help="folder of a masked prior; default: shipped")
    given = options.parse_args()
    main(given.folder, given.scenes, given.prior)
