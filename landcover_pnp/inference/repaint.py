"""Completing a map by a Gaussian prior: RePaint (Lugmayr et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.inference.hidden_map import HiddenMap
from landcover_pnp.inference.relaxation import as_probabilities
from landcover_pnp.inference.samplers.correction import Corrected
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.on_canvas import OnCanvas
from landcover_pnp.inference.samplers.repaint import repaint
from landcover_pnp.inference.step import Callback, Step
from landcover_pnp.prior.noise import NoiseSchedule

if TYPE_CHECKING:
    from landcover_pnp.prior.denoiser import Prior


def mean_repainted(prior: Prior, hidden_map: HiddenMap, callback: Callback | None = None) -> Tensor:
    """Mean of several repainted maps.

    A pseudo-sample of what evidence alone says keeps every class possible.

    Args:
        prior: The prior.
        hidden_map: What is known and what is hidden.
        callback: Called at every step.

    Returns:
        (class, y, x) float32, sums to 1 at hidden pixels.

    Raises:
        TileError: If a prediction is not finite.
    """
    flat = torch.ones_like(hidden_map.one_hot(hidden_map.codes))
    total = hidden_map.posterior(flat / len(flat), flat / len(flat), hidden_map.hidden)
    samples = hidden_map.settings.repaint_samples
    for sample in range(samples):
        total = total + repainted(prior, hidden_map, sample, callback)
    return total / (samples + 1)


def repainted(
    prior: Prior, hidden_map: HiddenMap, sample: int = 0, callback: Callback | None = None
) -> Tensor:
    """One sample of RePaint, its predicted clean maps weighed by the evidence at every level.

    Args:
        prior: The prior.
        hidden_map: What is known and what is hidden; what has no data is as free as that.
        sample: Which of several independent samples.
        callback: Called at every step.

    Returns:
        (class, y, x) float32, sums to 1; nearly one-hot.

    Raises:
        TileError: If a prediction is not finite.
    """
    settings = hidden_map.settings
    model = _Watched(OnCanvas(prior, hidden_map.canvas, sample))

    def weighed(x0: Tensor) -> Tensor:
        clean = _weighed(x0[0].clamp(0, 1), hidden_map)
        if callback:
            step = sample * settings.repaint_steps * settings.resamplings + model.step
            callback(Step(step, model.t, 0.0, {}, as_probabilities(clean)))
        return clean[None]

    known = functional.one_hot(hidden_map.codes, prior.channels).movedim(-1, 0)[None].float()
    x = repaint(
        Corrected(model, weighed),
        model.on_canvas.start(),
        levels(prior.schedule.steps, settings.repaint_steps),
        model.on_canvas.noise,
        known=known,
        hidden=(hidden_map.codes == 0)[None, None],
        resamplings=settings.resamplings,
    )
    return as_probabilities(x[0, 1:])


@dataclass
class _Watched:
    """A model that remembers how often and at which noise level it was asked last."""

    on_canvas: OnCanvas
    step: int = -1
    t: int = 0

    @property
    def schedule(self) -> NoiseSchedule:
        return self.on_canvas.schedule

    @property
    def channels(self) -> int:
        return self.on_canvas.channels

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        self.step, self.t = self.step + 1, t
        return self.on_canvas.predict_noise(x_t, t)


def _weighed(clean: Tensor, hidden_map: HiddenMap) -> Tensor:
    """The predicted clean map (channel, y, x), times the evidence where that is known."""
    if hidden_map.factor is None and hidden_map.weak_labels is None:
        return clean
    p = as_probabilities(clean[1:])
    q = hidden_map.posterior(p, p, hidden_map.hidden)
    weighed = functional.pad(q, (0, 0, 0, 0, 1, 0))
    return torch.where(hidden_map.hidden, weighed, clean)
