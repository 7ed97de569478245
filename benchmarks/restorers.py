"""Restorers side by side on real label maps: holes to fill, and block means to make fine.

The four EnviroAtlas patches of ../shared (64 x 64 pixels of 4 m; no prior here has learned from
them), with the shipped Gaussian prior; with `--masked`, holes also by a masked prior. In `holes`
squares of 32 m are hidden, a quarter of the ground, and only they are scored. In `blocks` the
class shares of blocks of 32 m are known, and all pixels are scored. Prints for each method the
accuracy, the mean negative log likelihood (nats; the mean of the samples and 5 % of equal
shares), the largest error of what is observed, network evaluations a map, and seconds a map.

Usage: python benchmarks/restorers.py [--steps 25] [--samples 2] [--maps 4] [--masked FOLDER]
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from engine_scenes import REAL, patch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from words import parser

from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.inference.samplers.algorithm1 import Descent, algorithm1
from landcover_pnp.inference.samplers.correction import Corrected
from landcover_pnp.inference.samplers.ddrm import ddrm
from landcover_pnp.inference.samplers.dps import dps
from landcover_pnp.inference.samplers.levels import annealed, levels
from landcover_pnp.inference.samplers.linear import Operator, block_means, visible
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.inference.samplers.red_diff import red_diff
from landcover_pnp.inference.samplers.repaint import repaint, replacement
from landcover_pnp.inference.samplers.smc_diff import smc_diff
from landcover_pnp.inference.samplers.universal import Universal, universal_guidance
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.noise import NoiseSchedule

PATCHES = ("austin_tx_dp0", "austin_tx_dp1", "unknown_dp2", "unknown_dp3")
SQUARE, SIDE, PARTICLES = 8, 64, 8
SIGMA = 0.1
"""Standard deviation that guided methods take observations to have."""


class Counted:
    """The prior with clean predictions kept in [0, 1], counting maps through its network."""

    channels = 6

    def __init__(self, prior: Prior) -> None:
        self._model = Corrected(prior, lambda x0: x0.clamp(0, 1))
        self.maps = 0

    @property
    def schedule(self) -> NoiseSchedule:
        """The prior's."""
        return self._model.schedule

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """Of the kept-in model."""
        self.maps += len(x_t)
        return self._model.predict_noise(x_t, t)


@dataclass(frozen=True, eq=False)
class Problem:
    """What is observed of label maps: P x = y.

    Attributes:
        truth: (map, y, x) int64, 1 to 5.
        project: P.
        hidden: (y, x) bool: what is scored.
    """

    truth: Tensor
    project: Operator
    hidden: Tensor

    @property
    def x0(self) -> Tensor:
        """(map, channel 6, y, x) one-hot."""
        return functional.one_hot(self.truth, 6).movedim(-1, 1).float()

    @property
    def y(self) -> Tensor:
        """P x of the truth."""
        return self.project(self.x0)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Of each sample, observations with a normal error of SIGMA."""
        y = self.y.repeat(len(x) // len(self.truth), 1, 1, 1)
        return -(self.project(x) - y).flatten(1).square().sum(1) / (2 * SIGMA**2)


class Likelihood:
    """Minus the log likelihood, as a constraint of Algorithm 1."""

    name = "observed"

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.weight = lambda *_: 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """A mean over the values of an item, as the prior's term is."""
        return -self._problem.log_likelihood(x).sum() * SIGMA**2 / x[0].numel()


Method = Callable[[Problem, Counted, Tensor, list[int]], Tensor]
"""(problem, prior, noise (sample and map, channel, y, x), noise levels) -> samples."""


def nothing(problem: Problem, *_: object) -> Tensor:
    """What is observed, and the maps' equal shares where nothing is."""
    return torch.where(problem.y.sum(1, keepdim=True) > 0, problem.y, 1 / 6)


def harmonic(problem: Problem, *_: object) -> Tensor:
    """Repeated 3 x 3 means of the known pixels: what a prior must beat."""
    p, hidden = nothing(problem), problem.hidden
    for _ in range(300):
        p = torch.where(hidden, functional.avg_pool2d(p, 3, 1, 1, count_include_pad=False), p)
    return p


