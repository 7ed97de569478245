"""A tiny conditional prior from training to samples: what is told to it is followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.settings import DenoiserSettings, LabelFolder, TrainPriorSettings
from landcover_pnp.prior.training import train_prior
from landcover_pnp.samplers import ClassifierFree, Corrected, ddpm, levels, seeded

NETWORK = DenoiserSettings(
    crop_px=8, resolution_m=1.0, channels=[8, 16], head_channels=8, norm_groups=4
)
FEW = TrainPriorSettings(
    Path("prior"), steps=80, batch_size=16, learning_rate=1e-2, warmup_steps=5, ema_decay=0.9
)


def trained(settings: TrainPriorSettings) -> Prior:
    assert train_prior(settings).state == "trained"
    assert train_prior(settings).state == "finished before, nothing done"
    return Prior.load(settings.out)


@pytest.fixture
def shores(tmp_path: Path) -> LabelFolder:
    """Trees above a shore and water below it, at five heights."""
    for i in range(5):
        codes = np.full((24, 24), 4, np.uint8)
        codes[6 * i :] = 1
        with rasterio.open(
            tmp_path / f"{i}.tif",
            "w",
            driver="GTiff",
            height=24,
            width=24,
            count=1,
            dtype="uint8",
            crs="EPSG:26917",
            transform=from_origin(500, 900, 1, 1),
        ) as file:
            file.write(codes, 1)
    return LabelFolder(tmp_path, legend="working")


def test_samples_have_the_shares_that_are_told(shores: LabelFolder, tmp_path: Path) -> None:
    told = replace(NETWORK, condition="class_shares")
    prior = trained(replace(FEW, out=tmp_path / "prior", labels=[shores], denoiser=told))
    few = levels(prior.schedule.steps, 10)

    def share(w: float, asked: int) -> float:
        shares = torch.eye(5)[asked]
        model = Corrected(ClassifierFree(prior.given(shares), prior, w), lambda x: x.clamp(0, 1))
        x = seeded(0)(torch.empty(16, 6, 8, 8))
        return float((ddpm(model, x, few, seeded(1)).argmax(1) == asked + 1).float().mean())

    for asked in (0, 3):  # water, trees
        free, given, guided = (share(w, asked) for w in (-1, 0, 1))
        assert free < given - 0.1, (free, given, guided)
        assert given < guided, (free, given, guided)
