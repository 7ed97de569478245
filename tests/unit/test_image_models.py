import copy
import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from landcover_pnp.errors import RasterError
from landcover_pnp.pipeline.transfer.baselines import qr_loss, rq_loss
from landcover_pnp.student.image_models import Forest, ImageModel, TrainingWindow
from landcover_pnp.student.settings import ForestSettings, UNetSettings
from landcover_pnp.student.unet import UNet, cross_entropy

SMALL = UNetSettings(channels=[8, 16], steps=60, steps_more=20, batch_size=4, crop_px=8)


def training_window(seed: int = 0, factor: int = 2, side: int = 24) -> TrainingWindow:
    """Impervious where it is bright, trees where it is dark; a strip has no data."""
    rng = np.random.default_rng(seed)
    bright = rng.random((side // 4, side // 4)).repeat(4, 0).repeat(4, 1) > 0.5
    target = np.zeros((5, side, side), np.float32)
    target[1], target[3] = bright, ~bright
    fine = np.where(bright, 0.7, 0.3).repeat(factor, 0).repeat(factor, 1)
    image = np.stack([fine] * 3) + rng.normal(0, 0.03, (3, *fine.shape))
    weight = np.ones((side, side), np.float32)
    weight[:, :3] = 0
    target[:, :, :3] = np.nan  # never looked at
    return TrainingWindow(image.astype(np.float32), np.nan_to_num(target), weight)


def models() -> dict[str, ImageModel]:
    return {
        "forest": Forest(ForestSettings(trees=8, sample_px=500, leaf_px=3), fine_m=2.0, bands=3),
        "unet": UNet(SMALL, bands=3),
    }


@pytest.mark.parametrize("name", ["forest", "unet"])
def test_a_model_learns_what_colours_mean(name: str) -> None:
    model, other = models()[name], training_window(seed=1)
    state = torch.random.get_rng_state()
    model.fit([training_window()], seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator is left alone
    p = model.predict(other.image)
    assert p.shape == (5, 48, 48)
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-4)
    truth = other.target.argmax(axis=0).repeat(2, 0).repeat(2, 1)
    assert (p.argmax(axis=0) == truth)[:, 6:].mean() > 0.9


@pytest.mark.parametrize("name", ["forest", "unet"])
def test_the_same_seed_gives_the_same_model(name: str) -> None:
    one, other = models()[name], models()[name]
    for model in (one, other):
        model.fit([training_window()], seed=4)
    image = training_window(seed=2).image
    np.testing.assert_array_equal(one.predict(image), other.predict(image))


def test_a_network_does_not_depend_on_the_number_of_threads() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            model = UNet(SMALL, bands=3)
            model.fit([training_window(side=64)], seed=0)
            found.append(model.predict(training_window(seed=2, side=64).image))
            assert torch.get_num_threads() == threads  # the caller's number is left alone
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", ["forest", "unet"])
def test_a_kept_copy_does_not_learn_on(name: str) -> None:
    model, image = models()[name], training_window(seed=2).image
    model.fit([training_window()], seed=0)
    kept = copy.copy(model)
    before = kept.predict(image)
    model.fit([training_window(seed=3)], seed=1)
    np.testing.assert_array_equal(kept.predict(image), before)
    assert not np.array_equal(model.predict(image), before)


@pytest.mark.parametrize("name", ["forest", "unet"])
def test_lessons_in_which_no_pixel_counts_are_refused(name: str) -> None:
    blank = training_window()
    blank.weight[:] = 0
    with pytest.raises(RasterError, match="no pixel to learn from in 2 windows"):
        models()[name].fit([blank, blank], seed=0)


def test_a_network_takes_images_of_any_size() -> None:
    model = UNet(SMALL, bands=3)
    model.fit([training_window(side=8)], seed=0)  # no larger than a crop
    assert model.predict(training_window().image[:, :37, :21]).shape == (5, 37, 21)


def test_cross_entropy_looks_at_weighted_pixels_only() -> None:
    p = torch.full((1, 5, 1, 2), 0.2)
    target = torch.zeros(1, 5, 1, 2)
    target[:, 0] = 1
    p[0, 0, 0, 1] = 1e-9
    loss = cross_entropy(p, target, torch.tensor([[[1.0, 0.0]]]))
    assert float(loss) == pytest.approx(np.log(5))


@pytest.mark.parametrize("loss", [qr_loss, rq_loss])
def test_losses_against_weak_labels_prefer_to_agree_with_them(loss: object) -> None:
    rng = torch.Generator().manual_seed(0)
    weak = torch.rand(2, 5, 6, 6, generator=rng).pow(4)
    weak = weak / weak.sum(dim=1, keepdim=True)
    weight = torch.ones(2, 6, 6)
    assert loss(weak, weak, weight) < loss(weak.flip(1), weak, weight)  # type: ignore[operator]


def test_certain_weak_labels_that_are_met_cost_nothing() -> None:
    weak = torch.zeros(1, 5, 2, 2)
    weak[:, 1, 0], weak[:, 3, 1] = 1, 1
    assert float(rq_loss(weak, weak, torch.ones(1, 2, 2))) == pytest.approx(0, abs=1e-4)


def test_a_u_net_learns_inside_a_slurm_job_of_several_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = {"JOB_ID": "1", "JOB_NAME": "map", "NTASKS": "8", "NODELIST": "node1", "PROCID": "0"}
    for name, value in {**job, "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    model = UNet(UNetSettings(channels=[8, 16], steps=1, crop_px=8), bands=3)
    model.fit([training_window()], seed=0)
    assert model.predict(training_window().image).shape == (5, 48, 48)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[..., None]]:
    """Python's own answer to Ctrl-C, which a shell in the background has switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_interrupts_a_u_net_like_everything_else(ctrl_c: Callable[..., None]) -> None:
    def pressed(*_: Tensor) -> Tensor:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        UNet(SMALL, bands=3, loss=pressed).fit([training_window()], seed=0)
    assert signal.getsignal(signal.SIGINT) is ctrl_c
