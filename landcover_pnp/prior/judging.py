"""A prior on trial: what it restores, how its samples look, and whether it copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.errors import SettingsError
from landcover_pnp.evaluation.hole_baselines import BASELINES
from landcover_pnp.evaluation.holes import Fill, FillScores, holes, score_fills
from landcover_pnp.evaluation.shapes import Shapes
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.datamodule import split_sources
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.label_maps import draw_label_maps, one_hot, read_label_maps
from landcover_pnp.prior.landscape import describe, distances, nearest_agreement
from landcover_pnp.prior.likelihood import likelihood
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.prior.masked_prior import MaskedPrior
from landcover_pnp.prior.report import UNIFORM, Judgement, Restored, figures, report
from landcover_pnp.prior.sampling import sample_maps, samples_picture
from landcover_pnp.prior.settings import (
    CropSettings,
    JudgePriorSettings,
    LabelFolder,
    TrainPriorSettings,
)
from landcover_pnp.prior.shape_report import ShapeJudgement
from landcover_pnp.storage.atomic import completed, write_text
from landcover_pnp.storage.owned_folder import make_owned

LEVELS = (20, 50, 100, 200, 300, 400, 600, 800)
"""Noise levels of 1000 at which the denoising is judged."""

_BATCH = 32
_SYNTHETIC_MAPS = 8  # two of each look


PRIOR = "the prior"
"""What it is called among those that fill holes."""

PriorFill = Callable[[AnyPrior, NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.floating]]
"""A way to fill holes by a prior: prior, codes and hidden pixels, as ``holes.Fill``."""

FILES = REPORT, SAMPLES, FIGURES = "report.md", "samples.png", "figures.png"
"""What a judgement writes."""


@dataclass(frozen=True)
class JudgePriorSummary:
    """The judgement.

    Attributes:
        out: Folder of the report.
        fingerprint: Fingerprint of the prior.
        loss: Of a Gaussian prior the mean squared error of the noise, mean over the levels; of a
            masked one the bound on the negative log-likelihood, bits a pixel.
        distance: Distance of the samples from the held-out maps, 0 to 1.
        floor: The same distance between two halves of the held-out crops.
        copies: Largest agreement of a sample with a training crop; 0 where none were searched.
        crossing_share: Share of the samples that an impervious part crosses.
        fill_accuracy: Accuracy in hidden pixels by kind of hole; empty where none were filled.
    """

    out: Path
    fingerprint: str
    loss: float
    distance: float
    floor: float
    copies: float
    crossing_share: float
    fill_accuracy: Mapping[str, float]


def judge_prior(
    prior_folder: Path,
    settings: JudgePriorSettings,
    training: TrainPriorSettings | None = None,
    fill: PriorFill | None = None,
) -> JudgePriorSummary:
    """Judges a prior by held-out label maps and writes ``report.md`` with two pictures.

    Args:
        prior_folder: Folder of the prior.
        settings: Held-out maps, numbers of crops and samples, folder of the report.
        training: Settings it was trained with: their label folders (synthetic cities apart) are
            searched for copies and, where ``settings`` name no labels, give the held-out maps;
            those of a training on synthetic cities alone are newly drawn ones.
        fill: How the prior fills holes, such as ``inference.filling.fill``; None fills none.

    Returns:
        The judgement.

    Raises:
        LandcoverError: If prior or label maps cannot be read, or no held-out maps are named.
    """
    prior = load_prior(prior_folder)
    train, held_out = _sources(prior, settings, training)
    crops = _crops(prior, held_out, settings.crops, settings.seed)
    make_owned(settings.out, "judgement", *FILES)  # refused now rather than after the work
    real = crops.labels
    known = np.where(crops.labelled, real, np.uint8(NO_DATA))
    restored = (
        likelihood(prior, known, settings.seed)
        if isinstance(prior, MaskedPrior)
        else restore(prior, real, crops.labelled, settings.seed)
    )
    samples = sample_maps(prior, settings.samples, settings.steps, settings.seed)
    sampled, true, *halves = (
        describe(maps, prior.resolution_m) for maps in (samples, real, real[::2], real[1::2])
    )
    apart, floor = distances(sampled, true), distances(halves[0], halves[1])
    agreement = {}
    if train:
        learned = _crops(prior, train, settings.training_crops, settings.seed + 1).labels
        agreement = {
            name: nearest_agreement(_varied(maps), learned)
            for name, maps in (("samples", samples), ("held-out crops", real))
        }
    names = [m.name for source in held_out for m in source.maps]
    shapes = ShapeJudgement.of(*(Shapes.of(maps, prior.resolution_m) for maps in (samples, known)))
    fills = _fills(prior, known[: settings.holes], fill, settings.seed)
    judgement = Judgement(names, restored, sampled, true, apart, floor, agreement, shapes, fills)
    for name, picture in (
        (SAMPLES, samples_picture({"samples": samples[:25], "held-out crops": real[:25]})),
        (FIGURES, figures(judgement)),
    ):
        with completed(settings.out / name) as partial:
            picture.savefig(partial, format="png", metadata={"Software": None})
    write_text(settings.out / REPORT, report(prior, prior_folder.name, settings, judgement))
    return JudgePriorSummary(
        settings.out,
        prior.fingerprint,
        restored.loss,
        apart["all"],
        floor["all"],
        float(agreement["samples"].max(initial=0)) if agreement else 0.0,
        shapes.samples.crossing_share,
        {kind: scores.mean_accuracy for kind, scores in fills.get(PRIOR, {}).items()},
    )


def _fills(
    prior: AnyPrior, maps: NDArray[np.uint8], fill: PriorFill | None, seed: int
) -> dict[str, dict[str, FillScores]]:
    """Holes in these maps, filled by the prior and without one, by method and kind."""
    if fill is None or not len(maps):
        return {}
    by_name = {f"crop {i}": labels for i, labels in enumerate(maps)}
    cases = list(holes(by_name, prior.resolution_m, 1, seed))
    methods: dict[str, Fill] = {**BASELINES, PRIOR: partial(fill, prior)}
    return {name: score_fills(method, cases) for name, method in methods.items()}


def restore(
    prior: Prior, real: NDArray[np.uint8], labelled: NDArray[np.bool_], seed: int
) -> Restored:
    """Noises label maps and lets the prior find the noise.

    Args:
        prior: The prior.
        real: (map, y, x) uint8, complete.
        labelled: (map, y, x), what counts.
        seed: Seed of the noise, the same at every level.

    Returns:
        Errors and restored shares by level.
    """
    levels = [max(1, level * prior.schedule.steps // 1000) for level in LEVELS]
    x0 = torch.from_numpy(np.stack([one_hot(labels) for labels in real]))
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed))
    counts = torch.from_numpy(labelled)
    shares = x0.transpose(0, 1)[:, counts].mean(1)
    variance = float((shares * (1 - shares)).mean())
    rows = []
    for t in levels:
        x_t = prior.schedule.add_noise(x0, eps, t)
        with torch.no_grad():
            found = torch.cat([prior.predict_noise(part, t) for part in torch.split(x_t, _BATCH)])
        clean = prior.schedule.predict_clean(x_t, found, t)
        error = (found - eps).square().mean(1)[counts].mean()
        hits = [_hits(channels, x0, counts) for channels in (clean, x_t)]
        # A constant clean map is wrong by x0's variance; its noise by that over (1 - abar) / abar.
        abar = float(prior.schedule.alpha_bar(t))
        rows.append((float(error), abar / (1 - abar) * variance, *hits))
    return Restored(tuple(levels), *zip(*rows, strict=True))


@dataclass(frozen=True, eq=False)
class _Crops:
    labels: NDArray[np.uint8]
    labelled: NDArray[np.bool_]


def _sources(
    prior: AnyPrior, settings: JudgePriorSettings, training: TrainPriorSettings | None
) -> tuple[list[LabelSource], list[LabelSource]]:
    """Label maps to search for copies, and held-out ones."""
    train: list[LabelSource] = []
    held_out: list[LabelSource] = []
    if training is not None:
        sources = [
            LabelSource(read_label_maps(folder, prior.resolution_m), folder.weight)
            for folder in training.labels
        ]
        train, held_out = split_sources(sources, training)
        if not training.labels and training.synthetic_maps and settings.labels is None:
            # Drawn by another seed than what was learned from: none of them has been seen.
            width_m, seed = training.synthetic_width_m, training.seed + 1
            held_out = [LabelSource(list(draw_label_maps(_SYNTHETIC_MAPS, width_m, seed)))]
    if settings.labels is not None:
        folder = LabelFolder(
            settings.labels,
            settings.pattern,
            settings.legend,
            settings.remap,
            settings.resolution_m,
        )
        held_out = [LabelSource(read_label_maps(folder, prior.resolution_m))]
    if not held_out:
        raise SettingsError(
            found="no held-out label maps",
            expected="a folder of label maps, or a training with label folders or synthetic maps",
            fix="set labels, or name the training's configuration with --training",
        )
    return train, held_out


def _crops(prior: AnyPrior, sources: Sequence[LabelSource], count: int, seed: int) -> _Crops:
    crops = LabelCrops(
        sources, prior.crop_px, prior.resolution_m, count, seed, CropSettings(class_balance=0.5)
    )
    drawn = [crops[i] for i in range(count)]
    return _Crops(
        np.stack([crop.x0.argmax(0).numpy() for crop in drawn]).astype(np.uint8),
        np.stack([crop.labelled.numpy() for crop in drawn]) > 0,
    )


def _hits(channels: Tensor, x0: Tensor, counts: Tensor) -> float:
    return float((channels.argmax(1) == x0.argmax(1))[counts].float().mean())


def _varied(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The maps that no class covers almost alone."""
    largest = np.max([(maps == code).mean((1, 2)) for code in WORKING.codes], axis=0)
    varied: NDArray[np.uint8] = maps[largest <= UNIFORM]
    return varied
