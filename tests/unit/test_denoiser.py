"""Laws of the prior: any canvas, frozen weights, and a folder that is checked before use."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.legend import WORKING
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.folder import CARD, CONFIG, WEIGHTS
from landcover_pnp.prior.loading import load_prior
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

TINY = DenoiserSettings(crop_px=16, channels=[8, 16], head_channels=8, norm_groups=4)


def tiny(seed: int = 0) -> Prior:
    return Prior(build_network(TINY, seed), NoiseSchedule(), TINY.resolution_m, TINY.crop_px)


def canvas(height: int = 16, width: int = 16, batch: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 6, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny().save(tmp_path / "prior")
    return tmp_path / "prior"


@pytest.mark.parametrize("size", [(16, 16), (15, 22), (1, 1), (1, 9), (3, 2)])
def test_a_canvas_of_any_size_keeps_its_size(size: tuple[int, int]) -> None:
    eps = tiny().predict_noise(canvas(*size), 500)
    assert eps.shape == (2, 6, *size)
    assert eps.isfinite().all()


def test_padding_is_reflection() -> None:
    prior, x = tiny(), canvas(15, 14)
    whole = torch.cat([x, x[:, :, -2:-1]], 2)
    torch.testing.assert_close(
        prior.predict_noise(x, 300), prior.predict_noise(whole, 300)[:, :, :15]
    )


def test_levels_of_a_batch_act_map_by_map() -> None:
    prior, x = tiny(), canvas()
    both = prior.predict_noise(x, torch.tensor([1, 1000]))
    torch.testing.assert_close(both[:1], prior.predict_noise(x[:1], 1))
    torch.testing.assert_close(both[1:], prior.predict_noise(x[1:], 1000))
    assert not torch.allclose(both[:1], prior.predict_noise(x[:1], 1000), atol=1e-3)


def test_the_network_is_given_t_as_the_paper_counts_it() -> None:
    prior, x = tiny(), canvas()
    assert torch.equal(prior.predict_noise(x, 437), prior.network(x, 437).sample)


def test_a_network_of_velocities_gives_the_noise_they_imply() -> None:
    noises, x, t = tiny(), canvas(), torch.tensor([30, 800])
    velocities = replace(noises, prediction="velocity")
    expected = noises.schedule.noise_of_velocity(x, noises.predict_noise(x, t), t)
    assert torch.equal(velocities.predict_noise(x, t), expected)
    assert velocities.fingerprint != noises.fingerprint


def test_gradients_reach_the_map_and_not_the_weights() -> None:
    prior, x = tiny(), canvas(9, 11).requires_grad_()
    (grad,) = torch.autograd.grad(prior.predict_noise(x, 200).square().sum(), x)
    assert grad.shape == x.shape
    assert (grad != 0).all()
    assert not any(p.requires_grad for p in prior.network.parameters())
    assert not prior.network.training


def test_weights_follow_the_seed_and_leave_the_global_generator_alone() -> None:
    state = torch.random.get_rng_state()
    assert tiny(3).fingerprint == tiny(3).fingerprint != tiny(4).fingerprint
    assert torch.equal(torch.random.get_rng_state(), state)


def test_saved_and_loaded_it_predicts_the_same_to_float16(folder: Path) -> None:
    x, prior, loaded = canvas(), tiny(), Prior.load(folder)
    torch.testing.assert_close(
        loaded.predict_noise(x, 100), prior.predict_noise(x, 100), atol=5e-3, rtol=0
    )
    assert (loaded.channels, loaded.crop_px, loaded.resolution_m) == (6, 16, 4.0)
    assert loaded.legend == WORKING
    assert loaded.schedule == prior.schedule
    assert all(p.dtype == torch.float32 for p in loaded.network.parameters())


def test_a_loaded_prior_saves_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    Prior.load(folder).save(tmp_path / "copy")
    for name in (WEIGHTS, CONFIG, CARD):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_prior_that_was_trained_anew_is_loaded_anew(folder: Path) -> None:
    assert load_prior(folder) is load_prior(folder)
    before = load_prior(folder).fingerprint
    tiny(seed=1).save(folder)
    assert load_prior(folder).fingerprint == Prior.load(folder).fingerprint != before


def test_the_fingerprint_is_of_the_weights_to_the_last_digit(tmp_path: Path) -> None:
    """Imported priors are stored in float32: what float16 cannot tell apart draws other maps."""
    prints = []
    for change in (0.0, 0.0, 1e-6):
        prior = tiny()
        weights = next(prior.network.parameters())
        weights.copy_(weights.half().float() * (1 + change))  # float16 rounds that away
        prior.save(tmp_path / "prior", torch.float32)
        prints.append(Prior.load(tmp_path / "prior").fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_diffusers_opens_the_same_folder(folder: Path) -> None:
    network = UNet2DModel.from_pretrained(
        folder, torch_dtype=torch.float32, low_cpu_mem_usage=False, use_safetensors=True
    ).eval()
    x = canvas()
    with torch.no_grad():
        torch.testing.assert_close(network(x, 7).sample, Prior.load(folder).predict_noise(x, 7))


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, CARD])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PriorError, match=f"has no {name}"):
        Prior.load(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="no prior in"):
        Prior.load(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["cut", "one bit"])
def test_damaged_weights_are_refused(folder: Path, damage: str) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(PriorError, match=r"is damaged: .*sha256"):
        Prior.load(folder)


@pytest.mark.parametrize("name", [CONFIG, CARD])
def test_damaged_json_is_refused(folder: Path, name: str) -> None:
    text = (folder / name).read_text()
    (folder / name).write_text(text[: len(text) // 2])
    with pytest.raises(PriorError, match=f"{name} is damaged"):
        Prior.load(folder)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_legend_is_refused_by_name(folder: Path) -> None:
    edit(folder / CARD, legend={"name": "chesapeake", "classes": ["no data", "water"]})
    with pytest.raises(PriorError, match=r"(?s)'chesapeake'.*expected.*'working'"):
        Prior.load(folder)


def test_an_unknown_kind_of_output_is_refused(folder: Path) -> None:
    edit(folder / CARD, prediction="sample")
    with pytest.raises(PriorError, match=r"predicts 'sample'"):
        Prior.load(folder)


def test_another_number_of_channels_is_refused(folder: Path) -> None:
    edit(folder / CONFIG, in_channels=11)
    with pytest.raises(PriorError, match="11 channels in and 6 out"):
        Prior.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"block_out_channels": [8, 32]},
        {"block_out_channels": []},
        {"attention_head_dim": 0},
        {"down_block_types": ["No", "No"]},
        {"layers_per_block": "many"},
    ],
)
def test_weights_of_another_architecture_are_refused(folder: Path, change: dict[str, Any]) -> None:
    edit(folder / CONFIG, **change)
    with pytest.raises(PriorError, match="do not fit together"):
        Prior.load(folder)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.ckpt", "model.pth", "diffusion_pytorch_model.bin"])
def test_checkpoints_that_can_run_code_are_not_opened(tmp_path: Path, name: str) -> None:
    checkpoint = tmp_path / name
    checkpoint.write_bytes(pickle.dumps(Canary(tmp_path / "executed")))
    for path in (tmp_path, checkpoint):
        with pytest.raises(PriorError, match=f"no safetensors model: {name}"):
            Prior.load(path)
    assert not (tmp_path / "executed").exists()


def test_a_folder_without_any_of_its_files_is_no_prior(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(PriorError, match="no prior in"):
        Prior.load(folder)


def test_channels_that_the_groups_do_not_divide_are_refused() -> None:
    with pytest.raises(SettingsError, match="norm_groups 3"):
        build_network(DenoiserSettings(channels=[8, 16], norm_groups=3), 0)


@pytest.mark.parametrize(
    "change", [{"legend": None}, {"legend": "working"}, {"noise": {"steps": 0}}, {"noise": None}]
)
def test_a_card_that_says_something_else_is_refused(
    folder: Path, change: dict[str, object]
) -> None:
    edit(folder / CARD, **change)
    with pytest.raises(PriorError):
        Prior.load(folder)


def test_the_shipped_prior_is_small_and_fits_the_working_legend() -> None:
    prior = Prior.load()
    assert sum(p.numel() for p in prior.network.parameters()) <= 3_000_000
    assert prior.legend == WORKING
    assert (prior.crop_px, prior.resolution_m) == (64, 4.0)
