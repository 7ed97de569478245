"""Laws of the noise schedule (oracle: diffusers) and of the noise tied to the ground."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from landcover_pnp.prior.noise import NoiseSchedule, noise_field
from landcover_pnp.prior.settings import NoiseSettings

SCHEDULE = NoiseSchedule()
T = SCHEDULE.steps

levels = st.integers(1, T)
integers = st.integers(-(2**70), 2**70)
corners = st.integers(-300, 300)
sides = st.integers(1, 150)


def maps(seed: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 6, 4, 5, generator=torch.Generator().manual_seed(seed))


def test_alpha_bar_starts_at_one_and_falls() -> None:
    abar = SCHEDULE.alpha_bar(torch.arange(T + 1))
    assert abar[0] == 1
    assert (abar.diff() < 0).all()
    assert 0 < abar[-1] < 1e-4


def test_alpha_bar_of_an_integer_is_that_of_a_tensor() -> None:
    several = SCHEDULE.alpha_bar(torch.tensor([3, 700]))
    assert several.tolist() == [SCHEDULE.alpha_bar(3).item(), SCHEDULE.alpha_bar(700).item()]


def test_alpha_bar_is_the_oracle_s_one_index_lower() -> None:
    oracle = DDPMScheduler(beta_start=1e-4, beta_end=2e-2, beta_schedule="linear")
    torch.testing.assert_close(
        SCHEDULE.alpha_bar(torch.arange(1, T + 1)).float(), oracle.alphas_cumprod
    )


@given(st.integers(0, T))
def test_predict_clean_undoes_add_noise(t: int) -> None:
    x0, eps = maps(0).double(), maps(1).double()
    x_t = SCHEDULE.add_noise(x0, eps, t)
    torch.testing.assert_close(SCHEDULE.predict_clean(x_t, eps, t), x0)


def test_levels_of_a_batch_act_map_by_map() -> None:
    x0, eps, noise = maps(0), maps(1), maps(2)
    t = [17, 900]
    noisy = SCHEDULE.add_noise(x0, eps, torch.tensor(t))
    earlier = SCHEDULE.ancestral_step(x0, eps, torch.tensor(t), noise)
    for i in range(2):
        torch.testing.assert_close(noisy[i], SCHEDULE.add_noise(x0, eps, t[i])[i])
        torch.testing.assert_close(earlier[i], SCHEDULE.ancestral_step(x0, eps, t[i], noise)[i])


@given(levels)
def test_add_noise_agrees_with_the_oracle(t: int) -> None:
    x0, eps = maps(0), maps(1)
    oracle = DDPMScheduler(beta_start=1e-4, beta_end=2e-2, beta_schedule="linear")
    expected = oracle.add_noise(x0, eps, torch.tensor([t - 1]))
    torch.testing.assert_close(SCHEDULE.add_noise(x0, eps, t), expected, atol=1e-5, rtol=1e-4)


@given(levels)
def test_velocity_agrees_with_the_oracle_and_implies_its_noise(t: int) -> None:
    x0, eps = maps(0), maps(1)
    oracle = DDPMScheduler(beta_start=1e-4, beta_end=2e-2, beta_schedule="linear")
    v = SCHEDULE.velocity(x0, eps, t)
    expected = oracle.get_velocity(x0, eps, torch.tensor([t - 1]))
    torch.testing.assert_close(v, expected, atol=1e-5, rtol=1e-4)
    x_t = SCHEDULE.add_noise(x0, eps, t)
    torch.testing.assert_close(SCHEDULE.noise_of_velocity(x_t, v, t), eps, atol=1e-5, rtol=1e-4)


@given(levels)
def test_a_clean_map_implies_its_noise(t: int) -> None:
    x0, eps = maps(0), maps(1)
    x_t = SCHEDULE.add_noise(x0, eps, t)
    torch.testing.assert_close(SCHEDULE.noise_of_clean(x_t, x0, t), eps, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("t", [1, 60, 250, 700, 1000])
def test_the_mean_of_one_hot_maps_is_by_bayes_theorem(t: int) -> None:
    """Classes that are equally likely before, weighed by the density of what is seen."""
    classes = torch.eye(6).double()
    chosen = torch.randint(6, (3, 4, 4), generator=torch.Generator().manual_seed(t))
    x0 = classes[chosen].movedim(-1, 1)
    x_t = SCHEDULE.add_noise(x0, torch.randn(x0.shape).double(), t)
    abar = SCHEDULE.alpha_bar(t)
    apart = x_t[:, None] - abar.sqrt() * classes[None, :, :, None, None]
    weights = (-apart.square().sum(2) / (2 * (1 - abar))).softmax(1)
    torch.testing.assert_close(SCHEDULE.one_hot_mean(x_t, t), weights)
    torch.testing.assert_close(SCHEDULE.one_hot_mean(x_t, torch.tensor([0, t, t]))[0], x_t[0])


@given(levels)
def test_ancestral_step_agrees_with_the_oracle(t: int) -> None:
    x_t, eps = maps(0), maps(1)
    oracle = DDPMScheduler(
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        variance_type="fixed_small",
        clip_sample=False,
    )
    draw = torch.Generator().manual_seed(7)
    expected = oracle.step(eps, t - 1, x_t, generator=draw).prev_sample
    noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(7))
    step = SCHEDULE.ancestral_step(x_t, eps, t, noise)
    torch.testing.assert_close(step, expected, atol=1e-4, rtol=1e-3)


def test_noise_has_no_part_in_the_last_ancestral_step() -> None:
    x_t, eps = maps(0), maps(1)
    quiet = SCHEDULE.ancestral_step(x_t, eps, 1, torch.zeros_like(x_t))
    assert torch.equal(SCHEDULE.ancestral_step(x_t, eps, 1, maps(2)), quiet)


def test_a_last_ancestral_step_with_true_noise_gives_the_clean_map() -> None:
    x0, eps = maps(0).double(), maps(1).double()
    x_1 = SCHEDULE.add_noise(x0, eps, 1)
    torch.testing.assert_close(SCHEDULE.ancestral_step(x_1, eps, 1, maps(2).double()), x0)


@given(levels, levels)
def test_a_ddim_step_to_the_true_clean_map_keeps_the_noise(t: int, t_next: int) -> None:
    x0, eps = maps(0).double(), maps(1).double()
    x_t = SCHEDULE.add_noise(x0, eps, t)
    expected = SCHEDULE.add_noise(x0, eps, t_next)
    torch.testing.assert_close(SCHEDULE.ddim_step(x_t, x0, t, t_next), expected)


@given(levels)
def test_a_random_ddim_step_of_one_level_is_an_ancestral_step(t: int) -> None:
    x_t, eps, noise = maps(0).double(), maps(1).double(), maps(2).double()
    step = SCHEDULE.ddim_step(x_t, SCHEDULE.predict_clean(x_t, eps, t), t, t - 1, noise)
    torch.testing.assert_close(step, SCHEDULE.ancestral_step(x_t, eps, t, noise))


@pytest.mark.parametrize("t", [20, 500, 1000])
def test_ddim_step_agrees_with_the_oracle(t: int) -> None:
    x_t, eps = maps(0), maps(1)
    oracle = DDIMScheduler(
        beta_start=1e-4, beta_end=2e-2, beta_schedule="linear", clip_sample=False
    )
    oracle.set_timesteps(50)  # steps of 20
    expected = oracle.step(eps, t - 1, x_t).prev_sample
    x0 = SCHEDULE.predict_clean(x_t, eps, t)
    step = SCHEDULE.ddim_step(x_t, x0, t, t - 20)
    torch.testing.assert_close(step, expected, atol=1e-4, rtol=1e-3)


def test_schedule_follows_its_settings() -> None:
    short = NoiseSchedule(NoiseSettings(steps=10, beta_start=0.1, beta_end=0.1))
    torch.testing.assert_close(short.alpha_bar(10), torch.tensor(0.9**10, dtype=torch.float64))
    with pytest.raises(IndexError):
        short.alpha_bar(11)


@given(integers, integers, corners, corners, sides, sides, corners, corners, sides, sides)
def test_overlapping_windows_see_the_same_noise(
    seed: int,
    step: int,
    y: int,
    x: int,
    height: int,
    width: int,
    other_y: int,
    other_x: int,
    other_height: int,
    other_width: int,
) -> None:
    one = noise_field(seed, step, 2, ((y, y + height), (x, x + width)))
    other = noise_field(
        seed, step, 2, ((other_y, other_y + other_height), (other_x, other_x + other_width))
    )
    top, bottom = max(y, other_y), min(y + height, other_y + other_height)
    left, right = max(x, other_x), min(x + width, other_x + other_width)
    if top < bottom and left < right:
        np.testing.assert_array_equal(
            one[:, top - y : bottom - y, left - x : right - x],
            other[:, top - other_y : bottom - other_y, left - other_x : right - other_x],
        )


@given(integers, integers, corners, corners)
def test_other_seeds_steps_and_places_see_other_noise(seed: int, step: int, y: int, x: int) -> None:
    def field(seed: int, step: int, y: int, x: int) -> np.ndarray:
        return noise_field(seed, step, 2, ((y, y + 8), (x, x + 8)))

    here = field(seed, step, y, x)
    for other in (
        field(seed + 1, step, y, x),
        field(seed, step + 1, y, x),
        field(seed, step, y + 64, x),
        field(seed, step, y, x + 64),
    ):
        assert np.isin(here, other).mean() < 0.02  # float32 values meet by chance now and then


def test_fewer_channels_are_the_first_of_more() -> None:
    window = ((-3, 70), (60, 140))
    np.testing.assert_array_equal(noise_field(1, 2, 6, window)[:4], noise_field(1, 2, 4, window))


def test_noise_is_standard_normal_and_uncorrelated() -> None:
    field = noise_field(11, 0, 2, ((-500, 500), (-500, 500)))
    later = noise_field(11, 1, 2, ((-500, 500), (-500, 500)))
    bound = 5 / np.sqrt(field.size)  # five standard errors
    assert abs(field.mean()) < bound
    assert abs(field.var() - 1) < 2 * bound
    for a, b in (
        (field[:, 1:], field[:, :-1]),
        (field[:, :, 1:], field[:, :, :-1]),
        (field[:, 64:], field[:, :-64]),
        (field[:, :, 64:], field[:, :, :-64]),
        (field[0], field[1]),
        (field, later),
    ):
        assert abs((a * b).mean()) < 2 * bound


def test_an_empty_window_is_empty() -> None:
    assert noise_field(0, 0, 6, ((5, 5), (0, 9))).shape == (6, 0, 9)


def test_the_cosine_schedule_keeps_little_noise_longer() -> None:
    linear, cosine = (NoiseSchedule(NoiseSettings(schedule=s)) for s in ("linear", "cosine"))
    t = torch.arange(1001)
    assert (cosine.alpha_bar(t).diff() < 0).all()
    assert (cosine.alpha_bar(t[100:900]) > linear.alpha_bar(t[100:900])).all()
