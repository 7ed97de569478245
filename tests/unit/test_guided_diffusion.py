"""A converted guided-diffusion U-Net computes what the original does; others are refused."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from guided_unet import GuidedUNet, tiny_settings
from torch import Tensor

from landcover_pnp.errors import PriorError, SettingsError
from landcover_pnp.prior.conversion_settings import ImportPriorSettings
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.guided_diffusion import build, convert
from landcover_pnp.prior.guided_tensors import Shape, read_shape
from landcover_pnp.prior.importing import import_prior

PAPER = Shape(6, 6, (128, 256, 384, 512), 2, (False, False, False, True))


@pytest.fixture
def tiny(checkpoint: Path) -> dict[str, Tensor]:
    return dict(torch.load(checkpoint, weights_only=True))


def test_the_recorded_network_gives_its_recorded_output(checkpoint: Path, tmp_path: Path) -> None:
    summary = import_prior(checkpoint, tiny_settings(tmp_path))
    assert summary.channels == "32-64"
    prior = Prior.load(tmp_path)
    assert prior.fingerprint == summary.fingerprint
    assert (prior.prediction, prior.licence, prior.crop_px) == ("epsilon", "MIT", 32)
    recorded = np.load(checkpoint.with_name("guided_diffusion_tiny_forward.npz"))
    x, t, y = (torch.from_numpy(recorded[name]) for name in ("x", "t", "y"))
    with torch.no_grad():
        torch.testing.assert_close(prior.predict_noise(x, t), y, atol=1e-5, rtol=0)


def test_channels_in_another_order_are_brought_into_that_of_the_legend(
    checkpoint: Path, tmp_path: Path
) -> None:
    import_prior(checkpoint, tiny_settings(tmp_path / "a"))
    order = [3, 0, 5, 1, 2, 4]
    import_prior(checkpoint, tiny_settings(tmp_path / "b", classes=order))
    one, other = Prior.load(tmp_path / "a"), Prior.load(tmp_path / "b")
    x = torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    # Channel k of the checkpoint is class order[k].
    torch.testing.assert_close(
        other.predict_noise(x, 300)[:, order], one.predict_noise(x[:, order], 300)
    )
    with pytest.raises(SettingsError, match="each of 0"):
        import_prior(checkpoint, tiny_settings(tmp_path / "c", classes=[0, 1, 2, 3, 4, 4]))


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
    assert "--num_head_channels" in refused.value.fix
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


def test_heads_that_do_not_divide_are_refused(tiny: dict[str, Tensor]) -> None:
    with pytest.raises(PriorError, match=r"widths \[64\] with 3 heads"):
        build(read_shape(tiny), 3, 32)
