"""A small independent writing of guided-diffusion's U-Net, to compare conversions with."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from landcover_pnp.prior.conversion_settings import ImportPriorSettings
from landcover_pnp.prior.guided_tensors import Shape


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
    """The U-Net of Dhariwal & Nichol 2021."""

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


def tiny_settings(out: Path, **more: object) -> ImportPriorSettings:
    """How the recorded checkpoint is imported."""
    return ImportPriorSettings(out, **{"num_heads": 2, "crop_px": 32, **more})  # type: ignore[arg-type]
