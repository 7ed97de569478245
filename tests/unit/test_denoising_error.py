"""The prior's term of algorithm 1: its gradient is the slope of its value."""

import pytest
import torch

from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.engines.algorithm1 import _denoising_error
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

SMALL = DenoiserSettings(
    crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
)


@pytest.mark.parametrize("t", [1, 200, 433, 700])
def test_the_gradient_is_the_slope_along_any_direction(t: int) -> None:
    prior = Prior(build_network(SMALL, seed=0), NoiseSchedule(), resolution_m=4.0, crop_px=16)
    canvas = Canvas((0, 0), (24, 20), 0, 16)
    draw = torch.Generator().manual_seed(t)
    eta = torch.rand((6, 24, 20), generator=draw)
    valid = torch.rand((24, 20), generator=draw) < 0.8

    def error(at: torch.Tensor) -> tuple[float, torch.Tensor]:
        return _denoising_error(at, prior, canvas, 3, t, valid, jacobian=True)

    gradient = error(eta)[1]
    # Along the gradient the slope is steep enough for float32.
    step = 0.3 * gradient / gradient.norm()
    slope = (error(eta + step)[0] - error(eta - step)[0]) / (2 * step.norm().item())
    assert slope == pytest.approx(gradient.norm().item(), rel=0.05)
