"""Areas of a map's classes, and the intervals that posterior samples give them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evaluation.area_spread import LEVEL, share_intervals
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.products.rasters import classes
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import open_raster, read

KIND = "interval of posterior samples"
"""What the intervals are, wherever they are shown: those of ``assess`` are design-based."""

HECTARE_M2 = 1e4

_COLUMNS = ("class", "mapped_ha", "mean_ha", "low_ha", "high_ha")


@dataclass(frozen=True)
class ClassArea:
    """The area of a class, hectares.

    Attributes:
        mapped_ha: Of the map, each pixel its likeliest class.
        mean_ha: Mean of the samples.
        low_ha: Lower end of the interval.
        high_ha: Upper end.
    """

    mapped_ha: float
    mean_ha: float
    low_ha: float
    high_ha: float


@dataclass(frozen=True)
class SampledAreas:
    """Class areas of a map with the interval of its posterior samples.

    Attributes:
        samples: Number of samples.
        level: Probability that the intervals are meant to have.
        classes: Area by class name.
    """

    samples: int
    level: float
    classes: Mapping[str, ClassArea]

    @classmethod
    def of(
        cls,
        counts: NDArray[np.floating],
        mapped_ha: NDArray[np.float64],
        names: Sequence[str],
    ) -> Self:
        """Areas from counts, as shares of the mapped ground.

        Args:
            counts: (sample, class) pixels of the whole map, at least two samples.
            mapped_ha: (class,) areas of the map.
            names: Names of the classes.
        """
        shares = np.asarray(counts / max(float(counts[0].sum()), 1), np.float64)
        hectares = float(mapped_ha.sum())
        low, high = share_intervals(shares, LEVEL)
        table = np.stack([mapped_ha, *(hectares * v for v in (shares.mean(axis=0), low, high))])
        rows = zip(names, table.T.round(4).tolist(), strict=True)
        return cls(len(counts), LEVEL, {name: ClassArea(*row) for name, row in rows})

    @classmethod
    def read(cls, summary: Mapping[str, Any]) -> Self | None:
        """Areas as ``content`` put them into a run's summary; None of a run without samples."""
        told: Any = summary.get("areas")
        try:
            classes = {name: ClassArea(**told["classes"][name]) for name in WORKING.names}
            return cls(int(told["samples"]), float(told["level"]), classes)
        except (TypeError, KeyError, ValueError):
            return None

    @property
    def title(self) -> str:
        """What the interval is called above a column."""
        return f"{KIND}, {100 * self.level:g} %"

    def content(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "interval": KIND,
            "samples": self.samples,
            "level": self.level,
            "classes": {name: vars(area) for name, area in self.classes.items()},
        }

    def write(self, path: Path) -> None:
        """Writes the table of areas as CSV."""
        file = io.StringIO()
        table = csv.writer(file)
        table.writerow((*_COLUMNS, "samples", "interval"))
        for name, area in self.classes.items():
            table.writerow((name, *vars(area).values(), self.samples, self.title))
        write_text(path, file.getvalue())


def mapped_areas(probabilities: Path) -> NDArray[np.float64]:
    """Hectares of each working class of a map, (class,), each pixel its likeliest; in blocks.

    Args:
        probabilities: The map's probabilities, see ``storage.probabilities``.
    """
    counts = np.zeros(CLASS_COUNT + 1)
    with open_raster(probabilities, "probabilities") as source:
        hectare_px = HECTARE_M2 / abs(source.res[0] * source.res[1])
        for box in blocks(Box(0, source.height, 0, source.width)):
            labels = classes(decode(read(source, source.indexes, box)))
            counts += np.bincount(labels.ravel(), minlength=CLASS_COUNT + 1)
    return np.asarray(counts[1:] / hectare_px)
