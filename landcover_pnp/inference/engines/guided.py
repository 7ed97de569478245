"""Guided sampling: a few DDIM steps whose predicted clean map is moved towards the observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landcover_pnp.inference.checks import require_noise_level, require_within
from landcover_pnp.inference.registry import register_engine, start_from
from landcover_pnp.inference.relaxation import as_probabilities, one_hot, probabilities, sigma_at
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.step import Callback, Step, described, require_finite

if TYPE_CHECKING:
    from torch import Tensor

    from landcover_pnp.inference.canvas import Canvas
    from landcover_pnp.inference.constraints import Constraint
    from landcover_pnp.inference.task import Task
    from landcover_pnp.prior.denoiser import Prior


@dataclass(frozen=True)
class GuidedSettings:
    """A few DDIM steps whose predicted clean map is moved towards the observations.

    Attributes:
        start: What is noised to ``start_t``: ``noise`` alone, the weak labels, or the map of
            another engine.
        start_t: Noise level of the first step, out of the prior's T; ``noise`` starts at T.
        steps: DDIM steps; each costs one forward pass.
        stochasticity: DDIM's eta: 0 adds no noise between steps, 1 as much as ancestral
            sampling.
        constraint_steps: Steps of Adam on each predicted clean map.
        constraint_rate: Their length, in units of one-hot maps.
    """

    start: str = start_from("noise", "weak_labels", default="evidence")
    start_t: int = 100
    steps: int = 5
    stochasticity: float = 0.0
    constraint_steps: int = 5
    constraint_rate: float = 0.02


@register_engine
class Guided:
    """Fast guided sampling: a few DDIM steps, each moved towards the constraints."""

    name = "guided"
    needs_prior = True
    prior_kind = "gaussian"
    Settings = GuidedSettings

    def check(self, settings: GuidedSettings, prior: Prior | None) -> None:
        """Refuses a noise level that the prior has not, and values that make no map."""
        if settings.start != "noise":
            require_noise_level(self.name, settings, "start_t", prior)
        require_within(self.name, settings, 1, float("inf"), "steps")
        require_within(self.name, settings, 0, float("inf"), "constraint_steps", "constraint_rate")
        require_within(self.name, settings, 0, 1, "stochasticity")

    def run(self, task: Task[GuidedSettings]) -> Tensor:
        """The map (channel 6, y, x) of ``guided``."""
        s = task.settings
        start = None if s.start == "noise" else task.start(s.start)
        return guided(start, task.constraints(), task.prior, task.canvas, s, task.callback)


def guided(
    start: Tensor | None,
    constraints: Sequence[Constraint],
    prior: Prior,
    canvas: Canvas,
    settings: GuidedSettings,
    callback: Callback | None = None,
) -> Tensor:
    """Samples from the prior while the constraints pull (Bansal et al. 2023, section 3.2).

    The backward form of universal guidance: at each level t the network predicts the clean map
    x0 of x_t, a few steps of Adam move x0 down the constraints, without any gradient through the
    network, and DDIM (Song et al. 2021, eq. 12) takes x_t and the moved x0 to the next level.
    The cost is one forward pass a step.

    Args:
        start: (channel 6, y, x) float32 probabilities that are noised to ``start_t``; None
            starts from noise at T.
        constraints: The terms of the observations.
        prior: The prior.
        canvas: Place, size, seed and view.
        settings: Start, steps and their lengths.
        callback: Called at every step.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1.

    Raises:
        ConstraintError: If a constraint is none; names it.
        TileError: If a term or the predicted clean map is not finite; names it and the step.
    """
    schedule, last_finite = prior.schedule, "none"
    first, *following = levels(
        schedule.steps if start is None else settings.start_t, settings.steps
    )
    noise = canvas.noise(0, prior.channels)
    x = noise if start is None else schedule.add_noise(one_hot(start), noise, first)
    x0, t = x, first
    for step, t_next in enumerate(following):
        eps = canvas.predict_noise(prior, x, t, step)
        x0 = schedule.predict_clean(x, eps, t).clamp(0, 1)
        sigma = sigma_at(step, len(following))
        before = probabilities(x0, sigma)
        x0, losses = _moved(x0, constraints, step, len(following), sigma, settings)
        require_finite(losses | {"clean map": x0.sum().item()}, step, t, last_finite)
        if callback:
            callback(Step(step, t, sigma, losses, before))
        fresh = canvas.noise(step + 1, len(x)) if settings.stochasticity else None
        x = schedule.ddim_step(x, x0, t, t_next, fresh, settings.stochasticity)
        t, last_finite = t_next, described(step, losses)
    return as_probabilities(x0)


def _moved(
    x0: Tensor,
    constraints: Sequence[Constraint],
    step: int,
    steps: int,
    sigma: float,
    settings: GuidedSettings,
) -> tuple[Tensor, dict[str, float]]:
    """The clean map after steps down the constraints, and their values before."""
    import torch

    from landcover_pnp.inference.samplers.terms import values_of, weights_of

    moved, losses = x0.clone().requires_grad_(), dict[str, float]()
    adam = torch.optim.Adam([moved], lr=settings.constraint_rate)
    for _ in range(settings.constraint_steps if constraints else 0):
        p = probabilities(moved, sigma)
        values = values_of(constraints, p, channel_axis=0)
        losses = losses or {name: value.item() for name, value in values.items()}
        weights = [p.new_tensor(w) for w in weights_of(constraints, step, steps)]
        adam.zero_grad()
        torch.autograd.backward(list(values.values()), weights)
        adam.step()
    return moved.detach().clamp(0, 1), losses
