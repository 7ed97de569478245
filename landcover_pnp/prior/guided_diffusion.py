"""Weights of OpenAI's guided-diffusion U-Net as the same network in diffusers.

The program released with Graikos et al. 2022 trains that U-Net (Dhariwal & Nichol 2021);
diffusers' ``UNet2DModel`` with the right settings computes the same function, so its weights
convert exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landcover_pnp.errors import PriorError
from landcover_pnp.prior.guided_tensors import GROUPS, Shape, read_shape, tensor_names

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d import UNet2DModel


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
            fix="correct --num_head_channels",
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
            norm_num_groups=GROUPS,
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
            fix="give --num_head_channels if it was trained with that flag of "
            "guided-diffusion; with --num_heads alone such a network cannot be imported",
        )
    if widths[0] % heads:
        raise PriorError(
            found=f"attention at widths {widths} with {heads} heads",
            expected="a number of heads that divides the width",
            fix="correct --num_heads",
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
    for old, new in tensor_names(shape):
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
        fix="the checkpoint is incomplete or of another architecture; variants with "
        "scale-shift normalisation, class labels or residual up- and downsampling cannot be "
        "imported",
    )
