"""Tiny conditional priors from training to samples: what is told to them is followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landcover_pnp.errors import PriorError
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.label_maps import draw_label_maps, majority
from landcover_pnp.prior.settings import DenoiserSettings, TrainPriorSettings
from landcover_pnp.prior.training import train_prior
from landcover_pnp.samplers import ClassifierFree, Corrected, ddpm, levels, seeded, super_resolve

SIDE = 16
NETWORK = DenoiserSettings(
    crop_px=SIDE, resolution_m=1.0, channels=[16, 32], head_channels=8, norm_groups=4
)


def trained(folder: Path, condition: str, steps: int = 150) -> Prior:
    settings = TrainPriorSettings(
        folder,
        synthetic_maps=8,
        synthetic_width_m=120,
        denoiser=replace(NETWORK, condition=condition),
        steps=steps,
        batch_size=16,
        learning_rate=5e-3,
        warmup_steps=5,
        ema_decay=0.9,
    )
    assert train_prior(settings).state == "trained"
    assert train_prior(settings).state == "finished before, nothing done"
    return Prior.load(folder)


def test_samples_have_the_shares_that_are_told(tmp_path: Path) -> None:
    prior = trained(tmp_path / "prior", "class_shares")
    few = levels(prior.schedule.steps, 10)

    def share(w: float, asked: int) -> float:
        shares = torch.eye(5)[asked]
        model = Corrected(ClassifierFree(prior.given(shares), prior, w), lambda x: x.clamp(0, 1))
        x = seeded(0)(torch.empty(6, 6, SIDE, SIDE))
        return float((ddpm(model, x, few, seeded(1)).argmax(1) == asked + 1).float().mean())

    for asked in (1, 3):  # impervious, trees
        assert share(-1, asked) < 0.8 < share(0.5, asked)


def test_a_map_of_4_m_is_followed_at_1_m(tmp_path: Path) -> None:
    prior = trained(tmp_path / "prior", "coarse_map")
    maps = LabelSource(list(draw_label_maps(4, 120, 77)))
    crops = LabelCrops([maps], 2 * SIDE, 1.0, 4, 77)
    truth = np.stack([crops.codes(i)[1] for i in range(4)])
    few = levels(prior.schedule.steps, 10)
    followed, foreign = list[float](), list[float]()
    coarse = [majority(t, 4) for t in truth]
    for codes, other in zip(coarse, coarse[1:] + coarse[:1], strict=True):
        fine = super_resolve(prior, codes, few, seeded(0))[0]
        followed.append(float(np.mean(majority(fine, 4) == codes)))
        foreign.append(float(np.mean(majority(fine, 4) == other)))
    assert np.mean(followed) > 0.8
    assert np.mean(foreign) < 0.7


def test_a_training_goes_on_only_from_a_prior_that_is_told_the_same(tmp_path: Path) -> None:
    plain = TrainPriorSettings(
        tmp_path / "plain", synthetic_maps=4, synthetic_width_m=60, denoiser=NETWORK, steps=1
    )
    train_prior(plain)
    told = replace(NETWORK, condition="coarse_map")
    other = replace(plain, out=tmp_path / "other", denoiser=told, start=plain.out)
    with pytest.raises(PriorError, match="another architecture"):
        train_prior(other)
