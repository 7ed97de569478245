"""Where inference ends: its probabilities of working classes become those of the map's legend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from landcover_pnp.grid import Box
from landcover_pnp.legends.result_legend import BUILDINGS, FIVE, ResultLegend
from landcover_pnp.scenes.scene import covered_share
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.run_folder import RunFolder

Probabilities = Callable[[Box], NDArray[np.float32]]
"""Gives a window as (class, y, x) float32 in the order of the legend: sums to 1, or 0."""


@dataclass(frozen=True)
class ResultClasses:
    """The legend of a run's map, and what it takes besides the probabilities.

    Attributes:
        legend: The legend.
        roofs: The scene's layer of buildings; None where the legend does not ask for it.
    """

    legend: ResultLegend = FIVE
    roofs: Path | None = None

    @classmethod
    def of(cls, run: Path, legend: ResultLegend) -> ResultClasses:
        """Those of a run whose map has some legend."""
        layer = RunFolder(run).scene / f"{BUILDINGS}.tif"
        return cls(legend, layer if legend.needs_buildings else None)

    @contextmanager
    def probabilities(self, source: DatasetReader) -> Iterator[Probabilities]:
        """Reads stored probabilities in this legend.

        On a grid finer than the scene's the outline of a building lies where its interpolated
        share is one half.

        Args:
            source: Open file of a run's probabilities, of whatever method.

        Yields:
            What reads a window.

        Raises:
            RasterError: If there is no layer of buildings where one is needed.
        """
        if self.roofs is None:
            yield lambda box: self.legend.of_working(
                decode(read(source, source.indexes, box)), None
            )
            return
        with (
            open_raster(self.roofs, BUILDINGS) as layer,
            on_grid(layer, GeoBox.from_rio(source), Resampling.bilinear) as roofs,
        ):

            def windows(box: Box) -> NDArray[np.float32]:
                p = decode(read(source, source.indexes, box))
                return self.legend.of_working(p, covered_share(read(roofs, 1, box)))

            yield windows


def map_legend(path: Path) -> ResultLegend:
    """The legend of a map's raster.

    Raises:
        RasterError: If it cannot be read, or its legend is damaged.
    """
    with open_raster(path, "map") as source:
        return legend_of(source)
