"""Weights of OpenAI's guided-diffusion U-Net as the same network in diffusers.

The program released with Graikos et al. 2022 trains that U-Net; diffusers' ``UNet2DModel``
with the right settings computes the same function, so its weights convert exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from diffusers.models.unets.unet_2d import UNet2DModel
from torch import Tensor

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = {"norm": "group_norm", "proj_out": "to_out.0"}


def build(config: Mapping[str, Any]) -> UNet2DModel:
    """The network of a guided-diffusion configuration with attention at its lowest level."""
    multipliers = config["channel_mult"]
    if list(config["attention_resolutions"]) != [2 ** (len(multipliers) - 1)]:
        raise ValueError(f"attention at {config['attention_resolutions']}: not only the lowest")
    channels = [config["model_channels"] * m for m in multipliers]
    plain = len(channels) - 1
    return UNet2DModel(
        sample_size=config["image_size"],
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        block_out_channels=tuple(channels),
        layers_per_block=config["num_res_blocks"],
        down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        attention_head_dim=channels[-1] // config["num_heads"],
        norm_num_groups=32,
        flip_sin_to_cos=True,
        freq_shift=0,
        downsample_padding=1,
    )


def convert(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """State dict of ``build(config)`` from guided-diffusion's.

    Args:
        weights: guided-diffusion's state dict.
        config: Its ``image_size``, ``model_channels``, ``num_res_blocks``, ``channel_mult``, ...

    Returns:
        The state dict for diffusers; strict loading proves that nothing is missing or left.
    """
    modules = dict(_modules(len(config["channel_mult"]), config["num_res_blocks"]))
    converted: dict[str, Tensor] = {}
    for key, value in weights.items():
        module, _, kind = key.rpartition(".")
        if module.endswith(".qkv"):
            block = modules[module.removesuffix(".qkv")]
            # Queries, keys and values of one head stand together, head after head.
            heads = value.reshape(config["num_heads"], 3, -1, *value.shape[1:])
            for name, part in zip(("to_q", "to_k", "to_v"), heads.unbind(1), strict=True):
                converted[f"{block}.{name}.{kind}"] = _linear(part.flatten(0, 1))
        else:
            is_attention = modules[module].endswith(".to_out.0")
            converted[f"{modules[module]}.{kind}"] = _linear(value) if is_attention else value
    return converted


def _linear(weight: Tensor) -> Tensor:
    """A convolution of width 1 is a linear map."""
    return weight.squeeze(-1) if weight.ndim == 3 else weight


def _modules(levels: int, depth: int) -> Iterator[tuple[str, str]]:
    """Names of each module in guided-diffusion and in diffusers.

    guided-diffusion numbers its blocks in a row: on the way down ``depth`` of them a level and
    its downsampler, on the way up one more, whose last part is the upsampler.
    """
    yield "time_embed.0", "time_embedding.linear_1"
    yield "time_embed.2", "time_embedding.linear_2"
    yield "input_blocks.0.0", "conv_in"
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"
    yield from _resnet("middle_block.0", "mid_block.resnets.0")
    yield from _attention("middle_block.1", "mid_block.attentions.0")
    yield from _resnet("middle_block.2", "mid_block.resnets.1")
    for level in range(levels):
        for layer in range(depth + 1):
            number = level * (depth + 1) + layer
            down, up = f"input_blocks.{number + 1}", f"output_blocks.{number}"
            if layer < depth:
                yield from _resnet(f"{down}.0", f"down_blocks.{level}.resnets.{layer}")
                if level == levels - 1:
                    yield from _attention(f"{down}.1", f"down_blocks.{level}.attentions.{layer}")
            elif level < levels - 1:
                yield f"{down}.0.op", f"down_blocks.{level}.downsamplers.0.conv"
            yield from _resnet(f"{up}.0", f"up_blocks.{level}.resnets.{layer}")
            if level == 0:
                yield from _attention(f"{up}.1", f"up_blocks.{level}.attentions.{layer}")
            if layer == depth and level < levels - 1:
                part = 2 if level == 0 else 1
                yield f"{up}.{part}.conv", f"up_blocks.{level}.upsamplers.0.conv"


def _resnet(old: str, new: str) -> Iterator[tuple[str, str]]:
    return ((f"{old}.{a}", f"{new}.{b}") for a, b in _RESNET.items())


def _attention(old: str, new: str) -> Iterator[tuple[str, str]]:
    yield old, new
    yield from ((f"{old}.{a}", f"{new}.{b}") for a, b in _ATTENTION.items())
