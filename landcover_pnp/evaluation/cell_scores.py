"""Cell scores of a map's probabilities against truth: by cell of ground, and by confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.evaluation.calibration import Reliability, reliability, tempered
from landcover_pnp.evaluation.scores import (
    Scores,
    extent,
    require_comparable,
    truth_classes,
)
from landcover_pnp.evaluation.truth_legend import Scheme
from landcover_pnp.grid import blocks
from landcover_pnp.legend import CLASS_COUNT, NO_DATA, Legend
from landcover_pnp.storage.georeference import pixel_sides_m
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import on_grid, open_raster, read

CELL_M = 30.0
"""Side of the cells of ``score_cells``, metres: a pixel of NLCD."""


@dataclass(frozen=True, eq=False)
class CellScores:
    """What a map's probabilities are worth, place by place.

    Attributes:
        cells: Scores by cell: the confusion is (cell, truth 6, predicted 6).
        reliability: Confidence and hits.
        tempered: The same after the temperature.
    """

    cells: Scores
    reliability: Reliability
    tempered: Reliability

    @property
    def scores(self) -> Scores:
        """Scores of all cells together."""
        return Scores(self.cells.confusion.sum(axis=0), self.cells.scheme)

    def __add__(self, other: CellScores) -> CellScores:
        """Both areas together: cells side by side, counts added."""
        both = np.concatenate([self.cells.confusion, other.cells.confusion])
        return CellScores(
            Scores(both, self.cells.scheme),
            self.reliability + other.reliability,
            self.tempered + other.tempered,
        )


def score_cells(
    probabilities: Path,
    truth: Path,
    legend: Legend,
    scheme: Scheme,
    *,
    temperature: float = 1.0,
    cell_m: float = CELL_M,
    overlap: bool = False,
) -> CellScores:
    """Scores a map's probabilities by cell of ground and by confidence, in windows.

    Args:
        probabilities: Class probabilities (class, y, x), all 0 = no data; sampled at the
            truth's pixel centres, by nearest neighbour.
        truth: Truth raster; any grid and CRS that covers the same ground.
        legend: Legend of the truth.
        scheme: See ``Scheme``.
        temperature: Temperature of the second reliability, see ``calibration.tempered``.
        cell_m: Side of a cell in metres on the ground, whatever the unit of the truth's CRS;
            the default is a pixel of NLCD.
        overlap: As in ``evaluate_map``.

    Returns:
        Confusion by cell and reliability.

    Raises:
        LandcoverError: As ``evaluate_map``.
    """
    with open_raster(truth, "truth") as source, open_raster(probabilities, "map") as stored:
        require_comparable(source, stored, legend, overlap=overlap)
        across, down = (max(1, round(cell_m / side_m)) for side_m in pixel_sides_m(source))
        columns = -(-source.width // across)
        count = columns * -(-source.height // down)
        n = CLASS_COUNT + 1
        confusion = np.zeros((count, n, n), np.int64)
        plain = scaled = reliability(np.zeros((CLASS_COUNT, 0)), np.zeros(0, np.int64))
        with on_grid(stored, GeoBox.from_rio(source), Resampling.nearest) as view:
            for box in blocks(extent(source)):
                classes = truth_classes(source, box, legend, scheme)
                p = decode(read(view, stored.indexes, box))
                rows, cols = np.arange(box.y0, box.y1), np.arange(box.x0, box.x1)
                cells = (rows // down)[:, None] * columns + cols // across
                predicted = np.where(p.any(axis=0), p.argmax(axis=0) + 1, NO_DATA)
                confusion += cell_confusion(predicted, classes, cells, count)
                plain += reliability(p, classes)
                scaled += reliability(tempered(p, temperature), classes)
    seen = confusion.any(axis=(1, 2))
    return CellScores(Scores(confusion[seen], scheme), plain, scaled)


def sample_map(
    probabilities: Path, truth: Path, legend: Legend, scheme: Scheme, size: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A map's probabilities at evenly spread pixels of the truth.

    Args:
        probabilities: Class probabilities, as for ``score_cells``.
        truth: Truth raster.
        legend: Legend of the truth.
        scheme: See ``Scheme``.
        size: About how many pixels.

    Returns:
        (class, n) float32 probabilities, and (n,) working classes, 0 = no data.

    Raises:
        LandcoverError: As ``evaluate_map``.
    """
    p, classes = [], []
    with open_raster(truth, "truth") as source, open_raster(probabilities, "map") as stored:
        require_comparable(source, stored, legend, overlap=True)
        step = max(1, math.isqrt(source.height * source.width // max(size, 1)))
        with on_grid(stored, GeoBox.from_rio(source), Resampling.nearest) as view:
            for box in blocks(extent(source)):
                part = decode(read(view, stored.indexes, box))
                p.append(part[:, ::step, ::step].reshape(CLASS_COUNT, -1))
                classes.append(truth_classes(source, box, legend, scheme)[::step, ::step].ravel())
    return np.concatenate(p, axis=1), np.concatenate(classes)


def cell_confusion(
    predicted: NDArray[np.integer],
    truth: NDArray[np.integer],
    cells: NDArray[np.integer],
    count: int,
) -> NDArray[np.int64]:
    """Confusion matrices by cell; those of several windows add up.

    Args:
        predicted: (y, x) working classes 0..5.
        truth: (y, x) working classes 0..5.
        cells: (y, x) number of each pixel's cell, 0 to ``count`` - 1.
        count: Number of cells.

    Returns:
        (cell, truth 6, predicted 6) pixel counts.
    """
    n = CLASS_COUNT + 1
    pairs = (cells.astype(np.int64) * n + truth) * n + predicted
    return np.bincount(pairs.ravel(), minlength=count * n * n).reshape(count, n, n)
