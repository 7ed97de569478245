"""Settings of priors that come from elsewhere or go there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landcover_pnp.config import require_positive, require_within
from landcover_pnp.prior.settings import NoiseSettings

_ANY = float("inf")


@dataclass(frozen=True)
class ImportPriorSettings:
    """What a foreign checkpoint cannot tell; the defaults are those of Graikos et al. 2022.

    Attributes:
        out: Folder of the prior that is written.
        num_heads: Attention heads (.pth only).
        num_head_channels: Channels of a head, in place of ``num_heads``: for attention at levels
            of several widths (.pth only).
        crop_px: Side of its training crops (of a diffusers folder: where that does not say).
        resolution_m: Ground resolution of its label maps, metres.
        classes: Working class of each channel, 0 for no data.
        prediction: What the network puts out (.pth only).
        noise: Forward process (.pth only).
        licence: Licence of the weights.
    """

    out: Path
    num_heads: int = 4
    num_head_channels: int | None = None
    crop_px: int = 64
    resolution_m: float = 4.0
    classes: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4, 5])
    prediction: Literal["epsilon", "velocity"] = "epsilon"
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    licence: str = "MIT"

    def __post_init__(self) -> None:
        """Refuses sizes below 1."""
        require_within(self, 1, _ANY, "num_heads", "num_head_channels", "crop_px")
        require_positive(self, "resolution_m")


@dataclass(frozen=True)
class ExportPriorSettings:
    """A prior for diffusers.

    Attributes:
        out: Folder that is written.
        prior: Folder of a Gaussian prior; null is the shipped one.
    """

    out: Path
    prior: Path | None = None
