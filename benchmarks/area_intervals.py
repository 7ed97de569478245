"""How often the truth lies in the 90 % interval of class areas, on all scenes with truth.

Maps are made by the configuration that a newcomer copies, samples as `landcover map --samples`
draws them, with the spread of systematic errors fitted on the other scenes. Beside them:

  pixels            maps drawn pixel by pixel from the map's probabilities: what these say alone
  pixels + spread   the same with the spread of the other scenes
  samples - spread  samples of prior and probabilities that know of no systematic error
  samples           what is published

Printed are, over all pairs of scene and class, the share in which the truth lies in the interval
(also of those whose class is there), its mean width in points of the area, the mean error of its
middle, and the spread; then by scene; then the expected calibration error of pixels (15 bins), of
the map's probabilities on the working grid and of the samples' frequencies. Scenes and kept maps as
for benchmarks/calibration.py, samples are kept too; scenes whose grid no prior serves count for the
spread alone.

Usage: python benchmarks/area_intervals.py FOLDER [--prior FOLDER] [--samples 16] [--steps 16]
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from calibration import error
from choosing_runs import Variant, settings_on
from choosing_scenes import truth_scenes
from numpy.typing import NDArray
from words import parser

from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.area_spread import drawn_shares, share_intervals, spread
from landcover_pnp.grid import Box, blocks
from landcover_pnp.inference.class_tilt import tilt_to, tilted
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.inference.posterior_samples import (
    Window,
    posterior_samples,
    share_correction,
)
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.sample_stage import WINDOW_PX, WINDOWS
from landcover_pnp.pipeline.working_map import WorkingMap
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.storage.records import fingerprint

SEED = 0

Floats = NDArray[np.float64]


class Truth(NamedTuple):
    """A scene with truth.

    Attributes:
        p: (class, y, x) probabilities of the map on the working grid, 0 where there is no truth.
        labels: (k y, k x) working classes at the map's resolution, 0 = none.
        served: Whether the prior serves its grid.
    """

    p: NDArray[np.float32]
    labels: NDArray[np.uint8]
    served: bool

    @property
    def known(self) -> NDArray[np.float32]:
        """(class, pixel) probabilities where there is truth."""
        return self.p[:, self.p.any(axis=0)]

    @property
    def mapped(self) -> Floats:
        """(class,) shares by the probabilities."""
        return self.known.mean(axis=1, dtype=np.float64)

    @property
    def shares(self) -> Floats:
        """(class,) true shares."""
        counts = np.bincount(self.labels.ravel(), minlength=CLASS_COUNT + 1)[1:]
        return np.asarray(counts / counts.sum(), np.float64)

    def windows(self) -> list[Window]:
        """Windows that samples are drawn of beforehand, as a map run chooses them."""
        extent = Box(0, self.p.shape[1], 0, self.p.shape[2])
        boxes = [box for box in blocks(extent, WINDOW_PX) if self.p[:, *box.within(extent)].any()]
        few = boxes[:: max(1, len(boxes) // WINDOWS)][:WINDOWS]
        return [(self.p[:, *box.within(extent)], (box.y0, box.x0)) for box in few]


def truth_of(run: Path, served: bool) -> Truth:
    """A finished run whose map a student has drawn, where it has truth."""
    mapped_scene = open_mapped_scene(run)
    extent, k = mapped_scene.scene.extent, mapped_scene.fine.factor
    labels = mapped_scene.fine.truth(extent)
    if labels is None:
        raise ValueError(f"{run} has no truth")
    p = WorkingMap.of(run, mapped_scene.scene.geobox, student=True).read(extent)
    height, width = extent.shape
    there = (labels > 0).reshape(height, k, width, k).mean(axis=(1, 3)) > 0.5
    there &= p.any(axis=0)
    inside = there.repeat(k, 0).repeat(k, 1)
    return Truth(p * there, np.where(inside, labels, 0).astype(np.uint8), served)


Maps = Iterator[NDArray[np.uint8]]
Draw = Callable[[Truth, Floats], Maps]
"""From a scene and tilts (sample, class) to maps (y, x)."""


def by_pixels(scene: Truth, tilts: Floats) -> Maps:
    """Maps drawn pixel by pixel."""
    rng = np.random.default_rng(SEED)
    for tilt in tilts:
        p = tilted(scene.p, tilt)
        drawn = (rng.random(p.shape[1:]) >= p.cumsum(axis=0)).sum(axis=0).clip(max=CLASS_COUNT - 1)
        yield np.where(p.any(axis=0), drawn + 1, 0).astype(np.uint8)


def by_prior(prior: MaskedPrior, settings: FillSettings) -> Draw:
    """Samples as they are published, on one canvas."""

    def draw(scene: Truth, tilts: Floats) -> Maps:
        kept = share_correction(prior, scene.windows(), settings, SEED)
        return posterior_samples(prior, scene.p, tilts + kept, settings, SEED, (0, 0))

    return draw


class Drawn(NamedTuple):
    """What maps of a scene say.

    Attributes:
        shares: (sample, class).
        frequencies: (class, y, x).
    """

    shares: Floats
    frequencies: NDArray[np.float32]


def drawn(draw: Draw, scene: Truth, count: int, spread_of_others: float) -> Drawn:
    """Draws maps of a scene with a spread of its class shares."""
    p = scene.known
    if spread_of_others:
        wanted = drawn_shares(scene.mapped / scene.mapped.sum(), spread_of_others, count, SEED)
        tilts = np.array([tilt_to(p, row) for row in wanted])
    else:
        tilts = np.zeros((count, CLASS_COUNT))
    codes = np.arange(1, CLASS_COUNT + 1)[:, None, None]
    found, shares = np.zeros(scene.p.shape, np.float32), []
    for labels in draw(scene, tilts):
        own = labels == codes
        found += own
        shares.append(own.sum(axis=(1, 2)) / max(int((labels > 0).sum()), 1))
    return Drawn(np.array(shares), found / np.float32(count))


def calibration_error(p: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Expected calibration error of the likeliest class, at the truth's resolution."""
    k = labels.shape[0] // p.shape[1]
    fine = p.repeat(k, 1).repeat(k, 2)[:, labels > 0]
    return error(fine.max(axis=0), fine.argmax(axis=0) + 1 == labels[labels > 0])


