"""The training of a denoiser step by step: which weights learn, are validated, are kept."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from landcover_pnp.prior.callbacks import LOG, VALIDATION_LOG, Keeper
from landcover_pnp.prior.crops import Crop
from landcover_pnp.prior.denoising import DenoiserTraining
from landcover_pnp.prior.settings import DenoiserSettings, TrainPriorSettings

DECAY = 0.9


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DenoiserTraining:
    """A network whose weights are all 0, beside an average of ones."""
    made = DenoiserTraining(
        TrainPriorSettings(
            out=tmp_path,
            denoiser=DenoiserSettings(crop_px=8, channels=[8, 16], head_channels=8, norm_groups=4),
            batch_size=4,
            ema_decay=DECAY,
        )
    )
    made.average.update_parameters(made.network)  # the first one is taken over as it is
    filled(made.network, 0)
    filled(made.average.module, 1)
    monkeypatch.setattr(made, "log", lambda *_, **__: None)
    return made


def filled(network: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(value)


def crops() -> Crop:
    x0 = torch.zeros(4, 6, 8, 8)
    x0[:, 4] = 1
    return Crop(x0, torch.ones(4, 8, 8), torch.zeros(4))


def test_the_average_moves_to_the_network_by_one_minus_the_decay(
    training: DenoiserTraining,
) -> None:
    average = training.average
    # In its first steps it has little to remember: the decay is (1 + n) / (10 + n) at most.
    for n in range(1, 200):
        before = next(average.module.parameters()).flatten()[0].item()
        average.update_parameters(training.network)
        after = next(average.module.parameters()).flatten()[0].item()
        assert after == pytest.approx(before * min(DECAY, (1 + n) / (10 + n)), rel=1e-5)


def test_the_average_is_kept(training: DenoiserTraining) -> None:
    for weight in training.prior().network.parameters():
        assert (weight == 1).all()


def test_the_average_is_validated(training: DenoiserTraining) -> None:
    def errors() -> torch.Tensor:
        training.validation_step(crops(), 0)
        return training._val_errors.pop()

    before = errors()
    filled(training.network, 0.5)
    assert torch.equal(errors(), before)
    filled(training.average.module, 0)
    assert not torch.equal(errors(), before)


def test_the_network_learns_and_the_average_does_not(training: DenoiserTraining) -> None:
    training.training_step(crops()).backward()
    assert any(weight.grad is not None for weight in training.network.parameters())
    assert all(weight.grad is None for weight in training.average.parameters())


def test_a_resumed_log_is_cut_where_the_training_goes_on(
    training: DenoiserTraining, tmp_path: Path
) -> None:
    for name, rest in ((LOG, ",0.5,0.1"), (VALIDATION_LOG, ",0.5" * 11)):
        lines = [f"{step}{rest}" for step in range(1, 8)]
        (tmp_path / name).write_text("\n".join(["header", *lines, "8,0."]))
    Keeper(tmp_path, {}).on_train_start(SimpleNamespace(is_global_zero=True, global_step=5))  # type: ignore[arg-type]
    for name in (LOG, VALIDATION_LOG):
        lines = (tmp_path / name).read_text().splitlines()[1:]
        assert [line.partition(",")[0] for line in lines] == ["1", "2", "3", "4", "5"]
