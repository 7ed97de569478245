"""Algorithm 1: the released program's recorded run, and laws on a small canvas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.errors import TileError
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.constraints import MutualInformation, WeakLabelKL, Weight
from landcover_pnp.inference.engines.algorithm1 import (
    RECIPES,
    Algorithm1Settings,
    algorithm1,
    time_at,
)
from landcover_pnp.inference.relaxation import SIGMA_START, probabilities
from landcover_pnp.inference.step import Step
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.guided_diffusion import convert
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

torch.set_num_threads(1)

SMALL = DenoiserSettings(
    crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
)
VIEW = 16
SHORT = Algorithm1Settings(steps=6, learning_rate=2e-2, clean_up_t=3)


@pytest.fixture(scope="module")
def prior() -> Prior:
    return Prior(build_network(SMALL, seed=0), NoiseSchedule(), resolution_m=4.0, crop_px=16)


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    folder = shared / "fixtures"
    if not (folder / "algorithm1_reference.npz").is_file():
        pytest.skip("no recorded run of the released program in ../shared/fixtures")
    return folder


# ---- the recorded run ----


@pytest.fixture(scope="module")
def recorded_prior(fixtures: Path) -> Prior:
    """The recorded run's network: random weights, OpenAI's architecture."""
    config = json.loads(str(np.load(fixtures / "guided_diffusion_tiny_forward.npz")["config"]))
    weights = torch.load(fixtures / "guided_diffusion_tiny.pth", weights_only=True)
    network = convert(weights, heads=config["num_heads"], crop_px=config["image_size"])
    return Prior(network, NoiseSchedule(), resolution_m=4.0, crop_px=config["image_size"])


def test_converted_weights_compute_the_same(fixtures: Path, recorded_prior: Prior) -> None:
    recorded = np.load(fixtures / "guided_diffusion_tiny_forward.npz")
    x, t, y = (torch.from_numpy(recorded[name]) for name in ("x", "t", "y"))
    torch.testing.assert_close(recorded_prior.predict_noise(x, t), y, rtol=0, atol=1e-5)


@dataclass(frozen=True, kw_only=True)
class RecordedCanvas(Canvas):
    """A canvas with recorded noise (step, channel, y, x)."""

    recorded: Tensor

    def noise(self, step: int, channels: int) -> Tensor:
        return self.recorded[step]


@dataclass(frozen=True, eq=False)
class Run:
    """What the recorded run did, done again."""

    steps: list[Step]
    gradients: list[Tensor]
    etas: list[Tensor]
    recorded: Mapping[str, NDArray[np.float32]]

    def errors(self, name: str, recorded: str) -> NDArray[np.float64]:
        """Relative difference of a term at each step."""
        return np.abs([s.losses[name] for s in self.steps] / self.recorded[recorded] - 1)


TERMS = {"mse": "mse", "mutual_information": "mi", "weak_label_kl": "kl"}


@pytest.fixture(scope="module")
def again(fixtures: Path, recorded_prior: Prior) -> Run:
    recorded = np.load(fixtures / "algorithm1_reference.npz")
    weak, clusters = (torch.from_numpy(recorded[name][0]) for name in ("weak", "clusters"))
    valid = torch.ones(32, 32, dtype=torch.bool)
    canvas = RecordedCanvas(
        origin=(0, 0),
        shape=(32, 32),
        seed=0,
        view_px=32,
        recorded=torch.from_numpy(recorded["eps"]),
    )
    run = Run([], [], [], recorded)

    class Adam(torch.optim.Adam):
        def step(self) -> None:  # type: ignore[override]
            (eta,) = self.param_groups[0]["params"]
            run.gradients.append(eta.grad.clone())
            super().step()
            run.etas.append(eta.detach().clone())

    settings = replace(RECIPES["single_patch"], steps=int(recorded["steps"]), clean_up_t=0)
    constraints = [MutualInformation(clusters, valid), WeakLabelKL(weak, valid)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Adam)
        algorithm1(weak, valid, constraints, recorded_prior, canvas, settings, run.steps.append)
    return run


def test_the_recorded_run_of_the_released_program(again: Run) -> None:
    run, recorded = again, again.recorded
    assert [s.t for s in run.steps] == recorded["t"].tolist()
    assert [s.sigma for s in run.steps] == pytest.approx(recorded["sigma"])
    for ours, theirs in TERMS.items():
        error = run.errors(ours, theirs)
        # The recording machine's float32 erf is off by one step now and then, and where all
        # channels are unlikely that is sixty times the floor 1e-9: seen once or twice in 40.
        # The next test takes that machine's erf.
        assert np.sort(error)[-3] < 1e-4
        assert error.max() < 2e-4
    grad0 = torch.from_numpy(recorded["grad0"][0])
    assert (run.gradients[0] - grad0).abs().max() < 1e-4 * grad0.abs().max()
    for after, eta in zip(recorded["eta_after"], recorded["eta"], strict=True):
        assert (run.etas[after - 1] - torch.from_numpy(eta)).abs().max() < 1e-4


WITH_PLAIN_ERF = """
import sys, numpy as np, torch
from landcover_pnp.inference import relaxation
from landcover_pnp.inference.constraints import MutualInformation, WeakLabelKL
relaxation._phi = lambda z: 0.5 * (1 + torch.erf(z / 2**0.5))  # float32 throughout
etas, sigmas, clusters, weak, *recorded = map(torch.from_numpy, np.load(sys.argv[1]).values())
valid = torch.ones(32, 32, dtype=torch.bool)
terms = MutualInformation(clusters, valid), WeakLabelKL(weak, valid)
maps = [relaxation.probabilities(eta, float(s)) for eta, s in zip(etas, sigmas)]
print(max(abs(t(p) / r - 1) for t, rs in zip(terms, recorded) for p, r in zip(maps, rs)).item())
"""


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="erf is not MKL's here")
def test_with_the_recording_machine_s_erf_every_term_agrees(again: Run, tmp_path: Path) -> None:
    """MKL chooses its erf by processor; one setting makes it that of the recording."""
    recorded = again.recorded
    etas = [recorded["eta0"][0], *(eta.numpy() for eta in again.etas[:-1])]
    evidence = [recorded[name][0] for name in ("clusters", "weak")]
    np.savez(
        tmp_path / "run.npz", etas, recorded["sigma"], *evidence, recorded["mi"], recorded["kl"]
    )
    environment = os.environ | {"MKL_CBWR": "COMPATIBLE"}
    command = [sys.executable, "-c", WITH_PLAIN_ERF, str(tmp_path / "run.npz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-4


# ---- schedules ----


@pytest.mark.parametrize("settings", [Algorithm1Settings(), RECIPES["single_patch"]])
def test_time_falls_from_433_and_stays_a_noise_level(settings: Algorithm1Settings) -> None:
    times = [time_at(i, settings, 1000) for i in range(settings.steps)]
    assert times[0] == 433
    assert max(times) == 433
    assert min(times) >= 1
    assert times[-1] < 5


# ---- laws ----


def scene(size: int = 24, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Weak labels (6, y, x), clusters (2, y, x) and valid of a field with a pond in it."""
    generator = torch.Generator().manual_seed(seed)
    pond = torch.zeros(size, size)
    pond[size // 4 : size // 2, size // 4 : -size // 4] = 1
    looks_wet = (pond + 0.1 * torch.randn(size, size, generator=generator)).clamp(0.05, 0.95)
    weak = torch.full((6, size, size), 0.02)
    weak[0] = 0
    weak[1] = 0.3
    weak[5] = 0.62
    return weak, torch.stack([looks_wet, 1 - looks_wet]), torch.ones(size, size, dtype=torch.bool)


def run(
    prior: Prior,
    settings: Algorithm1Settings = SHORT,
    seed: int = 0,
    size: int = 24,
    extra: tuple[object, ...] = (),
) -> tuple[Tensor, list[Step]]:
    weak, clusters, valid = scene(size)
    terms = [MutualInformation(clusters, valid, 3), WeakLabelKL(weak, valid, 3), *extra]
    steps: list[Step] = []
    canvas = Canvas((0, 0), (size, size), seed, VIEW)
    return algorithm1(weak, valid, terms, prior, canvas, settings, steps.append), steps


def test_the_result_is_a_distribution(prior: Prior) -> None:
    p, _ = run(prior)
    assert p.shape == (6, 24, 24)
    assert p.dtype == torch.float32
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(0), torch.ones(24, 24))


