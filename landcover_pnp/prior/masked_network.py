"""The network of a masked prior: a U-Net that tells hidden classes of a map from those it sees.

Needs nothing but torch, so that it trains and runs on a bare machine.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from landcover_pnp.errors import SettingsError
from landcover_pnp.prior.masked_settings import MaskedNetworkSettings as MaskedNetworkSettings

HIDDEN = 0
"""Code of a pixel that the network does not see; classes are 1, 2, ..."""


class MaskedUNet(nn.Module):
    """Logits of the class of every pixel, given the classes of those that are not hidden.

    It knows no noise level: how much is hidden is seen (Sahoo et al. 2024, arXiv 2406.07524,
    section 3.4). Features are normalised pixel by pixel, and attention fades with distance, so
    that what lies far away, or how large a window is, hardly acts on a pixel: windows of one map
    agree where they overlap.

    Args:
        settings: Architecture.
        classes: Number of classes.
        seed: Seed of the weights; the global generator is left as it was.

    Attributes:
        settings: Architecture.
        classes: Number of classes.

    Raises:
        SettingsError: If there is no such network.
    """

    def __init__(self, settings: MaskedNetworkSettings, classes: int = 5, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.classes = classes
        _require_network(settings)
        channels, blocks = settings.channels, settings.blocks
        steps = list(pairwise(channels))
        upper = list(zip(channels[:-1], blocks[:-1], strict=True))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.enter = nn.Conv2d(classes + 1, channels[0], 3, padding=1)
            self.down = nn.ModuleList(_blocks(*level) for level in upper)
            self.coarser = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in steps)
            self.lowest = _attending(channels[-1], blocks[-1], settings.head_channels)
            self.finer = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
            self.up = nn.ModuleList(_blocks(*level) for level in upper)
            self.norm = ChannelNorm(channels[0])
            self.leave = nn.Conv2d(channels[0], classes, 1)
        nn.init.zeros_(self.leave.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, codes: Tensor) -> Tensor:
        """Logits of every pixel, of the visible ones too.

        Args:
            codes: (batch, y, x) int64 of any height and width, 0 = hidden, 1 to ``classes`` the
                class. Padded inside with hidden pixels to what the levels need. Attention at the
                lowest level takes memory with the square of the number of pixels: give large
                maps in windows.

        Returns:
            (batch, class, y, x) float32.
        """
        height, width = codes.shape[-2:]
        unit = self.settings.unit
        padded = functional.pad(codes, (0, -width % unit, 0, -height % unit), value=HIDDEN)
        hot = functional.one_hot(padded, self.classes + 1).movedim(-1, 1)
        x = self.enter(hot.to(self.enter.weight.dtype))
        skips = []
        for blocks, coarser in zip(self.down, self.coarser, strict=True):
            x = blocks(x)
            skips.append(x)
            x = coarser(x)
        x = self.lowest(x)
        for blocks, finer in zip(reversed(self.up), reversed(self.finer), strict=True):
            x = blocks(skips.pop() + functional.interpolate(finer(x), scale_factor=2.0))
        logits: Tensor = self.leave(self.norm(x))
        return logits[..., :height, :width].float()


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of the channels of each pixel of (batch, channel, y, x)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, y, x) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Two 3 x 3 convolutions on the normalised features, added to them; at first the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, y, x) to the same shape."""
        added: Tensor = self.second(functional.silu(self.first(self.norm(x))))
        return x + added


class Attention(nn.Module):
    """Self-attention that fades with distance, the faster the earlier the head.

    The logit of two pixels falls linearly with their distance (Press et al. 2022,
    arXiv 2108.12409, in two dimensions), so that it works alike in windows of any size.
    """

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.heads = channels // head_channels
        self.norm = ChannelNorm(channels)
        self.given = nn.Conv2d(channels, 3 * channels, 1)
        self.taken = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.taken.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, y, x) to the same shape."""
        batch, channels, height, width = x.shape
        given = self.given(self.norm(x)).permute(0, 2, 3, 1)
        parts = given.reshape(batch, height * width, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        fading = self._fading(height, width, x.device).to(query.dtype)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=fading)
        seen = seen.transpose(1, 2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
        added: Tensor = self.taken(seen)
        return x + added

    def _fading(self, height: int, width: int, device: torch.device) -> Tensor:
        """(head, pixel, pixel) minus the distance, over 1, 2, 4 or 8 pixels by head in turn."""
        y, x = torch.arange(height, device=device), torch.arange(width, device=device)
        places = torch.cartesian_prod(y, x).reshape(-1, 2).float()
        reach = 2.0 ** (torch.arange(self.heads, device=device) % 4)
        return -torch.cdist(places, places) / reach[:, None, None]


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def _attending(channels: int, count: int, head_channels: int) -> nn.Sequential:
    pairs = ((Block(channels), Attention(channels, head_channels)) for _ in range(count))
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


def _require_network(settings: MaskedNetworkSettings) -> None:
    """Refuses what is no network."""
    channels, blocks = settings.channels, settings.blocks
    if not len(channels) == len(blocks) > 0 or min([*channels, *blocks]) < 1:
        raise SettingsError(
            found=f"channels {channels} with blocks {blocks}",
            expected="as many numbers of blocks as of channels, one a level, all above 0",
            fix="correct channels or blocks",
        )
    if channels[-1] % settings.head_channels:
        raise SettingsError(
            found=f"{channels[-1]} channels at the lowest level with head_channels "
            f"{settings.head_channels}",
            expected="whole heads",
            fix="choose a head_channels that divides the last of channels",
        )
