"""Laws of the masked prior's network: any window, any classes, the same where windows overlap."""

from __future__ import annotations

import pytest
import torch

from landcover_pnp.errors import SettingsError
from landcover_pnp.prior.masked_network import HIDDEN, Attention, MaskedNetworkSettings, MaskedUNet

TINY = MaskedNetworkSettings(crop_px=16, channels=[8, 16, 16], blocks=[1, 1, 2], head_channels=4)


def tiny(classes: int = 5, seed: int = 0) -> MaskedUNet:
    """A network whose every weight acts: those that start at zero are drawn too."""
    network = MaskedUNet(TINY, classes, seed).requires_grad_(False).eval()
    draw = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        if not weight.any():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=draw))
    return network


def codes(height: int, width: int, classes: int = 5, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes + 1, (2, height, width), generator=draw)


@pytest.mark.parametrize("size", [(16, 16), (15, 22), (1, 1), (1, 9), (40, 3)])
@pytest.mark.parametrize("classes", [5, 2])
def test_a_window_of_any_size_keeps_its_size(size: tuple[int, int], classes: int) -> None:
    logits = tiny(classes)(codes(*size, classes))
    assert logits.shape == (2, classes, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_padding_is_hidden_pixels() -> None:
    network, whole = tiny(), codes(16, 16)
    whole[:, 13:], whole[:, :, 14:] = HIDDEN, HIDDEN
    torch.testing.assert_close(network(whole[:, :13, :14]), network(whole)[..., :13, :14])


def test_every_level_and_attention_act_on_every_pixel() -> None:
    """A change in one corner is felt in the other, and a hidden pixel is not a seen one."""
    network, before = tiny(), codes(32, 32)
    after = before.clone()
    after[:, 0, 0] = (before[:, 0, 0] + 1) % 6
    felt = (network(after) - network(before)).abs().amax(1)
    assert (felt > 0).all()
    for weight in network.parameters():
        kept = weight.clone()
        weight.zero_()
        assert not torch.equal(network(before), tiny()(before))
        weight.copy_(kept)


def test_what_is_far_away_hardly_acts() -> None:
    """Windows of one map agree where they overlap, away from their edges."""
    network, whole = tiny(), codes(96, 96)
    inner = network(whole[:, :64, :64])[..., 24:36, 24:36]
    outer = network(whole)[..., 24:36, 24:36]
    spread = outer.std()
    assert (inner - outer).abs().max() < 0.1 * spread


def test_a_seed_fixes_the_weights_and_leaves_the_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (MaskedUNet(TINY, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"channels": [8, 16]}, "blocks"),
        ({"channels": [], "blocks": []}, "blocks"),
        ({"blocks": [1, 0, 1]}, "above 0"),
        ({"channels": [8, 16, 18]}, "head_channels"),
        ({"crop_px": 0}, "crop_px"),
        ({"head_channels": 0}, "head_channels"),
        ({"resolution_m": 0.0}, "resolution_m"),
    ],
)
def test_what_is_no_network_is_refused(wrong: dict[str, object], named: str) -> None:
    given = {"channels": [8, 16, 16], "blocks": [1, 1, 1], "head_channels": 4, **wrong}
    with pytest.raises(SettingsError, match=named):
        MaskedUNet(MaskedNetworkSettings(**given))  # type: ignore[arg-type]


def test_attention_fades_with_distance_the_faster_the_earlier_the_head() -> None:
    fading = Attention(16, 4)._fading(1, 9, torch.device("cpu"))
    assert fading.shape == (4, 9, 9)
    for head, reach in enumerate((1, 2, 4, 8)):
        torch.testing.assert_close(fading[head, 0], -torch.arange(9.0) / reach)
