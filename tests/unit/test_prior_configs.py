"""The configurations of the repository build what they promise."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import landcover_pnp
from landcover_pnp.config import load_settings
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.masked_network import MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.masked_settings import OptimiserSettings
from landcover_pnp.prior.settings import TrainPriorSettings

CONFIGS = Path(__file__).parents[2] / "configs" / "prior"


def settings_of(name: str) -> TrainPriorSettings:
    return load_settings(TrainPriorSettings, CONFIGS / f"{name}.yaml")


@pytest.mark.parametrize(
    ("name", "millions"), [("paper", 85.26), ("base", 21.34), ("small", 2.98), ("synthetic", 2.98)]
)
def test_each_builds_a_network_of_its_size(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = build_network(settings_of(name).denoiser, 0)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_masked_builds_a_network_of_its_size() -> None:
    settings = settings_of("masked")
    with torch.device("meta"):
        network = MaskedUNet(settings.masked)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(2.24, abs=0.01)
    assert "OpenStreetMap, ODbL 1.0" in settings.licence
    defaults = asdict(OptimiserSettings())
    same = (
        "steps",
        "batch_size",
        "learning_rate",
        "learning_rate_end",
        "warmup_steps",
        "ema_decay",
    )
    assert {name: getattr(settings, name) for name in same} == {n: defaults[n] for n in same}


def test_small_is_the_shipped_prior() -> None:
    shipped, settings = Prior.load(), settings_of("small")
    assert shipped.network.config.block_out_channels == settings.denoiser.channels
    assert shipped.resolution_m == settings.denoiser.resolution_m
    assert shipped.prediction == settings.denoiser.prediction


def test_masked_is_the_shipped_masked_prior() -> None:
    shipped, settings = MaskedPrior.load(), settings_of("masked")
    assert shipped.network.settings == settings.masked
    assert shipped.licence == settings.licence
    folder = Path(landcover_pnp.__file__).parent / "prior" / "shipped_masked"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    assert "/" not in json.dumps(shipped.training)  # no paths of the machine it was trained on


def test_the_shipped_masked_prior_leads_a_street_through_a_hole() -> None:
    """24 m of a street of 12 m are hidden; a mean over what is around would close it."""
    codes = np.full((64, 64), 5)
    codes[:, 30:33], codes[46:49] = 2, 2
    hidden = np.zeros(codes.shape, bool)
    hidden[17:23, 27:34] = True
    seen = torch.from_numpy(np.where(hidden, 0, codes))[None]
    told = MaskedPrior.load().predict_classes(seen)[0].argmax(0).numpy() + 1
    assert np.mean(told[hidden] == codes[hidden]) > 0.9
    assert (told[17:23, 30:33] == 2).all()


def test_no_configuration_names_labels_of_a_city_to_be_mapped() -> None:
    for path in CONFIGS.glob("*.yaml"):
        for folder in load_settings(TrainPriorSettings, path).labels:
            words = f"{folder.path}/{folder.pattern}"
            assert not any(city in words for city in ("durham", "austin", "phoenix"))
            assert not any(patch in words for patch in ("dp0", "dp1", "dp2", "dp3", "*_ea_64"))
