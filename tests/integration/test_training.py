"""A tiny prior from label files to samples."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import matplotlib.image
import numpy as np
import pytest
import rasterio
import torch
import yaml
from rasterio.transform import from_origin

from landcover_pnp.cli import main
from landcover_pnp.config import plain
from landcover_pnp.errors import PriorError, RunError, RunLockedError, SettingsError
from landcover_pnp.prior.callbacks import CHECKPOINT, LOG, VALIDATION_LOG
from landcover_pnp.prior.crops import Crop
from landcover_pnp.prior.datamodule import VALIDATION_CROPS
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.denoising import DenoiserTraining
from landcover_pnp.prior.folder import CARD, CONFIG, KIND, WEIGHTS
from landcover_pnp.prior.label_maps import one_hot
from landcover_pnp.prior.sampling import sample_maps, sample_prior
from landcover_pnp.prior.settings import (
    CropSettings,
    DenoiserSettings,
    LabelFolder,
    SamplePriorSettings,
    TrainPriorSettings,
)
from landcover_pnp.prior.training import RECORD, train_prior
from landcover_pnp.storage.marker import MARKER
from landcover_pnp.storage.owned_folder import make_owned


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelFolder:
    """Three label maps: trees left of a straight shore, water right of it."""
    folder = tmp_path_factory.mktemp("labels")
    for i in range(3):
        codes = np.full((64, 64), 4, np.uint8)
        codes[:, 20 + 8 * i :] = 1
        with rasterio.open(
            folder / f"{i}.tif",
            "w",
            driver="GTiff",
            height=64,
            width=64,
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
        labels=[labels],
        denoiser=DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4),
        steps=80,
        batch_size=16,
        learning_rate=1e-2,
        warmup_steps=5,
        ema_decay=0.9,
    )


@pytest.fixture(scope="module")
def trained(settings: TrainPriorSettings) -> Prior:
    summary = train_prior(settings)
    prior = Prior.load(settings.out)
    assert summary.fingerprint == prior.fingerprint
    assert (summary.train_maps, summary.val_maps, summary.steps) == (2, 1, 80)
    assert summary.state == "trained"
    assert len(summary.loss_by_level) == 10
    assert summary.loss < 0.19  # an untrained network of velocities has 0.23
    return prior


@pytest.mark.parametrize("prediction", ["epsilon", "velocity"])
def test_validation_is_of_the_noise_whatever_the_network_predicts(
    settings: TrainPriorSettings, prediction: Literal["epsilon", "velocity"], tmp_path: Path
) -> None:
    training = DenoiserTraining(
        replace(
            settings,
            out=tmp_path,
            batch_size=VALIDATION_CROPS,
            denoiser=replace(settings.denoiser, prediction=prediction),
        )
    )
    x0 = torch.zeros(VALIDATION_CROPS, 6, 8, 8)
    x0[:, 4] = 1
    training.validation_step(Crop(x0, torch.ones(len(x0), 8, 8), torch.zeros(len(x0))), 0)
    # The same noise and levels, seen through the prior that is kept.
    prior, draw = training.prior(), training._generator(1, 0)
    t = 1 + torch.arange(VALIDATION_CROPS) * 1000 // VALIDATION_CROPS
    eps = torch.randn(x0.shape, generator=draw)
    x_t = prior.schedule.add_noise(x0, eps, t)
    with torch.no_grad():
        expected = (prior.predict_noise(x_t, t) - eps).square().mean((1, 2, 3))
    [errors] = training._val_errors
    torch.testing.assert_close(errors.float(), expected, atol=1e-5, rtol=1e-3)


def test_the_average_is_what_is_validated_and_kept(
    settings: TrainPriorSettings, trained: Prior
) -> None:
    levels = trained.training["val_loss_by_level"]
    assert levels[0] > levels[-1]  # a little noise is the hardest to see
    assert trained.training["steps_done"] == settings.steps
    [told] = trained.training["labels"]
    assert told["folder"] == settings.labels[0].path.name


def test_the_same_seed_trains_the_same_prior(settings: TrainPriorSettings, tmp_path: Path) -> None:
    few = replace(settings, steps=2, warmup_steps=1)
    state = torch.random.get_rng_state()
    for name in ("one", "again"):
        train_prior(replace(few, out=tmp_path / name))
    assert torch.equal(torch.random.get_rng_state(), state)
    other = train_prior(replace(few, out=tmp_path / "other", seed=1))
    for name in (WEIGHTS, CONFIG, CARD):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert Prior.load(tmp_path / "one").fingerprint != other.fingerprint


def test_a_finished_training_is_left_as_it_is(
    settings: TrainPriorSettings, labels: LabelFolder, tmp_path: Path
) -> None:
    shutil.copytree(labels.path, tmp_path / "labels")
    few = replace(
        settings,
        out=tmp_path / "prior",
        labels=[replace(labels, path=tmp_path / "labels")],
        steps=2,
        warmup_steps=1,
    )
    first = train_prior(few)
    written = {path: path.stat().st_mtime_ns for path in few.out.rglob("*")}
    (tmp_path / "labels").rename(tmp_path / "moved")
    few = replace(few, labels=[replace(labels, path=tmp_path / "moved")], workers=1, save_every=1)
    again = train_prior(few)
    assert again == replace(first, state="finished before, nothing done")
    assert {path: path.stat().st_mtime_ns for path in few.out.rglob("*")} == written

    with pytest.raises(SettingsError, match="a finished training with other values of seed"):
        train_prior(replace(few, seed=1))
    (tmp_path / "moved" / "2.tif").unlink()
    with pytest.raises(SettingsError, match="other values of label_maps") as refused:
        train_prior(few)
    assert RECORD in refused.value.fix
    assert {path: path.stat().st_mtime_ns for path in few.out.rglob("*")} == written
    (few.out / RECORD).unlink()
    assert train_prior(few).state == "trained"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"devices": "nonsense"}, "devices nonsense"),
        ({"strategy": "nonsense"}, "strategy nonsense"),
        ({"val_share": 0.0}, "val_share is 0"),
        ({"denoiser": DenoiserSettings(crop_px=8, channels=[])}, "one or more levels"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    settings: TrainPriorSettings, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        train_prior(replace(settings, out=tmp_path / "prior", **change))
    assert not (tmp_path / "prior").exists()


@pytest.mark.parametrize("median", [0.0, 1.0])
def test_no_level_lies_below_none_or_all(settings: TrainPriorSettings, median: float) -> None:
    with pytest.raises(SettingsError, match="level_median"):
        replace(settings, level_median=median)


@pytest.mark.parametrize("tasks", ["NTASKS", "NTASKS_PER_NODE"])
def test_one_process_trains_inside_a_slurm_job_of_several_tasks(
    tasks: str, settings: TrainPriorSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job = {"JOB_ID": "1", "JOB_NAME": "prior", "NODELIST": "node1", "PROCID": "3"}
    for name, value in {**job, "LOCALID": "3", "NODEID": "0", "NTASKS": "8", tasks: "8"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    few = replace(settings, out=tmp_path / "prior", steps=2, warmup_steps=1)
    assert train_prior(few).state == "trained"
    assert Prior.load(few.out).training["steps_done"] == 2
    if tasks == "NTASKS":
        with pytest.raises(SettingsError, match=r"devices 2.*ntasks"):
            train_prior(replace(few, devices=2, accelerator="cpu"))


def test_two_processes_do_not_train_in_one_folder(
    settings: TrainPriorSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few = replace(settings, out=tmp_path / "prior", steps=2, warmup_steps=1)
    step, refused = DenoiserTraining.training_step, []

    def joined(training: DenoiserTraining, batch: Crop) -> torch.Tensor:
        if not refused:
            with pytest.raises(RunLockedError, match="in use by process") as error:
                train_prior(few)
            refused.append(error)
        return step(training, batch)

    monkeypatch.setattr(DenoiserTraining, "training_step", joined)
    assert train_prior(few).state == "trained"
    assert len(refused) == 1
    assert [path.name for path in few.out.glob(".*")] == [MARKER]


def test_a_loss_that_is_not_finite_stops_with_its_step_and_maps(
    settings: TrainPriorSettings, labels: LabelFolder, tmp_path: Path
) -> None:
    wild = replace(settings, out=tmp_path / "wild", learning_rate=1e30, warmup_steps=0)
    with pytest.raises(RunError, match=r"(?s)loss is (nan|inf) at step [1-9].*learning_rate") as e:
        train_prior(wild)
    assert f"{labels.path.name}/" in e.value.found


def train(config: Path, out: Path, dies_at: str | None = None) -> int:
    """Runs the command in a process of its own, killed at a failpoint; returns its exit code."""
    env = {**os.environ, "LANDCOVER_FAILPOINT": dies_at or "none"}
    command = [sys.executable, "-m", "landcover_pnp", "train-prior", str(config), "--out", str(out)]
    return subprocess.run(command, env=env, capture_output=True, timeout=300).returncode


@pytest.mark.slow
def test_a_killed_and_resumed_training_has_the_same_loss_curve(
    settings: TrainPriorSettings, tmp_path: Path
) -> None:
    whole = replace(
        settings,
        out=tmp_path / "whole",
        steps=10,
        save_every=4,
        level_median=0.3,
        crops=CropSettings(class_balance=0.5, rotate=True, scale_jitter=1.2),
    )
    uninterrupted = train_prior(whole)
    config, out = tmp_path / "killed.yaml", tmp_path / "killed"
    config.write_text(yaml.safe_dump(plain(whole)))
    assert train(config, out, dies_at="step:7") == -signal.SIGKILL
    assert checkpoint_step(out) == 4
    with (out / LOG).open("a") as file:  # a log ahead of the checkpoint, its last line cut short
        file.write("5,0.1,0.1\n6,0.1,0.1\n7")
    with pytest.raises(SettingsError, match=r"other values of learning_rate \(0\.01\)"):
        train_prior(replace(whole, out=out, learning_rate=1e-3))
    assert train(config, out) == 0
    for name in (LOG, VALIDATION_LOG, WEIGHTS, CARD):
        assert (out / name).read_bytes() == (whole.out / name).read_bytes(), name
    curve = np.loadtxt(out / LOG, delimiter=",", skiprows=1)
    assert curve[:, 0].tolist() == list(range(1, 11))
    assert Prior.load(out).fingerprint == uninterrupted.fingerprint
    left = [path.name for path in out.iterdir() if path.name.startswith((".", CHECKPOINT))]
    assert left == [MARKER]
    assert sorted(path.stem for path in (out / "samples").iterdir()) == [
        "000004",
        "000008",
        "000010",
    ]
    assert np.loadtxt(out / VALIDATION_LOG, delimiter=",", skiprows=1)[:, 0].tolist() == [4, 8, 10]


def test_ctrl_c_ends_as_every_command_does(
    settings: TrainPriorSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(plain(settings)))

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DenoiserTraining, "training_step", pressed)
    handler = signal.getsignal(signal.SIGINT)
    try:
        assert (
            main(["train-prior", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "p")]) == 130
        )
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning leaves it ignored
    assert "Resume: landcover train-prior" in capsys.readouterr().err


def checkpoint_step(out: Path) -> int:
    return int(torch.load(out / CHECKPOINT, weights_only=True)["global_step"])


def test_a_damaged_checkpoint_is_not_resumed(settings: TrainPriorSettings, tmp_path: Path) -> None:
    make_owned(tmp_path, KIND, CHECKPOINT)
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(RunError, match="is damaged"):
        train_prior(replace(settings, out=tmp_path))


def test_training_goes_on_from_another_prior(
    settings: TrainPriorSettings, trained: Prior, tmp_path: Path
) -> None:
    start = DenoiserTraining(replace(settings, start=settings.out)).network.state_dict()
    for name, weight in trained.network.state_dict().items():
        assert torch.equal(start[name], weight)
    wider = replace(
        settings, start=settings.out, denoiser=replace(settings.denoiser, channels=[8, 24])
    )
    with pytest.raises(PriorError, match="another architecture"):
        DenoiserTraining(wider)
    noise = replace(
        settings, start=settings.out, denoiser=replace(settings.denoiser, prediction="epsilon")
    )
    with pytest.raises(PriorError, match="predicts the velocity"):
        DenoiserTraining(noise)


def test_unlabelled_pixels_do_not_count(settings: TrainPriorSettings) -> None:
    training = DenoiserTraining(settings)
    x0 = torch.nn.functional.one_hot(torch.randint(1, 6, (2, 8, 8)), 6).permute(0, 3, 1, 2).float()
    labelled = torch.ones(2, 8, 8)
    labelled[:, :, 4:] = 0
    t = torch.tensor([1, 500])

    def errors(labelled: torch.Tensor) -> torch.Tensor:
        crop = Crop(x0, labelled, torch.zeros(2))
        return training._errors(training.network, crop, t, training._generator(0, 0))

    halves = errors(labelled) + errors(1 - labelled)
    torch.testing.assert_close(halves / 2, errors(torch.ones(2, 8, 8)))


def test_levels_lie_around_their_median(settings: TrainPriorSettings) -> None:
    draw = torch.Generator().manual_seed(0)
    t = DenoiserTraining(replace(settings, level_median=0.2))._levels(10_000, draw)
    assert (t >= 1).all()
    assert (t <= 1000).all()
    assert float((t <= 200).float().mean()) == pytest.approx(0.5, abs=0.02)
    flat = DenoiserTraining(settings)._levels(10_000, draw)
    assert float((flat <= 200).float().mean()) == pytest.approx(0.2, abs=0.02)


class Knowing(Prior):
    """A prior that knows the only label map there is: grass with a pond."""

    def predict_noise(self, x_t: torch.Tensor, t: int | torch.Tensor) -> torch.Tensor:
        labels = np.full(x_t.shape[-2:], 5, np.uint8)
        labels[2:4, 3:6] = 1
        x0 = torch.from_numpy(one_hot(labels))
        abar = self.schedule.alpha_bar(t).float()
        return (x_t - abar.sqrt() * x0) / (1 - abar).sqrt()


@pytest.mark.parametrize("steps", [1, 7, 30])
def test_samples_of_a_prior_that_knows_the_map_are_the_map(trained: Prior, steps: int) -> None:
    knowing = Knowing(trained.network, trained.schedule, trained.resolution_m, trained.crop_px)
    maps = sample_maps(knowing, 2, steps, seed=0)
    expected = np.full((8, 8), 5)
    expected[2:4, 3:6] = 1
    np.testing.assert_array_equal(maps, [expected] * 2)


def test_samples_follow_the_seed(trained: Prior) -> None:
    maps = sample_maps(trained, 3, steps=5, seed=0)
    assert maps.shape == (3, 8, 8)
    np.testing.assert_array_equal(maps[:2], sample_maps(trained, 2, steps=5, seed=0))
    assert (maps != sample_maps(trained, 3, steps=5, seed=1)).any()


def test_the_picture_shows_samples_and_crops(
    settings: TrainPriorSettings, trained: Prior, labels: LabelFolder, tmp_path: Path
) -> None:
    request = SamplePriorSettings(
        tmp_path / "p.png", prior=settings.out, labels=labels, samples=4, steps=5
    )
    summary = sample_prior(request)
    assert summary.fingerprint == trained.fingerprint
    assert summary.real_shares["water"] + summary.real_shares["trees and forest"] == 1
    first = request.out.read_bytes()
    assert sample_prior(request).out.read_bytes() == first
    picture = (matplotlib.image.imread(request.out)[..., :3] * 255).round().astype(int)
    right = picture[:, picture.shape[1] // 2 :].reshape(-1, 3).tolist()
    assert [0, 197, 255] in right
    assert [38, 115, 0] in right


def test_the_learning_rate_rises_and_falls_to_nothing(settings: TrainPriorSettings) -> None:
    training = DenoiserTraining(settings)
    configured = training.configure_optimizers()
    schedule = configured["lr_scheduler"]["scheduler"]  # type: ignore[index, typeddict-item, call-overload]
    factor = schedule.lr_lambdas[0]
    rates = np.array([factor(i) for i in range(settings.steps + 1)])
    assert (np.diff(rates[: settings.warmup_steps]) > 0).all()
    assert (np.diff(rates[settings.warmup_steps + 1 :]) < 0).all()
    assert rates.max() == 1
    assert rates[-1] == 0
