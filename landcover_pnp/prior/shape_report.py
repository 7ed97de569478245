"""What the report on a prior says of shapes and of holes that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landcover_pnp.evaluation.holes import FillScores, class_table, fill_table
from landcover_pnp.evaluation.shape_distance import (
    RANGES,
    WITHIN,
    crossing_by_share,
    of_equal_share,
    shape_distances,
)
from landcover_pnp.evaluation.shapes import ROOF_M2, Shapes


@dataclass(frozen=True, eq=False)
class ShapeJudgement:
    """Samples beside held-out crops that are equally built over.

    Attributes:
        samples: Shapes of all samples.
        real: Shapes of all held-out crops.
        matched: Of the samples that have held-out crops of their impervious share, and of those.
        apart: Distances between these two, by name; empty where there are none.
        floor: The same between two halves of the held-out crops.
    """

    samples: Shapes
    real: Shapes
    matched: tuple[Shapes, Shapes]
    apart: Mapping[str, float]
    floor: Mapping[str, float]

    @classmethod
    def of(cls, samples: Shapes, real: Shapes) -> ShapeJudgement:
        """Compares samples with held-out crops."""
        count = np.arange(len(real.crosses))
        halves = of_equal_share(real.take(count[::2]), real.take(count[1::2]))
        matched = of_equal_share(samples, real)
        return cls(samples, real, matched, shape_distances(*matched), shape_distances(*halves))


def shape_section(shapes: ShapeJudgement) -> list[str]:
    """Crossing shares, parts and roofs, in Markdown."""
    figures = {
        "crossing share": [s.crossing_share for s in shapes.matched],
        "parts per km2": [float(s.parts_per_km2.sum()) for s in shapes.matched],
        "impervious parts per km2": [float(s.parts_per_km2[1]) for s in shapes.matched],
        "roofs per km2": [s.roofs_per_km2 for s in shapes.matched],
        "roof, lower quartile, m2": [float(s.roof_quartiles_m2[0]) for s in shapes.matched],
        "roof, median, m2": [float(s.roof_quartiles_m2[1]) for s in shapes.matched],
        "roof, upper quartile, m2": [float(s.roof_quartiles_m2[2]) for s in shapes.matched],
    }
    rows = zip(
        RANGES, crossing_by_share(shapes.samples), crossing_by_share(shapes.real), strict=True
    )
    return [
        "",
        "## Shapes",
        "",
        "A street crosses a crop where one impervious part reaches opposite sides. Roofs are "
        f"impervious parts of {ROOF_M2[0]:g} to {ROOF_M2[1]:g} m2. Each sample is put beside the "
        f"held-out crops whose impervious share is within {WITHIN:g} of its own: "
        f"{len(shapes.matched[0].crosses)} of {len(shapes.samples.crosses)} samples have some.",
        "",
        "| | samples | held out, equally built over |",
        "|---|---:|---:|",
        *(f"| {name} | {_shown(a)} | {_shown(b)} |" for name, (a, b) in figures.items()),
        "",
        "| distance | samples | two halves |",
        "|---|---:|---:|",
        *(
            f"| {name} | {d:.3f} | {_shown(shapes.floor.get(name, float('nan')), 3)} |"
            for name, d in shapes.apart.items()
        ),
        "",
        "| impervious share | samples | crossed | held-out crops | crossed |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {low:.0%} to {high:.0%} | {n} | {_shown(share)} | {m} | {_shown(other)} |"
            for (low, high), (n, share), (m, other) in rows
        ),
    ]


def filling_section(fills: Mapping[str, Mapping[str, FillScores]]) -> list[str]:
    """Holes that were filled, by method and class; nothing where none were."""
    if not fills or not next(iter(fills.values())):
        return []
    kinds = list(next(iter(fills.values())))
    return [
        "",
        "## Filling",
        "",
        "Squares and stripes of held-out crops are hidden and filled: accuracy, mean IoU, and "
        "negative log-likelihood in nats a hidden pixel.",
        "",
        fill_table(fills),
        *(line for kind in kinds for line in ("", class_table(fills, kind))),
    ]


def _shown(value: float, digits: int = 2) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.0f}"
