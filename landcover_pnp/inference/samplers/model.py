"""What every sampler is given: a model of noise, a noisy start, noise levels and fresh noise.

All samplers have one signature, ``sampler(model, x, levels, noise, ...)``, and the papers'
letters: ``x`` (batch, channel, ...) is noisy at ``levels[0]``; ``levels`` falls strictly and ends
with 0; the result is the clean ``x``. The model is any object with ``predict_noise``, ``schedule``
and ``channels``: the package's own priors, a ``DiffusersModel``, a formula.
What bends a model, such as ``correction`` or ``guidance``, is a model again, for any sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError, TileError
from landcover_pnp.prior.noise import NoiseSchedule

Noise = Callable[[Tensor], Tensor]
"""Standard normal noise of the shape of its argument, new at every call."""


class NoisePredictor(Protocol):
    """What samplers ask of a prior."""

    @property
    def schedule(self) -> NoiseSchedule:
        """The forward process; t = 1..T, and 0 is clean."""
        ...

    @property
    def channels(self) -> int:
        """Size of the second axis of ``x``."""
        ...

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """eps_theta(x_t, t): (batch, channel, ...), the shape of ``x_t``."""
        ...


def seeded(seed: int) -> Noise:
    """Noise of a generator of its own: the same seed gives the same samples.

    It is drawn on the CPU, so that it is the same on every device.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    return noise


def eps_theta(model: NoisePredictor, x_t: Tensor, t: int) -> Tensor:
    """The model's noise, which has the shape of ``x_t`` and is finite.

    Raises:
        SamplerError: If it has another shape.
        TileError: If it is not finite; names t.
    """
    eps = model.predict_noise(x_t, t)
    if eps.shape != x_t.shape:
        raise SamplerError(
            found=f"predicted noise of shape {tuple(eps.shape)} for x of {tuple(x_t.shape)}",
            expected="one predicted value for each of x",
            fix="correct predict_noise of the model",
        )
    if not eps.isfinite().all():
        raise TileError(
            found=f"the noise predicted at t = {t} is not finite",
            expected="finite predictions; x at this level is "
            + ("finite" if x_t.isfinite().all() else "not finite either"),
            fix="look for values that are not finite in the start, the observations and the "
            "weights of the model, and lower the scale of any guidance",
        )
    return eps


def predict_clean(model: NoisePredictor, x_t: Tensor, t: int) -> Tensor:
    """E[x0 | x_t] as the model sees it (Efron 2011; Ho et al. 2020, eq. 15)."""
    return model.schedule.predict_clean(x_t, eps_theta(model, x_t, t), t)


def renoise(schedule: NoiseSchedule, x: Tensor, t: int, t_above: int, noise: Noise) -> Tensor:
    """From level t back up to a noisier one (Lugmayr et al. 2022, eq. 1 over several levels)."""
    kept = float(schedule.alpha_bar(t_above) / schedule.alpha_bar(t))
    return math.sqrt(kept) * x + math.sqrt(1 - kept) * noise(x)


def require_start(model: NoisePredictor, x: Tensor, levels: Sequence[int]) -> None:
    """Refuses a start or noise levels that the model has not.

    Raises:
        SamplerError: Names what does not fit.
        TileError: If the start is not finite.
    """
    require_floats("x", x)
    if x.ndim < 2 or x.shape[1] != model.channels:
        raise SamplerError(
            found=f"x of shape {tuple(x.shape)} for a prior of {model.channels} channels",
            expected=f"(batch, {model.channels}, ...)",
            fix="give x the channels of the prior, or take a prior of these",
        )
    require_finite_values("x", x)
    T = model.schedule.steps
    if not isinstance(levels, Sequence):
        raise SamplerError(
            found=f"the noise levels {levels!r:.60}",
            expected=f"levels that fall strictly from at most T = {T} to 0",
            fix="make them by levels(t, steps)",
        )
    falls = all(a > b for a, b in pairwise(levels))
    if len(levels) < 2 or not falls or levels[-1] != 0 or levels[0] > T:
        raise SamplerError(
            found=f"the noise levels {_shortened(levels)}",
            expected=f"two or more that fall strictly from at most T = {T} to 0",
            fix="make them by levels(t, steps)",
        )


def require_floats(name: str, values: object) -> None:
    """Refuses what is no tensor of floats, or holds none: an array, codes of classes, no sample.

    Raises:
        SamplerError: Says what it is.
    """
    found = f"{name} of type {type(values).__name__}"
    if isinstance(values, Tensor):
        if values.is_floating_point() and values.numel():
            return
        found = f"{name} of {values.dtype} and shape {tuple(values.shape)}"
    raise SamplerError(
        found=found,
        expected="a torch tensor of floats that is not empty",
        fix=f"give {name} as floats, such as torch.as_tensor({name}, dtype=torch.float32)",
    )


def require_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuses a factor out of its range, and NaN.

    Raises:
        SamplerError: Names the factor and its range.
    """
    if not low <= value <= high:
        raise SamplerError(
            found=f"{name} is {value}",
            expected=f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}",
            fix=f"correct {name}",
        )


def require_steps(levels: Sequence[int], T: int) -> None:
    """Refuses noise levels of optimisation or Langevin steps that are none.

    Raises:
        SamplerError: Names the first such level.
    """
    wrong = [t for t in levels if not 1 <= t <= T]
    if wrong or not levels:
        raise SamplerError(
            found=f"the noise level {wrong[0]}" if wrong else "no noise level",
            expected=f"one a step, each in 1..{T}",
            fix="make them by [annealed(i, steps, T) for i in range(steps)]",
        )


def require_fits(name: str, values: Tensor, x: Tensor) -> None:
    """Refuses values that cannot stand beside x: another shape, or not finite.

    Raises:
        SamplerError: Names the values and both shapes.
        TileError: If they are not finite.
    """
    pairs = zip(reversed(values.shape), reversed(x.shape), strict=False)
    if values.ndim > x.ndim or any(size not in (1, wanted) for size, wanted in pairs):
        raise SamplerError(
            found=f"{name} of shape {tuple(values.shape)} for x of {tuple(x.shape)}",
            expected=f"a shape that broadcasts to {tuple(x.shape)}",
            fix=f"give {name} the axes of x",
        )
    require_finite_values(name, values)


def require_finite_values(name: str, values: Tensor) -> None:
    """Refuses NaN and infinity.

    Raises:
        TileError: With their number.
    """
    wrong = int((~values.isfinite()).sum())
    if wrong:
        raise TileError(
            found=f"{wrong} of {values.numel()} values of {name} are not finite",
            expected="finite values",
            fix="replace them, or hide these places",
        )


def _shortened(levels: Sequence[int]) -> str:
    shown = [str(level) for level in levels]
    return ", ".join(shown if len(shown) < 8 else [*shown[:3], "...", *shown[-3:]]) or "of none"
