"""The report on a judged prior: Markdown and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from landcover_pnp.evaluation.holes import FillScores
from landcover_pnp.legend import WORKING
from landcover_pnp.prior.landscape import Landscape
from landcover_pnp.prior.likelihood import Likelihood
from landcover_pnp.prior.loading import AnyPrior
from landcover_pnp.prior.settings import JudgePriorSettings
from landcover_pnp.prior.shape_report import ShapeJudgement, filling_section, shape_section

UNIFORM = 0.9
"""Maps of which one class covers more are left out of the search for copies: they all agree."""


@dataclass(frozen=True)
class Restored:
    """How well a prior tells noise from map, level by level.

    Attributes:
        t: Noise levels.
        mse: Mean squared error of the noise.
        blind: The same of a guess that knows nothing but the crops' class shares.
        restored: Share of labelled pixels whose class is the largest channel of E[x0 | x_t].
        visible: The same of x_t itself, without a prior.
    """

    t: tuple[int, ...]
    mse: tuple[float, ...]
    blind: tuple[float, ...]
    restored: tuple[float, ...]
    visible: tuple[float, ...]

    @property
    def loss(self) -> float:
        """Mean squared error of the noise, mean over the levels."""
        return float(np.mean(self.mse))


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found about a prior.

    Attributes:
        held_out: Names of the held-out maps it was judged by.
        restored: How well it tells noise from map, or, of a masked prior, hidden pixels.
        samples: How its samples look.
        real: How the held-out crops look.
        apart: Distances between the two, by name.
        floor: The same between two halves of the held-out crops.
        agreement: (map,) share of pixels that agree with the likest training crop, for samples
            and held-out crops; empty where none were searched.
        shapes: Streets, parts and roofs of samples beside held-out crops.
        fills: Scores of filled holes by method and kind; empty where none were filled.
    """

    held_out: Sequence[str]
    restored: Restored | Likelihood
    samples: Landscape
    real: Landscape
    apart: Mapping[str, float]
    floor: Mapping[str, float]
    agreement: Mapping[str, NDArray[np.float64]]
    shapes: ShapeJudgement
    fills: Mapping[str, Mapping[str, FillScores]]


def report(prior: AnyPrior, name: str, settings: JudgePriorSettings, judgement: Judgement) -> str:
    """The report in Markdown, beside ``samples.png`` and ``figures.png``.

    Args:
        prior: The prior.
        name: What it is called.
        settings: Numbers of crops and samples.
        judgement: What was found.

    Returns:
        The text.
    """
    parameters = sum(p.numel() for p in prior.network.parameters())
    return "\n".join(
        [
            f"# Prior {name} ({prior.fingerprint})",
            "",
            f"{parameters:,} parameters, {prior.resolution_m:g} m, crops of {prior.crop_px} "
            f"pixels. Judged by {settings.crops} held-out crops "
            "(rare classes drawn more often: by the square root of their share) and "
            f"{settings.samples} samples of {settings.steps} steps, seed {settings.seed}.",
            "",
            _restored_line(judgement.restored),
            f"- Samples: distance {judgement.apart['all']:.3f} from the held-out crops; two halves "
            f"of these are {judgement.floor['all']:.3f} apart.",
            *_copies_line(judgement.agreement),
            "",
            "All of this is by these maps. Held-out maps of another landscape than the prior "
            "learned are far from the samples of any prior; compare priors by the same maps only.",
            "",
            f"Held out ({len(judgement.held_out)}): " + ", ".join(judgement.held_out) + ".",
            *(
                _hidden(judgement.restored)
                if isinstance(judgement.restored, Likelihood)
                else _noise(judgement.restored)
            ),
            *_looks(judgement),
            *shape_section(judgement.shapes),
            *filling_section(judgement.fills),
            *_copies(judgement.agreement, settings.training_crops),
            "",
            "![](samples.png)",
            "",
            "![](figures.png)",
            "",
        ]
    )


def _restored_line(restored: Restored | Likelihood) -> str:
    """How well the prior undoes its own corruption, in a line."""
    if isinstance(restored, Likelihood):
        return (
            f"- Likelihood: {restored.bits_per_pixel:.4f} bits a pixel at most, standard error "
            f"{restored.standard_error:.4f}; a guess from class shares alone has "
            f"{restored.blind:.4f}."
        )
    return (
        f"- Noise: mean squared error {restored.loss:.4f} over the levels; a "
        f"guess from class shares alone has {np.mean(restored.blind):.4f}."
    )


def _hidden(restored: Likelihood) -> list[str]:
    """Bits and restored shares by share of hidden pixels."""
    rows = zip(restored.hidden, restored.bits, restored.restored, strict=True)
    return [
        "",
        "## Likelihood",
        "",
        "Pixels of the held-out crops are hidden at random, each by itself. The mean over the "
        "shares bounds the negative log-likelihood of a crop (any-order autoregressive models, "
        "Hoogeboom et al. 2022).",
        "",
        "| hidden | bits a hidden pixel | hidden pixels restored |",
        "|---:|---:|---:|",
        *(f"| {share:.0%} | {bits:.4f} | {hit:.3f} |" for share, bits, hit in rows),
    ]


