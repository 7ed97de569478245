"""Folders of diffusers as priors, and priors as folders of diffusers."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from safetensors.torch import load_file, save_file

from landcover_pnp.errors import PriorError
from landcover_pnp.inference.samplers.ddim import ddim
from landcover_pnp.inference.samplers.diffusers_model import DiffusersModel
from landcover_pnp.inference.samplers.levels import levels
from landcover_pnp.inference.samplers.model import seeded
from landcover_pnp.prior.conversion_settings import ExportPriorSettings, ImportPriorSettings
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.importing import export_prior, import_prior

CONFIG, PROCESS = "config.json", "scheduler_config.json"


def unet(seed: int = 0, channels: int = 6, out_channels: int | None = None) -> UNet2DModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DModel(
            sample_size=16,
            in_channels=channels,
            out_channels=out_channels or channels,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=4,
            attention_head_dim=4,
        ).eval()


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("pipeline", [True, False])
def test_a_diffusers_folder_predicts_what_diffusers_predicts(
    tmp_path: Path, schedule: str, prediction: str, pipeline: bool
) -> None:
    network = unet()
    scheduler = DDPMScheduler(
        1000, beta_schedule=schedule, prediction_type=prediction, clip_sample=False
    )
    network.save_pretrained(tmp_path / "in" / ("unet" if pipeline else ""))
    scheduler.save_pretrained(tmp_path / "in" / ("scheduler" if pipeline else ""))
    import_prior(tmp_path / "in", ImportPriorSettings(tmp_path / "out"))
    prior = Prior.load(tmp_path / "out")
    assert (prior.crop_px, prior.time_offset) == (16, -1)
    torch.testing.assert_close(
        prior.schedule.alpha_bar(torch.arange(1, 1001)).float(),
        scheduler.alphas_cumprod,
        atol=1e-6,
        rtol=1e-3,
    )
    x = torch.randn(2, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    for t in (1, 500, 900):
        with torch.no_grad():
            output = network(x, t - 1).sample
            eps = prior.predict_noise(x, t)
        if prediction == "epsilon":
            torch.testing.assert_close(eps, output)
        x0 = scheduler.step(output, t - 1, x, generator=torch.Generator()).pred_original_sample
        torch.testing.assert_close(
            prior.schedule.predict_clean(x, eps, t), x0, atol=1e-3, rtol=1e-3
        )


def test_foreign_folders_that_cannot_be_a_prior_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    with pytest.raises(PriorError, match="no file or folder"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    unet(channels=3).save_pretrained(folder)
    with pytest.raises(PriorError, match=r"no .*scheduler_config\.json"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    DDPMScheduler().save_pretrained(folder)
    with pytest.raises(PriorError, match="3 channels in and 3 out"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    unet().save_pretrained(folder)
    DDPMScheduler(beta_schedule="scaled_linear").save_pretrained(folder)
    with pytest.raises(PriorError, match="beta_schedule 'scaled_linear'"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    DDPMScheduler().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "block_out_channels": [8, 24]}))
    with pytest.raises(PriorError, match=r"tensor \S+ of shape \(16.*(?s:.*)shape \(24"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    (folder / "config.json").write_text(
        json.dumps({**config, "_class_name": "UNet2DConditionModel"})
    )
    with pytest.raises(PriorError, match="UNet2DConditionModel"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "change", "found"),
    [
        (CONFIG, {"class_embed_type": "timestep"}, "class_embed_type 'timestep'"),
        (CONFIG, {"sample_size": [16, 8]}, r"sample_size \[16, 8\]"),
        (CONFIG, {"down_block_types": ["No", "No"]}, "config.json is damaged: No does not exist"),
        (CONFIG, {"_class_name": None}, "nothing that diffusers writes"),
        (PROCESS, {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr"),
        (PROCESS, {"num_train_timesteps": 0}, "steps is 0"),
        (PROCESS, {"num_train_timesteps": "many"}, "invalid literal"),
        (PROCESS, {"beta_start": None}, "scheduler_config.json is damaged"),
    ],
)
def test_a_folder_that_says_something_else_is_refused(
    tmp_path: Path, file: str, change: Mapping[str, object], found: str
) -> None:
    unet().save_pretrained(tmp_path / "in")
    DDPMScheduler().save_pretrained(tmp_path / "in")
    told = json.loads((tmp_path / "in" / file).read_text())
    (tmp_path / "in" / file).write_text(json.dumps({**told, **change}))
    with pytest.raises(PriorError, match=found):
        import_prior(tmp_path / "in", ImportPriorSettings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_tensor_too_many_and_a_list_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    unet().save_pretrained(folder)
    DDPMScheduler().save_pretrained(folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    save_file({**load_file(weights), "extra": torch.zeros(3)}, weights)
    with pytest.raises(PriorError, match=r"tensor extra of shape \(3,\)(?s:.*)no such tensor"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))
    (folder / CONFIG).write_text("[]")
    with pytest.raises(PriorError, match="nothing that diffusers writes"):
        import_prior(folder, ImportPriorSettings(tmp_path / "out"))


def test_diffusers_opens_what_is_exported(tmp_path: Path) -> None:
    summary = export_prior(ExportPriorSettings(tmp_path))
    shipped = Prior.load()
    assert summary.fingerprint == shipped.fingerprint
    network = UNet2DModel.from_pretrained(tmp_path).eval()
    scheduler = DDPMScheduler.from_pretrained(tmp_path)
    x = torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        v = network(x, 300).sample
        expected = shipped.predict_noise(x, 300)
    abar = scheduler.alphas_cumprod[299]
    torch.testing.assert_close(abar.sqrt() * v + (1 - abar).sqrt() * x, expected, atol=1e-4, rtol=0)
    assert Prior.load(tmp_path).fingerprint == shipped.fingerprint
    with pytest.raises(PriorError, match="is a prior already"):
        import_prior(tmp_path, ImportPriorSettings(tmp_path / "again"))


@pytest.mark.parametrize("pipeline", [True, False])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_pipeline_of_images_is_a_model_for_samplers(
    tmp_path: Path, prediction: str, pipeline: bool
) -> None:
    network = unet(channels=3)
    scheduler = DDPMScheduler(1000, prediction_type=prediction, clip_sample=False)
    network.save_pretrained(tmp_path / ("unet" if pipeline else ""))
    scheduler.save_pretrained(tmp_path / ("scheduler" if pipeline else ""))
    model = DiffusersModel.open(tmp_path)
    assert (model.channels, model.size_px) == (3, 16)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for t in (1, 500, 1000):
        out = network(x, t - 1).sample
        theirs = scheduler.step(out, t - 1, x).pred_original_sample
        ours = model.schedule.predict_clean(x, model.predict_noise(x, t), t)
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3 * theirs.abs().max().item())
    assert ddim(model, x, levels(1000, 2), seeded(0)).shape == x.shape


def test_a_network_of_learned_variances_is_no_model_for_samplers(tmp_path: Path) -> None:
    unet(channels=3, out_channels=6).save_pretrained(tmp_path)
    DDPMScheduler(1000).save_pretrained(tmp_path)
    with pytest.raises(PriorError, match="takes 3 channels and puts out 6"):
        DiffusersModel.open(tmp_path)
