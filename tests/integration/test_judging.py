"""Judging a prior: a network that knows the maps against one that knows nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inputs import write_tif
from masked_priors import tiny_masked

from landcover_pnp.cli import main
from landcover_pnp.errors import SettingsError
from landcover_pnp.evaluation.hole_baselines import BASELINES
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.judging import LEVELS, judge_prior, restore
from landcover_pnp.prior.label_maps import draw_label_maps, one_hot
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import (
    DenoiserSettings,
    JudgePriorSettings,
    LabelFolder,
    TrainPriorSettings,
)
from landcover_pnp.storage.owned_folder import MARKER

TINY = DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4)
FEW = JudgePriorSettings(crops=12, samples=4, steps=4, training_crops=8, legend="working")


class Knowing(Prior):
    """A prior that knows the only label map there is: grass above, water below."""

    def predict_noise(self, x_t: torch.Tensor, t: int | torch.Tensor) -> torch.Tensor:
        x0 = torch.from_numpy(one_hot(shore()))
        abar = self.schedule.alpha_bar(t).float()
        return (x_t - abar.sqrt() * x0) / (1 - abar).sqrt()


class Blind(Prior):
    """A prior that knows class shares alone."""

    def predict_noise(self, x_t: torch.Tensor, t: int | torch.Tensor) -> torch.Tensor:
        shares = torch.from_numpy(one_hot(shore())).mean((1, 2))[:, None, None]
        abar = self.schedule.alpha_bar(t).float()
        return (x_t - abar.sqrt() * shares) / (1 - abar).sqrt()


def shore() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    labels = np.full((8, 8), 5, np.uint8)
    labels[5:] = 1
    return labels


def tiny() -> Prior:
    return Prior(build_network(TINY, 0), NoiseSchedule(), TINY.resolution_m, TINY.crop_px)


def test_a_prior_that_knows_the_map_restores_it() -> None:
    real, labelled = np.stack([shore()] * 3), np.ones((3, 8, 8), bool)
    plain = tiny()
    knowing = Knowing(plain.network, plain.schedule, 4.0, 8)
    found, ignorant = restore(knowing, real, labelled, 0), restore(plain, real, labelled, 0)
    assert found.t == LEVELS
    assert max(found.mse) < 1e-6
    assert min(found.restored) == 1
    assert min(ignorant.mse) > 0.5
    assert found.visible == ignorant.visible
    blind = restore(Blind(plain.network, plain.schedule, 4.0, 8), real, labelled, 0)
    assert blind.mse == pytest.approx(blind.blind, rel=1e-3)
    assert found.blind == ignorant.blind == blind.blind
    assert list(found.visible) == sorted(found.visible, reverse=True)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    for i in range(4):
        write_tif(
            folder / f"{i}.tif",
            np.kron(rng.integers(1, 6, (4, 4)), np.ones((6, 6))).astype(np.uint8),
            4.0,
        )
    return folder


def test_the_report_names_what_it_was_judged_by(labels: Path, tmp_path: Path) -> None:
    tiny().save(tmp_path / "prior")
    training = TrainPriorSettings(
        tmp_path, labels=[LabelFolder(labels, legend="working")], val_share=0.3, denoiser=TINY
    )
    summary = judge_prior(tmp_path / "prior", replace(FEW, out=tmp_path / "out"), training)
    report = (summary.out / "report.md").read_text()
    assert report.count(f"{labels.name}/") == 1  # one of four maps is held out
    for words in ("| 100 |", "| neighbours |", "share of water", "held-out crops", "without a"):
        assert words in report
    written = {p.name for p in summary.out.iterdir()}
    assert written == {MARKER, "report.md", "samples.png", "figures.png"}
    assert 0 < summary.floor < summary.distance < 1
    assert 0 < summary.copies <= 1
    again = judge_prior(tmp_path / "prior", replace(FEW, out=tmp_path / "again"), training)
    assert replace(again, out=summary.out) == summary


def test_a_masked_prior_is_judged_by_its_likelihood(labels: Path, tmp_path: Path) -> None:
    tiny_masked().save(tmp_path / "prior")
    settings = replace(FEW, out=tmp_path / "out", labels=labels)
    summary = judge_prior(tmp_path / "prior", settings)
    report = (summary.out / "report.md").read_text()
    assert f"Likelihood: {summary.loss:.4f} bits a pixel" in report
    assert "## Likelihood" in report
    assert "## Noise" not in report
    assert 1 < summary.loss < 5
    assert "## Filling" not in report, "no way to fill was given"
    assert judge_prior(tmp_path / "prior", settings) == summary


@pytest.mark.parametrize(("prior", "filled"), [(tiny, 0), (tiny_masked, 2)])
def test_the_command_judges_by_a_folder(
    prior: Any, filled: int, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior().save(tmp_path / "prior")
    words = ["judge-prior", str(tmp_path / "prior"), "--out", str(tmp_path / "out")]
    few = ["--crops", "8", "--samples", "4", "--steps", "2"]
    few += ["--holes", str(filled)]
    assert main([*words, *few]) == 2
    assert "no held-out label maps" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*words, *few, "--labels", str(labels), "--legend", "working"]) == 0
    assert "distance" in capsys.readouterr().out
    report = (tmp_path / "out" / "report.md").read_text()
    assert "## Copies" not in report
    for words in ("## Shapes", "| crossing share |", "roofs per km2", "impervious share |"):
        assert words in report
    for name in (*BASELINES, "the prior"):
        assert (f"| {name} |" in report) == bool(filled)
    assert "nan" not in report


def test_a_prior_of_synthetic_cities_is_judged_by_new_ones(tmp_path: Path) -> None:
    tiny().save(tmp_path / "prior")
    training = TrainPriorSettings(
        tmp_path, synthetic_maps=4, synthetic_width_m=128, denoiser=TINY, seed=6
    )
    summary = judge_prior(tmp_path / "prior", replace(FEW, out=tmp_path / "out"), training)
    report = (summary.out / "report.md").read_text()
    learned = {m.name for m in draw_label_maps(4, 128, training.seed)}
    assert "desert 8000003" in report
    assert not any(name in report for name in learned)
    assert 0 < summary.floor < 1
    assert summary.copies == 0, "drawn maps are not searched"


def test_samples_without_any_class_are_as_far_as_can_be(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny().save(tmp_path / "prior")
    nothing = np.zeros((4, 8, 8), np.uint8)
    monkeypatch.setattr("landcover_pnp.prior.judging.sample_maps", lambda *_: nothing)
    settings = replace(FEW, out=tmp_path / "out", labels=labels)
    summary = judge_prior(tmp_path / "prior", settings)
    assert summary.distance > 0.7
    report = (summary.out / "report.md").read_text()
    assert "| without a class | 100.0% | 0.0% |" in report
    assert "nan" not in report


@pytest.mark.parametrize("name", ["crops", "samples", "steps", "seed"])
def test_numbers_that_leave_nothing_to_judge_by_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is -1"):
        replace(FEW, **{name: -1})


def test_nothing_held_out_is_refused(tmp_path: Path) -> None:
    tiny().save(tmp_path / "prior")
    with pytest.raises(SettingsError, match="no held-out"):
        judge_prior(tmp_path / "prior", FEW)