def test_without_the_jacobian_the_gradient_is_the_weighted_residual(prior: Prior) -> None:
    """A network that predicts no noise at all: its Jacobian is 0, its residual is the noise."""

    class Zero(Prior):
        def predict_noise(self, x_t: Tensor, t: int | Tensor) -> Tensor:
            return 0 * x_t

    zero = Zero(prior.network, prior.schedule, 4.0, 16)
    weak, _, valid = scene()
    canvas = Canvas((0, 0), (24, 24), 0, VIEW)
    start = (weak + 1e-2) / (weak + 1e-2).sum(0)

    def first_move(jacobian: bool) -> Tensor:
        settings = replace(SHORT, steps=1, clean_up_t=0, jacobian=jacobian, learning_rate=1e-3)
        return algorithm1(weak, valid, [], zero, canvas, settings)

    unmoved, moved = first_move(True), first_move(False)
    torch.testing.assert_close(unmoved, probabilities(start, SIGMA_START))
    # Adam's first step is the sign of the gradient, -eps: eta moves with the noise.
    expected = probabilities(start + 1e-3 * canvas.noise(0, 6).sign(), SIGMA_START)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4)


def test_the_evidence_terms_improve(prior: Prior) -> None:
    settings = replace(SHORT, steps=20, clean_up_t=0)
    _, steps = run(prior, settings)
    optimisation = [s.losses for s in steps if s.losses]
    first, last = optimisation[0], optimisation[-1]
    assert last["mutual_information"] > 2 * first["mutual_information"]
    assert last["mse"] < first["mse"] * 1.1


