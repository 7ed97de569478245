"""Settings of inference: engines and tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landcover_pnp.config import renamed


def _released_weights() -> dict[str, float]:
    return {"mutual_information": 1.0, "weak_label_kl": 1.0}


@dataclass(frozen=True)
class EvidenceSettings:
    """The engine without a prior: cluster votes and block matching in turn.

    Attributes:
        iterations: Rounds.
        radius_px: Box radius of the votes and of their weak block means, working pixels; the
            tiles' ring should be as wide.
        weak_share: Share s of the weak labels in each round, p^(1 - s) weak^s.
        match_radius_px: Radius of the boxes in which the result has the weak labels' shares,
            working pixels.
    """

    iterations: int = 5
    radius_px: int = 64
    weak_share: float = 0.3
    match_radius_px: int = 10


@dataclass(frozen=True)
class ConstraintSettings:
    """The terms of the evidence that ``algorithm1`` and ``guided`` weigh against the prior.

    Attributes:
        weights: Factor of w = (S - i) / S by name of the constraint; those not named have no
            part.
        radius_px: Radius of the windows of mutual information and weak-label KL: 15 is 31 x 31.
        weak_label_blocks: Whether weak labels hold for non-overlapping blocks, as in the paper,
            instead of running windows, as in the released program.
    """

    weights: dict[str, float] = field(default_factory=_released_weights)
    radius_px: int = 15
    weak_label_blocks: bool = False


@dataclass(frozen=True)
class Algorithm1Settings:
    """Algorithm 1 of Graikos et al. 2022; the defaults are its data-set recipe.

    Attributes:
        steps: Optimisation steps S.
        learning_rate: Adam's learning rate, falling linearly over the steps.
        learning_rate_end: Factor of the learning rate after the last step.
        beta1: Adam's first decay.
        time_wave: Period factor of the cosine in the time schedule.
        jacobian: Whether the prior's gradient goes through the network, as in the paper. Without
            it (RED-diff, Mardani et al. 2024) a step costs one forward pass instead of about
            two and a half.
        clean_up_t: Noise level the result is noised to before ancestral sampling cleans it up.
    """

    steps: int = 200
    learning_rate: float = 5e-3
    learning_rate_end: float = 1e-3
    beta1: float = 0.0
    time_wave: float = 10.0
    jacobian: bool = True
    clean_up_t: int = 100


RECIPES: dict[str, Algorithm1Settings] = {
    "data_set": Algorithm1Settings(),
    "single_patch": Algorithm1Settings(
        steps=500,
        learning_rate=1e-3,
        learning_rate_end=1e-4,
        beta1=0.9,
        time_wave=30.0,
        clean_up_t=200,
    ),
}
"""The two recipes of the program released with Graikos et al. 2022, arXiv 2206.09012, section 4.

``data_set`` labels 640 patches a city (there in batches of 32), ``single_patch`` one patch for a
figure. The released data-set recipe forgets the noise of its clean-up; here it is added.
"""


@dataclass(frozen=True)
class GuidedSettings:
    """A few DDIM steps whose predicted clean map is moved towards the evidence.

    Attributes:
        start: What is noised to ``start_t``: ``noise`` alone, the weak labels, or the map of
            another engine.
        start_t: Noise level of the first step, out of the prior's T; ``noise`` starts at T.
        steps: DDIM steps; each costs one forward pass.
        stochasticity: DDIM's eta: 0 adds no noise between steps, 1 as much as ancestral
            sampling.
        constraint_steps: Steps of Adam on each predicted clean map.
        constraint_rate: Their length, in units of one-hot maps.
    """

    start: Literal["noise", "weak_labels", "evidence", "denoise"] = "evidence"
    start_t: int = 100
    steps: int = 5
    stochasticity: float = 0.0
    constraint_steps: int = 5
    constraint_rate: float = 0.02


@dataclass(frozen=True)
class DenoiseSettings:
    """A map noised a little and denoised by the prior, several times; its water stays.

    Attributes:
        start: What is noised, as one-hot labels: the weak labels, or the map of another engine.
        spectral_indices: Whether that is weighed first by how green and red the image is, see
            ``tones.class_given_indices``.
        t: Noise level, out of the prior's T; above about 300 of 1000 rare classes go.
        draws: Noise draws that are averaged; each costs one forward pass.
        start_share: Share s of the start in the result, clean^(1 - s) start^s.
    """

    start: Literal["weak_labels", "evidence", "guided", "algorithm1"] = "evidence"
    spectral_indices: bool = renamed("tones", default=True)
    t: int = 200
    draws: int = 8
    start_share: float = 0.5


@dataclass(frozen=True)
class InferenceSettings:
    """How a tile is inferred.

    Attributes:
        engine: Name of the engine.
        prior: Folder of the prior; null is the shipped one.
        view_px: Side of the crops the prior sees of a larger canvas, working pixels; smaller
            ones need less memory and more time. Null is 256, but for ``algorithm1`` the size of
            the prior's training crops, as in the paper: with larger views its tiles agree less.
        precision: Arithmetic of the prior's network. ``bfloat16`` takes a third of the time on
            processors that have it, and far longer on those that have not; other processors
            then give other last digits.
        recipe: Released settings of the engine ``algorithm1``, instead of the block
            ``algorithm1``.
        evidence: Settings of the engine ``evidence``, also where others start from it.
        denoise: Settings of the engine ``denoise``.
        guided: Settings of the engine ``guided``.
        algorithm1: Settings of the engine ``algorithm1``.
        constraints: The terms of ``guided`` and ``algorithm1``.
    """

    engine: Literal["evidence", "denoise", "guided", "algorithm1"] = "denoise"
    prior: Path | None = None
    view_px: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    recipe: Literal["data_set", "single_patch"] | None = None
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    denoise: DenoiseSettings = field(default_factory=DenoiseSettings)
    guided: GuidedSettings = field(default_factory=GuidedSettings)
    algorithm1: Algorithm1Settings = field(default_factory=Algorithm1Settings)
    constraints: ConstraintSettings = field(default_factory=ConstraintSettings)
