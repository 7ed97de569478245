"""Restorers side by side on real label maps: holes to fill, and block means to make fine.

The four EnviroAtlas patches of ../shared (64 x 64 pixels of 4 m; no prior here has learned from
them), with the shipped Gaussian prior; with `--masked`, also by a masked prior. In `holes`
squares of 32 m are hidden, a quarter of the ground, and only they are scored. In `blocks` the
class shares of blocks of 32 m are known, and all pixels are scored. Prints for each method the
accuracy, the mean negative log likelihood (nats; the mean of the samples and 5 % of equal
shares), the largest error of what is observed, network evaluations a map, and seconds a map.

Usage: python benchmarks/restorers.py [--steps 25] [--samples 2] [--maps 4] [--masked FOLDER]
"""

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from engine_scenes import REAL, patch
from numpy.typing import NDArray
from restoring import METHODS, RATES, SPLIT_STEPS, SQUARE, Counted, Problem, by_split_gibbs
from torch import Tensor
from words import parser

from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.linear import block_means, visible
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.masked_prior import MaskedPrior

PATCHES = ("austin_tx_dp0", "austin_tx_dp1", "unknown_dp2", "unknown_dp3")
SIDE = 64


def problems(count: int) -> dict[str, Problem]:
    """Both problems on so many patches."""
    maps = [patch(REAL / "ea-patches", name).truth for name in PATCHES[:count]]
    truth = torch.from_numpy(np.stack(maps).astype(np.int64))
    hidden = squares()
    everything = torch.ones(SIDE, SIDE, dtype=torch.bool)
    return {
        "holes": Problem(truth, visible(~hidden), hidden),
        "blocks": Problem(truth, block_means(SQUARE), everything),
    }


def squares() -> Tensor:
    """(y, x) bool: every other square of every other row, a quarter of the ground."""
    rows = torch.arange(SIDE) // SQUARE % 2 == 1
    return rows[:, None] & rows


def scores(problem: Problem, x: Tensor) -> tuple[float, float, float]:
    """Accuracy, negative log likelihood, and largest error of what is observed."""
    n = len(problem.truth)
    p = x[:, 1:].clamp_min(1e-6)
    p = (p / p.sum(1, keepdim=True)).reshape(-1, n, *p.shape[1:]).mean(0)
    p = 0.95 * p + 0.05 / p.shape[1]
    scored = problem.hidden & (problem.truth > 0)
    right = p.argmax(1) + 1 == problem.truth
    of_truth = p.gather(1, (problem.truth - 1).clamp_min(0)[:, None])[:, 0]
    observed = (problem.project(x) - problem.y.repeat(len(x) // n, 1, 1, 1)).abs().max()
    return (
        float(right[scored].float().mean()),
        float(-of_truth[scored].log().mean()),
        float(observed),
    )


def by_fill(prior: MaskedPrior, problem: Problem) -> Tensor:
    """Confident-first unmasking: the engine `fill`."""
    hidden = problem.hidden.numpy()
    maps = []
    for codes in problem.truth.numpy().astype(np.uint8):
        found: NDArray[np.float32] = fill(prior, codes, hidden, None, FillSettings(), 0, (0, 0))
        maps.append(np.concatenate([0 * found[:1], found]))
    return torch.from_numpy(np.stack(maps))


def report_masked(prior: MaskedPrior, title: str, problem: Problem, samples: int) -> None:
    """The rows of a masked prior."""
    n = len(problem.truth)
    if title == "holes":
        since = time.process_time()
        found = by_fill(prior, problem)
        passes = FillSettings().steps * n
        report(problem, "masked prior, `fill`", found, passes, time.process_time() - since)
    since = time.process_time()
    found = by_split_gibbs(problem, prior, samples)
    passes = len(RATES) * SPLIT_STEPS * samples * n
    report(problem, "masked prior, split Gibbs", found, passes, time.process_time() - since)


def report(problem: Problem, name: str, x: Tensor, evaluations: float, seconds: float) -> None:
    """One row."""
    accuracy, nll, observed = scores(problem, x)
    n = len(problem.truth)
    print(
        f"{name:32} {accuracy:8.3f} {nll:8.3f} {observed:9.4f} {evaluations / n:9.0f} "
        f"{seconds / n:8.1f}",
        flush=True,
    )


@torch.no_grad()
def main(steps: int, samples: int, maps: int, masked: Path | None) -> None:
    """Prints both tables."""
    if not REAL.is_dir():
        print("no patches: the folder ../shared is not there")
        return
    prior = Prior.load()
    few = levels(prior.schedule.steps, steps)
    assert all(a > b for a, b in pairwise(few))  # noqa: S101
    for title, problem in problems(maps).items():
        print(f"\n{title:32} accuracy      nll  observed evaluations seconds")
        for name, method in METHODS[title].items():
            model = Counted(prior)
            x = seeded(0)(torch.empty(samples * maps, 6, SIDE, SIDE))
            since = time.process_time()
            found = method(problem, model, x, few)
            report(problem, name, found, model.maps, time.process_time() - since)
        if masked:
            other = load_prior(masked)
            assert isinstance(other, MaskedPrior)  # noqa: S101
            report_masked(other, title, problem, samples)


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("--steps", type=int, default=25)
    words.add_argument("--samples", type=int, default=2)
    words.add_argument("--maps", type=int, default=4)
    words.add_argument("--masked", type=Path)
    asked = words.parse_args()
    main(asked.steps, asked.samples, asked.maps, asked.masked)
