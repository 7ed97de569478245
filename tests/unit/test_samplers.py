"""Unconditional samplers and RePaint, against a prior whose moments are known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from gaussian_prior import GaussianPrior, assert_samples, moments, start
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landcover_pnp.errors import LandcoverError, SamplerError, TileError
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.samplers.correction import Corrected, dynamic_threshold, simplex
from landcover_pnp.inference.samplers.ddim import ddim
from landcover_pnp.inference.samplers.ddpm import ddpm
from landcover_pnp.inference.samplers.levels import levels, resampled
from landcover_pnp.inference.samplers.model import eps_theta, predict_clean, renoise, seeded
from landcover_pnp.inference.samplers.on_canvas import OnCanvas
from landcover_pnp.inference.samplers.repaint import repaint, replacement
from landcover_pnp.prior.noise import NoiseSchedule, noise_field

PRIOR = GaussianPrior()
FIRST = torch.tensor([[False, True, True, True]])
"""Hidden: all but the first channel."""


# ---- unconditional ----


def test_ddpm_samples_the_prior() -> None:
    samples = ddpm(PRIOR, start(4000), levels(1000, 1000), seeded(1))
    assert_samples(samples, PRIOR, bias=0.005)


def test_a_step_of_ddpm_is_the_ancestral_step() -> None:
    x, eps = start(3), PRIOR.predict_noise(start(3), 500)
    [noise] = [seeded(1)(x)]
    expected = PRIOR.schedule.ancestral_step(x, eps, 500, noise)

    class Once(GaussianPrior):
        """Stops after the first step."""

        def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
            if t < 500:
                raise StopIteration(x_t)
            return super().predict_noise(x_t, t)

    with pytest.raises(StopIteration) as stopped:
        ddpm(Once(), x, list(range(500, -1, -1)), seeded(1))
    torch.testing.assert_close(stopped.value.value, expected)


@pytest.mark.parametrize("stochasticity", [0.0, 0.5, 1.0])
def test_ddim_samples_the_prior(stochasticity: float) -> None:
    x = start(4000)
    samples = ddim(PRIOR, x, levels(1000, 100), seeded(1), stochasticity=stochasticity)
    assert_samples(samples, PRIOR, bias=0.03)


def test_deterministic_ddim_asks_for_no_noise() -> None:
    def none(like: Tensor) -> Tensor:
        raise AssertionError

    x = start(4)
    assert torch.equal(
        ddim(PRIOR, x, levels(1000, 9), none), ddim(PRIOR, x, levels(1000, 9), seeded(3))
    )


# ---- holes ----


def posterior() -> GaussianPrior:
    """The prior given the first channel, which is 2."""
    return PRIOR.given(torch.eye(4, dtype=torch.float64)[:1], torch.tensor([2.0]).double(), 0.0)


KNOWN = torch.tensor([[2.0, float("nan"), float("inf"), 0]], dtype=torch.float64)
"""What it holds where hidden counts nowhere."""


@pytest.fixture(scope="module")
def repainted() -> Tensor:
    few = levels(1000, 80)
    given = {"known": KNOWN, "hidden": FIRST, "resamplings": 8}
    return repaint(PRIOR, start(2500), few, seeded(1), **given)  # type: ignore[arg-type]


def test_repaint_fills_as_the_posterior_does(repainted: Tensor) -> None:
    assert (repainted[:, 0] == 2).all()
    assert_samples(repainted, posterior(), bias=0.06)


def test_replacement_is_not_exact_and_resampling_mends_it(repainted: Tensor) -> None:
    once = replacement(PRIOR, start(2500), levels(1000, 80), seeded(1), known=KNOWN, hidden=FIRST)
    expected = posterior().mean
    wrong, right = ((moments(s)[0] - expected).abs().max() for s in (once, repainted))
    assert wrong > 0.1
    assert right < 0.5 * wrong


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 8))
def test_jumps_visit_each_stretch_as_often_as_asked(n: int, resamplings: int, jump: int) -> None:
    falling = list(range(3 * n, -1, -3))
    visited = resampled(falling, resamplings, jump)
    assert (visited[0], visited[-1]) == (falling[0], 0)
    steps = [(falling.index(a), falling.index(b)) for a, b in pairwise(visited)]
    assert all(abs(a - b) == 1 for a, b in steps), "from one level to a neighbouring one"
    down = [a for a, b in steps if b > a]
    jumps = len(range(0, n - jump, jump))
    assert len(down) == n + jumps * jump * (resamplings - 1)
    assert max(map(down.count, down)) == (resamplings if jumps else 1)


def test_renoising_a_clean_sample_is_the_forward_process() -> None:
    clean = PRIOR.mean + start(6000, 3) @ torch.linalg.cholesky(PRIOR.covariance).T
    noise = seeded(4)
    low = PRIOR.schedule.add_noise(clean, noise(clean), 100)
    high = renoise(PRIOR.schedule, low, 100, 600, noise)
    abar = PRIOR.schedule.alpha_bar(600)
    expected = replace(PRIOR, mean=abar.sqrt() * PRIOR.mean, covariance=PRIOR.noisy_covariance(600))
    assert_samples(high, expected, bias=0)


# ---- corrected predictions ----


def test_a_model_predicts_what_it_is_corrected_to() -> None:
    x, target = start(5), start(5, seed=8)
    model = Corrected(PRIOR, lambda x0: target)
    for t in (1, 300, 1000):
        torch.testing.assert_close(predict_clean(model, x, t), target)
    torch.testing.assert_close(ddim(model, x, levels(1000, 3), seeded(0)), target)
    assert (model.schedule, model.channels) == (PRIOR.schedule, 4)


@given(st.integers(0, 10**6), st.integers(1, 7), st.floats(0.01, 30))
def test_the_simplex_projection_is_the_nearest_distribution(
    seed: int, channels: int, scale: float
) -> None:
    x0 = scale * start(6, seed, channels)[..., None]
    p = simplex(x0)
    torch.testing.assert_close(p.sum(1), torch.ones(6, 1).double())
    assert (p >= 0).all()
    others = start(6, seed + 1, channels)[..., None].mul(3).softmax(1)
    # The condition of a projection onto a convex set: no way to another point of it is shorter.
    assert ((x0 - p) * (others - p)).sum(1).max() < 1e-9
    torch.testing.assert_close(simplex(p), p)


def test_dynamic_thresholding_squeezes_only_what_leaves_the_range() -> None:
    x0 = torch.stack([torch.linspace(-4, 4, 201), torch.linspace(-0.5, 0.5, 201)])
    inside = dynamic_threshold(0.5)(x0)
    torch.testing.assert_close(inside[0], (x0[0] / 2).clamp(-1, 1))
    torch.testing.assert_close(inside[1], x0[1])


# ---- on the ground ----


class FlatPrior:
    """Predicts x_t itself; remembers the widths it saw."""

    schedule, channels = NoiseSchedule(), 2

    def __init__(self) -> None:
        self.widths: list[int] = []

    def predict_noise(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        self.widths.append(x_t.shape[-1])
        return x_t


def on_canvas(prior: FlatPrior, origin: tuple[int, int], shape: tuple[int, int]) -> OnCanvas:
    return OnCanvas(prior, Canvas(origin, shape, 3, view_px=16))  # type: ignore[arg-type]


def test_overlapping_canvases_fill_the_same() -> None:
    prior, hidden, known = FlatPrior(), torch.zeros(24, 64, dtype=torch.bool), torch.ones(2, 24, 64)
    hidden[10:20, 45:60] = True

    def fill(origin: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        model, (y, x) = on_canvas(prior, origin, shape), origin
        given = {"known": known[:, y:, x:], "hidden": hidden[y:, x:]}
        return repaint(model, model.start(), levels(1000, 4), model.noise, **given)

    whole = fill((0, 0), (24, 64))
    torch.testing.assert_close(whole[..., 8:, 40:], fill((8, 40), (16, 24)))
    assert max(prior.widths) <= 24, "crops of the view, not the canvas"


def test_every_draw_on_a_canvas_is_new() -> None:
    canvas = on_canvas(FlatPrior(), (8, 40), (16, 24))
    canvas.start()
    second = torch.from_numpy(noise_field(3, 2, 2, ((8, 24), (40, 64))))
    torch.testing.assert_close(canvas.noise(torch.empty(1, 2, 1, 1))[0], second)
    other = OnCanvas(FlatPrior(), Canvas((8, 40), (16, 24), 3, 16), sample=1)  # type: ignore[arg-type]
    assert not torch.equal(other.start(), on_canvas(FlatPrior(), (8, 40), (16, 24)).start())


# ---- bad input ----


class Wrong(GaussianPrior):
    """Predicts the wrong thing below t = 600."""

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        eps = super().predict_noise(x_t, t)
        return eps if t > 600 else eps * float("nan")


class Narrow(GaussianPrior):
    """Forgets a channel."""

    def predict_noise(self, x_t: Tensor, t: int) -> Tensor:
        return super().predict_noise(x_t, t)[:, 1:]


def test_what_a_model_predicts_is_checked() -> None:
    with pytest.raises(TileError, match="noise predicted at t = 600 is not finite"):
        ddim(Wrong(), start(2), [1000, 800, 600, 0], seeded(0))
    with pytest.raises(SamplerError, match=r"shape \(2, 3\) for x of \(2, 4\)"):
        eps_theta(Narrow(), start(2), 5)


@pytest.mark.parametrize(
    "wrong", [[], [5], [1001, 0], [5, 5, 0], [5, 7, 0], [9, 1], [0, 0], [5, -1], 5]
)
def test_noise_levels_are_checked(wrong: Any) -> None:
    with pytest.raises(SamplerError, match="fall strictly from at most T = 1000 to 0"):
        ddpm(PRIOR, start(2), wrong, seeded(0))


def test_the_start_is_checked() -> None:
    for x in (start(2, channels=3), start(2)[0], start(2)[None]):
        with pytest.raises(SamplerError, match="a prior of 4 channels"):
            ddpm(PRIOR, x, [9, 0], seeded(0))
    x = start(2)
    x[0, 1] = float("nan")
    with pytest.raises(TileError, match="1 of 8 values of x are not finite"):
        ddpm(PRIOR, x, [9, 0], seeded(0))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"hidden": FIRST.double()}, "hidden of torch.float64"),
        ({"hidden": torch.zeros(3, dtype=torch.bool)}, r"hidden of shape \(3,\)"),
        ({"hidden": torch.zeros(5, 2, 4, dtype=torch.bool)}, r"hidden of shape \(5, 2, 4\)"),
        ({"known": torch.zeros(2, 3)}, r"known of shape \(2, 3\)"),
        ({"known": torch.full((4,), float("nan"))}, "2 of 8 values of known are not finite"),
        ({"resamplings": 0}, "0 resamplings"),
        ({"resamplings": 1.5}, "1.5 resamplings"),
        ({"jump": 0}, "jumps of 0"),
    ],
)
def test_what_is_to_be_filled_is_checked(changed: dict[str, object], says: str) -> None:
    given = {"known": KNOWN, "hidden": FIRST, **changed}
    with pytest.raises(LandcoverError, match=says):
        repaint(PRIOR, start(2), [9, 0], seeded(0), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "x", [np.zeros((1, 4)), torch.zeros(1, 4, dtype=torch.long), torch.zeros(0, 4)]
)
def test_a_start_that_is_no_tensor_of_floats_is_named(x: Any) -> None:
    with pytest.raises(SamplerError, match="x of"):
        ddim(PRIOR, x, [9, 0], seeded(0))


@pytest.mark.parametrize("stochasticity", [-0.1, 1.1, math.nan])
def test_a_stochasticity_out_of_range_is_named(stochasticity: float) -> None:
    with pytest.raises(SamplerError, match="stochasticity is"):
        ddim(PRIOR, start(2), [9, 0], seeded(0), stochasticity=stochasticity)
