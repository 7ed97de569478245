"""A tiny conditional prior from training to samples: what is told to it is followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from landcover_pnp.inference.samplers.cascade import super_resolve
from landcover_pnp.prior.condition import CoarseMap
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.label_maps import majority, one_hot
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


def write(codes: np.ndarray, path: Path) -> None:
    height, width = codes.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=1,
        dtype="uint8",
        crs="EPSG:26917",
        transform=from_origin(500, 900, 1, 1),
    ) as file:
        file.write(codes, 1)


@pytest.fixture
def shores(tmp_path: Path) -> LabelFolder:
    """Trees above a shore and water below it, at five heights."""
    for i in range(5):
        codes = np.full((24, 24), 4, np.uint8)
        codes[6 * i :] = 1
        write(codes, tmp_path / f"{i}.tif")
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


@pytest.fixture
def slopes(tmp_path: Path) -> LabelFolder:
    """Straight shores that run askew."""
    y, x = np.mgrid[:48, :48]
    for i, slope in enumerate((-1.2, -0.8, -0.4, 0.4, 0.8, 1.2)):
        water = y - 24 > slope * (x - 24)
        write(np.where(water, 1, 4).astype(np.uint8), tmp_path / f"{i}.tif")
    return LabelFolder(tmp_path, legend="working")


def test_samples_follow_the_coarse_map_that_is_told(slopes: LabelFolder, tmp_path: Path) -> None:
    """Sure of a map without noise; what noise leaves of one is made better by training."""
    told = replace(NETWORK, crop_px=16, condition="coarse_map", prediction="residual")
    few = replace(FEW, steps=100, learning_rate=5e-3, drop_condition=0.0)
    prior = trained(replace(few, out=tmp_path / "prior", labels=[slopes], denoiser=told))
    y, x = np.mgrid[:32, :32]
    for slope in (-1.0, 0.6):
        truth = np.where(y - 16 > slope * (x - 18), 1, 4).astype(np.uint8)
        coarse = majority(truth, 4)
        drawn = super_resolve(prior, coarse, levels(1000, 10), seeded(0), samples=2)
        assert np.mean([majority(d, 4) == coarse for d in drawn]) > 0.95

        z, x0 = (torch.from_numpy(one_hot(c))[None] for c in (coarse, truth))
        noisy = prior.schedule.add_noise(z, seeded(1)(z), 250)
        left = prior.schedule.one_hot_mean(noisy, 250).repeat_interleave(4, 2)
        untrained = (left.repeat_interleave(4, 3) - x0).square().mean()
        for t, share in ((100, 0.35), (1000, 0.75)):
            x_t = prior.schedule.add_noise(x0, seeded(2)(x0), t)
            eps = prior.predict_noise(x_t, t, CoarseMap(noisy, 250))
            errors = (prior.schedule.predict_clean(x_t, eps, t) - x0).square().mean()
            assert errors < share * untrained, (slope, t)
