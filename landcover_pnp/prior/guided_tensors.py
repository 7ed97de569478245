"""Tensors of OpenAI's guided-diffusion U-Net: what they tell of it and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from torch import Tensor

from landcover_pnp.errors import PriorError

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "proj_out": "to_out.0"}

GROUPS = 32
"""Groups of the normalisation, whatever the width."""


@dataclass(frozen=True)
class Shape:
    """What a checkpoint's tensors tell about its U-Net.

    Attributes:
        in_channels: Channels of the maps.
        out_channels: Channels of the output.
        channels: Feature channels a level.
        depth: Residual blocks a level.
        attention: Whether a level has attention, one a level.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    depth: int
    attention: tuple[bool, ...]

    @property
    def attention_widths(self) -> list[int]:
        """Widths with attention: of such levels, and of the middle, as wide as the lowest level."""
        with_attention = zip(self.channels, self.attention, strict=True)
        return sorted({self.channels[-1], *(width for width, has in with_attention if has)})


def read_shape(weights: Mapping[str, Tensor]) -> Shape:
    """Reads widths, depth and attention levels from the tensors of a checkpoint.

    guided-diffusion numbers its blocks in a row: on the way down the residual blocks of a level
    and its downsampler.

    Args:
        weights: guided-diffusion's state dict.

    Returns:
        The shape.

    Raises:
        PriorError: If a tensor that every such U-Net has is missing, or levels differ in depth.
    """
    for key in ("input_blocks.0.0.weight", "input_blocks.1.0.in_layers.2.weight", "out.2.weight"):
        if key not in weights or weights[key].ndim != 4:
            raise PriorError(
                found=f"tensor {key} of shape {tuple(weights[key].shape)}"
                if key in weights
                else f"no tensor {key} among {len(weights)} of them",
                expected="the state dict of an OpenAI guided-diffusion U-Net",
                fix="name the checkpoint of the network itself (not of its optimiser)",
            )
    levels: list[list[tuple[int, bool]]] = [[]]
    for number in count(1):
        block = f"input_blocks.{number}"
        if f"{block}.0.op.weight" in weights:
            levels.append([])
        elif f"{block}.0.in_layers.2.weight" in weights:
            [width, *_] = weights[f"{block}.0.in_layers.2.weight"].shape or (0,)
            levels[-1].append((width, f"{block}.1.qkv.weight" in weights))
        else:
            break
    depths = [len(level) for level in levels]
    if len(set(depths)) != 1 or any(len(set(level)) != 1 for level in levels):
        raise PriorError(
            found=f"levels of {depths} residual blocks: (width, attention) {levels}",
            expected="levels of equal depth, each of one width, with attention or without",
            fix="only such U-Nets can be imported; is the checkpoint complete?",
        )
    widths = [level[0][0] for level in levels]
    if any(width < 1 or width % GROUPS for width in widths):
        raise PriorError(
            found=f"levels of {widths} channels",
            expected=f"multiples of {GROUPS}, the groups of guided-diffusion's normalisation",
            fix="only such U-Nets can be imported; is the checkpoint complete?",
        )
    return Shape(
        in_channels=weights["input_blocks.0.0.weight"].shape[1],
        out_channels=weights["out.2.weight"].shape[0],
        channels=tuple(widths),
        depth=depths[0],
        attention=tuple(level[0][1] for level in levels),
    )


def tensor_names(shape: Shape) -> Iterator[tuple[str, str]]:
    """Names of each tensor in guided-diffusion and in diffusers, in order."""
    for old, new in _modules(shape):
        for kind in ("weight", "bias"):
            yield f"{old}.{kind}", f"{new}.{kind}"


def _modules(shape: Shape) -> Iterator[tuple[str, str]]:
    """Names of each module in guided-diffusion and in diffusers.

    On the way up a level has one block more than on the way down, whose last part is the
    upsampler.
    """
    levels, depth = len(shape.channels), shape.depth
    yield "time_embed.0", "time_embedding.linear_1"
    yield "time_embed.2", "time_embedding.linear_2"
    yield "input_blocks.0.0", "conv_in"
    for level in range(levels):
        for layer in range(depth + 1):
            down = f"input_blocks.{level * (depth + 1) + layer + 1}"
            if layer < depth:
                yield from _resnet(f"{down}.0", f"down_blocks.{level}.resnets.{layer}")
                if shape.attention[level]:
                    yield from _attention(f"{down}.1", f"down_blocks.{level}.attentions.{layer}")
            elif level < levels - 1:
                yield f"{down}.0.op", f"down_blocks.{level}.downsamplers.0.conv"
    yield from _resnet("middle_block.0", "mid_block.resnets.0")
    yield from _attention("middle_block.1", "mid_block.attentions.0")
    yield from _resnet("middle_block.2", "mid_block.resnets.1")
    for level in range(levels):
        has_attention = shape.attention[levels - 1 - level]
        for layer in range(depth + 1):
            up = f"output_blocks.{level * (depth + 1) + layer}"
            yield from _resnet(f"{up}.0", f"up_blocks.{level}.resnets.{layer}")
            if has_attention:
                yield from _attention(f"{up}.1", f"up_blocks.{level}.attentions.{layer}")
            if layer == depth and level < levels - 1:
                part = 2 if has_attention else 1
                yield f"{up}.{part}.conv", f"up_blocks.{level}.upsamplers.0.conv"
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"


def _resnet(old: str, new: str) -> Iterator[tuple[str, str]]:
    return ((f"{old}.{a}", f"{new}.{b}") for a, b in _RESNET.items())


def _attention(old: str, new: str) -> Iterator[tuple[str, str]]:
    yield f"{old}.qkv", f"{new}.to_q"
    yield from ((f"{old}.{a}", f"{new}.{b}") for a, b in _ATTENTION.items())
