"""How often the truth lies in the 90 % interval of class areas of maps whose holes are filled.

Truth of real and synthetic maps at 4 m, of which 10 % and 30 % are hidden in squares of 32 m, and
one or two of 128 m; samples as `landcover fill --samples` draws them: known pixels are held, hidden
ones are drawn by the prior, with three spreads of the classes' odds. Printed are, over all pairs of
hole, scene and class: the share in which the truth lies in the interval (also of those whose class
is hidden there), the mean width and the mean error of its middle in points of the hidden ground;
the share by scene and by kind of hole; and that of each scene with the spread that comes nearest to
90 % on the others.

Usage: python benchmarks/hole_intervals.py FOLDER [--prior FOLDER] [--samples 16] [--steps 16]
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filling import real_maps, window
from numpy.typing import NDArray
from words import parser

from landcover_pnp.evaluation.area_spread import LEVEL, drawn_shares, share_intervals
from landcover_pnp.inference.class_tilt import tilt_to
from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.inference.posterior_samples import completed_samples
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.prior.crops import cut
from landcover_pnp.prior.label_maps import draw_label_maps
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.storage.records import fingerprint

PIXEL_M, CITY_SEED, SEED = 4.0, 1013, 0
SPREADS = (0.0, 0.12, 0.25)
LAYOUTS = {"10 %": (32, 0.1), "30 %": (32, 0.3), "128 m": (128, 0.01)}

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """A map with hidden pixels; ``p`` (class, y, x) is what fills them."""

    scene: str
    layout: str
    labels: NDArray[np.uint8]
    hidden: NDArray[np.bool_]
    p: NDArray[np.float32]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Hidden pixels with truth."""
        return self.hidden & (self.labels > 0)

    def shares(self, labels: NDArray[np.uint8]) -> Floats:
        """(class,) shares of a map among the hidden pixels."""
        counts = np.bincount(labels[self.counted], minlength=CLASS_COUNT + 1)[1:]
        return np.asarray(counts / counts.sum(), np.float64)

    @property
    def filled(self) -> Floats:
        """(class,) shares by the probabilities."""
        return self.p[:, self.counted].mean(axis=1, dtype=np.float64)

    def whole(self, shares: Floats) -> Floats:
        """Shares (..., class) of the hidden ground as shares of the whole map."""
        known = np.bincount(self.labels[~self.hidden], minlength=CLASS_COUNT + 1)[1:]
        hidden = self.counted.sum()
        return (known + shares * hidden) / (known.sum() + hidden)


def squares(shape: tuple[int, int], side_m: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Random squares until so much of a map is hidden."""
    random, side = np.random.default_rng(seed), round(side_m / PIXEL_M)
    hidden = np.zeros(shape, np.bool_)
    while hidden.mean() < share:
        y, x = (int(random.integers(0, n - side + 1)) for n in shape)
        hidden[y : y + side, x : x + side] = True
    return hidden


def cases(prior: AnyPrior) -> Iterator[Case]:
    """All holes."""
    drawn = draw_label_maps(4, 500, CITY_SEED)
    centre, flat = np.array([250.0, 250.0]), np.zeros(2)
    maps = {**real_maps(), "pittsburgh": window("pittsburgh_pa")}
    maps |= {m.name: cut(m, centre, flat, 0, 1.0, 124, PIXEL_M) for m in drawn}
    for scene, labels in maps.items():
        for number, (layout, (side, share)) in enumerate(LAYOUTS.items()):
            hidden = squares(labels.shape, side, share, number)
            hidden &= labels > 0
            p = fill(prior, labels, hidden, None, FillSettings(steps=1), 0, (0, 0))
            yield Case(scene, layout, labels, hidden, p)


def sampled(prior: AnyPrior, case: Case, wide: float, count: int, steps: int) -> Floats:
    """(sample, class) shares of the hidden ground."""
    tilts = np.zeros((count, CLASS_COUNT))
    if wide:
        p = case.p[:, case.counted]
        wanted = drawn_shares(case.filled / case.filled.sum(), wide, count, SEED)
        tilts = np.array([tilt_to(p, row) for row in wanted])
    how, ones = FillSettings(draw_steps=steps), np.ones(CLASS_COUNT)
    maps = completed_samples(prior, case.labels, case.hidden, ones, tilts, how, SEED, (0, 0))
    return np.array([case.shares(labels) for labels in maps])


def inside(case: Case, shares: Floats, truth: Floats) -> tuple[NDArray[np.bool_], float]:
    """Whether the truth lies in each class's interval; mean width, points of the hidden ground."""
    low, high = share_intervals(case.whole(shares))
    at = case.whole(truth)
    return (low <= at) & (at <= high), float(np.mean(100 / case.counted.mean() * (high - low)))


def main(folder: Path, prior: AnyPrior, count: int, steps: int) -> None:
    """Prints the tables."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    given = list(cases(prior))
    true = np.array([c.shares(c.labels) for c in given])
    scenes = list(dict.fromkeys(c.scene for c in given))
    print("| spread | in it | of classes there | width | middle off |\n|---|" + "---:|" * 4)
    within: dict[float, NDArray[np.bool_]] = {}
    for wide in SPREADS:
        made_of = fingerprint({"of": f"{prior.fingerprint} {count} {steps} {wide}"})
        kept = folder / f"holes-{made_of}.npy"
        if not kept.exists():
            np.save(kept, np.array([sampled(prior, c, wide, count, steps) for c in given]))
        drawn = np.load(kept)
        found = [inside(c, s, t) for c, s, t in zip(given, drawn, true, strict=True)]
        within[wide] = np.array([f[0] for f in found])
        width = np.mean([f[1] for f in found])
        off = np.mean(100 * abs(drawn.mean(axis=1) - true))
        print(f"| {wide} | {within[wide].mean():.2f} | {within[wide][true > 0].mean():.2f} | "
              f"{width:.1f} | {off:.1f} |", flush=True)  # fmt: skip
        for part in (*scenes, *LAYOUTS):
            rows = [i for i, c in enumerate(given) if part in (c.scene, c.layout)]
            print(f"  {part}: {within[wide][rows].mean():.2f}", flush=True)
    left_out = []
    for scene in scenes:
        own = np.array([c.scene == scene for c in given])
        best = min(SPREADS, key=lambda wide: abs(within[wide][~own].mean() - LEVEL))
        left_out.append(within[best][own].mean())
        print(f"chosen without {scene}: {best}, there {left_out[-1]:.2f}")
    print(f"in it, chosen on the others: {np.mean(left_out):.2f}, least {min(left_out):.2f}")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="folder of samples, which are kept")
    options.add_argument("--prior", type=Path, help="a masked prior; the shipped one if left out")
    options.add_argument("--samples", type=int, default=16, help="samples of a map")
    options.add_argument("--steps", type=int, default=16, help="forward passes of a sample")
    words = options.parse_args()
    main(words.folder, load_prior(words.prior, "masked"), words.samples, words.steps)
