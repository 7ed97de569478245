"""Models bent towards a condition: classifier guidance, and classifier-free guidance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.likelihood import slope_of
from landcover_pnp.inference.samplers.model import NoisePredictor, eps_theta
from landcover_pnp.prior.noise import NoiseSchedule


@dataclass(frozen=True)
class ClassifierGuided:
    """A model guided by a classifier of noisy x (Dhariwal & Nichol 2021, Algorithm 2).

    eps - sqrt(1 - abar_t) s grad log p(y | x_t). With s = 1 and the true p(y | x_t) it is the
    model of the posterior, exactly. One forward pass of the model, none through its gradient.

    Attributes:
        model: The model.
        log_likelihood: (x_t, t) to log p(y | x_t) of each item (batch,), differentiable in x_t.
        scale: s; above 1 it sharpens the condition.
    """

    model: NoisePredictor
    log_likelihood: Callable[[Tensor, int], Tensor]
    scale: float = 1.0

    @property
    def schedule(self) -> NoiseSchedule:
        """The model's."""
        return self.model.schedule

    @property
    def channels(self) -> int:
        """The model's."""
        return self.model.channels

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """The guided noise."""
        slope = slope_of(lambda x: self.log_likelihood(x, t), x_t)
        sigma = math.sqrt(1 - float(self.schedule.alpha_bar(t)))
        return eps_theta(self.model, x_t, t) - sigma * self.scale * slope


@dataclass(frozen=True)
class ClassifierFree:
    """A conditional model against the same without its condition (Ho & Salimans 2022, eq. 6).

    (1 + w) eps_theta(x_t, c) - w eps_theta(x_t). Two forward passes.

    Attributes:
        conditional: The model given the condition.
        unconditional: The same network with its condition dropped, or another model.
        strength: w: 0 is the conditional model, -1 the unconditional one; above 0 it
            sharpens the condition, and is no longer a model of a posterior.
    """

    conditional: NoisePredictor
    unconditional: NoisePredictor
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Refuses models that are not of the same x and forward process."""
        one, other = self.conditional, self.unconditional
        if one.channels != other.channels or one.schedule != other.schedule:
            raise SamplerError(
                found=f"models of {one.channels} and {other.channels} channels"
                + ("" if one.schedule == other.schedule else " and of other noise schedules"),
                expected="the same channels and noise schedule",
                fix="take the same network with its condition and without",
            )

    @property
    def schedule(self) -> NoiseSchedule:
        """That of both."""
        return self.conditional.schedule

    @property
    def channels(self) -> int:
        """Those of both."""
        return self.conditional.channels

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """The guided noise."""
        w = self.strength
        given, free = (eps_theta(m, x_t, t) for m in (self.conditional, self.unconditional))
        return (1 + w) * given - w * free
