"""Laws of the engine that asks the prior for the mean clean map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.errors import TileError
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.engines.denoise import DenoiseSettings, denoise, keep_water
from landcover_pnp.inference.step import Step
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

torch.set_num_threads(1)

SMALL = DenoiserSettings(
    crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
)
VIEW = 16
ALONE = DenoiseSettings(draws=2, start_share=0)
CANVAS = Canvas((3, -5), (40, 36), 0, VIEW)


@pytest.fixture(scope="module")
def prior() -> Prior:
    return Prior(build_network(SMALL, seed=0), NoiseSchedule(), resolution_m=4.0, crop_px=16)


@dataclass(frozen=True, eq=False, kw_only=True)
class OneMap(Prior):
    """A prior that knows one map only: the same distribution at every pixel."""

    clean: Tensor

    def predict_noise(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        abar = float(self.schedule.alpha_bar(t))
        return (x_t - abar**0.5 * self.clean) / (1 - abar) ** 0.5


def constant(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


@pytest.mark.parametrize("t", [1, 150, 1000])
def test_the_result_is_the_clean_map_the_prior_knows(prior: Prior, t: int) -> None:
    clean = constant(0, 0.5, 0.3, 0.1, 0.1, 0)
    one_map = OneMap(prior.network, prior.schedule, 4.0, 16, clean=clean)
    start = constant(0, 0, 0, 0, 0, 1).expand(6, *CANVAS.shape)
    result = denoise(start, one_map, CANVAS, DenoiseSettings(t=t, draws=3, start_share=0))
    torch.testing.assert_close(result, clean.expand_as(result), rtol=0, atol=1e-3)


def test_the_result_is_a_distribution(prior: Prior) -> None:
    start = torch.rand(6, *CANVAS.shape, generator=torch.Generator().manual_seed(0)).softmax(0)
    result = denoise(start, prior, CANVAS, DenoiseSettings(draws=2))
    assert (result >= 0).all()
    torch.testing.assert_close(result.sum(0), torch.ones(CANVAS.shape))


def test_what_is_noised_is_one_hot(prior: Prior) -> None:
    soft = torch.rand(6, *CANVAS.shape, generator=torch.Generator().manual_seed(0)).softmax(0)
    hot = functional.one_hot(soft.argmax(0), 6).permute(2, 0, 1).float()
    of_soft, of_hot = (denoise(start, prior, CANVAS, ALONE) for start in (soft, hot))
    torch.testing.assert_close(of_soft, of_hot)


def test_classes_that_are_equally_likely_share_a_pixel(prior: Prior) -> None:
    start = constant(0, 0.2, 0.2, 0.2, 0.2, 0.2).expand(6, *CANVAS.shape)
    result = denoise(start, prior, CANVAS, replace(ALONE, t=1))
    torch.testing.assert_close(result, start, rtol=0, atol=0.05)


def test_little_noise_changes_little(prior: Prior) -> None:
    start = torch.zeros(6, *CANVAS.shape)
    start[3], start[4, 9:20, 5:30], start[3, 9:20, 5:30] = 1, 1, 0
    near, far = (
        (denoise(start, prior, CANVAS, replace(ALONE, t=t)) - start).abs().mean() for t in (1, 100)
    )
    assert near < 0.01 < far


def test_a_share_of_the_start_lies_between_both(prior: Prior) -> None:
    start = torch.rand(6, *CANVAS.shape, generator=torch.Generator().manual_seed(0)).softmax(0)
    clean, half, whole = (
        denoise(start, prior, CANVAS, DenoiseSettings(draws=2, start_share=share))
        for share in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(whole, start)
    mean = (clean * start).sqrt()
    torch.testing.assert_close(half, mean / mean.sum(0), rtol=0, atol=1e-4)


def test_the_callback_sees_every_draw(prior: Prior) -> None:
    start = torch.rand(6, *CANVAS.shape, generator=torch.Generator().manual_seed(0)).softmax(0)
    steps: list[Step] = []
    denoise(start, prior, CANVAS, DenoiseSettings(t=60, draws=3), steps.append)
    assert [(s.step, s.t) for s in steps] == [(0, 60), (1, 60), (2, 60)]
    torch.testing.assert_close(steps[0].probabilities, start)


def test_tiles_agree_where_they_overlap(prior: Prior) -> None:
    start = torch.rand(6, 96, 96, generator=torch.Generator().manual_seed(0)).softmax(0)
    settings = DenoiseSettings(draws=2)
    whole = denoise(start, prior, Canvas((0, 0), (96, 96), 0, VIEW), settings)
    tile = denoise(start[:, 10:, 20:], prior, Canvas((10, 20), (86, 76), 0, VIEW), settings)
    inner = slice(48, 80)
    torch.testing.assert_close(
        tile[:, 48 - 10 : 80 - 10, 48 - 20 : 80 - 20], whole[:, inner, inner], rtol=0, atol=1e-5
    )


def test_water_stays_and_land_keeps_its_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    p, start = torch.rand(2, 6, *CANVAS.shape, generator=generator).softmax(1)
    kept = keep_water(p, start)
    torch.testing.assert_close(kept[1], start[1])
    torch.testing.assert_close(kept.sum(0), torch.ones(CANVAS.shape))
    torch.testing.assert_close(kept[3] / kept[4], p[3] / p[4])


def test_a_prior_that_is_not_finite_stops_the_tile(prior: Prior) -> None:
    nan = constant(0, 0, float("nan"), 0, 0, 0)
    broken = OneMap(prior.network, prior.schedule, 4.0, 16, clean=nan)
    start = constant(0, 0, 0, 0, 0, 1).expand(6, *CANVAS.shape)
    with pytest.raises(TileError, match="step 0"):
        denoise(start, broken, CANVAS, replace(DenoiseSettings(), draws=1))
