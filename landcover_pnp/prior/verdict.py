"""The report on a judged prior: Markdown and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from landcover_pnp.legend import WORKING
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.landscape import Landscape
from landcover_pnp.settings import JudgePriorSettings

UNIFORM = 0.9
"""Maps of which one class covers more are left out of the search for copies: they all agree."""


@dataclass(frozen=True)
class Restored:
    """How well a prior tells noise from map, level by level.

    Attributes:
        t: Noise levels.
        mse: Mean squared error of the noise.
        restored: Share of labelled pixels whose class is the largest channel of E[x0 | x_t].
        visible: The same of x_t itself, without a prior.
    """

    t: tuple[int, ...]
    mse: tuple[float, ...]
    restored: tuple[float, ...]
    visible: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was found about a prior.

    Attributes:
        held_out: Names of the held-out maps it was judged by.
        restored: How well it tells noise from map.
        samples: How its samples look.
        real: How the held-out crops look.
        apart: Distances between the two, by name.
        floor: The same between two halves of the held-out crops.
        agreement: (map,) share of pixels that agree with the likest training crop, for samples
            and held-out crops; empty where none were searched.
    """

    held_out: Sequence[str]
    restored: Restored
    samples: Landscape
    real: Landscape
    apart: Mapping[str, float]
    floor: Mapping[str, float]
    agreement: Mapping[str, NDArray[np.float64]]


def report(prior: Prior, name: str, settings: JudgePriorSettings, verdict: Verdict) -> str:
    """The report in Markdown, beside ``samples.png`` and ``figures.png``.

    Args:
        prior: The prior.
        name: What it is called.
        settings: Numbers of crops and samples.
        verdict: What was found.

    Returns:
        The text.
    """
    v, names = verdict, verdict.held_out
    restored, agreement = v.restored, v.agreement
    parameters = sum(p.numel() for p in prior.network.parameters())
    lines = [
        f"# Prior {name} ({prior.fingerprint})",
        "",
        f"{parameters:,} parameters, {prior.resolution_m:g} m, crops of {prior.crop_px} pixels. "
        f"Judged by {settings.crops} crops (classes balanced by half) of {len(names)} held-out "
        f"maps and {settings.samples} samples of {settings.steps} steps, seed {settings.seed}.",
        "",
        "Held out: " + ", ".join(names) + ".",
        "",
        "## Noise",
        "",
        "| t | mse of the noise | pixels restored | visible in the noisy map |",
        "|---:|---:|---:|---:|",
        *(
            f"| {t} | {mse:.4f} | {hit:.3f} | {plain:.3f} |"
            for t, mse, hit, plain in zip(
                restored.t, restored.mse, restored.restored, restored.visible, strict=True
            )
        ),
        "",
        "## Samples",
        "",
        "Distance from the held-out crops, 0 (alike) to 1; beside it, of two halves of those.",
        "",
        "| | samples | two halves |",
        "|---|---:|---:|",
        *(f"| {what} | {v.apart[what]:.3f} | {v.floor[what]:.3f} |" for what in v.apart),
        "",
        "| mean over the maps | samples | held out |",
        "|---|---:|---:|",
    ]
    for text, attribute in (
        ("patches per km2", "patch_density"),
        ("boundary, m per ha", "edge_density"),
        ("mean patch, m2", "mean_patch"),
    ):
        values = [float(np.mean(getattr(look, attribute))) for look in (v.samples, v.real)]
        lines.append(f"| {text} | {values[0]:.0f} | {values[1]:.0f} |")
    for k, land_class in enumerate(WORKING.names):
        values = [float(look.shares[k]) for look in (v.samples, v.real)]
        lines.append(f"| share of {land_class} | {values[0]:.1%} | {values[1]:.1%} |")
    if agreement:
        lines += [
            "",
            "## Copies",
            "",
            f"Agreement with the likest of {settings.training_crops} training crops in any of "
            f"eight positions, of maps that no class covers to more than {UNIFORM:.0%}.",
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
    return "\n".join([*lines, "", "![](samples.png)", "", "![](figures.png)", ""])


def figures(verdict: Verdict) -> Figure:
    """Restored share by level, patch sizes, boundaries and neighbours.

    Args:
        verdict: What was found.

    Returns:
        The picture.
    """
    restored = verdict.restored
    looks = {"samples": verdict.samples, "held out": verdict.real}
    figure = Figure(figsize=(13, 7.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    (top, sizes), (edges, pairs) = figure.subplots(2, 2)
    top.plot(restored.t, restored.restored, marker="o", label="by the prior")
    top.plot(restored.t, restored.visible, marker="o", label="in the noisy map")
    top.set(xlabel="noise level t", ylabel="pixels restored", ylim=(0, 1.02))
    rows, columns = np.triu_indices(len(WORKING.names), 1)
    for name, look in looks.items():
        for axes, values in ((sizes, look.patch_size), (edges, look.patch_edge)):
            axes.plot(values.sum(0), marker="o", label=name)
    sizes.set(xlabel="area of a patch, octaves of pixels", ylabel="share of patches")
    edges.set(xlabel="boundary of a patch, octaves of pixel sides", ylabel="share of patches")
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
