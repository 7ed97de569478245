"""Settings of the prior: noise, network, training, samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landcover_pnp.config import require_positive, require_within
from landcover_pnp.errors import SettingsError
from landcover_pnp.prior.masked_settings import MaskedNetworkSettings

_ANY = float("inf")


@dataclass(frozen=True)
class NoiseSettings:
    """Forward process of the prior.

    Attributes:
        steps: Number of noise levels T; the network sees t = 1..T.
        beta_start: Variance added at t = 1, of the linear schedule.
        beta_end: Variance added at t = T.
        schedule: Variance rising linearly (Ho et al. 2020), or clean share falling as a squared
            cosine (Nichol & Dhariwal 2021).
    """

    steps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 2e-2
    schedule: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        """Refuses what is no forward process."""
        require_within(self, 1, _ANY, "steps")
        require_positive(self, "beta_start")
        require_within(self, self.beta_start, 1, "beta_end")


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
        prediction: What the network puts out: the noise, as in the paper, the velocity of
            Salimans & Ho 2022, which a small network learns in far fewer steps, or the residual
            of the clean map beside the coarse one (coarse_map, and only there).
        condition: What it is told beside the noisy map: the share of each class of the crop, or
            the crop's most frequent classes on a coarser grid, made noisy (super-resolution);
            null: nothing, an unconditional prior.
        coarse_factor: Side of a pixel of that coarser grid in pixels (coarse_map only).
    """

    crop_px: int = 64
    resolution_m: float = 4.0
    channels: list[int] = field(default_factory=lambda: [32, 48, 64, 128])
    layers_per_block: int = 1
    head_channels: int = 32
    norm_groups: int = 16
    prediction: Literal["epsilon", "velocity", "residual"] = "velocity"
    condition: Literal["class_shares", "coarse_map"] | None = None
    coarse_factor: int = 4

    def __post_init__(self) -> None:
        """Refuses sizes below 1, and coarse pixels that do not fill a crop."""
        require_within(self, 1, _ANY, "crop_px", "layers_per_block", "head_channels", "norm_groups")
        require_within(self, 1, _ANY, "coarse_factor")
        require_positive(self, "resolution_m")
        if self.condition == "coarse_map" and self.crop_px % self.coarse_factor:
            raise SettingsError(
                found=f"crop_px {self.crop_px} and coarse_factor {self.coarse_factor}",
                expected="crops of whole coarse pixels: a crop_px that coarse_factor divides",
                fix="change denoiser.crop_px or denoiser.coarse_factor",
            )
        if (self.condition == "coarse_map") != (self.prediction == "residual"):
            raise SettingsError(
                found=f"condition {self.condition} and prediction {self.prediction}",
                expected="prediction residual with condition coarse_map, and only there",
                fix="change denoiser.prediction or denoiser.condition",
            )


@dataclass(frozen=True)
class LabelFolder:
    """A folder of label GeoTIFFs the prior learns from or is judged by.

    Attributes:
        path: Folder, searched recursively.
        pattern: File name pattern.
        legend: Legend of the files; ``skeleton``: street plans and roofs of real places, onto
            whose unknown ground yards and trees are drawn.
        remap: Working class (1 to 5, or 0 for unlabelled) of each code in the files, in place of
            a legend; 0 is unlabelled unless it says otherwise.
        resolution_m: Pixel side of the files, metres, for files that do not say where they lie;
            null: as they say.
        weight: How often crops are drawn from this folder, relative to the other sources.
        drawings: Times that yards and trees are drawn onto each skeleton, differently.
    """

    path: Path
    pattern: str = "*.tif"
    legend: Literal["enviroatlas", "working", "skeleton"] = "enviroatlas"
    remap: dict[int, int] = field(default_factory=dict)
    resolution_m: float | None = None
    weight: float = 1.0
    drawings: int = 1

    def __post_init__(self) -> None:
        """Refuses sizes and weights that are not positive."""
        require_positive(self, "resolution_m", "weight")
        require_within(self, 1, _ANY, "drawings")


@dataclass(frozen=True)
class CropSettings:
    """How training crops are cut from label maps.

    Attributes:
        class_balance: 0 draws places as they are, 1 every class of a source equally often.
        rotate: Turns by any angle; otherwise by right angles only.
        scale_jitter: Crops show the ground up to this factor larger or smaller.
        resampling: Class of a pixel: the most frequent one in it, or the one at its centre;
            either: of each crop at random, since maps come both ways.
        learn_unlabelled: Whether unlabelled ground is a class of its own (channel 0), as in the
            paper; otherwise it takes the nearest class and does not count in the loss.
    """

    class_balance: float = 0.0
    rotate: bool = False
    scale_jitter: float = 1.0
    resampling: Literal["mode", "nearest", "either"] = "mode"
    learn_unlabelled: bool = False

    def __post_init__(self) -> None:
        """Refuses a balance that is no share, and a scale below 1."""
        require_within(self, 0, 1, "class_balance")
        require_within(self, 1, _ANY, "scale_jitter")


