"""Priors from elsewhere compute what they computed there; what cannot be one is refused."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from landcover_pnp.cli import main
from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.guided_diffusion import Shape, build, convert, read_shape
from landcover_pnp.prior.importing import export_prior, import_prior
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.settings import ExportPriorSettings, ImportPriorSettings, NoiseSettings

FIXTURES = Path(__file__).parents[2].parent / "shared" / "fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="no recorded fixtures")


def settings(out: Path, **more: object) -> ImportPriorSettings:
    return ImportPriorSettings(out, **{"num_heads": 2, "crop_px": 32, **more})  # type: ignore[arg-type]


@pytest.fixture
def tiny() -> dict[str, Tensor]:
    weights = torch.load(FIXTURES / "guided_diffusion_tiny.pth", weights_only=True)
    return dict(weights)


@needs_fixtures
def test_the_recorded_network_gives_its_recorded_output(tmp_path: Path) -> None:
    summary = import_prior(FIXTURES / "guided_diffusion_tiny.pth", settings(tmp_path))
    assert summary.channels == "32-64"
    prior = Prior.load(tmp_path)
    assert prior.fingerprint == summary.fingerprint
    assert (prior.prediction, prior.licence, prior.crop_px) == ("epsilon", "MIT", 32)
    recorded = np.load(FIXTURES / "guided_diffusion_tiny_forward.npz")
    x, t, y = (torch.from_numpy(recorded[name]) for name in ("x", "t", "y"))
    with torch.no_grad():
        torch.testing.assert_close(prior.predict_noise(x, t), y, atol=1e-5, rtol=0)


@needs_fixtures
def test_channels_in_another_order_are_brought_into_that_of_the_legend(tmp_path: Path) -> None:
    source = FIXTURES / "guided_diffusion_tiny.pth"
    import_prior(source, settings(tmp_path / "a"))
    order = [3, 0, 5, 1, 2, 4]
    import_prior(source, settings(tmp_path / "b", classes=order))
    one, other = Prior.load(tmp_path / "a"), Prior.load(tmp_path / "b")
    x = torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    # Channel k of the checkpoint is class order[k].
    torch.testing.assert_close(
        other.predict_noise(x, 300)[:, order], one.predict_noise(x[:, order], 300)
    )
    with pytest.raises(SettingsError, match="each of 0"):
        import_prior(source, settings(tmp_path / "c", classes=[0, 1, 2, 3, 4, 4]))


class GuidedResBlock(nn.Module):
    """guided-diffusion's residual block, written from its paper's description."""

    def __init__(self, before: int, after: int, time: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, after))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, after), nn.SiLU(), nn.Identity(), nn.Conv2d(after, after, 3, padding=1)
        )
        same = before == after
        self.skip_connection = nn.Identity() if same else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(emb)[..., None, None]
        return self.skip_connection(x) + self.out_layers(h)


class GuidedAttention(nn.Module):
    """Its self-attention: queries, keys and values of a head stand together."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(32, width)
        self.qkv = nn.Conv1d(width, 3 * width, 1)
        self.proj_out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        batch, width, *_ = x.shape
        flat = x.reshape(batch, width, -1)
        q, k, v = (
            self.qkv(self.norm(flat))
            .reshape(batch * self.heads, 3 * width // self.heads, -1)
            .chunk(3, dim=1)
        )
        share = torch.softmax(q.transpose(1, 2) @ k / (width // self.heads) ** 0.5, -1)
        h = (v @ share.transpose(1, 2)).reshape(batch, width, -1)
        return (flat + self.proj_out(h)).reshape(x.shape)


class Down(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.op(x)  # type: ignore[no-any-return]


class Up(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.conv(nn.functional.interpolate(x, scale_factor=2))  # type: ignore[no-any-return]


class Parts(nn.Sequential):
    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        for part in self:
            x = part(x) if isinstance(part, nn.Conv2d) else part(x, emb)
        return x


class GuidedUNet(nn.Module):
    """A small independent writing of guided-diffusion's U-Net (Dhariwal & Nichol 2021)."""

    def __init__(self, shape: Shape, heads: int, head_channels: int | None = None) -> None:
        super().__init__()
        base, time = shape.channels[0], 4 * shape.channels[0]
        self.base = base
        self.time_embed = nn.Sequential(nn.Linear(base, time), nn.SiLU(), nn.Linear(time, time))
        first = nn.Conv2d(shape.in_channels, base, 3, padding=1)
        self.input_blocks = nn.ModuleList([Parts(first)])
        widths, width = [base], base

        def block(before: int, after: int, has_attention: bool) -> list[nn.Module]:
            number = after // head_channels if head_channels else heads
            attention = [GuidedAttention(after, number)] if has_attention else []
            return [GuidedResBlock(before, after, time), *attention]

        for level, after in enumerate(shape.channels):
            for _ in range(shape.depth):
                self.input_blocks.append(Parts(*block(width, after, shape.attention[level])))
                width = after
                widths.append(width)
            if level < len(shape.channels) - 1:
                self.input_blocks.append(Parts(Down(width)))
                widths.append(width)
        self.middle_block = Parts(*block(width, width, True), GuidedResBlock(width, width, time))
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(len(shape.channels))):
            after = shape.channels[level]
            for layer in range(shape.depth + 1):
                parts = block(width + widths.pop(), after, shape.attention[level])
                width = after
                if level and layer == shape.depth:
                    parts.append(Up(width))
                self.output_blocks.append(Parts(*parts))
        last = nn.Conv2d(base, shape.out_channels, 3, padding=1)
        self.out = nn.Sequential(nn.GroupNorm(32, base), nn.SiLU(), last)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        half = self.base // 2
        frequency = torch.exp(-np.log(10_000) * torch.arange(half) / half)
        angle = t[:, None] * frequency
        emb = self.time_embed(torch.cat([angle.cos(), angle.sin()], -1))
        skips = []
        for block in self.input_blocks:
            x = block(x, emb)
            skips.append(x)
        x = self.middle_block(x, emb)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], 1), emb)
        return self.out(x)  # type: ignore[no-any-return]


PAPER = Shape(6, 6, (128, 256, 384, 512), 2, (False, False, False, True))


@pytest.mark.parametrize(
    ("shape", "heads"),
    [
        (Shape(6, 6, (32, 64), 1, (False, True)), 2),
        (Shape(6, 6, (32, 64, 64), 3, (False, True, True)), 1),
        (Shape(6, 6, (64,), 2, (False,)), 4),
        pytest.param(PAPER, 4, marks=pytest.mark.slow, id="paper"),
    ],
)
def test_any_shape_is_read_from_the_tensors_and_gives_equal_outputs(
    shape: Shape, heads: int
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        original = GuidedUNet(shape, heads).eval()
    weights = original.state_dict()
    assert read_shape(weights) == shape
    network = convert(weights, heads, 64).eval()
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters == sum(value.numel() for value in weights.values())
    if shape == PAPER:
        assert round(parameters / 1e6, 2) == 85.26
    x = torch.randn(3, 6, 16, 16, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([1.0, 10.5, 999.0])
    with torch.no_grad():
        torch.testing.assert_close(network(x, t).sample, original(x, t), atol=2e-5, rtol=1e-4)


def test_attention_at_levels_of_several_widths_needs_heads_of_one_size(tmp_path: Path) -> None:
    shape = Shape(6, 6, (32, 64, 96), 1, (False, True, True))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        original = GuidedUNet(shape, 1, head_channels=16).eval()
    torch.save(original.state_dict(), tmp_path / "unet.pth")
    with pytest.raises(PriorError, match=r"64 and 96 channels with 4 heads at each") as refused:
        import_prior(tmp_path / "unet.pth", ImportPriorSettings(tmp_path / "out"))
    assert "--num_head_channels" in refused.value.way_out
    with pytest.raises(PriorError, match=r"widths \[64, 96\] with heads of 20 channels"):
        convert(original.state_dict(), 4, 64, 20)
    import_prior(tmp_path / "unet.pth", ImportPriorSettings(tmp_path / "out", num_head_channels=16))
    x = torch.randn(3, 6, 16, 16, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([1, 10, 999])
    for network in (
        Prior.load(tmp_path / "out").network,
        UNet2DModel.from_pretrained(tmp_path / "out").eval(),
    ):
        with torch.no_grad():
            torch.testing.assert_close(network(x, t).sample, original(x, t), atol=2e-5, rtol=1e-4)


@needs_fixtures
@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        (
            {"middle_block.1.qkv.weight": None},
            "no tensor middle_block.1.qkv.weight",
            r"\(192, 64, 1\)",
        ),
        (
            {"output_blocks.1.0.in_layers.2.weight": torch.zeros(64, 95, 3, 3)},
            r"output_blocks.1.0.in_layers.2.weight of shape \(64, 95, 3, 3\)",
            r"\(64, 96, 3, 3\)",
        ),
        (
            {"label_emb.weight": torch.zeros(5, 128)},
            r"label_emb.weight of shape \(5, 128\)",
            "no such",
        ),
        ({"out.2.weight": None}, "no tensor out.2.weight", "guided-diffusion"),
        ({"input_blocks.3.0.in_layers.2.weight": None}, "residual blocks", "equal depth"),
        ({"out.2.weight": torch.tensor(1.0)}, r"out.2.weight of shape \(\)", "guided-diffusion"),
        (
            {"input_blocks.1.0.in_layers.2.weight": torch.zeros(48, 32, 3, 3)},
            r"levels of \[48, 64\] channels",
            "multiples of 32",
        ),
    ],
)
def test_the_first_mismatch_is_named_with_both_shapes(
    tiny: dict[str, Tensor], change: Mapping[str, Tensor | None], found: str, expected: str
) -> None:
    for key, value in change.items():
        tiny.pop(key, None)
        if value is not None:
            tiny[key] = value
    with pytest.raises(PriorError, match=f"(?s){found}.*{expected}"):
        convert(tiny, 2, 32)


@needs_fixtures
def test_heads_that_do_not_divide_are_refused(tiny: dict[str, Tensor]) -> None:
    with pytest.raises(PriorError, match=r"widths \[64\] with 3 heads"):
        build(read_shape(tiny), 3, 32)


class Canary:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))  # type: ignore[return-value]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_carries_code_is_refused_and_not_executed(
    tmp_path: Path, zipped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source, canary = tmp_path / "unet.pth", tmp_path / "executed"
    if zipped:
        torch.save({"a": torch.zeros(1), "b": Canary(canary)}, source)
    else:
        source.write_bytes(pickle.dumps(Canary(canary), protocol=2))
    assert main(["import-prior", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "nothing in it was executed" in capsys.readouterr().err
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


@needs_fixtures
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, share: float) -> None:
    content = (FIXTURES / "guided_diffusion_tiny.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(PriorError, match=r"truncated or no checkpoint|or is damaged"):
        import_prior(tmp_path / "cut.pth", settings(tmp_path / "out"))


@needs_fixtures
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_bytes_are_refused(tiny: dict[str, Tensor], tmp_path: Path, zipped: bool) -> None:
    small = {key: value for key, value in tiny.items() if value.numel() < 1000}
    torch.save(small, tmp_path / "good.pth", _use_new_zipfile_serialization=zipped)
    content, rng = (tmp_path / "good.pth").read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(content)
        for place in rng.integers(0, 4000, rng.choice([1, 5, 50])):
            damaged[place] = rng.integers(256)
        (tmp_path / "damaged.pth").write_bytes(damaged)
        with pytest.raises(PriorError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, on what it finds in there
            import_prior(tmp_path / "damaged.pth", settings(tmp_path / "out"))


@needs_fixtures
@pytest.mark.parametrize(
    ("weight", "found"),
    [
        (torch.full((6,), float("nan")), "out.2.bias|conv_out.bias has values that are not finite"),
        (torch.zeros(6, dtype=torch.complex64), "not names and tensors of real numbers"),
        (torch.zeros(6, dtype=torch.int64), "not names and tensors of real numbers"),
        (torch.zeros(6).to_sparse(), "not names and tensors of real numbers"),
    ],
)
def test_weights_are_finite_real_numbers(
    tiny: dict[str, Tensor], tmp_path: Path, weight: Tensor, found: str
) -> None:
    torch.save({**tiny, "out.2.bias": weight}, tmp_path / "unet.pth")
    with pytest.raises(PriorError, match=found):
        import_prior(tmp_path / "unet.pth", settings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with pytest.raises(PriorError, match="no file or folder"):
        import_prior(path, settings(tmp_path / "out"))
    torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(PriorError, match="not names and tensors"):
        import_prior(path, settings(tmp_path / "out"))
    torch.save({"fc.weight": torch.zeros(1)}, path)
    with pytest.raises(PriorError, match=r"no tensor input_blocks\.0\.0\.weight among 1 of"):
        import_prior(path, settings(tmp_path / "out"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = GuidedUNet(Shape(3, 3, (32,), 1, (True,)), 2).state_dict()
    torch.save(weights, path)
    with pytest.raises(PriorError, match="3 channels in and 3 out"):
        import_prior(path, settings(tmp_path / "out"))


def unet(seed: int = 0, channels: int = 6) -> UNet2DModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DModel(
            sample_size=16,
            in_channels=channels,
            out_channels=channels,
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
        import_prior(folder, settings(tmp_path / "out"))
    unet(channels=3).save_pretrained(folder)
    with pytest.raises(PriorError, match=r"no .*scheduler_config\.json"):
        import_prior(folder, settings(tmp_path / "out"))
    DDPMScheduler().save_pretrained(folder)
    with pytest.raises(PriorError, match="3 channels in and 3 out"):
        import_prior(folder, settings(tmp_path / "out"))
    unet().save_pretrained(folder)
    DDPMScheduler(beta_schedule="scaled_linear").save_pretrained(folder)
    with pytest.raises(PriorError, match="beta_schedule 'scaled_linear'"):
        import_prior(folder, settings(tmp_path / "out"))
    DDPMScheduler().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "block_out_channels": [8, 24]}))
    with pytest.raises(PriorError, match=r"tensor \S+ of shape \(16.*(?s:.*)shape \(24"):
        import_prior(folder, settings(tmp_path / "out"))
    (folder / "config.json").write_text(
        json.dumps({**config, "_class_name": "UNet2DConditionModel"})
    )
    with pytest.raises(PriorError, match="UNet2DConditionModel"):
        import_prior(folder, settings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


CONFIG, PROCESS = "config.json", "scheduler_config.json"


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
        import_prior(tmp_path / "in", settings(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_tensor_too_many_and_a_list_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    unet().save_pretrained(folder)
    DDPMScheduler().save_pretrained(folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    save_file({**load_file(weights), "extra": torch.zeros(3)}, weights)
    with pytest.raises(PriorError, match=r"tensor extra of shape \(3,\)(?s:.*)no such tensor"):
        import_prior(folder, settings(tmp_path / "out"))
    (folder / CONFIG).write_text("[]")
    with pytest.raises(PriorError, match="nothing that diffusers writes"):
        import_prior(folder, settings(tmp_path / "out"))


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


def test_the_cosine_schedule_keeps_little_noise_longer() -> None:
    linear, cosine = (NoiseSchedule(NoiseSettings(schedule=s)) for s in ("linear", "cosine"))
    t = torch.arange(1001)
    assert (cosine.alpha_bar(t).diff() < 0).all()
    assert (cosine.alpha_bar(t[100:900]) > linear.alpha_bar(t[100:900])).all()
