"""A tile's canvas as samplers see it: noise and crops that belong to the ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.prior.noise import NoiseSchedule

if TYPE_CHECKING:
    from landcover_pnp.prior.denoiser import Prior

_APART = 2**20
"""Distance between the noise numbers of two samples."""


class OnCanvas:
    """A prior on one canvas, as model and as source of noise of a sampler.

    Predictions are made crop by crop on the lattice that all tiles share, and noise comes from
    absolute pixel positions: where neighbouring canvases overlap, a sampler sees the same numbers.
    Each of the two counts its calls, so take a new one for every run of a sampler.

    Args:
        prior: The prior.
        canvas: Place, size, seed and view.
        sample: Which of several independent samples of the same run.
    """

    def __init__(self, prior: Prior, canvas: Canvas, sample: int = 0) -> None:
        self._prior, self._canvas = prior, canvas
        self._predictions = self._draws = sample * _APART

    @property
    def schedule(self) -> NoiseSchedule:
        """The prior's."""
        return self._prior.schedule

    @property
    def channels(self) -> int:
        """The prior's."""
        return self._prior.channels

    def start(self) -> Tensor:
        """Noise to start from, (1, channel, y, x) float32."""
        return self.noise(torch.empty((1, self.channels, 0, 0)))

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        """eps_theta of the canvas (1, channel, y, x), without gradient."""
        self._predictions += 1
        return self._canvas.predict_noise(self._prior, x_t[0], t, self._predictions)[None]

    def noise(self, like: Tensor) -> Tensor:
        """Noise of the ground, (1, channel, y, x), whatever the size of ``like``."""
        self._draws += 1
        return self._canvas.noise(self._draws, like.shape[1])[None]
