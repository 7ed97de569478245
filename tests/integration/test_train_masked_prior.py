"""A tiny masked prior from label files: by Lightning, by the plain loop, by a file of crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import yaml
from rasterio.transform import from_origin

from landcover_pnp.cli import main
from landcover_pnp.config import plain
from landcover_pnp.errors import PriorError, RequestError, SettingsError
from landcover_pnp.prior.crop_cutting import cut_crops, folder_sources
from landcover_pnp.prior.crop_file import CropFile
from landcover_pnp.prior.datamodule import LabelMapsModule
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.folder import CONFIG, WEIGHTS
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.masked_lightning import MaskedLightning
from landcover_pnp.prior.masked_network import MaskedUNet
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.masked_settings import CutCropsSettings, MaskedNetworkSettings
from landcover_pnp.prior.masked_training import MaskedTraining
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import (
    CropSettings,
    DenoiserSettings,
    LabelFolder,
    TrainPriorSettings,
)
from landcover_pnp.prior.training import train_prior

TINY = MaskedNetworkSettings(crop_px=8, channels=[8, 16], blocks=[1, 1], head_channels=8)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelFolder:
    """Three label maps: trees left of a straight shore, water right of it; a part unlabelled."""
    folder = tmp_path_factory.mktemp("labels")
    for i in range(3):
        codes = np.full((40, 40), 4, np.uint8)
        codes[:, 12 + 6 * i :] = 1
        codes[:6, 1:6] = 0
        with rasterio.open(
            folder / f"{i}.tif",
            "w",
            driver="GTiff",
            height=40,
            width=40,
            count=1,
            dtype="uint8",
            crs="EPSG:26917",
            transform=from_origin(0, 0, 4, 4),
        ) as file:
            file.write(codes, 1)
    return LabelFolder(folder, legend="working")


@pytest.fixture(scope="module")
def settings(labels: LabelFolder, tmp_path_factory: pytest.TempPathFactory) -> TrainPriorSettings:
    return TrainPriorSettings(
        out=tmp_path_factory.mktemp("prior") / "tiny",
        kind="masked",
        labels=[labels],
        masked=TINY,
        crops=CropSettings(class_balance=0.5, rotate=True, scale_jitter=1.2),
        steps=10,
        batch_size=8,
        learning_rate=1e-2,
        warmup_steps=2,
        ema_decay=0.8,
        save_every=4,
        licence="CC0, said so",
    )


@pytest.fixture(scope="module")
def trained(settings: TrainPriorSettings) -> MaskedPrior:
    state = torch.random.get_rng_state()
    summary = train_prior(settings)
    assert torch.equal(torch.random.get_rng_state(), state)
    prior = load_prior(settings.out)
    assert isinstance(prior, MaskedPrior)
    assert summary.fingerprint == prior.fingerprint
    assert summary.state == "trained"
    assert summary.loss < 0.9 * np.log(5)
    return prior


def test_a_masked_prior_is_trained_by_the_same_command(
    settings: TrainPriorSettings, trained: MaskedPrior
) -> None:
    assert trained.network.settings == TINY
    assert trained.licence == "CC0, said so"
    assert len(trained.training["val_loss_by_level"]) == 10
    assert trained.training["steps_done"] == 10
    assert (settings.out / "samples" / "000010.png").is_file()
    assert train_prior(settings).state == "finished before, nothing done"
    with pytest.raises(SettingsError, match="other values of masked"):
        train_prior(replace(settings, masked=replace(TINY, blocks=[1, 2])))
    with pytest.raises(SettingsError, match="other values of kind"):
        train_prior(replace(settings, kind="gaussian"))


def test_lightning_takes_the_very_steps_of_the_plain_loop(
    settings: TrainPriorSettings, trained: MaskedPrior
) -> None:
    module = LabelMapsModule(folder_sources(settings), settings)
    plain_loop = MaskedTraining(
        MaskedUNet(TINY, seed=settings.seed),
        replace(MaskedLightning(settings).optimiser, bfloat16=False),
        settings.resolution_m,
    )
    for batch in module.train_dataloader():
        codes = (batch.x0.argmax(1) * batch.labelled).byte().numpy()
        plain_loop.train(codes)
    assert plain_loop.step == settings.steps
    kept = trained.network.state_dict()
    for name, weights in plain_loop.average.state_dict().items():
        torch.testing.assert_close(weights.half().float(), kept[name], atol=2e-4, rtol=2e-3)


def test_a_stopped_training_goes_on_to_the_same_bytes(
    settings: TrainPriorSettings,
    trained: MaskedPrior,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped, step = replace(settings, out=tmp_path / "stopped"), MaskedLightning.training_step

    def until_six(training: MaskedLightning, batch: Any) -> torch.Tensor:
        if training.global_step == 6:
            raise KeyboardInterrupt
        return step(training, batch)

    monkeypatch.setattr(MaskedLightning, "training_step", until_six)
    with pytest.raises(KeyboardInterrupt):
        train_prior(stopped)
    monkeypatch.undo()
    assert train_prior(stopped).fingerprint == trained.fingerprint
    for name in (WEIGHTS, CONFIG):
        assert (stopped.out / name).read_bytes() == (settings.out / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crops": CropSettings(learn_unlabelled=True)}, "learn_unlabelled"),
        ({"masked": replace(TINY, blocks=[1])}, "one a level"),
        ({"masked": replace(TINY, head_channels=5)}, "whole heads"),
        ({"masked": replace(TINY, crop_px=64)}, "crops of 64 pixels"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    settings: TrainPriorSettings, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        train_prior(replace(settings, out=tmp_path / "prior", **change))
    assert not (tmp_path / "prior").exists()


def test_a_training_starts_from_a_masked_prior_of_its_network(
    settings: TrainPriorSettings, trained: MaskedPrior, tmp_path: Path
) -> None:
    start = MaskedLightning(replace(settings, start=settings.out)).network.state_dict()
    assert all(torch.equal(start[k], v) for k, v in trained.network.state_dict().items())
    with pytest.raises(PriorError, match="same settings of the network"):
        MaskedLightning(replace(settings, start=settings.out, masked=replace(TINY, blocks=[2, 1])))
    denoiser = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)
    Prior(build_network(denoiser, 0), NoiseSchedule(), 4.0, 8).save(tmp_path / "gaussian")
    with pytest.raises(PriorError, match="is a gaussian prior"):
        MaskedLightning(replace(settings, start=tmp_path / "gaussian"))


def test_crops_are_cut_once_as_the_training_cuts_them(
    settings: TrainPriorSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "masked.yaml", tmp_path / "crops.npz"
    config.write_text(yaml.safe_dump(plain(settings)))
    words = ["cut-crops", str(config), "--out", str(out), "--crops", "24", "--held_out", "4"]
    assert main(words) == 0
    assert "24" in capsys.readouterr().out
    file = CropFile.read(out)
    assert (file.codes.shape, file.held_out.shape) == ((24, 8, 8), (4, 8, 8))
    assert file.origin["licence"] == "CC0, said so"
    module = LabelMapsModule(folder_sources(settings), settings)
    batch = next(iter(module.train_dataloader()))
    assert np.array_equal((batch.x0.argmax(1) * batch.labelled).numpy(), file.codes[:8])
    held_out = next(iter(module.val_dataloader()))
    assert np.array_equal((held_out.x0.argmax(1) * held_out.labelled)[:4].numpy(), file.held_out)
    before = out.read_bytes()
    assert cut_crops(settings, CutCropsSettings(out, 24, 4)).crops == 24
    assert out.read_bytes() == before


def test_a_file_of_something_else_is_not_replaced_by_crops(
    settings: TrainPriorSettings, tmp_path: Path
) -> None:
    np.savez(tmp_path / "mine.npz", codes=np.ones(3))
    before = (tmp_path / "mine.npz").read_bytes()
    with pytest.raises(RequestError, match="no file of crops"):
        cut_crops(settings, CutCropsSettings(tmp_path / "mine.npz", 4, 4))
    assert (tmp_path / "mine.npz").read_bytes() == before
    with pytest.raises(SettingsError, match="none of them held out"):
        cut_crops(replace(settings, val_share=0.0), CutCropsSettings(tmp_path / "new.npz", 4, 4))
    assert not (tmp_path / "new.npz").exists()