def test_a_seed_gives_the_same_bytes_and_another_seed_does_not(prior: Prior) -> None:
    first, again, other = run(prior)[0], run(prior)[0], run(prior, seed=1)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_callback_sees_every_step(prior: Prior) -> None:
    _, steps = run(prior)
    assert [s.step for s in steps] == list(range(SHORT.steps + SHORT.clean_up_t))
    assert [s.t for s in steps[-3:]] == [3, 2, 1]
    for s in steps:
        torch.testing.assert_close(s.probabilities.sum(0), torch.ones(24, 24))


def test_pixels_without_data_have_no_part(prior: Prior) -> None:
    weak, clusters, valid = scene()
    valid[:, 18:] = False
    canvas = Canvas((0, 0), (24, 24), 0, VIEW)

    def infer(clusters: Tensor) -> Tensor:
        terms = [MutualInformation(clusters, valid, 3), WeakLabelKL(weak, valid, 3)]
        return algorithm1(weak * valid, valid, terms, prior, canvas, SHORT)

    other = torch.where(valid, clusters, clusters.flip(0))
    assert torch.equal(infer(clusters), infer(other))


def test_the_step_of_a_pixel_does_not_depend_on_the_size_of_the_canvas(prior: Prior) -> None:
    """The corner of a canvas four times as large, away from where the small one ends."""
    settings = replace(SHORT, steps=2, clean_up_t=0)
    large, _ = run(prior, settings, size=96)
    weak, clusters, valid = (a[..., :48, :48] for a in scene(96))
    terms = [MutualInformation(clusters, valid, 3), WeakLabelKL(weak, valid, 3)]
    small = algorithm1(weak, valid, terms, prior, Canvas((0, 0), (48, 48), 0, VIEW), settings)
    # Adam's first step is the sign of the gradient, which rounding decides here and there.
    differs = (small - large[:, :48, :48]).abs() > 1e-4
    assert differs[:, :16, :16].float().mean() < 0.01
    assert differs[:, 24:, 24:].any()


@dataclass
class NoWater:
    """A user's own constraint: nothing in the upper half is water."""

    name: str = "no_water"
    weight: Weight = 500.0

    def __call__(self, probabilities: Tensor) -> Tensor:
        return probabilities[1, :12].mean()


def test_a_constraint_of_one_s_own_acts(prior: Prior) -> None:
    settings = replace(SHORT, steps=15, learning_rate=5e-2, clean_up_t=0)
    without, _ = run(prior, settings)
    held, steps = run(prior, settings, extra=(NoWater(),))
    assert "no_water" in steps[0].losses
    assert held[1, :12].mean() < 0.5 * without[1, :12].mean()


def test_without_constraints_the_prior_acts_alone(prior: Prior) -> None:
    weak, _, valid = scene()
    p = algorithm1(weak, valid, [], prior, Canvas((0, 0), (24, 24), 0, VIEW), SHORT)
    assert p.isfinite().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_not_finite_stops_the_tile(prior: Prior, value: float) -> None:
    calls = []

    def burst(probabilities: Tensor) -> Tensor:
        calls.append(1)
        return probabilities.mean() * (value if len(calls) == 6 else 1.0)

    burst.name, burst.weight = "burst", 1.0  # type: ignore[attr-defined]
    with pytest.raises(TileError) as caught:
        run(prior, extra=(burst,))
    assert "'burst'" in caught.value.found
    assert "step 5" in caught.value.found
    assert "step is 4" in caught.value.expected


def test_a_prior_that_is_not_finite_stops_the_tile() -> None:
    network = build_network(SMALL, seed=0)
    network.conv_out.bias.data[2] = float("nan")
    broken = Prior(network, NoiseSchedule(), resolution_m=4.0, crop_px=16)
    with pytest.raises(TileError, match="'mse' is nan at step 0"):
        run(broken)
    with pytest.raises(TileError, match="'clean-up' is nan"):
        run(broken, replace(SHORT, steps=0))
