"""The forward process of the prior, its reverse steps, and noise tied to the ground."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.prior.settings import NoiseSettings

BLOCK_PX = 64
"""Side of the blocks that ``noise_field`` draws as a whole, pixels."""

_UINT64 = 2**64 - 1


@dataclass(frozen=True)
class NoiseSchedule:
    """Variance-preserving forward process (Ho et al. 2020, section 2).

    Noise levels are counted as in the paper: t = 1..T, and t = 0 is the clean map. (diffusers
    counts 0..T-1; its t is one less.) Every ``t`` is an ``int``, or a (batch,) integer tensor
    that goes along the first axis of the maps.

    Attributes:
        settings: T, kind of schedule and range of beta.
    """

    settings: NoiseSettings = field(default_factory=NoiseSettings)

    @property
    def steps(self) -> int:
        """Number of noise levels T."""
        return self.settings.steps

    @cached_property
    def _alpha_bars(self) -> Tensor:
        """abar_t for t = 0..T: (T + 1,) float64."""
        s = self.settings
        if s.schedule == "linear":
            beta = torch.linspace(s.beta_start, s.beta_end, s.steps, dtype=torch.float64)
        else:  # Nichol & Dhariwal 2021, eq. 17
            share = torch.arange(s.steps + 1, dtype=torch.float64) / s.steps
            f = torch.cos((share + 0.008) / 1.008 * torch.pi / 2).square()
            beta = (1 - f[1:] / f[:-1]).clamp_max(0.999)
        return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, 0)])

    def alpha_bar(self, t: int | Tensor) -> Tensor:
        """Share abar_t of the clean map's variance that is left at level t.

        Args:
            t: Noise level(s) in 0..T.

        Returns:
            float64 in (0, 1], of the shape of ``t`` (a scalar for an ``int``), on the CPU;
            ``alpha_bar(0)`` is 1.
        """
        return self._alpha_bars[torch.as_tensor(t, device="cpu")]

    def add_noise(self, x0: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps (Ho et al. 2020, eq. 4).

        Args:
            x0: Clean maps (batch, channel, y, x).
            eps: Standard normal noise of the same shape.
            t: Noise level(s) in 0..T.

        Returns:
            Noisy maps, shape and dtype of ``x0``.
        """
        signal, noise = self._scales(t, x0)
        return signal * x0 + noise * eps

    def predict_clean(self, x_t: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """The clean map that ``eps`` implies: ``add_noise`` solved for x0.

        Args:
            x_t: Noisy maps (batch, channel, y, x).
            eps: Noise in them, true or predicted.
            t: Noise level(s) in 0..T.

        Returns:
            (batch, channel, y, x), not clipped to [0, 1].
        """
        signal, noise = self._scales(t, x_t)
        return (x_t - noise * eps) / signal

    def velocity(self, x0: Tensor, eps: Tensor, t: int | Tensor) -> Tensor:
        """The velocity v = sqrt(abar_t) eps - sqrt(1 - abar_t) x0 (Salimans & Ho 2022, sec. 4).

        Args:
            x0: Clean maps (batch, channel, y, x).
            eps: Noise of the same shape.
            t: Noise level(s) in 0..T.

        Returns:
            (batch, channel, y, x): almost the noise at low levels, minus the clean map at high
            ones.
        """
        signal, noise = self._scales(t, x0)
        return signal * eps - noise * x0

    def noise_of_velocity(self, x_t: Tensor, v: Tensor, t: int | Tensor) -> Tensor:
        """The noise that a velocity implies: eps = sqrt(abar_t) v + sqrt(1 - abar_t) x_t.

        An error of ``v`` counts sqrt(abar_t) times in it.

        Args:
            x_t: Noisy maps (batch, channel, y, x).
            v: Velocity, true or predicted.
            t: Noise level(s) in 0..T.

        Returns:
            (batch, channel, y, x).
        """
        signal, noise = self._scales(t, x_t)
        return signal * v + noise * x_t

    def noise_of_clean(self, x_t: Tensor, x0: Tensor, t: int | Tensor) -> Tensor:
        """The noise that a clean map implies: ``add_noise`` solved for eps.

        Args:
            x_t: Noisy maps (batch, channel, y, x).
            x0: Clean maps, true or predicted.
            t: Noise level(s) in 1..T.

        Returns:
            (batch, channel, y, x).
        """
        signal, noise = self._scales(t, x_t)
        return (x_t - signal * x0) / noise

    def one_hot_mean(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        """E[x0 | x_t] of one-hot maps whose pixels are independent and whose channels are alike.

        p(channel c | x_t) is proportional to the density of x_t about sqrt(abar_t) e_c, and so to
        exp(sqrt(abar_t) x_t[c] / (1 - abar_t)).

        Args:
            x_t: Noisy maps (batch, channel, y, x).
            t: Noise level(s) in 0..T.

        Returns:
            (batch, channel, y, x), sums to 1 over channels; at t = 0 ``x_t`` as it is, almost
            equal probabilities at T.
        """
        signal, noise = self._scales(t, x_t)
        # Without noise nothing is left to infer, and nothing to divide by.
        known = (signal * x_t / noise.square().clamp_min(1e-6)).softmax(1)
        return torch.where(noise > 0, known, x_t)

    def ancestral_step(
        self, x_t: Tensor, eps_theta: Tensor, t: int | Tensor, noise: Tensor
    ) -> Tensor:
        """One step t -> t - 1 of ancestral sampling (Ho et al. 2020, Algorithm 2, eq. 11).

        sigma_t^2 is the posterior variance (1 - abar_{t-1}) / (1 - abar_t) beta_t (eq. 7), the
        choice of the program released with Graikos et al. 2022. It is 0 at t = 1, so that
        ``noise`` has no part in the last step.

        Args:
            x_t: Noisy maps (batch, channel, y, x).
            eps_theta: Predicted noise.
            t: Noise level(s) in 1..T.
            noise: Standard normal noise of the shape of ``x_t``.

        Returns:
            x_{t-1}, shape and dtype of ``x_t``.
        """
        abar, abar_next = self.alpha_bar(t), self.alpha_bar(t - 1)
        alpha = abar / abar_next
        sigma = ((1 - abar_next) / (1 - abar) * (1 - alpha)).sqrt()
        pull = (1 - alpha) / (1 - abar).sqrt()
        mean = (x_t - _like(pull, x_t) * eps_theta) / _like(alpha.sqrt(), x_t)
        return mean + _like(sigma, x_t) * noise

    def ddim_step(
        self,
        x_t: Tensor,
        x0: Tensor,
        t: int | Tensor,
        t_next: int | Tensor,
        noise: Tensor | None = None,
        stochasticity: float = 1.0,
    ) -> Tensor:
        """One step t -> t_next of any length (Song et al. 2021, DDIM, eq. 12).

        Args:
            x_t: Noisy maps (batch, channel, y, x).
            x0: Their predicted clean maps, as ``predict_clean`` gives them, or clipped to
                [0, 1] or otherwise corrected since.
            t: Noise level(s) in 1..T.
            t_next: Lower level(s) in 0..T.
            noise: Standard normal noise; None for the deterministic step.
            stochasticity: Share of it that is added (eta in eq. 16), 0 to 1: with 1 the step is
                as random as an ancestral one.

        Returns:
            x at ``t_next``, shape and dtype of ``x_t``.
        """
        eps = self.noise_of_clean(x_t, x0, t)
        if noise is None:
            return self.add_noise(x0, eps, t_next)
        abar, abar_next = self.alpha_bar(t), self.alpha_bar(t_next)
        variance = stochasticity**2 * (1 - abar_next) / (1 - abar) * (1 - abar / abar_next)
        kept = _like((1 - abar_next - variance).sqrt(), x_t)
        return _like(abar_next.sqrt(), x_t) * x0 + kept * eps + _like(variance.sqrt(), x_t) * noise

    def _scales(self, t: int | Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar_t) and sqrt(1 - abar_t), ready to multiply ``like``."""
        abar = self.alpha_bar(t)
        return _like(abar.sqrt(), like), _like((1 - abar).sqrt(), like)


def noise_field(
    seed: int, step: int, channels: int, window: tuple[tuple[int, int], tuple[int, int]]
) -> NDArray[np.float32]:
    """Standard normal noise that belongs to the ground, not to the tile that asks for it.

    Whatever window is asked for, in whatever order and process, a pixel gets the same values:
    overlapping tiles then see the same noise, and a map does not depend on the number of
    workers. The noise is drawn in blocks by a counter-based generator (Philox; Salmon et al.
    2011), whose key is (seed, step) and whose counter starts at the block's row and column.

    Args:
        seed: Seed of the run, any integer (taken modulo 2^64).
        step: Which field of the run, any integer (taken modulo 2^64).
        channels: Number of channels; fewer channels are the first ones of more.
        window: ((y0, y1), (x0, x1)) in pixels of the working grid, half-open; may be negative.

    Returns:
        (channel, y, x) float32.
    """
    (y0, y1), (x0, x1) = window
    out = np.empty((channels, y1 - y0, x1 - x0), np.float32)
    key = np.array([seed & _UINT64, step & _UINT64], np.uint64)
    for row in range(y0 // BLOCK_PX, -(-y1 // BLOCK_PX)):
        for column in range(x0 // BLOCK_PX, -(-x1 // BLOCK_PX)):
            # The generator counts upwards in the lowest word: blocks never share a counter.
            counter = np.array([0, 0, row & _UINT64, column & _UINT64], np.uint64)
            draw = np.random.Generator(np.random.Philox(counter=counter, key=key))
            block = draw.standard_normal((channels, BLOCK_PX, BLOCK_PX), np.float32)
            top, left = row * BLOCK_PX, column * BLOCK_PX
            ya, yb = max(y0, top), min(y1, top + BLOCK_PX)
            xa, xb = max(x0, left), min(x1, left + BLOCK_PX)
            out[:, ya - y0 : yb - y0, xa - x0 : xb - x0] = block[
                :, ya - top : yb - top, xa - left : xb - left
            ]
    return out


def _like(coefficient: Tensor, maps: Tensor) -> Tensor:
    """A coefficient, scalar or (batch,), in shape, dtype and place to multiply ``maps``."""
    shape = coefficient.shape + (1,) * (maps.ndim - 1 if coefficient.ndim else 0)
    return coefficient.reshape(shape).to(maps)
