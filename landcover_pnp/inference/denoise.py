"""The gentle use of the prior: the mean clean map it sees in a lightly noised one."""

from __future__ import annotations

import torch
from torch import Tensor

from landcover_pnp.errors import TileError
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.settings import DenoiseSettings


def denoise(start: Tensor, prior: Prior, canvas: Canvas, settings: DenoiseSettings) -> Tensor:
    """Mean of E[x0 | x_t] over several noise draws, x_t a map noised to level t.

    A denoiser trained on one-hot maps by mean squared error predicts the mean of all clean maps
    that could lie behind x_t (Ho et al. 2020, section 3.2; Efron 2011): at each pixel, class
    probabilities. At small t they stay close to the map one starts from and only lose what the
    prior has never seen; above about t = 300 of 1000 rare classes go. The cost is one forward
    pass a draw, no gradient.

    Args:
        start: (channel 6, y, x) float32 probabilities of another engine, 0 in channel 0.
        prior: The prior.
        canvas: Place, size, seed and view.
        settings: Noise level and number of draws.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1.

    Raises:
        TileError: If the prior predicts values that are not finite; names the draw.
    """
    clean = torch.zeros_like(start)
    for draw in range(settings.draws):
        x_t = prior.schedule.add_noise(start, canvas.noise(draw, len(start)), settings.t)
        eps = canvas.predict_noise(prior, x_t, settings.t, draw)
        clean += prior.schedule.predict_clean(x_t, eps, settings.t)
        if not clean.isfinite().all():
            raise TileError(
                found=f"the predicted clean map is not finite in draw {draw} (t = {settings.t})",
                expected="finite values",
                way_out="look for values that are not finite in this tile's image and weak labels",
            )
    share = clean.clamp_min(1e-9)  # the mean of all draws can leave [0, 1] a little
    return share / share.sum(0)