@dataclass(frozen=True)
class TrainPriorSettings:
    """Training of a prior.

    Attributes:
        out: Folder of the prior that is written.
        kind: How it corrupts maps: by Gaussian noise (``denoiser``, ``noise``), or by hiding
            pixels (``masked``).
        labels: Folders of label maps.
        synthetic_maps: Synthetic label maps drawn in addition, spread over the four looks.
        synthetic_width_m: Side of each.
        synthetic_weight: How often crops are drawn from them, relative to the folders.
        crops: How crops are cut.
        denoiser: Network of a Gaussian prior.
        noise: Forward process of a Gaussian prior.
        masked: Network of a masked prior.
        start: Prior whose weights the training starts from; null starts from random ones.
        steps: Optimiser steps.
        batch_size: Crops per step, on each device.
        learning_rate: Adam's learning rate after the warm-up, from where it falls linearly.
        learning_rate_end: Factor of the learning rate after the last step; 1 keeps it.
        warmup_steps: Steps of linear warm-up of the learning rate.
        gradient_clip: Largest norm of the gradient; 0 does not clip.
        ema_decay: Decay of the moving average of the weights that is kept; 0 keeps the last ones.
        level_median: Share of T below which half of the noise levels lie that the loss sees
            (logit-normal, Esser et al. 2024); null: all levels equally often, as in the paper.
            Gaussian priors only.
        drop_condition: Share of the crops whose condition is withheld, so that the prior is an
            unconditional one too (classifier-free guidance, Ho & Salimans 2022); of account with
            denoiser.condition only.
        val_share: Share of each source's label maps held out for the validation loss.
        save_every: Steps between validations; each writes the prior, a sheet of samples and the
            checkpoint from which the same command resumes.
        precision: Arithmetic; bf16 is faster where the processor computes with it.
        licence: Licence of the weights, and what the label maps ask to be said.
        seed: Seed of maps, crops, noise and weights.
        workers: Data loader processes.
        accelerator: Lightning's accelerator, such as cpu or gpu.
        devices: Lightning's devices: how many, or which.
        strategy: Lightning's strategy, such as ddp for several devices.
    """

    out: Path
    kind: Literal["gaussian", "masked"] = "gaussian"
    labels: list[LabelFolder] = field(default_factory=list)
    synthetic_maps: int = 0
    synthetic_width_m: int = 1600
    synthetic_weight: float = 1.0
    crops: CropSettings = field(default_factory=CropSettings)
    denoiser: DenoiserSettings = field(default_factory=DenoiserSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    masked: MaskedNetworkSettings = field(default_factory=MaskedNetworkSettings)
    start: Path | None = None
    steps: int = 4000
    batch_size: int = 32
    learning_rate: float = 3e-4
    learning_rate_end: float = 0.0
    warmup_steps: int = 200
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    level_median: float | None = None
    drop_condition: float = 0.2
    val_share: float = 0.1
    save_every: int = 500
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    licence: str = "Apache-2.0"
    seed: int = 0
    workers: int = 0
    accelerator: str = "auto"
    devices: int | str = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        """Refuses numbers that no training can have."""
        require_within(self, 1, _ANY, "steps", "batch_size", "save_every", "synthetic_width_m")
        require_within(self, 0, _ANY, "synthetic_maps", "warmup_steps", "workers", "seed")
        require_within(self, 0, _ANY, "learning_rate_end", "gradient_clip")
        require_within(self, 0, 1, "ema_decay", "val_share", "drop_condition")
        require_within(self, 0.001, 0.999, "level_median")
        require_positive(self, "learning_rate", "synthetic_weight")

    @property
    def crop_px(self) -> int:
        """Side of the crops of the prior's kind, pixels."""
        return self.masked.crop_px if self.kind == "masked" else self.denoiser.crop_px

    @property
    def resolution_m(self) -> float:
        """Pixel side of the crops of the prior's kind, metres."""
        return self.masked.resolution_m if self.kind == "masked" else self.denoiser.resolution_m


@dataclass(frozen=True)
class JudgePriorSettings:
    """A prior on trial.

    Attributes:
        out: Folder of the report.
        labels: Folder of held-out label GeoTIFFs; null: the maps that the training held out, or
            new ones, of a training on synthetic cities alone.
        pattern: File name pattern.
        legend: Legend of the files.
        remap: Working class of each code in the files, in place of a legend.
        resolution_m: Pixel side of files that do not say where they lie, metres.
        crops: Crops of the held-out maps.
        samples: Samples of the prior.
        steps: Steps of a sample: of denoising, or of revealing hidden pixels.
        training_crops: Training crops searched for copies.
        holes: Held-out crops in which squares and stripes are hidden and filled; 0 fills none.
        seed: Seed of crops, noise, samples and holes.
    """

    out: Path = Path("judgement")
    labels: Path | None = None
    pattern: str = "*.tif"
    legend: Literal["enviroatlas", "working"] = "enviroatlas"
    remap: dict[int, int] = field(default_factory=dict)
    resolution_m: float | None = None
    crops: int = 128
    samples: int = 64
    steps: int = 100
    training_crops: int = 2048
    holes: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that leave nothing to judge by; held-out crops are halved."""
        require_within(self, 2, _ANY, "crops")
        require_within(self, 1, _ANY, "samples", "steps", "training_crops")
        require_within(self, 0, _ANY, "holes", "seed")


@dataclass(frozen=True)
class SamplePriorSettings:
    """A picture of samples beside real crops.

    Attributes:
        out: PNG file.
        prior: Folder of the prior, of either kind; null is a shipped one.
        kind: Which of the shipped ones.
        labels: Label maps for the real crops; null draws synthetic ones.
        samples: Number of samples, and of real crops.
        steps: Steps of a sample: of denoising, or of revealing hidden pixels.
        seed: Seed of samples and crops.
    """

    out: Path = Path("prior_samples.png")
    prior: Path | None = None
    kind: Literal["gaussian", "masked"] = "gaussian"
    labels: LabelFolder | None = None
    samples: int = 16
    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that leave nothing to show."""
        require_within(self, 1, _ANY, "samples", "steps")
        require_within(self, 0, _ANY, "seed")
