"""Algorithm 1: the map that the prior finds likely and the observations support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from landcover_pnp.config import renamed
from landcover_pnp.inference.checks import require_noise_level, require_within
from landcover_pnp.inference.registry import register_engine
from landcover_pnp.inference.relaxation import SIGMA_START, probabilities
from landcover_pnp.inference.samplers.levels import annealed
from landcover_pnp.inference.step import Callback, Step, require_finite

if TYPE_CHECKING:
    from torch import Tensor

    from landcover_pnp.inference.canvas import Canvas
    from landcover_pnp.inference.constraints import Constraint
    from landcover_pnp.inference.samplers.denoising_error import Gradient
    from landcover_pnp.inference.task import Task
    from landcover_pnp.prior.denoiser import Prior
    from landcover_pnp.prior.noise import NoiseSchedule

_START = 1e-2  # added to the weak labels: no class starts at 0


@dataclass(frozen=True)
class Algorithm1Settings:
    """Algorithm 1 of Graikos et al. 2022; the defaults are its data-set recipe.

    The prior sees crops of the size of its training crops, as in the paper, unless
    ``inference.view_px`` says otherwise: with larger ones tiles agree less.

    Attributes:
        recipe: Released settings that are taken instead of all the following.
        steps: Optimisation steps S.
        learning_rate: Adam's learning rate, falling linearly over the steps.
        learning_rate_end: Factor of the learning rate after the last step.
        beta1: Adam's first decay.
        time_wave: Period factor of the cosine in the time schedule.
        jacobian: Whether the prior's gradient goes through the network, as in the paper. Without
            it (RED-diff, Mardani et al. 2024) a step costs one forward pass instead of about
            two and a half.
        clean_up_t: Noise level the result is noised to before ancestral sampling cleans it up.
    """

    recipe: Literal["data_set", "single_patch"] | None = renamed("../recipe", default=None)
    steps: int = 200
    learning_rate: float = 5e-3
    learning_rate_end: float = 1e-3
    beta1: float = 0.0
    time_wave: float = 10.0
    jacobian: bool = True
    clean_up_t: int = 100

    @property
    def chosen(self) -> Algorithm1Settings:
        """Those of the recipe if there is one, else these."""
        return RECIPES[self.recipe] if self.recipe else self


RECIPES: dict[str, Algorithm1Settings] = {
    "data_set": Algorithm1Settings(),
    "single_patch": Algorithm1Settings(
        steps=500,
        learning_rate=1e-3,
        learning_rate_end=1e-4,
        beta1=0.9,
        time_wave=30.0,
        clean_up_t=200,
    ),
}
"""The two recipes of the program released with Graikos et al. 2022, arXiv 2206.09012, section 4.

``data_set`` labels 640 patches a city (there in batches of 32), ``single_patch`` one patch for a
figure. The released data-set recipe forgets the noise of its clean-up; here it is added.
"""


@register_engine
class Algorithm1:
    """Algorithm 1 of the paper: the map itself is optimised under the prior's gradient."""

    name = "algorithm1"
    needs_prior = True
    prior_kind = "gaussian"
    Settings = Algorithm1Settings

    def check(self, settings: Algorithm1Settings, prior: Prior | None) -> None:
        """Refuses a noise level that the prior has not, and values that make no map."""
        s, inf = settings.chosen, float("inf")
        require_noise_level(self.name, s, "clean_up_t", prior)
        require_within(self.name, s, 1, inf, "steps")
        require_within(self.name, s, 0, inf, "learning_rate")
        require_within(self.name, s, 0, 1, "learning_rate_end")
        require_within(self.name, s, 0, 1 - 1e-9, "beta1")

    def run(self, task: Task[Algorithm1Settings]) -> Tensor:
        """The map (channel 6, y, x) of ``algorithm1``."""
        canvas, weak, valid = task.canvas, task.weak_labels, task.valid
        if task.inference.view_px is None:
            canvas = replace(canvas, view_px=task.prior.crop_px)
        terms, s = task.constraints(), task.settings.chosen
        return algorithm1(weak, valid, terms, task.prior, canvas, s, task.callback)


def time_at(step: int, settings: Algorithm1Settings, noise_levels: int) -> int:
    """Noise level of a step, see ``levels.annealed``.

    Args:
        step: Step i, 0 to S - 1.
        settings: The number of steps S and the wave.
        noise_levels: T of the prior.

    Returns:
        t in 1..T.
    """
    return annealed(step, settings.steps, noise_levels, settings.time_wave)


