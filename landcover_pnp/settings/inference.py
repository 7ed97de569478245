"""Settings of inference: engines and tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class EvidenceSettings:
    """The engine without a prior: cluster votes and block matching in turn.

    Attributes:
        iterations: Rounds.
        radius_px: Box radius of the votes and of the weak block means, working pixels.
    """

    iterations: int = 5
    radius_px: int = 15


@dataclass(frozen=True)
class Algorithm1Settings:
    """Algorithm 1 of Graikos et al. 2022; the defaults are its data-set recipe.

    Attributes:
        steps: Optimisation steps S.
        learning_rate: Adam's learning rate, falling linearly over the steps.
        learning_rate_end: Factor of the learning rate after the last step.
        beta1: Adam's first decay.
        time_wave: Period factor of the cosine in the time schedule.
        radius_px: Radius of the windows of mutual information and weak-label KL: 15 is 31 x 31.
        mutual_information_weight: Factor of w MI.
        weak_label_weight: Factor of w KL.
        weak_label_blocks: Whether weak labels hold for non-overlapping blocks, as in the paper,
            instead of running windows, as in the released program.
        clean_up_t: Noise level the result is noised to before ancestral sampling cleans it up.
    """

    steps: int = 200
    learning_rate: float = 5e-3
    learning_rate_end: float = 1e-3
    beta1: float = 0.0
    time_wave: float = 10.0
    radius_px: int = 15
    mutual_information_weight: float = 1.0
    weak_label_weight: float = 1.0
    weak_label_blocks: bool = False
    clean_up_t: int = 100


SINGLE_PATCH_RECIPE = Algorithm1Settings(
    steps=500,
    learning_rate=1e-3,
    learning_rate_end=1e-4,
    beta1=0.9,
    time_wave=30.0,
    clean_up_t=200,
)
"""The released program's recipe for one patch."""


@dataclass(frozen=True)
class DenoiseSettings:
    """The evidence map, noised a little and denoised by the prior.

    Attributes:
        t: Noise level, out of the prior's T; above about 300 of 1000 rare classes go.
        draws: Noise draws that are averaged.
    """

    t: int = 100
    draws: int = 8


@dataclass(frozen=True)
class InferenceSettings:
    """How a tile is inferred.

    Attributes:
        engine: Name of the engine.
        prior: Folder of the prior; null is the shipped one.
        view_px: Side of the crops the prior sees of a larger canvas, working pixels; smaller
            ones need less memory and more time.
        evidence: Settings of the engine ``evidence``, also where ``denoise`` starts.
        denoise: Settings of the engine ``denoise``.
        algorithm1: Settings of the engine ``algorithm1``.
    """

    engine: Literal["evidence", "denoise", "algorithm1"] = "evidence"
    prior: Path | None = None
    view_px: int = 256
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    denoise: DenoiseSettings = field(default_factory=DenoiseSettings)
    algorithm1: Algorithm1Settings = field(default_factory=Algorithm1Settings)


@dataclass(frozen=True)
class TileSettings:
    """How the working grid is cut into tiles.

    Attributes:
        core_px: Side of the core that a tile answers for, working pixels.
        ring_px: Overlap on each side, working pixels.
    """

    core_px: int = 192
    ring_px: int = 32
