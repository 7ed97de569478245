"""Priors that are told class shares or a coarser map: what reaches the network, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.inference.samplers.guidance import ClassifierFree
from landcover_pnp.prior.condition import CoarseMap, coarse_one_hot, condition_of
from landcover_pnp.prior.conversion_settings import ExportPriorSettings
from landcover_pnp.prior.crops import Crop
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.denoising import DenoiserTraining
from landcover_pnp.prior.folder import CARD, CONFIG, WEIGHTS
from landcover_pnp.prior.importing import export_prior
from landcover_pnp.prior.label_maps import majority, one_hot
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings, TrainPriorSettings

torch.set_num_threads(1)

PLAIN = DenoiserSettings(crop_px=16, channels=[8, 16], head_channels=8, norm_groups=4)
SHARES = replace(PLAIN, condition="class_shares")
COARSE = replace(PLAIN, condition="coarse_map", prediction="residual", resolution_m=1.0)
GRASS = torch.tensor([0.0, 0, 0, 0, 1])


def untrained(settings: DenoiserSettings, seed: int = 0) -> Prior:
    """Random weights, those too that start at 0."""
    network, schedule = build_network(settings, seed), NoiseSchedule()
    condition = condition_of(settings.condition, settings.coarse_factor, schedule)
    new = {"class_shares": network.class_embedding, "coarse_map": network.conv_out, None: None}
    if (layer := new[settings.condition]) is not None:
        for weight in layer.parameters():
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(seed))
    prediction, res = settings.prediction, settings.resolution_m
    return Prior(network, schedule, res, 16, prediction, condition=condition)


def noisy(height: int = 16, width: int = 16) -> Tensor:
    return torch.randn(2, 6, height, width, generator=torch.Generator().manual_seed(0))


def coarse(height: int = 4, width: int = 4, seed: int = 0) -> Tensor:
    codes = np.random.default_rng(seed).integers(0, 6, (2, height, width)).astype(np.uint8)
    return torch.from_numpy(np.stack([one_hot(c) for c in codes]))


# ---- what reaches the network ----


@pytest.mark.parametrize("settings", [SHARES, COARSE])
def test_told_nothing_it_is_an_unconditional_prior(settings: DenoiserSettings) -> None:
    prior, x = untrained(settings), noisy(13, 18)
    assert prior.predict_noise(x, 300).shape == x.shape
    value = GRASS if settings is SHARES else CoarseMap(coarse(4, 5), 0)
    told = prior.predict_noise(x, 300, value)
    assert told.shape == x.shape
    assert not torch.allclose(told, prior.predict_noise(x, 300), atol=1e-3)


def test_each_map_of_a_batch_has_shares_of_its_own() -> None:
    prior, x, other = untrained(SHARES), noisy(), torch.tensor([0.2, 0.2, 0.2, 0.2, 0.2])
    both = prior.predict_noise(x, 500, torch.stack([GRASS, other]))
    torch.testing.assert_close(both[:1], prior.predict_noise(x[:1], 500, GRASS))
    torch.testing.assert_close(both[1:], prior.predict_noise(x[1:], 500, other))
    assert not torch.allclose(both[1:], prior.predict_noise(x[1:], 500, GRASS), atol=1e-4)


def test_each_map_of_a_batch_has_a_coarse_map_and_a_level_of_its_own() -> None:
    prior, x, z = untrained(COARSE), noisy(), coarse()
    both = prior.predict_noise(x, 500, CoarseMap(z, torch.tensor([0, 700])))
    for i, s in enumerate((0, 700)):
        one = prior.predict_noise(x[i : i + 1], 500, CoarseMap(z[i : i + 1], s))
        torch.testing.assert_close(both[i : i + 1], one)
    level = prior.predict_noise(x[1:], 500, CoarseMap(z[1:], 0))
    assert not torch.allclose(both[1:], level, atol=1e-4)


def test_a_coarse_map_is_seen_where_it_lies() -> None:
    """A change of one coarse pixel reaches its own pixels most."""
    prior, x, z = untrained(COARSE), noisy(), coarse()
    changed = z.clone()
    changed[:, :, 1, 2] = 1 - changed[:, :, 1, 2]
    before, after = (prior.predict_noise(x, 500, CoarseMap(m, 0)) for m in (z, changed))
    apart = (after - before).abs().mean((0, 1))
    blocks = apart.reshape(4, 4, 4, 4).mean((1, 3))
    assert divmod(int(blocks.argmax()), 4) == (1, 2)


def test_guidance_without_a_classifier_goes_from_one_prediction_to_the_other() -> None:
    prior, x = untrained(SHARES), noisy()
    told, free = prior.predict_noise(x, 400, GRASS), prior.predict_noise(x, 400)
    for w in (-1.0, 0.0, 2.5):
        guided = ClassifierFree(prior.given(GRASS), prior, w).predict_noise(x, 400)
        torch.testing.assert_close(guided, (1 + w) * told - w * free)


# ---- what is learned from ----


def training(tmp_path: Path, settings: DenoiserSettings, **changes: Any) -> DenoiserTraining:
    return DenoiserTraining(TrainPriorSettings(tmp_path, denoiser=settings, **changes))


def crops(count: int = 4) -> Crop:
    codes = np.random.default_rng(0).integers(1, 6, (count, 16, 16)).astype(np.uint8)
    x0 = torch.from_numpy(np.stack([one_hot(c) for c in codes]))
    return Crop(x0, torch.ones(count, 16, 16), torch.zeros(count))


def test_shares_are_those_of_the_labelled_pixels(tmp_path: Path) -> None:
    made, crop = training(tmp_path, SHARES), crops()
    crop.labelled[0, 4:] = 0
    crop.labelled[1] = 0
    told = made._told(crop, torch.Generator().manual_seed(0), 0.0)
    assert told is not None and told.channels is None
    expected = crop.x0[0, 1:, :4].mean((1, 2))
    torch.testing.assert_close(told.labels[0], expected)
    torch.testing.assert_close(told.labels.sum(1), torch.tensor([1.0, 0, 1, 1]))


@pytest.mark.parametrize("settings", [SHARES, COARSE])
def test_conditions_are_withheld_at_the_rate_asked_for(
    settings: DenoiserSettings, tmp_path: Path
) -> None:
    made, crop = training(tmp_path, settings), crops(2000)
    told = made._told(crop, torch.Generator().manual_seed(0), 0.2)
    assert told is not None
    if settings is SHARES:
        dropped = (told.labels == 0).all(1)
    else:
        assert told.channels is not None
        dropped = (told.channels == told.channels[:, :1]).flatten(1).all(1)
        assert (told.labels[dropped] == 1000).all()
        kept = told.labels[~dropped].double() / 1000
        assert abs(float(kept.pow(1 / 3).mean()) - 0.5) < 0.03  # the cube of an even draw
    assert abs(float(dropped.double().mean()) - 0.2) < 0.04


def test_validation_withholds_nothing_and_training_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, drops = training(tmp_path, SHARES, drop_condition=0.3), list[float]()
    told = made._told
    monkeypatch.setattr(made, "_told", lambda c, d, drop: drops.append(drop) or told(c, d, drop))
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    made.training_step(crops())
    made.validation_step(crops(), 0)
    assert drops == [0.3, 0.0]


def test_noise_of_a_coarse_map_is_of_the_level_that_is_told(tmp_path: Path) -> None:
    made, crop = training(tmp_path, COARSE), crops(1000)
    told = made._told(crop, torch.Generator().manual_seed(0), 0.0)
    assert told is not None and told.channels is not None
    z = coarse_one_hot(crop.x0, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(told.channels.sum(1), torch.ones(1000, 16, 16))
    torch.testing.assert_close(told.channels[..., 0, 0], told.channels[..., 3, 3])
    # Probabilities tell the noisy map but for what its channels have in common.
    abar = made.schedule.alpha_bar(told.labels)[:, None, None, None]
    seen = told.channels.double().log() * (1 - abar) / abar.sqrt()
    noise = (seen - abar.sqrt() * z) / (1 - abar).sqrt()
    noise = (noise - noise.mean(1, keepdim=True)) * (6 / 5) ** 0.5
    for low, high in ((150, 400), (400, 700), (700, 1001)):
        chosen = noise[(told.labels >= low) & (told.labels < high)]
        assert abs(float(chosen.std()) - 1) < 0.05, (low, high)


@given(st.integers(0, 1000), st.sampled_from([2, 4]))
def test_coarse_maps_are_majorities(seed: int, factor: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 3, (8, 16)).astype(np.uint8)
    found = coarse_one_hot(torch.from_numpy(one_hot(codes))[None], factor)[0]
    np.testing.assert_array_equal(found.argmax(0).numpy(), majority(codes, factor))
    assert (found.sum(0) == 1).all()


def test_a_conditional_training_starts_from_an_unconditional_prior(tmp_path: Path) -> None:
    plain, x = untrained(PLAIN, seed=3), noisy()
    plain.save(tmp_path / "plain", torch.float32)
    made = training(tmp_path / "new", SHARES, start=tmp_path / "plain").prior()
    for condition in (None, GRASS):
        expected = plain.predict_noise(x, 200)
        torch.testing.assert_close(made.predict_noise(x, 200, condition), expected)

    with pytest.raises(PriorError, match="another architecture"):
        training(tmp_path / "new", COARSE, start=tmp_path / "plain")


# ---- folders ----


@pytest.fixture(params=[SHARES, COARSE], ids=["class_shares", "coarse_map"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    untrained(request.param).save(tmp_path / "prior", torch.float32)
    return tmp_path / "prior"


def test_a_saved_prior_takes_the_same_condition(folder: Path) -> None:
    loaded, x = Prior.load(folder), noisy()
    assert loaded.condition is not None
    shares = loaded.condition.kind == "class_shares"
    made = untrained(SHARES if shares else COARSE)
    value = GRASS if shares else CoarseMap(coarse(), 30)
    torch.testing.assert_close(loaded.predict_noise(x, 9, value), made.predict_noise(x, 9, value))
    assert loaded.fingerprint == made.fingerprint
    loaded.save(folder.parent / "copy", torch.float32)
    for name in (WEIGHTS, CONFIG, CARD):
        assert (folder.parent / "copy" / name).read_bytes() == (folder / name).read_bytes()


def test_an_unconditional_card_says_nothing_of_conditions(tmp_path: Path) -> None:
    """So that fingerprints and folders are those of before there were any."""
    untrained(PLAIN).save(tmp_path)
    assert "condition" not in json.loads((tmp_path / CARD).read_text())
    assert Prior.load(tmp_path).condition is None


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (None, "6 both ways|condition None"),
        ({"kind": "season"}, "with the condition"),
        ("class_shares", "with the condition"),
        ({"kind": "coarse_map", "factor": 0}, "with the condition"),
        ({"kind": "coarse_map"}, "with the condition"),
        ({"kind": "class_shares", "factor": 4}, "with the condition"),
    ],
)
def test_a_card_of_another_condition_is_refused(folder: Path, condition: object, says: str) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "condition": condition}))
    with pytest.raises(PriorError, match=says):
        Prior.load(folder)


def test_conditions_of_two_priors_are_not_mixed(tmp_path: Path) -> None:
    for name, settings in {"shares": SHARES, "coarse": COARSE, "plain": PLAIN}.items():
        untrained(settings).save(tmp_path / name)
    cards = {n: (tmp_path / n / CARD).read_text() for n in ("shares", "coarse", "plain")}
    for name in cards:
        told = json.loads(cards[name]).get("condition")
        for other in cards.keys() - {name}:
            swapped = json.loads(cards[other]) | {"condition": told}
            (tmp_path / other / CARD).write_text(json.dumps(swapped))
            with pytest.raises(PriorError, match=r"channels in|class_embed_type"):
                Prior.load(tmp_path / other)


def test_a_conditional_prior_is_not_exported(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="a prior with the condition"):
        export_prior(ExportPriorSettings(tmp_path / "out", folder))
    assert not (tmp_path / "out").exists()


# ---- what is refused ----


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.tensor([0.5, 0.5]), r"of shape \(2,\)"),
        (torch.full((6,), 1 / 6), r"of shape \(6,\)"),
        (torch.full((3, 5), 0.2), r"of shape \(3, 5\)"),
        (torch.full((5,), 0.25), "sum to 1.25"),
        (torch.zeros(5), "sum to 0"),
        (torch.tensor([1.5, -0.5, 0, 0, 0]), "shares from -0.5"),
        (torch.full((5,), float("nan")), "sum to nan"),
        (torch.tensor([[1.0, 0, 0, 0, 0], [0.9, 0, 0, 0, 0]]), "sum to 1, 0.9"),
        (CoarseMap(torch.zeros(2, 6, 4, 4), 0), "of a coarse map"),
        ([0.2, 0.2, 0.2, 0.2, 0.2], "of list"),
    ],
)
def test_what_are_no_class_shares_is_refused(value: Any, says: str) -> None:
    with pytest.raises(PriorError, match=says):
        untrained(SHARES).predict_noise(noisy(), 5, value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (GRASS, r"of shape \(5,\) for maps of shape \(2, 6, 16, 16\)"),
        (CoarseMap(torch.zeros(2, 6, 8, 8), 0), r"expected: a CoarseMap of shape \(2, 6, 4, 4\)"),
        (CoarseMap(torch.zeros(2, 6, 16, 16), 0), r"each pixel 4 x 4"),
        (CoarseMap(torch.zeros(2, 5, 4, 4), 0), r"of a coarse map \(2, 5, 4, 4\)"),
        (CoarseMap(torch.zeros(1, 6, 4, 4), 0), r"of a coarse map \(1, 6, 4, 4\)"),
        (CoarseMap(torch.zeros(2, 6, 4, 4), 1001), "noise level 1001"),
        (CoarseMap(torch.zeros(2, 6, 4, 4), -1), "noise level -1"),
        (CoarseMap(torch.full((2, 6, 4, 4), float("nan")), 0), "192 values are not finite"),
    ],
)
def test_what_is_no_coarse_map_is_refused(value: Any, says: str) -> None:
    with pytest.raises(PriorError, match=says):
        untrained(COARSE).predict_noise(noisy(), 5, value)


@pytest.mark.parametrize("value", [GRASS, CoarseMap(torch.zeros(2, 6, 4, 4), 0)])
def test_an_unconditional_prior_refuses_a_condition(value: Any) -> None:
    with pytest.raises(PriorError, match="for an unconditional prior"):
        untrained(PLAIN).predict_noise(noisy(), 5, value)


def test_coarse_pixels_fill_a_crop() -> None:
    with pytest.raises(SettingsError, match="crop_px 18 and coarse_factor 4"):
        replace(COARSE, crop_px=18)
    replace(SHARES, crop_px=18)
    with pytest.raises(SettingsError, match="coarse_factor"):
        replace(PLAIN, coarse_factor=0)
    with pytest.raises(SettingsError, match="drop_condition"):
        TrainPriorSettings(Path("x"), drop_condition=1.5)
