"""Samples of a masked prior by steps, order and temperature: do their streets connect?

    python benchmarks/unmasking.py FOLDER [--samples 48] [--seed 0] [--chosen]

Shapes of samples beside crops of Pittsburgh's labels and of synthetic cities, which may be learned
from: number of samples and share that an impervious part crosses, by impervious share, and the
distance from the crops that are equally built over.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from filling import RESOLUTION_M, learned_maps
from matplotlib.figure import Figure
from words import parser

from landcover_pnp.evaluation.shape_distance import (
    RANGES,
    crossing_by_share,
    of_equal_share,
    shape_distances,
)
from landcover_pnp.evaluation.shapes import Shapes
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.sampling import TEMPERATURE, draw_masked, samples_picture
from landcover_pnp.prior.unmasking import UnmaskSettings

TRIES = [
    UnmaskSettings(16, 1.0, 1.0),
    UnmaskSettings(32, 1.0, 0.0),
    UnmaskSettings(32, 1.0, 1.0),
    UnmaskSettings(32, 1.0, 4.0),
    UnmaskSettings(32, 1.0, 100.0),
    UnmaskSettings(32, 0.85, 1.0),
    UnmaskSettings(32, 0.7, 1.0),
    UnmaskSettings(64, 0.85, 1.0),
]


def real_crops() -> Shapes:
    """Four quarters of each map that may be learned from, 62 pixels wide."""
    parts = [
        m[y : y + 62, x : x + 62] for m in learned_maps().values() for y in (0, 62) for x in (0, 62)
    ]
    return Shapes.of(np.stack(parts), RESOLUTION_M)


def told(shapes: Shapes) -> str:
    """Crops and crossing share by range of the impervious share."""
    cells = (f"{n:3} {share:.2f}" if n else "  0    -" for n, share in crossing_by_share(shapes))
    return " | ".join(cells)


def main(
    folder: Path, samples: int, seed: int, pictures: Path | None = None, *, chosen: bool = False
) -> None:
    """Prints a line for each of ``TRIES``, and draws the samples.

    Args:
        folder: Folder of a masked prior.
        samples: Number of samples.
        seed: Seed of the samples.
        pictures: Folder that pictures of the first sixteen are written to.
        chosen: Whether the settings that are in use are tried alone.
    """
    torch.set_num_threads(1)
    prior, real = MaskedPrior.load(folder), real_crops()
    print("steps, temperature, order | " + " | ".join(f"{a:.0%}-{b:.0%}" for a, b in RANGES))
    print("real | " + told(real), flush=True)
    for settings in [UnmaskSettings(32, TEMPERATURE)] if chosen else TRIES:
        began = time.perf_counter()
        maps = draw_masked(prior, samples, settings, seed)
        shapes = Shapes.of(maps, RESOLUTION_M)
        apart = shape_distances(*of_equal_share(shapes, real))
        shares = [float(np.mean(maps == code)) for code in range(1, 6)]
        print(
            f"{settings.steps}, {settings.temperature:g}, {settings.order_noise:g} | {told(shapes)}"
            f" | distance {apart.get('all', np.nan):.3f} crossing {shapes.crossing_share:.2f}"
            f" shares {' '.join(f'{s:.2f}' for s in shares)}"
            f" {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        if pictures:
            picture: Figure = samples_picture({f"{settings}": maps[:16]})
            name = f"{settings.steps}_{settings.temperature:g}_{settings.order_noise:g}.png"
            picture.savefig(pictures / name)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--samples", type=int, default=48)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pictures", type=Path)
    options.add_argument("--chosen", action="store_true", help="the settings that are in use alone")
    words = options.parse_args()
    main(words.folder, words.samples, words.seed, words.pictures, chosen=words.chosen)