def by_particles(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """SMC-Diff, map by map, with 8 particles of which as many are kept as there are samples."""
    n, kept = len(problem.truth), len(x) // len(problem.truth)
    noise, found = seeded(5), []
    for x0 in problem.x0:
        start = noise(x.new_zeros(PARTICLES, *x.shape[1:]))
        given = {"known": x0, "hidden": problem.hidden}
        particles = smc_diff(model, start, few, noise, **given)
        found.append(particles[torch.arange(kept) * (PARTICLES // kept)])
    return torch.stack(found, 1).reshape(kept * n, *x.shape[1:])


def by_algorithm1(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """Algorithm 1 in four times as many steps, from the observed part and a little noise."""
    steps = 4 * len(few)
    start = nothing(problem).repeat(len(x) // len(problem.truth), 1, 1, 1) + 0.1 * x
    times = [annealed(i, steps, model.schedule.steps) for i in range(steps)]
    with torch.enable_grad():
        return algorithm1(
            model, start, times, seeded(1), constraints=[Likelihood(problem)], descent=Descent(2e-2)
        ).eta


def by_red_diff(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """RED-diff in four times as many steps."""
    many = levels(few[0], 4 * len(few))
    given = {"log_likelihood": problem.log_likelihood, "weight": 5.0}
    with torch.enable_grad():
        start = nothing(problem).repeat(len(x) // len(problem.truth), 1, 1, 1)
        return red_diff(model, start, many, seeded(1), **given, descent=Descent(0.02, 0.1))


def filled(again: int) -> Method:
    """RePaint with so many resamplings; one is replacement."""

    def run(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
        known = problem.x0.repeat(len(x) // len(problem.truth), 1, 1, 1)
        given = {"known": known, "hidden": problem.hidden}
        if again == 1:
            return replacement(model, x, few, seeded(1), **given)
        return repaint(model, x, few, seeded(1), **given, resamplings=again)

    return run


def by_ddrm(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """DDRM with the paper's eta."""
    y = problem.y.repeat(len(x) // len(problem.truth), 1, 1, 1)
    return ddrm(model, x, few, seeded(1), project=problem.project, y=y)


def by_dps(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """DPS with zeta 10, chosen out of 1, 3, 10, 30 on a synthetic city."""
    y = problem.y.repeat(len(x) // len(problem.truth), 1, 1, 1)
    return dps(model, x, few, seeded(1), observe=problem.project, y=y, zeta=10.0)


def backward(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """Universal guidance without the network's gradient: 3 steps on each predicted map."""
    guidance = Universal(forward=0, backward_steps=3, backward_rate=0.5 * SIGMA**2)
    given = {"log_likelihood": problem.log_likelihood, "guidance": guidance}
    return universal_guidance(model, x, few, seeded(1), **given)


LINEAR: dict[str, Method] = {
    "DDRM": by_ddrm,
    "DPS": by_dps,
    "universal guidance, backward": backward,
    "RED-diff": by_red_diff,
    "Algorithm 1": by_algorithm1,
}
METHODS: dict[str, dict[str, Method]] = {
    "holes": {
        "harmonic fill": harmonic,
        "replacement": filled(1),
        "RePaint, 4 resamplings": filled(4),
        f"SMC-Diff, {PARTICLES} particles": by_particles,
        **LINEAR,
    },
    "blocks": {"block shares alone": nothing, **LINEAR},
}


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


def by_masked_prior(folder: Path, problem: Problem) -> Tensor:
    """Confident-first unmasking: the engine `fill`."""
    prior = load_prior(folder)
    assert isinstance(prior, MaskedPrior)  # noqa: S101
    hidden = problem.hidden.numpy()
    maps = []
    for codes in problem.truth.numpy().astype(np.uint8):
        found: NDArray[np.float32] = fill(prior, codes, hidden, None, FillSettings(), 0, (0, 0))
        maps.append(np.concatenate([0 * found[:1], found]))
    return torch.from_numpy(np.stack(maps))


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
        if masked and title == "holes":
            since = time.process_time()
            found = by_masked_prior(masked, problem)
            seconds = time.process_time() - since
            report(problem, "masked prior, `fill`", found, 4 * maps, seconds)


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("--steps", type=int, default=25)
    words.add_argument("--samples", type=int, default=2)
    words.add_argument("--maps", type=int, default=4)
    words.add_argument("--masked", type=Path)
    asked = words.parse_args()
    main(asked.steps, asked.samples, asked.maps, asked.masked)
