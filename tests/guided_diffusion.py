"""Weights of OpenAI's guided-diffusion U-Net as the same network in diffusers.

The released program of Graikos et al. 2022 trains that U-Net; diffusers' ``UNet2DModel`` with
the right settings computes the same function, so its weights convert exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from diffusers import UNet2DModel
from torch import Tensor

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_OUTSIDE = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


def unet(config: Mapping[str, Any]) -> UNet2DModel:
    """The network of a guided-diffusion configuration, attention at its lowest level only."""
    multipliers = config["channel_mult"]
    channels = [config["model_channels"] * m for m in multipliers]
    if config["attention_resolutions"] != [2 ** (len(multipliers) - 1)]:
        raise ValueError("only attention at the lowest level is known here")
    plain = len(channels) - 1
    return UNet2DModel(
        sample_size=config["image_size"],
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        block_out_channels=channels,
        layers_per_block=config["num_res_blocks"],
        down_block_types=["DownBlock2D"] * plain + ["AttnDownBlock2D"],
        up_block_types=["AttnUpBlock2D"] + ["UpBlock2D"] * plain,
        attention_head_dim=channels[-1] // config["num_heads"],
        norm_num_groups=32,
        flip_sin_to_cos=True,
        freq_shift=0,
        downsample_padding=1,
    )


def convert(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """State dict of ``unet(config)`` from one of guided-diffusion.

    guided-diffusion numbers its blocks in a row; a level of diffusers holds ``num_res_blocks``
    of them on the way down (then the downsampler) and one more on the way up (the upsampler is
    the last part of the level's last block).
    """
    depth, heads = config["num_res_blocks"], config["num_heads"]
    blocks = dict(_OUTSIDE)
    for key in weights:
        if match := re.match(r"(input|output)_blocks\.(\d+)\.(\d+)(\.op|\.conv)?", key):
            number, part = int(match[2]), int(match[3])
            if match[1] == "input" and number == 0:
                continue
            down = match[1] == "input"
            level, layer = divmod(number - 1 if down else number, depth + 1)
            side = f"{'down' if down else 'up'}_blocks.{level}"
            if match[4]:
                scaler = "downsamplers.0.conv" if down else "upsamplers.0.conv"
                blocks[match[0]] = f"{side}.{scaler}"
            else:
                kind = "attentions" if f"{match[0]}.qkv.weight" in weights else "resnets"
                blocks[match[0]] = f"{side}.{kind}.{layer}"
    converted: dict[str, Tensor] = {}
    for key, value in weights.items():
        block = next(b for b in sorted(blocks, key=len, reverse=True) if key.startswith(f"{b}."))
        inner, name = f"{blocks[block]}", key[len(block) + 1 :]
        layer_name, _, kind = name.rpartition(".")
        if layer_name == "qkv":
            converted |= _split_qkv(inner, kind, value, heads)
        elif layer_name == "proj_out":
            converted[f"{inner}.to_out.0.{kind}"] = value.squeeze(-1)
        else:
            new = _RESNET.get(layer_name, "group_norm" if layer_name == "norm" else layer_name)
            converted[".".join(filter(None, (inner, new, kind)))] = value
    return converted


def _split_qkv(block: str, kind: str, value: Tensor, heads: int) -> dict[str, Tensor]:
    """The queries, keys and values that guided-diffusion interleaves head by head."""
    parts = value.reshape(heads, 3, -1, *value.shape[1:]).unbind(1)
    names = ("to_q", "to_k", "to_v")
    return {
        f"{block}.{n}.{kind}": p.flatten(0, 1).squeeze(-1) if kind == "weight" else p.flatten()
        for n, p in zip(names, parts, strict=True)
    }
