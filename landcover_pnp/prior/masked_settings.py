"""Settings of a masked prior: its network, its training, the crops that it learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from landcover_pnp.config.ranges import require_positive, require_within

_ANY = float("inf")


@dataclass(frozen=True)
class MaskedNetworkSettings:
    """Architecture of a masked prior's U-Net.

    Attributes:
        crop_px: Side of the training crops in pixels.
        resolution_m: Ground resolution of the label maps, metres.
        channels: Feature channels per level; each level is half as fine as the one before.
        blocks: Residual blocks per level, on the way down and again on the way up.
        head_channels: Channels of one attention head, at the lowest level.
    """

    crop_px: int = 64
    resolution_m: float = 4.0
    channels: list[int] = field(default_factory=lambda: [32, 64, 128, 160])
    blocks: list[int] = field(default_factory=lambda: [1, 2, 2, 1])
    head_channels: int = 32

    def __post_init__(self) -> None:
        """Refuses sizes below 1."""
        require_within(self, 1, _ANY, "crop_px", "head_channels")
        require_positive(self, "resolution_m")

    @property
    def unit(self) -> int:
        """Pixels on a side that one pixel of the lowest level covers."""
        return int(2 ** (len(self.channels) - 1))


@dataclass(frozen=True)
class OptimiserSettings:
    """How a masked prior's weights move.

    Attributes:
        steps: Optimiser steps.
        batch_size: Crops per step.
        learning_rate: Adam's learning rate after the warm-up, from where it falls as a cosine.
        learning_rate_end: Factor of the learning rate after the last step.
        warmup_steps: Steps of linear warm-up of the learning rate.
        weight_decay: Adam's decoupled weight decay.
        gradient_clip: Largest norm of the gradient.
        ema_decay: Decay of the moving average of the weights that is kept; 0 keeps the last ones.
        bfloat16: Whether layers compute in bfloat16; faster where the processor has it.
        seed: Seed of weights, crops and hidden pixels.
    """

    steps: int = 11000
    batch_size: int = 16
    learning_rate: float = 2.5e-3
    learning_rate_end: float = 0.02
    warmup_steps: int = 300
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    bfloat16: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that no training can have."""
        require_within(self, 1, _ANY, "steps", "batch_size")
        require_within(self, 0, _ANY, "warmup_steps", "seed", "weight_decay")
        require_within(self, 0, 1, "learning_rate_end", "ema_decay")
        require_positive(self, "learning_rate", "gradient_clip")


@dataclass(frozen=True)
class CutCropsSettings:
    """A file of crops.

    Attributes:
        out: File that is written.
        crops: Crops to learn from.
        held_out: Crops of the held-out maps.
    """

    out: Path = Path("crops.npz")
    crops: int = 48000
    held_out: int = 512

    def __post_init__(self) -> None:
        """Refuses numbers below 1."""
        require_within(self, 1, _ANY, "crops", "held_out")
