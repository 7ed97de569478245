"""Evaluation of class maps against truth: pooled confusion matrix and the measures from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import GridError
from landcover_pnp.evaluation.truth_legend import (
    Scheme,
    TruthLegend,
    codes_of,
    told_by,
    told_classes,
)
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import WORKING, Legend, count_values, recoded, remap, require_labels
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.storage.georeference import overlapping_bounds, require_same_ground
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import label_band, on_grid, open_raster, read_labels


@dataclass(frozen=True)
class Scores:
    """Measures of one map.

    Attributes:
        confusion: (truth, predicted) pixel counts by the numbers of the classes; row 0 is truth
            that is none of them, column 0 is truth the map has no data on.
        scheme: How row 0 counts.
        classes: Names of the classes 1, 2, ...
        merged: Classes of the map that are scored as one, a text each: the truth does not tell
            them apart.
    """

    confusion: NDArray[np.int64]
    scheme: Scheme
    classes: tuple[str, ...] = WORKING.names
    merged: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Truth pixels of the classes that the map says something about."""
        return int(self.confusion[1:, 1:].sum())

    @property
    def unmapped(self) -> float:
        """Share of the truth pixels of the classes on which the map has no data."""
        return float(self.confusion[1:, 0].sum() / max(self.confusion[1:].sum(), 1))

    @property
    def accuracy(self) -> float:
        """Share of ``pixels`` with the right class; NaN without any."""
        return float(_ratio(np.trace(self.confusion[1:, 1:]), self.pixels))

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union by class, (class,); NaN for classes absent from the truth."""
        hits, truth, predicted = self._margins()
        if self.scheme == "published":
            predicted = predicted + self.confusion[0, 1:]
        return np.where(truth > 0, _ratio(hits, truth + predicted - hits), np.nan)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall by class; NaN for absent classes."""
        hits, truth, predicted = self._margins()
        return np.where(truth > 0, _ratio(2 * hits, truth + predicted), np.nan)

    @property
    def mean_iou(self) -> float:
        """Mean of ``iou`` over the classes present in the truth; NaN without any."""
        present = self.iou[~np.isnan(self.iou)]
        return float(present.mean()) if present.size else float("nan")

    def _margins(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        mapped = self.confusion[1:, 1:]
        return np.diagonal(mapped), mapped.sum(axis=1), mapped.sum(axis=0)

    def __add__(self, other: Scores) -> Scores:
        """Scores of both areas together, by pooled counts.

        Raises:
            ValueError: If the scoring schemes or the classes differ.
        """
        if self.scheme != other.scheme:
            raise ValueError(f"cannot pool scoring schemes {self.scheme} and {other.scheme}")
        if self.classes != other.classes:
            raise ValueError(f"cannot pool scores of {self.classes} and {other.classes}")
        return replace(self, confusion=self.confusion + other.confusion)


def _ratio(part: NDArray[np.int64] | int, whole: NDArray[np.int64] | int) -> NDArray[np.float64]:
    nothing = np.full(np.shape(part), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=np.asarray(whole) > 0))


def score(
    predicted: NDArray[np.integer],
    truth: NDArray[np.integer],
    scheme: Scheme,
    classes: tuple[str, ...] = WORKING.names,
    merged: tuple[str, ...] = (),
) -> Scores:
    """Scores labels against truth.

    Args:
        predicted: (y, x) numbers of the classes from 1, 0 = no data.
        truth: (y, x) numbers of the classes from 1, 0 = not one of them.
        scheme: See ``Scheme``.
        classes: Names of the classes.
        merged: See ``Scores``.

    Returns:
        The pooled counts and what follows from them.
    """
    n = len(classes) + 1
    pairs = truth.astype(np.int64).ravel() * n + predicted.ravel()
    return Scores(np.bincount(pairs, minlength=n * n).reshape(n, n), scheme, classes, merged)


