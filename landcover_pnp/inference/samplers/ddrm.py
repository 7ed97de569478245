"""Denoising diffusion restoration of linear observations (Kawar et al. 2022, arXiv 2201.11793)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.linear import Operator, require_projection
from landcover_pnp.inference.samplers.model import (
    Noise,
    NoisePredictor,
    eps_theta,
    require_fits,
    require_range,
    require_start,
)


@torch.no_grad()
def ddrm(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    project: Operator,
    y: Tensor,
    sigma_y: float = 0.0,
    eta: float = 0.85,
    eta_b: float = 1.0,
) -> Tensor:
    """Samples whose observed part is y: DDIM in the spectral space of the observation.

    For a projection P all singular values are 1 or 0: the observed part P x is drawn around y
    once the noise is above that of y, the rest (I - P) x around the predicted clean x (eq. 7 and
    8). Exact where observed and unobserved part are independent, eta is 0 and levels are dense;
    otherwise the rest sees y only through the network, and an eta above 0 makes its variances
    too small.

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last.
        noise: Fresh noise.
        project: P, an orthogonal projection of x, such as ``linear.block_means``.
        y: P x as observed, of a shape that broadcasts to x.
        sigma_y: Standard deviation of y's noise along P; 0 without, and then P x is y.
        eta: Noise of the unobserved part that is new in each step, 0 to 1.
        eta_b: Weight of y in the observed part, 0 to 1.

    Returns:
        Samples, the shape of ``x``.

    Raises:
        SamplerError: If x or levels do not fit the model, a factor is out of its range,
            P is no projection, or y no value of it.
        TileError: If y or a prediction is not finite.
    """
    require_start(model, x, levels)
    for name, value in (("eta", eta), ("eta_b", eta_b)):
        require_range(name, value, 0, 1)
    require_range("sigma_y", sigma_y, 0)
    require_fits("y", y, x)
    require_projection(project, x[:1])
    y = y.to(x).expand_as(x)
    outside = float((project(y) - y).abs().max())
    if outside > 1e-4 * (1 + float(y.abs().max())):
        raise SamplerError(
            found=f"y that is no value of the observation: P(y) differs from it by {outside:.3g}",
            expected="y in the range of P, as P(x) is",
            fix="give the observation at every pixel: a block's mean at each of its pixels, 0 "
            "where nothing is known",
        )
    kept = math.sqrt(1 - eta**2)
    for t, t_next in pairwise(levels):
        eps = eps_theta(model, x, t)
        x0 = model.schedule.predict_clean(x, eps, t)
        abar = float(model.schedule.alpha_bar(t_next))
        sigma, z = math.sqrt(1 / abar - 1), noise(x)
        free = x0 + sigma * (kept * eps + eta * z)
        if sigma < sigma_y:
            seen = x0 + kept * sigma / sigma_y * (y - x0) + eta * sigma * z
        else:
            spread = math.sqrt(sigma**2 - (eta_b * sigma_y) ** 2)
            seen = (1 - eta_b) * x0 + eta_b * y + spread * z
        x = math.sqrt(abar) * (free + project(seen - free))
    return x
