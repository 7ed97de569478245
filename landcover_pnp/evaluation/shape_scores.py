"""The shapes of a map beside those of its truth, on the map's grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.evaluation.boundaries import Boundaries, boundaries
from landcover_pnp.evaluation.scores import extent, truth_classes
from landcover_pnp.evaluation.shapes import Shapes, crop_boxes
from landcover_pnp.evaluation.truth_legend import Scheme, TruthLegend, told_by
from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING, recoded
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import on_grid, open_raster, read_labels

_TOLERANCE_PX = 1


@dataclass(frozen=True)
class ShapeScores:
    """Shapes of one map.

    Attributes:
        crops: Number of crops of about 256 m that they are counted in.
        crossing_share: Share of these in which one impervious part reaches opposite sides.
        parts_per_km2: Connected parts a square kilometre, by class.
        roofs_per_km2: Impervious parts of 40 to 1000 square metres.
        roof_quartiles_m2: Lower quartile, median and upper quartile of their areas.
        boundary_f1: F1 of boundary pixels at a tolerance of one pixel, by class; NaN of classes
            without a boundary in the truth.
        mean_boundary_f1: Its mean over the others; NaN without any.
    """

    crops: int
    crossing_share: float
    parts_per_km2: Mapping[str, float]
    roofs_per_km2: float
    roof_quartiles_m2: tuple[float, float, float]
    boundary_f1: Mapping[str, float]
    mean_boundary_f1: float

    @classmethod
    def of(cls, shapes: Shapes, lines: Boundaries) -> ShapeScores:
        """The figures of shapes and boundaries."""
        low, median, high = map(float, shapes.roof_quartiles_m2)
        return cls(
            len(shapes.crosses),
            shapes.crossing_share,
            dict(zip(WORKING.names, map(float, shapes.parts_per_km2), strict=True)),
            shapes.roofs_per_km2,
            (low, median, high),
            dict(zip(WORKING.names, map(float, lines.f1), strict=True)),
            lines.mean_f1,
        )


def shape_scores(
    path: Path, truth: Path, legend: TruthLegend, scheme: Scheme
) -> tuple[ShapeScores, ShapeScores] | None:
    """Measures the shapes of a class map and of its truth, strip by strip.

    The truth is brought onto the map's grid by the most frequent class of a pixel. Only ground
    that both show is measured.

    Args:
        path: Class map, in metres.
        truth: Truth raster that ``evaluate_map`` has scored the map by.
        legend: Legend of the truth.
        scheme: See ``scores.Scheme``.

    Returns:
        Those of the map, and those of the truth, whose boundaries are compared to themselves; None
        where one of the two does not tell the working classes.

    Raises:
        RasterError: If a file cannot be read.
    """
    nothing = np.zeros((0, 1, 1), np.uint8)
    found = [Shapes.of(nothing, 1.0)] * 2
    lines = [boundaries(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))] * 2
    with (
        open_raster(truth, "truth") as source,
        open_raster(path, "map") as labels,
        on_grid(source, GeoBox.from_rio(labels), Resampling.mode) as view,
    ):
        tables = legend_of(labels).to_working, told_by(legend).to_working
        if tables[0] is None or tables[1] is None:
            return None
        whole, resolution_m = extent(labels), abs(labels.res[0])
        boxes = crop_boxes((labels.height, labels.width), resolution_m)
        for (y0, y1), crops in groupby(boxes, key=lambda box: (box.y0, box.y1)):
            strip = Box(y0, y1, 0, labels.width).grow(_TOLERANCE_PX + 1).clip(whole)
            mapped = recoded(read_labels(labels, strip), tables[0])
            true = recoded(truth_classes(view, strip, legend, scheme), tables[1])
            mapped, true = (np.where((mapped > 0) & (true > 0), m, 0) for m in (mapped, true))
            for crop in crops:
                wide = crop.grow(_TOLERANCE_PX + 1).clip(whole)
                for i, one in enumerate((mapped, true)):
                    found[i] += Shapes.of(one[crop.within(strip)][None], resolution_m)
                    around, inner = wide.within(strip), _moved(crop, wide)
                    lines[i] += boundaries(one[around], true[around], _TOLERANCE_PX, inner)
    return ShapeScores.of(found[0], lines[0]), ShapeScores.of(found[1], lines[1])


def _moved(box: Box, outer: Box) -> Box:
    """A box as seen from another one's corner."""
    return Box(box.y0 - outer.y0, box.y1 - outer.y0, box.x0 - outer.x0, box.x1 - outer.x0)


def shape_table(rows: Mapping[str, ShapeScores]) -> str:
    """A Markdown table of shapes, one row a map."""
    head = ["crops", "crossing share", "impervious parts / km2", "roofs / km2", "roof, m2"]
    lines = [" | ".join(["| map", *head, "boundary F1"]) + " |", "|---|" + "---:|" * 6]
    for name, s in rows.items():
        figures = [s.crossing_share, s.parts_per_km2["impervious"], s.roofs_per_km2]
        figures += [s.roof_quartiles_m2[1], s.mean_boundary_f1]
        shown = [f"{f:.2f}" if abs(f) <= 1 else f"{f:.0f}" for f in figures]
        cells = [f"| {name}", str(s.crops), *shown]
        lines.append(" | ".join(cells).replace("nan", "-") + " |")
    return "\n".join(lines)
