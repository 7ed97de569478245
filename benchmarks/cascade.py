"""Label maps of 1 m from maps of 4 m: a cascade beside methods without a prior.

Synthetic cities that no training draws, crops of 128 m. Their maps of 4 m are the most frequent
class of each block; `wrong` has a tenth of its pixels, in spots of 8 m, of another class, as a
map has that was inferred. Accuracy and mean F1 of boundaries (one pixel of tolerance) at 1 m, of
the whole crops; for the cascade of one sample, and of the most frequent class of all samples; the
share of 4 m pixels whose most frequent class is that of the map it was given; seconds a crop.

Usage: python benchmarks/cascade.py PRIOR [--crops 8] [--samples 4] [--steps 20] [--out PNG]
"""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import zoom
from words import parser

from landcover_pnp.evaluation.boundaries import boundaries
from landcover_pnp.inference.samplers.cascade import super_resolve
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.label_maps import draw_label_maps, majority, one_hot
from landcover_pnp.prior.sampling import samples_picture

SIDE, FACTOR, SEED = 128, 4, 4321
LEVELS_OF_NOISE = (0, 100, 300)

Maps = NDArray[np.uint8]
"""(map, y, x) codes."""


def truth_of(count: int) -> Maps:
    """Crops of new synthetic cities at 1 m."""
    maps = LabelSource(list(draw_label_maps(8, 400, SEED)))
    crops = LabelCrops([maps], SIDE, 1.0, count, SEED)
    return np.stack([crops.codes(i)[1] for i in range(count)])


def with_errors(coarse: Maps) -> Maps:
    """A tenth of the pixels, two by two, of another class."""
    rng = np.random.default_rng(SEED)
    size = tuple(n // 2 for n in coarse.shape[1:])
    spots = rng.random((len(coarse), *size)) < 0.1
    shift = rng.integers(1, 5, spots.shape)
    wrong, by = (a.repeat(2, 1).repeat(2, 2) for a in (spots, shift))
    return np.where(wrong, (coarse - 1 + by) % 5 + 1, coarse).astype(np.uint8)


def nearest(coarse: Maps) -> Maps:
    """Each 4 m pixel as 4 x 4 of its class."""
    return coarse.repeat(FACTOR, 1).repeat(FACTOR, 2)


def smooth(coarse: Maps) -> Maps:
    """The likeliest class of bilinearly interpolated one-hot maps."""
    found = []
    for codes in coarse:
        classes = one_hot(codes)[1:]
        fine = [zoom(c, FACTOR, order=1, mode="nearest", grid_mode=True) for c in classes]
        found.append(np.argmax(fine, 0) + 1)
    return np.stack(found).astype(np.uint8)


def most_frequent(drawn: NDArray[np.uint8]) -> Maps:
    """(sample, map, y, x) to the most frequent class of the samples."""
    votes = np.stack([(drawn == c).sum(0) for c in range(1, 6)])
    return (votes.argmax(0) + 1).astype(np.uint8)


def report(name: str, found: Maps, truth: Maps, coarse: Maps, seconds: float) -> None:
    """One row."""
    lines = [boundaries(f, t) for f, t in zip(found, truth, strict=True)]
    f1 = sum(lines[1:], lines[0]).mean_f1
    agrees = np.mean(np.stack([majority(f, FACTOR) for f in found]) == coarse)
    right = np.mean(found == truth)
    print(f"{name:34} {right:8.3f} {f1:8.3f} {agrees:8.3f} {seconds:8.1f}", flush=True)


@torch.no_grad()
def main(folder: Path, crops: int, samples: int, steps: int, out: Path | None) -> None:
    """Prints a table for true and for wrong maps of 4 m."""
    prior, truth = Prior.load(folder), truth_of(crops)
    few = levels(prior.schedule.steps, steps)
    true = np.stack([majority(t, FACTOR) for t in truth])
    panels = {"1 m": truth[:4]}
    for title, coarse in {"true": true, "wrong": with_errors(true)}.items():
        print(f"\n{title:34} accuracy      F1  as given  seconds")
        report("nearest", nearest(coarse), truth, coarse, 0)
        report("bilinear", smooth(coarse), truth, coarse, 0)
        for s in LEVELS_OF_NOISE:
            since, noise = time.process_time(), seeded(0)
            drawn = np.stack(
                [super_resolve(prior, c, few, noise, s=s, samples=samples) for c in coarse], 1
            )
            seconds = (time.process_time() - since) / crops
            one, all_of_them = f"cascade, s = {s}", f"cascade, s = {s}, {samples} samples"
            report(one, drawn[0], truth, coarse, seconds / samples)
            report(all_of_them, most_frequent(drawn), truth, coarse, seconds)
            if s == 0 or (title == "wrong" and s == LEVELS_OF_NOISE[-1]):
                panels |= {f"4 m, {title}": nearest(coarse)[:4], f"{one}, {title}": drawn[0, :4]}
    if out:
        samples_picture(panels).savefig(out, format="png")


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("prior", type=Path)
    words.add_argument("--crops", type=int, default=8)
    words.add_argument("--samples", type=int, default=4)
    words.add_argument("--steps", type=int, default=20)
    words.add_argument("--out", type=Path)
    asked = words.parse_args()
    main(asked.prior, asked.crops, asked.samples, asked.steps, asked.out)