def evaluate_map(
    path: Path, truth: Path, legend: TruthLegend, scheme: Scheme, *, overlap: bool = False
) -> Scores:
    """Scores a class map at the resolution of the truth, in windows.

    The map is sampled at the truth's pixel centres, by nearest neighbour.

    Args:
        path: Class map; what it says of its legend counts, else it is in working codes.
        truth: Truth raster; any grid and CRS that covers the same ground.
        legend: Legend of the truth: ``ENVIROATLAS``, ``WORKING``, or one of a map. What map and
            truth do not both tell apart is scored together.
        scheme: See ``Scheme``.
        overlap: Whether truth and map may cover different ground; only what both cover is
            scored then.

    Returns:
        The scores.

    Raises:
        RasterError: If a file cannot be read.
        GridError: If the truth covers other ground than the map.
        LegendError: If truth or map hold unknown codes, listed with counts; or if the two have no
            two classes in common.
    """
    with open_raster(truth, "truth") as source, open_raster(path, "map") as labels:
        require_comparable(source, labels, codes_of(legend), overlap=overlap)
        mapped = legend_of(labels)
        shared = SharedLegend.of(mapped, told_by(legend))
        told = shared.legend.names, shared.merged
        total = score(np.zeros(0, np.uint8), np.zeros(0, np.uint8), scheme, *told)
        with on_grid(labels, GeoBox.from_rio(source), Resampling.nearest) as view:
            for box in blocks(extent(source)):
                found = remap(read_labels(view, box), mapped.legend, shared.first, str(path))
                true = recoded(truth_classes(source, box, legend, scheme), shared.second)
                numbers = shared.legend.numbers(found), shared.legend.numbers(true)
                total += score(*numbers, scheme, *told)
    return total


def truth_classes(
    source: DatasetReader | WarpedVRT, box: Box, legend: TruthLegend, scheme: Scheme
) -> NDArray[np.uint8]:
    """A window of truth in the classes that it tells apart, see ``truth_legend.told_classes``."""
    return told_classes(read_labels(source, box), legend, scheme)


def require_comparable(
    source: DatasetReader, mapped: DatasetReader, legend: Legend, *, overlap: bool
) -> None:
    """Refuses truth that a map cannot be compared with.

    Args:
        source: Opened truth.
        mapped: Opened map.
        legend: Legend of the truth.
        overlap: Whether the two may cover different ground, as long as they overlap.

    Raises:
        GridError: If the truth covers other ground than the map.
        LegendError: If the truth holds unknown codes, listed with their counts, or no label.
    """
    label_band(source, "truth")
    if overlap:
        overlapping_bounds(source, "truth", mapped.bounds, mapped.crs)
    else:
        require_same_ground(source, "truth", mapped.bounds, mapped.crs, mapped.res[0])
    counts: Counter[int] = Counter()
    for box in blocks(extent(source)):
        counts.update(count_values(read_labels(source, box)))
    legend.require_known(counts, source.name)
    require_labels(counts, f"{source.name} (truth)")


def require_scored(scores: Scores, truth: Path, mapped: Path) -> None:
    """Refuses scores of nothing.

    Args:
        scores: Scores of a map.
        truth: The truth, named in the message.
        mapped: The map or its run, named in the message.

    Raises:
        GridError: If no truth pixel of the five classes has a class in the map too.
    """
    if not scores.pixels:
        raise GridError(
            found=f"no pixel of {truth} has one of the five classes where {mapped} has a class "
            f"(scoring scheme {scores.scheme})",
            expected="truth that shows what the map shows, in part at least",
            fix="take the truth of this ground, or another scoring scheme",
        )


def extent(source: DatasetReader) -> Box:
    """All pixels of a raster."""
    return Box(0, source.height, 0, source.width)


def short_table(rows: Mapping[str, Scores]) -> str:
    """A Markdown table of accuracy and mean IoU, one row a method."""
    cells = {name: [s.accuracy, s.mean_iou] for name, s in rows.items()}
    return _markdown(["accuracy", "mean IoU"], cells)


def table(rows: Mapping[str, Scores]) -> str:
    """A Markdown table of accuracy, mean IoU, IoU and F1 by class, one row a method.

    Args:
        rows: Scores in the same classes.
    """
    classes = next(iter(rows.values())).classes if rows else WORKING.names
    head = ["accuracy", "mean IoU"]
    names = [name.replace("|", "\\|") for name in classes]
    head += [f"{measure} {name}" for measure in ("IoU", "F1") for name in names]
    cells = {name: [s.accuracy, s.mean_iou, *s.iou, *s.f1] for name, s in rows.items()}
    return _markdown(head, cells)


def _markdown(head: list[str], rows: Mapping[str, list[float]]) -> str:
    lines = [" | ".join(["| method", *head]) + " |", "|---|" + "---:|" * len(head)]
    for name, values in rows.items():
        figures = ["absent" if np.isnan(v) else f"{v:.3f}" for v in values]
        lines.append(" | ".join([f"| {name}", *figures]) + " |")
    return "\n".join(lines)