def main(
    folder: Path, words: list[str], prior: MaskedPrior, count: int, settings: FillSettings
) -> None:
    """Makes the maps, draws the samples and prints the tables."""
    scenes: dict[str, Truth] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in truth_scenes(folder).items():
        if scene.files is None:
            continue
        run = folder / "runs" / name.replace(" ", "_")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LandcoverWarning)
            map_city(settings_on(scene, Variant("map", tuple(words)).settings), run)
        scenes[name] = truth_of(run, scene.served)
    mapped = np.array([s.mapped for s in scenes.values()])
    true = np.array([s.shares for s in scenes.values()])
    told = f"{spread(mapped, true):.3f}"
    others = {
        name: spread(np.delete(mapped, i, 0), np.delete(true, i, 0))
        for i, name in enumerate(scenes)
    }
    print(f"spread of all scenes {told}; without each in turn {min(others.values()):.3f} to "
          f"{max(others.values()):.3f}")  # fmt: skip
    served = {name: scene for name, scene in scenes.items() if scene.served}
    samples = by_prior(prior, settings)
    kinds: Mapping[str, tuple[Draw, bool]] = {
        "pixels": (by_pixels, False),
        "pixels + spread": (by_pixels, True),
        "samples - spread": (samples, False),
        "samples": (samples, True),
    }
    found: dict[str, dict[str, Drawn]] = {kind: {} for kind in kinds}
    for kind, (draw, wide) in kinds.items():
        for name, scene in served.items():
            made_of = [kind, name, count, others[name], settings, prior.fingerprint]
            kept = folder / f"drawn-{fingerprint({'of': str(made_of)})}.npz"
            if not kept.exists():
                d = drawn(draw, scene, count, others[name] if wide else 0.0)
                np.savez_compressed(kept, shares=d.shares, frequencies=d.frequencies)
            with np.load(kept) as file:
                found[kind][name] = Drawn(file["shares"], file["frequencies"])
    _print_intervals(served, found)
    _print_scenes(served, found["samples"])
    _print_pixels(served, found)


def _print_intervals(scenes: Mapping[str, Truth], found: Mapping[str, Mapping[str, Drawn]]) -> None:
    true = np.array([s.shares for s in scenes.values()])
    mapped = np.array([s.mapped for s in scenes.values()])
    print("\n| interval | in it | of classes there | width | middle off | drift |")
    print("|---|" + "---:|" * 5)
    for kind, drawn_of in found.items():
        low, high = (
            np.array([share_intervals(d.shares)[end] for d in drawn_of.values()]) for end in (0, 1)
        )
        mean = np.array([d.shares.mean(axis=0) for d in drawn_of.values()])
        inside = (low <= true) & (true <= high)
        row = [inside.mean(), inside[true > 0].mean()]
        row += [100 * v.mean() for v in (high - low, abs(mean - true), abs(mean - mapped))]
        print(f"| {kind} | {row[0]:.2f} | {row[1]:.2f} | " + " | ".join(f"{v:.1f}" for v in row[2:])
              + " |")  # fmt: skip


def _print_scenes(scenes: Mapping[str, Truth], found: Mapping[str, Drawn]) -> None:
    print("\n| scene | " + " | ".join(WORKING.names) + " |")
    print("|---|" + "---:|" * CLASS_COUNT)
    for name, scene in scenes.items():
        low, high = share_intervals(found[name].shares)
        cells = [
            f"{100 * a:.1f} to {100 * b:.1f}, {100 * t:.1f}" + ("" if a <= t <= b else " OUT")
            for a, b, t in zip(low, high, scene.shares, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _print_pixels(scenes: Mapping[str, Truth], found: Mapping[str, Mapping[str, Drawn]]) -> None:
    kinds = ("samples - spread", "samples")
    print("\n| scene | probabilities | " + " | ".join(kinds) + " |")
    print("|---|" + "---:|" * 3)
    rows = []
    for name, scene in scenes.items():
        maps = [scene.p, *(found[kind][name].frequencies for kind in kinds)]
        rows.append([calibration_error(p, scene.labels) for p in maps])
        print(f"| {name} | " + " | ".join(f"{v:.3f}" for v in rows[-1]) + " |")
    print("| mean | " + " | ".join(f"{v:.3f}" for v in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    given = parser(__doc__)
    given.add_argument("folder", type=Path, help="folder of scenes and runs, which are kept")
    given.add_argument("--prior", type=Path, help="a masked prior; the shipped one if left out")
    given.add_argument("--samples", type=int, default=16, help="samples of a scene")
    given.add_argument("--steps", type=int, default=FillSettings().draw_steps, help="of a sample")
    given.add_argument("--weight", type=float, default=FillSettings().evidence_weight,
                       help="lambda of the evidence")  # fmt: skip
    given.add_argument("--words", nargs="*", default=["inference.engine=evidence"],
                       help="changes of the configuration")  # fmt: skip
    chosen = given.parse_args()
    own = FillSettings(draw_steps=chosen.steps, evidence_weight=chosen.weight)
    torch.set_num_threads(1)
    main(chosen.folder, chosen.words, MaskedPrior.load(chosen.prior), chosen.samples, own)
