"""Weights of OpenAI's guided-diffusion U-Net as the same network in diffusers.

The program released with Graikos et al. 2022 trains that U-Net (Dhariwal & Nichol 2021);
diffusers' ``UNet2DModel`` with the right settings computes the same function, so its weights
convert exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landcover_pnp.errors import PriorError

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "proj_out": "to_out.0"}

_GROUPS = 32
"""Groups of its normalisation, whatever the width."""


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
                way_out="name the checkpoint of the network itself (not of its optimiser)",
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
            way_out="only such U-Nets can be imported; is the checkpoint complete?",
        )
    widths = [level[0][0] for level in levels]
    if any(width < 1 or width % _GROUPS for width in widths):
        raise PriorError(
            found=f"levels of {widths} channels",
            expected=f"multiples of {_GROUPS}, the groups of guided-diffusion's normalisation",
            way_out="only such U-Nets can be imported; is the checkpoint complete?",
        )
    return Shape(
        in_channels=weights["input_blocks.0.0.weight"].shape[1],
        out_channels=weights["out.2.weight"].shape[0],
        channels=tuple(widths),
        depth=depths[0],
        attention=tuple(level[0][1] for level in levels),
    )


def build(shape: Shape, heads: int, crop_px: int, head_channels: int | None = None) -> UNet2DModel:
    """The same network in diffusers, without weights (on the meta device).

    Args:
        shape: Shape of the U-Net.
        heads: Attention heads, at every level with attention.
        crop_px: Side of the maps it was trained on.
        head_channels: Channels of a head in place of ``heads``, which then grow with the width.

    Returns:
        The network.

    Raises:
        PriorError: If the heads do not divide the width, or have other widths at other levels:
            diffusers has one number of channels a head for all levels.
    """
    from diffusers.models.unets.unet_2d import UNet2DModel

    channels_a_head = head_channels or _head_channels(shape, heads)
    if any(width % channels_a_head for width in shape.attention_widths):
        raise PriorError(
            found=f"attention at widths {shape.attention_widths} with heads of "
            f"{channels_a_head} channels",
            expected="channels of a head that divide each of these widths",
            way_out="correct --num_head_channels",
        )
    with torch.device("meta"):
        network: UNet2DModel = UNet2DModel(
            sample_size=crop_px,
            in_channels=shape.in_channels,
            out_channels=shape.out_channels,
            block_out_channels=shape.channels,
            layers_per_block=shape.depth,
            down_block_types=tuple(
                "AttnDownBlock2D" if has else "DownBlock2D" for has in shape.attention
            ),
            up_block_types=tuple(
                "AttnUpBlock2D" if has else "UpBlock2D" for has in reversed(shape.attention)
            ),
            attention_head_dim=channels_a_head,
            norm_num_groups=_GROUPS,
            flip_sin_to_cos=True,
            freq_shift=0,
            downsample_padding=1,
        )
    return network


def _head_channels(shape: Shape, heads: int) -> int:
    """Channels of a head where their number is the same at every level with attention."""
    widths = shape.attention_widths
    if len(widths) > 1:
        raise PriorError(
            found=f"attention at levels of {' and '.join(map(str, widths))} channels with "
            f"{heads} heads at each",
            expected="heads of as many channels at every level: diffusers' UNet2DModel has one "
            "attention_head_dim",
            way_out="give --num_head_channels if it was trained with that flag of "
            "guided-diffusion; with --num_heads alone such a network cannot be imported",
        )
    if widths[0] % heads:
        raise PriorError(
            found=f"attention at widths {widths} with {heads} heads",
            expected="a number of heads that divides the width",
            way_out="correct --num_heads",
        )
    return widths[0] // heads


def convert(
    weights: Mapping[str, Tensor], heads: int, crop_px: int, head_channels: int | None = None
) -> UNet2DModel:
    """The network of a guided-diffusion checkpoint in diffusers.

    Args:
        weights: guided-diffusion's state dict.
        heads: Attention heads: the tensors do not tell.
        crop_px: Side of the maps it was trained on.
        head_channels: Channels of a head in place of ``heads``.

    Returns:
        The network, float32.

    Raises:
        PriorError: On the first tensor that is missing, superfluous or of another shape.
    """
    shape = read_shape(weights)
    network = build(shape, heads, crop_px, head_channels)
    channels_a_head = int(network.config["attention_head_dim"])
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    converted: dict[str, Tensor] = {}
    left = dict(weights)
    for old, new in _tensors(shape):
        names = [new.replace("to_q", f"to_{part}") for part in "qkv"] if "to_q" in new else [new]
        if names[0] not in wanted:  # a residual block that keeps its width has no skip
            continue
        expected = wanted[names[0]]
        if "to_q" in new:
            expected = (3 * expected[0], *expected[1:])
        found = left.pop(old, None)
        # In attention, guided-diffusion writes linear maps as convolutions of width 1.
        is_linear = ".attentions." in new and new.endswith("weight") and "group_norm" not in new
        if is_linear:
            expected = (*expected, 1)
        if found is None or tuple(found.shape) != expected:
            raise _mismatch(old, None if found is None else tuple(found.shape), expected)
        value = found.float().squeeze(-1) if is_linear else found.float()
        # Queries, keys and values of one head stand together, head after head.
        parts = (
            value.reshape(-1, 3, channels_a_head, *value.shape[1:]).unbind(1)
            if len(names) == 3
            else ()
        )
        for name, part in zip(names, [p.flatten(0, 1) for p in parts] or [value], strict=True):
            converted[name] = part.contiguous()
    for key, value in left.items():
        raise _mismatch(key, tuple(value.shape), None)
    network.load_state_dict(converted, assign=True)
    return network


def _mismatch(
    key: str, found: tuple[int, ...] | None, expected: tuple[int, ...] | None
) -> PriorError:
    return PriorError(
        found=f"tensor {key} of shape {found}" if found else f"no tensor {key}",
        expected=f"shape {expected}"
        if expected
        else "no such tensor: a plain, unconditional U-Net",
        way_out="the checkpoint is incomplete or of another architecture; variants with "
        "scale-shift normalisation, class labels or residual up- and downsampling cannot be "
        "imported",
    )


def _tensors(shape: Shape) -> Iterator[tuple[str, str]]:
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