def algorithm1(
    weak_labels: Tensor,
    valid: Tensor,
    constraints: Sequence[Constraint],
    prior: Prior,
    canvas: Canvas,
    settings: Algorithm1Settings,
    callback: Callback | None = None,
) -> Tensor:
    """Infers the map of one canvas (Graikos et al. 2022, Algorithm 1).

    Adam moves the relaxed one-hot map eta down the gradient of

        mse(eps, eps_theta(sqrt(abar_t) eta + sqrt(1 - abar_t) eps, t)) + sum_c w_c c(p(eta))

    while the noise level t and the width of the relaxation fall on the released program's
    schedules: ``samplers.algorithm1`` on this canvas. Then eta is noised to ``clean_up_t`` and
    ancestral sampling takes the noise away again (the released data-set recipe forgets to add
    it). The cost is S forward and backward passes, or S forward passes without the Jacobian, and
    ``clean_up_t`` forward passes.

    All terms are means over the valid pixels, but their gradient is scaled as if the canvas had
    the size of the prior's training crops: the step of a pixel depends neither on the size of
    the canvas nor on how much of it is valid, so tiles agree where they overlap.

    Args:
        weak_labels: (channel 6, y, x) float32, 0 in channel 0 and where not valid.
        valid: (y, x) bool, at least one True; elsewhere the prior fills in and no term counts.
        constraints: The terms of the observations.
        prior: The prior.
        canvas: Place, size, seed and view.
        settings: Schedules.
        callback: Called at every step.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1.

    Raises:
        ConstraintError: If a constraint is none; names it.
        TileError: If a term or the gradient is not finite; names it and the step.
    """
    from landcover_pnp.inference.samplers.algorithm1 import Descent, descend
    from landcover_pnp.inference.samplers.parametrisation import one_hot_relaxation

    s = settings
    found = descend(
        lambda eta, step, t: _denoising_error(eta, prior, canvas, step, t, valid, s.jacobian),
        (weak_labels + _START) / (weak_labels + _START).sum(0),
        [time_at(step, s, prior.schedule.steps) for step in range(s.steps)],
        constraints=constraints,
        parametrisation=one_hot_relaxation(axis=0),
        descent=Descent(s.learning_rate, s.learning_rate_end, (s.beta1, 0.999)),
        scale=valid.sum().item() / prior.crop_px**2,
        channel_axis=0,
        callback=callback,
    )
    return _clean_up(found.eta, prior, canvas, settings, callback)


def _denoising_error(
    eta: Tensor, prior: Prior, canvas: Canvas, step: int, t: int, valid: Tensor, jacobian: bool
) -> tuple[float, Tensor]:
    """mse(eps, eps_theta(x_t, t)) over the valid pixels, and its gradient in ``eta``.

    Without the Jacobian the gradient is that of RED-diff, see ``samplers.denoising_error``.

    Crops go through the network in small batches, each with its own backward pass: the memory
    does not grow with the canvas.
    """
    import torch

    from landcover_pnp.inference.canvas import put, take
    from landcover_pnp.inference.samplers.denoising_error import denoising_error

    eps = canvas.noise(step, len(eta))
    share = valid[None] / (valid.sum() * len(eps))
    error, gradient = 0.0, torch.empty_like(eta)
    for windows in canvas.crops(step):
        x, e, s = (take(values, windows) for values in (eta, eps, share))
        way: Gradient = "jacobian" if jacobian else "red_diff"
        mse, slope = denoising_error(_Crops(prior, canvas), x, e, t, s, way)
        put(gradient, windows, slope)
        error += mse
    return error, gradient


@dataclass(frozen=True)
class _Crops:
    """The prior on crops, in the canvas's precision."""

    prior: Prior
    canvas: Canvas

    @property
    def schedule(self) -> NoiseSchedule:
        return self.prior.schedule

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        return self.canvas.eps_theta(self.prior, x_t, t)


def _clean_up(
    eta: Tensor,
    prior: Prior,
    canvas: Canvas,
    settings: Algorithm1Settings,
    callback: Callback | None,
) -> Tensor:
    """Noises eta to ``clean_up_t`` and samples back to 0 (Ho et al. 2020, Algorithm 2).

    The result is read with the widest relaxation: with a narrow one, a pixel whose channels all
    stay below 1/2 would come out as a tie.
    """
    x, step = eta, settings.steps
    if settings.clean_up_t:
        x = prior.schedule.add_noise(eta, canvas.noise(step, len(eta)), settings.clean_up_t)
    for t in range(settings.clean_up_t, 0, -1):
        if callback:
            callback(Step(step, t, SIGMA_START, {}, probabilities(x, SIGMA_START)))
        step += 1
        eps_theta = canvas.predict_noise(prior, x, t, step)
        x = prior.schedule.ancestral_step(x, eps_theta, t, canvas.noise(step, len(x)))
        require_finite({"clean-up": x.sum().item()}, step - 1, t, str(step - 2))
    return probabilities(x, SIGMA_START)
