"""Class shares that samples of a conditional prior have, beside those that were asked for.

Asked for are the shares of crops of synthetic cities that no training draws. For each of them
samples are drawn without them, with them (w = 0), and by classifier-free guidance of growing
strength w; the same noise in every row. Prints, for each row, half the mean sum of absolute
differences between the shares asked for and those of a sample (0: met, 1: other classes), the
same for the mean share of all samples of one asking, the share of samples whose largest class
is the one that was asked for, and parts per km2.

Usage: python benchmarks/class_shares.py PRIOR [--askings 12] [--samples 3] [--steps 25] [--out PNG]
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from words import parser

from landcover_pnp.inference.samplers.correction import Corrected
from landcover_pnp.inference.samplers.ddpm import ddpm
from landcover_pnp.inference.samplers.guidance import ClassifierFree
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.label_maps import draw_label_maps
from landcover_pnp.prior.landscape import describe
from landcover_pnp.prior.sampling import samples_picture

STRENGTHS = (0.0, 0.5, 1.0, 2.0, 4.0)
SEED = 4321
"""Far from the seeds of trainings."""


def asked_for(prior: Prior, count: int) -> tuple[Tensor, NDArray[np.uint8]]:
    """Shares (asking, class) and codes (asking, y, x) of crops of new synthetic cities."""
    maps = LabelSource(list(draw_label_maps(8, 800, SEED)))
    crops = LabelCrops([maps], prior.crop_px, prior.resolution_m, count, SEED)
    codes = np.stack([crops.codes(i)[1] for i in range(count)])
    return shares_of(codes), codes


def shares_of(codes: NDArray[np.uint8]) -> Tensor:
    """(map, class) shares of the labelled pixels of (map, y, x) codes."""
    counts = np.stack([(codes == c).sum((1, 2)) for c in range(1, 6)], 1)
    return torch.from_numpy((counts / counts.sum(1, keepdims=True)).astype(np.float32))


def sampled(prior: Prior, shares: Tensor, w: float | None, steps: int) -> NDArray[np.uint8]:
    """(sample, y, x) codes, one for each vector of shares; w None is without them."""
    model = prior if w is None else ClassifierFree(prior.given(shares), prior, w)
    if w == 0:
        model = prior.given(shares)
    side = prior.crop_px
    x = seeded(0)(torch.empty(len(shares), prior.channels, side, side))
    kept_in = Corrected(model, lambda x0: x0.clamp(0, 1))
    found = ddpm(kept_in, x, levels(prior.schedule.steps, steps), seeded(1))
    return (found[:, 1:].argmax(1) + 1).numpy().astype(np.uint8)


@torch.no_grad()
def main(folder: Path, askings: int, samples: int, steps: int, out: Path | None) -> None:
    """Prints the table, and draws the first askings."""
    prior = Prior.load(folder)
    shares, codes = asked_for(prior, askings)
    wanted = shares.repeat_interleave(samples, 0)
    panels = {"asked for": codes[:9]}
    print(f"{'':24} of a sample   of their mean   largest class   parts / km2")
    rows: list[float | None] = [None, *STRENGTHS]
    for w in rows:
        drawn = sampled(prior, wanted, w, steps)
        found = shares_of(drawn)
        mean = found.reshape(askings, samples, -1).mean(1)
        apart, of_mean = (
            float((a - b).abs().sum(1).mean() / 2) for a, b in ((found, wanted), (mean, shares))
        )
        largest = float((found.argmax(1) == wanted.argmax(1)).float().mean())
        parts = float(describe(drawn, prior.resolution_m).patch_density.mean())
        name = "without condition" if w is None else f"with, w = {w:g}"
        print(f"{name:24} {apart:11.3f} {of_mean:15.3f} {largest:15.3f} {parts:13.0f}", flush=True)
        if w in (None, 0.0, 4.0):
            panels[name] = drawn[: 9 * samples : samples]
    real = float(describe(codes, prior.resolution_m).patch_density.mean())
    print(f"{'crops asked for':24} {0:11.3f} {0:15.3f} {1:15.3f} {real:13.0f}")
    if out:
        samples_picture(panels).savefig(out, format="png")


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("prior", type=Path)
    words.add_argument("--askings", type=int, default=12)
    words.add_argument("--samples", type=int, default=3)
    words.add_argument("--steps", type=int, default=25)
    words.add_argument("--out", type=Path)
    asked = words.parse_args()
    main(asked.prior, asked.askings, asked.samples, asked.steps, asked.out)
