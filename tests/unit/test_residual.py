"""Priors that predict the residual of a coarse map: where they start, and what names them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.prior.condition import CoarseMap, Told, condition_of, network_output
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.folder import CARD
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

torch.set_num_threads(1)

PLAIN = DenoiserSettings(crop_px=16, channels=[8, 16], head_channels=8, norm_groups=4)
SHARES = replace(PLAIN, condition="class_shares")
COARSE = replace(PLAIN, condition="coarse_map", prediction="residual", resolution_m=1.0)


def untrained(settings: DenoiserSettings) -> Prior:
    network, schedule = build_network(settings, 0), NoiseSchedule()
    told = condition_of(settings.condition, 4, schedule)
    return Prior(network, schedule, 1.0, 16, settings.prediction, condition=told)


@pytest.mark.parametrize("t", [1, 300, 1000])
def test_an_untrained_prior_predicts_the_coarse_map(t: int) -> None:
    """And of a noisy one what its noise leaves: training can only add to upsampling."""
    prior, x = untrained(COARSE), torch.randn(2, 6, 13, 18)
    schedule = prior.schedule
    z = torch.eye(6)[torch.randint(6, (2, 4, 5))].movedim(-1, 1)
    for s in (torch.tensor([0, 0]), torch.tensor([0, 200])):
        eps = prior.predict_noise(x, t, CoarseMap(z, s))
        expected = schedule.one_hot_mean(z, s).repeat_interleave(4, 2).repeat_interleave(4, 3)
        clean = schedule.predict_clean(x, eps, t)
        torch.testing.assert_close(clean, expected[..., :13, :18], atol=2e-3, rtol=0)
    torch.testing.assert_close(expected[0, :, ::4, ::4], z[0])  # without noise the map itself


@pytest.mark.parametrize("t", [1, 300, 1000])
def test_the_network_is_given_the_residual_with_the_noise_of_the_map(t: int) -> None:
    seen: list[Tensor] = []

    class Network:
        sample = torch.full((2, 6, 8, 8), 0.25)

        def __call__(self, x: Tensor, *_: Any, **__: Any) -> Network:
            seen.append(x)
            return self

    schedule, m, x0, eps = NoiseSchedule(), *torch.rand(3, 2, 6, 8, 8)
    x_t, told = schedule.add_noise(x0, eps, t), Told(torch.zeros(2), m)
    output = network_output(Network(), x_t, torch.tensor([t, t]), told, schedule)
    torch.testing.assert_close(output, m + 0.25)
    torch.testing.assert_close(seen[0][:, :6], schedule.add_noise(x0 - m, eps, t))
    torch.testing.assert_close(seen[0][:, 6:], m)


def test_what_is_told_much_of_counts_more() -> None:
    """By the squared error that is expected of the probabilities told."""
    nothing, sure = torch.full((6, 4, 4), 1 / 6), torch.eye(6)[torch.zeros(4, 4).long()]
    m = torch.stack([nothing, sure.movedim(-1, 0), (nothing + sure.movedim(-1, 0)) / 2])
    weights = Told(torch.zeros(3), m).weights()
    expected = (5 / 6 + 0.1) / (torch.tensor([5 / 6, 0, 5 / 8]) + 0.1)
    torch.testing.assert_close(weights, expected)
    assert (Told(torch.zeros(3, 5)).weights() == 1).all()


@pytest.mark.parametrize("settings", [SHARES, COARSE])
@pytest.mark.parametrize("prediction", ["velocity", "epsilon", "residual"])
def test_a_card_tells_the_residual_of_a_coarse_map_and_of_nothing_else(
    settings: DenoiserSettings, prediction: str, tmp_path: Path
) -> None:
    folder = tmp_path / "prior"
    untrained(settings).save(folder)
    card = json.loads((folder / CARD).read_text())
    assert (card["prediction"] == "residual") == (card["condition"]["kind"] == "coarse_map")
    (folder / CARD).write_text(json.dumps({**card, "prediction": prediction}))
    if (prediction == "residual") == (card["prediction"] == "residual"):
        Prior.load(folder)
        return
    with pytest.raises(PriorError, match=f"the network predicts '{prediction}' and has the condit"):
        Prior.load(folder)


@pytest.mark.parametrize(
    ("settings", "prediction"),
    [(COARSE, "velocity"), (COARSE, "epsilon"), (PLAIN, "residual"), (SHARES, "residual")],
)
def test_settings_of_a_residual_go_together(settings: DenoiserSettings, prediction: Any) -> None:
    with pytest.raises(SettingsError, match=f"and prediction {prediction}"):
        replace(settings, prediction=prediction)
