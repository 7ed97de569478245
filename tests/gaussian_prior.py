"""A prior whose noise and posteriors are known in closed form: a normal distribution."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from landcover_pnp.prior.noise import NoiseSchedule

MEAN = torch.tensor([1.0, -0.5, 0.3, 0.0], dtype=torch.float64)
FACTOR = torch.tensor(
    [[0.8, 0, 0, 0], [0.5, 0.5, 0, 0], [-0.3, 0.4, 0.6, 0], [0.2, -0.2, 0.5, 0.4]],
    dtype=torch.float64,
)
COVARIANCE = FACTOR @ FACTOR.T
"""Correlated, standard deviations .70 to .80, eigenvalues .02 to 1.4."""


@dataclass(frozen=True)
class GaussianPrior:
    """x0 ~ N(mean, covariance) over (batch, channel): E[eps | x_t] is linear in x_t."""

    mean: Tensor = field(default_factory=lambda: MEAN)
    covariance: Tensor = field(default_factory=lambda: COVARIANCE)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)

    @property
    def channels(self) -> int:
        return len(self.mean)

    def noisy_covariance(self, t: int) -> Tensor:
        abar = self.schedule.alpha_bar(t)
        return abar * self.covariance + (1 - abar) * torch.eye(self.channels, dtype=torch.float64)

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        abar = self.schedule.alpha_bar(t)
        gain = (1 - abar).sqrt() * torch.linalg.inv(self.noisy_covariance(t))
        return (x_t - abar.sqrt() * self.mean) @ gain

    def given(self, operator: Tensor, y: Tensor, variance: float) -> GaussianPrior:
        """The posterior of y = operator @ x0 + N(0, variance)."""
        observed = operator @ self.covariance @ operator.T + variance * torch.eye(
            len(y), dtype=torch.float64
        )
        gain = self.covariance @ operator.T @ torch.linalg.inv(observed)
        mean = self.mean + gain @ (y - operator @ self.mean)
        return GaussianPrior(mean, self.covariance - gain @ operator @ self.covariance)


def start(count: int, seed: int = 0, channels: int = 4) -> Tensor:
    """Standard normal noise (batch, channel)."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, generator=draw, dtype=torch.float64)


def moments(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (channel,) and covariance (channel, channel) of (batch, channel) samples."""
    return samples.mean(0), torch.cov(samples.T)


def assert_samples(samples: Tensor, expected: GaussianPrior, bias: float) -> None:
    """Mean and covariance within four standard errors and a stated bias of the method.

    The standard errors are sqrt(var / n) of a mean, sqrt((v_i v_j + c_ij^2) / n) of a covariance.
    """
    n, (mean, covariance) = len(samples), moments(samples)
    variance = expected.covariance.diagonal()
    error = 4 * (variance / n).sqrt() + bias
    assert ((mean - expected.mean).abs() <= error).all(), (mean, expected.mean)
    pairs = variance[:, None] * variance + expected.covariance**2
    error = 4 * (pairs / n).sqrt() + bias
    wrong = (covariance - expected.covariance).abs() > error
    assert not wrong.any(), (covariance, expected.covariance)