def _noise(restored: Restored) -> list[str]:
    """Errors and restored shares by level."""
    rows = zip(
        restored.t,
        restored.mse,
        restored.blind,
        restored.restored,
        restored.visible,
        strict=True,
    )
    return [
        "",
        "## Noise",
        "",
        "The prior is given held-out crops with noise of level t. Restored: pixels whose class is "
        "the largest channel of the clean map it predicts; visible: of the noisy map itself.",
        "",
        "| t | mse of the noise | guess from class shares | pixels restored | pixels visible |",
        "|---:|---:|---:|---:|---:|",
        *(
            f"| {t} | {mse:.4f} | {blind:.4f} | {hit:.3f} | {plain:.3f} |"
            for t, mse, blind, hit, plain in rows
        ),
    ]


def _looks(judgement: Judgement) -> list[str]:
    """Distances, and the metrics of samples beside those of held-out crops."""
    samples, real = judgement.samples, judgement.real
    means = [
        f"| {text} | {np.mean(ours):.0f} | {np.mean(theirs):.0f} |"
        for text, ours, theirs in (
            ("patches per km2", samples.patch_density, real.patch_density),
            ("boundary, m per ha", samples.edge_density, real.edge_density),
            ("mean patch, m2", samples.mean_patch, real.mean_patch),
        )
    ]
    shares = [
        f"| share of {land_class} | {ours:.1%} | {theirs:.1%} |"
        for land_class, ours, theirs in zip(WORKING.names, samples.shares, real.shares, strict=True)
    ]
    return [
        "",
        "## Samples",
        "",
        "Distance from the held-out crops, 0 (alike) to 1 (nothing in common): total variation of "
        "shares and histograms, Kolmogorov-Smirnov of what is known map by map. Beside it, of two "
        "halves of the held-out crops: as near as so few crops can come.",
        "",
        "| | samples | two halves |",
        "|---|---:|---:|",
        *(
            f"| {what} | {d:.3f} | {judgement.floor[what]:.3f} |"
            for what, d in judgement.apart.items()
        ),
        "",
        "| mean over the maps | samples | held out |",
        "|---|---:|---:|",
        *means,
        *shares,
        f"| without a class | {samples.unlabelled:.1%} | {real.unlabelled:.1%} |",
    ]


def _copies(agreement: Mapping[str, NDArray[np.float64]], training_crops: int) -> list[str]:
    """Agreement with training crops; nothing where none were searched."""
    if not agreement:
        return []
    return [
        "",
        "## Copies",
        "",
        f"Agreement with the likest of {training_crops} training crops in any of eight positions, "
        f"of maps that no class covers to more than {UNIFORM:.0%}. Copies would agree more than "
        "held-out crops do.",
        "",
        "| | maps | median | largest |",
        "|---|---:|---:|---:|",
        *(
            f"| {what} | {len(values)} | {np.median(values):.3f} | {values.max():.3f} |"
            if len(values)
            else f"| {what} | 0 | - | - |"
            for what, values in agreement.items()
        ),
    ]


def _copies_line(agreement: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """The same in a line."""
    if not agreement or not all(map(len, agreement.values())):
        return []
    medians = (f"{np.median(values):.3f} for {what}" for what, values in agreement.items())
    return [f"- Copies: agreement with the likest training crop {', '.join(medians)} (medians)."]


def figures(judgement: Judgement) -> Figure:
    """Restored share by level, patch sizes, boundaries and neighbours.

    Args:
        judgement: What was found.

    Returns:
        The picture.
    """
    restored = judgement.restored
    looks = {"samples": judgement.samples, "held out": judgement.real}
    figure = Figure(figsize=(13, 7.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    (top, sizes), (edges, pairs) = figure.subplots(2, 2)
    if isinstance(restored, Likelihood):
        top.plot(restored.hidden, restored.restored, marker="o", label="by the prior")
        top.set(xlabel="share of hidden pixels", ylabel="pixels restored", ylim=(0, 1.02))
    else:
        top.plot(restored.t, restored.restored, marker="o", label="by the prior")
        top.plot(restored.t, restored.visible, marker="o", label="in the noisy map")
        top.set(xlabel="noise level t", ylabel="pixels restored", ylim=(0, 1.02))
    rows, columns = np.triu_indices(len(WORKING.names), 1)
    for name, look in looks.items():
        for axes, values in ((sizes, look.patch_size), (edges, look.patch_edge)):
            axes.plot(values.sum(0), marker="o", label=name)
    octaves = np.arange(0, judgement.real.patch_size.shape[1], 2)
    for axes, what in ((sizes, "area of a patch, pixels"), (edges, "boundary, 1 + pixel sides")):
        axes.set(xlabel=f"{what}: from here to twice as many", ylabel="share of patches")
        axes.set_xticks(octaves, [f"{2**octave:,}" for octave in octaves])
    width = 0.8 / len(looks)
    for i, (name, look) in enumerate(looks.items()):
        pairs.barh(
            np.arange(len(rows)) + i * width, look.adjacency[rows, columns], width, label=name
        )
    short = [name.split()[0] for name in WORKING.names]
    pairs.set_yticks(
        np.arange(len(rows)), [f"{short[a]}-{short[b]}" for a, b in zip(rows, columns, strict=True)]
    )
    pairs.set(xlabel="share of unlike neighbours")
    for axes in (top, sizes, edges, pairs):
        axes.legend(frameon=False)
    return figure
