"""Settings of the prior: noise, network, training, samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class NoiseSettings:
    """Forward process of the prior (Ho et al. 2020).

    Attributes:
        steps: Number of noise levels T; the network sees t = 1..T.
        beta_start: Variance added at t = 1.
        beta_end: Variance added at t = T; linear in between.
    """

    steps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 2e-2


@dataclass(frozen=True)
class DenoiserSettings:
    """Architecture of the prior's U-Net (diffusers ``UNet2DModel``).

    Attributes:
        crop_px: Side of the training crops in pixels.
        resolution_m: Ground resolution of the label maps, metres.
        channels: Feature channels per level; attention at the lowest level only.
        layers_per_block: Residual blocks per level.
        head_channels: Channels of one attention head.
        norm_groups: Groups of the group normalisation.
        prediction: What the network puts out: the noise, as in the paper, or the velocity of
            Salimans & Ho 2022, which a small network learns in far fewer steps.
    """

    crop_px: int = 64
    resolution_m: float = 4.0
    channels: list[int] = field(default_factory=lambda: [32, 48, 64, 128])
    layers_per_block: int = 1
    head_channels: int = 32
    norm_groups: int = 16
    prediction: Literal["epsilon", "velocity"] = "velocity"


@dataclass(frozen=True)
class LabelFolder:
    """A folder of label GeoTIFFs the prior learns from.

    Attributes:
        path: Folder, searched recursively.
        pattern: File name pattern.
        legend: Legend of the files.
    """

    path: Path
    pattern: str = "*.tif"
    legend: Literal["enviroatlas", "working"] = "enviroatlas"


@dataclass(frozen=True)
class TrainPriorSettings:
    """Training of a prior.

    Attributes:
        out: Folder of the prior that is written.
        labels: Folders of label maps.
        synthetic_maps: Synthetic label maps drawn in addition, spread over the four looks.
        synthetic_width_m: Side of each.
        denoiser: Network.
        noise: Forward process.
        steps: Optimiser steps.
        batch_size: Crops per step.
        learning_rate: Adam's learning rate, falling linearly to 0 after the warm-up.
        warmup_steps: Steps of linear warm-up of the learning rate.
        ema_decay: Decay of the moving average of the weights that is kept.
        val_share: Share of the label maps held out for the validation loss.
        precision: Arithmetic; bf16 is faster where the processor computes with it.
        seed: Seed of maps, crops, noise and weights.
        workers: Data loader processes.
    """

    out: Path
    labels: list[LabelFolder] = field(default_factory=list)
    synthetic_maps: int = 0
    synthetic_width_m: int = 1600
    denoiser: DenoiserSettings = field(default_factory=DenoiserSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    steps: int = 4000
    batch_size: int = 32
    learning_rate: float = 3e-4
    warmup_steps: int = 200
    ema_decay: float = 0.999
    val_share: float = 0.1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    seed: int = 0
    workers: int = 0


@dataclass(frozen=True)
class SamplePriorSettings:
    """A picture of samples beside real crops.

    Attributes:
        out: PNG file.
        prior: Folder of the prior; null is the shipped one.
        labels: Label maps for the real crops; null draws synthetic ones.
        samples: Number of samples, and of real crops.
        steps: Denoising steps of a sample.
        seed: Seed of samples and crops.
    """

    out: Path = Path("prior_samples.png")
    prior: Path | None = None
    labels: LabelFolder | None = None
    samples: int = 16
    steps: int = 100
    seed: int = 0
