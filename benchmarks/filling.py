"""Holes in real label maps, filled by priors and without any: accuracy / mean IoU / likelihood.

    python benchmarks/filling.py NAME=FOLDER ... [--holes 24] [--seed 3] [--kinds "64 m" stripes]
    python benchmarks/filling.py --choose

Squares and stripes of dp0 to dp3 of the EnviroAtlas patches, which no prior learned from, and of
Durham, which was used for choosing only: figures with and without it. The same holes for every
method. ``shipped`` and ``shipped_masked`` are folders of the package. A Gaussian prior (RePaint,
640 forward passes a hole) sees a window of 64 pixels around a square. ``--choose`` prints the
negative log-likelihood of the baselines' numbers on maps that may be learned from.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from words import parser

import landcover_pnp
from landcover_pnp.evaluation.hole_baselines import BASELINES, harmonic, majority, nearest, potts
from landcover_pnp.evaluation.holes import (
    KINDS,
    Fill,
    Hole,
    class_table,
    fill_table,
    holes,
    score_fills,
)
from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.prior.crops import cut
from landcover_pnp.prior.label_maps import draw_label_maps, read_label_maps
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.prior.settings import LabelFolder

SHARED = Path(__file__).parents[2] / "shared" / "data"
RESOLUTION_M = 4.0
PATCHES = ("austin_tx_dp0", "austin_tx_dp1", "unknown_dp2", "unknown_dp3")


def real_maps() -> dict[str, NDArray[np.uint8]]:
    """dp0 to dp3 and Durham at 4 m, by name."""
    maps = {}
    for patch in PATCHES:
        folder = LabelFolder(SHARED / "ea-patches", f"{patch}_ea_64.tif", resolution_m=RESOLUTION_M)
        [label_map] = read_label_maps(folder, RESOLUTION_M)
        maps[patch[-3:]] = label_map.labels
    return {**maps, "durham": window("durham_nc")}


def window(city: str) -> NDArray[np.uint8]:
    """A window of 500 m at 4 m, by the most frequent class."""
    [whole] = read_label_maps(LabelFolder(SHARED / "ea-mini" / city, "labels.tif"), RESOLUTION_M)
    return cut(whole, np.array([250.0, 250.0]), np.zeros(2), 0, 1.0, 124, RESOLUTION_M)


def learned_maps() -> dict[str, NDArray[np.uint8]]:
    """Pittsburgh and four synthetic cities at 4 m: what may be chosen on."""
    drawn = draw_label_maps(4, 500, 5)
    centre, flat = np.array([250.0, 250.0]), np.zeros(2)
    cities = {m.name: cut(m, centre, flat, 0, 1.0, 124, RESOLUTION_M) for m in drawn}
    return {"pittsburgh": window("pittsburgh_pa"), **cities}


def found_prior(folder: str) -> AnyPrior:
    """The prior of a folder, or of one of the package."""
    inside = Path(landcover_pnp.__file__).parent / "prior" / folder
    return load_prior(inside if inside.is_dir() else Path(folder))


def by_prior(folder: str, settings: FillSettings) -> Fill:
    """The filling of a prior, a masked or a Gaussian one."""
    prior = found_prior(folder)

    def filled(codes: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.floating]:
        p = np.zeros((5, *codes.shape), np.float32)
        seen = around(hidden, prior.crop_px) if prior.kind == "gaussian" else np.s_[:, :]
        p[:, *seen] = fill(prior, codes[seen], hidden[seen], None, settings, 0, (0, 0))
        return p

    return filled


def around(hidden: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """A window of a map with the hole in its middle, as far as the map goes; all, of stripes."""
    spans = []
    for axis, size in enumerate(hidden.shape):
        places = np.nonzero(hidden.any(1 - axis))[0]
        low, high = int(places[0]), int(places[-1]) + 1
        first = min(max(0, (low + high - side) // 2), max(0, size - side))
        spans.append(slice(first, first + side) if high - low <= side else slice(0, size))
    return spans[0], spans[1]


def choose() -> None:
    """Prints what the baselines' numbers give on maps that may be learned from."""
    cases = list(holes(learned_maps(), RESOLUTION_M, 4, 1))
    tries: dict[str, Fill] = {}
    for m in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
        tries[f"nearest, mixed {m}"] = partial(nearest, mixed=m)
        tries[f"harmonic, mixed {m}"] = partial(harmonic, mixed=m)
    for m, r in product((0.1, 0.2, 0.3), (1, 2, 4)):
        tries[f"majority, radius {r}, mixed {m}"] = partial(majority, radius_px=r, mixed=m)
    for w, s in product((0.5, 1.0, 2.0, 4.0), (1.0, 2.0)):
        tries[f"potts, weight {w}, sigma {s}"] = partial(potts, weight=w, sigma_px=s)
    for name, method in tries.items():
        found = score_fills(method, cases)
        nll = np.mean([f.mean_nll for f in found.values()])
        accuracy = np.mean([f.mean_accuracy for f in found.values()])
        print(f"{name:40} nll {nll:.3f} accuracy {accuracy:.3f}", flush=True)


def main(
    priors: list[str], count: int, seed: int, kinds: list[str], *, chosen: bool = False
) -> None:
    """Prints the tables.

    Args:
        priors: NAME=FOLDER of each.
        count: Holes of each kind a map.
        seed: Seed of their places.
        kinds: Kinds of hole.
        chosen: Whether the baselines' numbers are tried, and nothing else.
    """
    if not SHARED.is_dir():
        sys.exit("no real label maps beside the project, in ../shared/data")
    torch.set_num_threads(1)
    if chosen:
        choose()
        return
    cases: list[Hole] = list(holes(real_maps(), RESOLUTION_M, count, seed))
    cases = [hole for hole in cases if hole.kind in kinds]
    methods = dict(BASELINES)
    for name, _, folder in (word.partition("=") for word in priors):
        methods[name] = by_prior(folder or name, FillSettings())
        if found_prior(folder or name).kind == "masked":
            methods[f"{name}, four passes"] = by_prior(folder or name, FillSettings(steps=4))
    rows = {}
    for name, method in methods.items():
        began = time.perf_counter()
        rows[name] = score_fills(method, cases)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    alone = {
        name: {kind: scores.without("durham") for kind, scores in found.items()}
        for name, found in rows.items()
    }
    print(f"{len(cases)} holes, seed {seed}; dp0 to dp3 and Durham\n")
    print(fill_table(rows))
    print("\ndp0 to dp3 alone\n")
    print(fill_table(alone))
    for kind in kinds:
        print("\n" + class_table(rows, kind))
    for kind in kinds:
        for scene in next(iter(rows.values()))[kind].accuracy:
            figures = (f"{name} {found[kind].accuracy[scene]:.3f}" for name, found in rows.items())
            print(f"\n{kind}, {scene}: " + ", ".join(figures))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("priors", nargs="*", metavar="NAME=FOLDER")
    options.add_argument("--holes", type=int, default=24, help="holes of each kind a map")
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    options.add_argument("--choose", action="store_true", help="the baselines' numbers alone")
    words = options.parse_args()
    main(words.priors, words.holes, words.seed, words.kinds, chosen=words.choose)
