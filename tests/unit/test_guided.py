"""Laws of guided sampling."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landcover_pnp.errors import TileError
from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.constraints import Weight
from landcover_pnp.inference.engines.guided import GuidedSettings, guided, levels
from landcover_pnp.inference.step import Step
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

torch.set_num_threads(1)

CANVAS = Canvas((3, -5), (20, 24), 0, 16)
SHORT = GuidedSettings(steps=4, constraint_steps=3, constraint_rate=0.1)


@dataclass(frozen=True, eq=False, kw_only=True)
class OneMap(Prior):
    """A prior that knows one map only: the same distribution at every pixel."""

    clean: Tensor

    def predict_noise(self, x_t: Tensor, t: int | Tensor) -> Tensor:
        abar = float(self.schedule.alpha_bar(t))
        return (x_t - abar**0.5 * self.clean) / (1 - abar) ** 0.5


@dataclass
class NoTrees:
    """No tree anywhere."""

    name: str = "no_trees"
    weight: Weight = 1.0
    value: float = 1.0

    def __call__(self, probabilities: Tensor) -> Tensor:
        return self.value * probabilities[4].mean()


def constant(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


FOREST = constant(0, 0, 0, 0, 0.7, 0.3)


@pytest.fixture(scope="module")
def prior() -> Prior:
    settings = DenoiserSettings(
        crop_px=16, channels=[8, 16], layers_per_block=1, head_channels=8, norm_groups=4
    )
    network = build_network(settings, seed=0)
    return OneMap(network, NoiseSchedule(), resolution_m=4.0, crop_px=16, clean=FOREST)


@given(st.integers(0, 1000), st.integers(1, 60))
def test_levels_fall_from_the_first_to_the_clean_map(t: int, steps: int) -> None:
    found = levels(t, steps)
    assert found[0] == t
    assert found[-1] == 0
    assert len(found) == min(steps, t) + 1
    assert found == sorted(set(found), reverse=True)


@pytest.mark.parametrize("stochasticity", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("from_noise", [True, False])
def test_without_constraints_it_samples_from_the_prior(
    prior: Prior, from_noise: bool, stochasticity: float
) -> None:
    start = None if from_noise else constant(0, 1, 0, 0, 0, 0).expand(6, *CANVAS.shape)
    result = guided(start, [], prior, CANVAS, replace(SHORT, stochasticity=stochasticity))
    torch.testing.assert_close(result, FOREST.expand_as(result), rtol=0, atol=1e-3)


def test_constraints_pull_the_sample_away(prior: Prior) -> None:
    steps: list[Step] = []
    longer = replace(SHORT, constraint_steps=8)
    result = guided(None, [NoTrees()], prior, CANVAS, longer, steps.append)
    torch.testing.assert_close(result.sum(0), torch.ones(CANVAS.shape))
    assert (result.argmax(0) == 5).all()
    assert [s.t for s in steps] == [1000, 750, 500, 250]
    assert all(set(s.losses) == {"no_trees"} for s in steps)
    for s in steps:
        torch.testing.assert_close(s.probabilities.sum(0), torch.ones(CANVAS.shape))


def test_a_constraint_that_is_not_finite_stops_the_tile_by_name(prior: Prior) -> None:
    with pytest.raises(TileError, match="'no_trees' is nan at step 0") as caught:
        guided(None, [NoTrees(value=float("nan"))], prior, CANVAS, SHORT)
    assert "last finite step is none" in caught.value.expected


def test_stochastic_steps_draw_new_noise(prior: Prior) -> None:
    plain = Prior(prior.network, prior.schedule, 4.0, 16)
    ordered, random = (
        guided(None, [], plain, CANVAS, replace(SHORT, stochasticity=s)) for s in (0.0, 1.0)
    )
    assert not torch.equal(ordered, random)
