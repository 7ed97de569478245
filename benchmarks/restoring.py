"""Methods that restore label maps from what is observed of them, for `restorers.py`."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.inference.samplers.algorithm1 import Descent, algorithm1
from landcover_pnp.inference.samplers.cold import cold_diffusion
from landcover_pnp.inference.samplers.correction import Corrected
from landcover_pnp.inference.samplers.ddrm import ddrm
from landcover_pnp.inference.samplers.dps import dps
from landcover_pnp.inference.samplers.levels import annealed, levels
from landcover_pnp.inference.samplers.linear import Operator
from landcover_pnp.inference.samplers.model import predict_clean, seeded
from landcover_pnp.inference.samplers.red_diff import red_diff
from landcover_pnp.inference.samplers.repaint import repaint, replacement
from landcover_pnp.inference.samplers.score_sde import predictor_corrector
from landcover_pnp.inference.samplers.sgld import sgld
from landcover_pnp.inference.samplers.smc_diff import smc_diff
from landcover_pnp.inference.samplers.split_gibbs import split_gibbs
from landcover_pnp.inference.samplers.universal import Universal, universal_guidance
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.unmasking import UnmaskSettings

PARTICLES = 8
SEVERITY_LEVELS = (0, 200, 400, 600)
"""Noise level at which the Gaussian prior restores block means of 2^s pixels. These, the levels of
SGLD and the rates of split Gibbs are the best of three to six on three synthetic crops."""

RATES = (1, 0.8, *[0.6] * 4, *[0.4] * 4, 0.2, 0.2, 0.1)
"""Of the rounds of split Gibbs sampling."""

SPLIT_STEPS = 2
"""Passes of the masked prior in each of these rounds."""

SQUARE = 8
"""Side of hidden squares and of blocks, pixels."""

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


def corrected_steps(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """Predictor and corrector, each predicted map corrected to what is observed (DDNM's model)."""
    y = problem.y.repeat(len(x) // len(problem.truth), 1, 1, 1)
    observed = Corrected(model, lambda x0: x0 - problem.project(x0) + y)
    return predictor_corrector(observed, x, few, seeded(1))


def by_sgld(problem: Problem, model: Counted, x: Tensor, few: list[int]) -> Tensor:
    """Langevin steps a quarter as long as the narrower of prior and likelihood is wide."""
    many = levels(100, 8 * len(few))[:-1]
    widths = [float(1 - model.schedule.alpha_bar(t)) for t in many]
    given = {"log_likelihood": problem.log_likelihood}
    start = nothing(problem).repeat(len(x) // len(problem.truth), 1, 1, 1)
    sizes = [0.25 * min(width, SIGMA**2) for width in widths]
    return sgld(model, start, many, seeded(1), **given, step_size=sizes)


def cold(problem: Problem, model: Counted, x: Tensor, _: list[int]) -> Tensor:
    """Cold diffusion whose restorer is the Gaussian prior: block means, made noisy, denoised."""
    noise, schedule = seeded(1), model.schedule

    def restore(degraded: Tensor, s: int) -> Tensor:
        t = SEVERITY_LEVELS[s]
        return predict_clean(model, schedule.add_noise(degraded, noise(degraded), t), t)

    start = problem.y.repeat(len(x) // len(problem.truth), 1, 1, 1)
    return cold_diffusion(restore, start, list(range(int(math.log2(SQUARE)), -1, -1)))


def by_split_gibbs(problem: Problem, prior: MaskedPrior, samples: int) -> Tensor:
    """A masked prior times what is observed at each pixel: its class, or its block's shares."""
    evidence = torch.where(problem.y.sum(1, keepdim=True) > 0, problem.y, 1)[:, 1:]
    evidence = evidence.clamp_min(1e-6).repeat(samples, 1, 1, 1)
    codes = nothing(problem)[:, 1:].argmax(1).repeat(samples, 1, 1) + 1
    once = UnmaskSettings(steps=SPLIT_STEPS)
    found = split_gibbs(prior, codes, RATES, seeded(1), evidence=evidence, unmasking=once)
    return functional.one_hot(found, 6).movedim(-1, 1).float()


LINEAR: dict[str, Method] = {
    "DDRM": by_ddrm,
    "DPS": by_dps,
    "universal guidance, backward": backward,
    "RED-diff": by_red_diff,
    "Algorithm 1": by_algorithm1,
    "predictor-corrector": corrected_steps,
    "SGLD": by_sgld,
}
METHODS: dict[str, dict[str, Method]] = {
    "holes": {
        "harmonic fill": harmonic,
        "replacement": filled(1),
        "RePaint, 4 resamplings": filled(4),
        f"SMC-Diff, {PARTICLES} particles": by_particles,
        **LINEAR,
    },
    "blocks": {"block shares alone": nothing, **LINEAR, "cold diffusion": cold},
}
