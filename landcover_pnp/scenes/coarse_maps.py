"""Coarse maps and percentages on the working grid: classes by number, shares by percent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import GridError, LegendError, RasterError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, count_values, listed_counts
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.coarse_values import Table, numbers, reading
from landcover_pnp.scenes.scene import NO_PERCENT
from landcover_pnp.scenes.settings import CoarseFile
from landcover_pnp.storage.raster import name_of, on_grid, open_raster, read, read_mask

PERCENT = 100
"""The largest percentage."""


@dataclass(frozen=True)
class CoarseOnGrid:
    """Coarse maps seen on the working grid.

    Attributes:
        legends: Their legends.
        notes: What was done to them, one sentence each.
    """

    legends: tuple[CoarseLegend, ...]
    notes: tuple[str, ...]
    _views: tuple[tuple[WarpedVRT, Table], ...]

    @classmethod
    @contextmanager
    def opened(
        cls, maps: Iterable[CoarseFile], geobox: GeoBox, extent: Box, image: Path
    ) -> Iterator[CoarseOnGrid]:
        """Opens the maps, classes by nearest neighbour, and reads what values they have.

        Args:
            maps: The coarse maps.
            geobox: The working grid.
            extent: All of its pixels.
            image: The imagery, named in messages.

        Raises:
            LegendError: If there is no such legend, or a map holds values that it does not have.
            GridError: If a map has no data on the imagery.
            RasterError: If pixels cannot be read.
        """
        legends, notes = list[CoarseLegend](), list[str]()
        views = list[tuple[WarpedVRT, Table]]()
        with ExitStack() as stack:
            for file in maps:
                legend = CoarseLegend.load(file.legend)
                source = stack.enter_context(open_raster(file.path, legend.title))
                view = stack.enter_context(on_grid(source, geobox, Resampling.nearest))
                counts, missing = count_known(view, extent)
                missing += 0 if legend.has_zero else counts.pop(NO_DATA, 0)
                word, table = reading(legend, counts, str(file.path), file.values)
                if not counts:
                    raise _nowhere(file.path, legend.title, image)
                notes.append(f"{legend.title} read as {word}")
                if missing:
                    share = missing / (extent.y1 * extent.x1)
                    notes.append(f"{legend.title} has no data on {share:.1%} of the grid")
                legends.append(legend)
                views.append((view, table))
            yield cls(tuple(legends), tuple(notes), tuple(views))

    def numbers(self, box: Box) -> NDArray[np.uint8]:
        """Numbers of their classes in a window: (map, y, x) uint8 from 1, 0 = no data."""
        return np.stack(
            [
                numbers(read(view, 1, box), read_mask(view, box), table)
                for view, table in self._views
            ]
        )


def _nowhere(path: Path, what: str, image: Path) -> GridError:
    return GridError(
        found=f"{path} ({what}) has no data anywhere on the imagery {image}",
        expected=f"{what} that covers the imagery",
        fix=f"fetch {what} for this area; check both files' coordinate reference systems",
    )


def count_known(view: DatasetReader | WarpedVRT, extent: Box) -> tuple[Counter[int], int]:
    """Counts values.

    Args:
        view: Open raster of integers, or its view on a grid.
        extent: All of its pixels.

    Returns:
        Pixel count by value, and the number of pixels without data, whatever their value.

    Raises:
        RasterError: If pixels cannot be read.
    """
    counts: Counter[int] = Counter()
    missing = 0
    for box in blocks(extent):
        known = read_mask(view, box)
        counts.update(count_values(read(view, 1, box)[known]))
        missing += int((~known).sum())
    return counts, missing


def require_percent_band(source: DatasetReader, name: str) -> None:
    """Refuses a raster of several bands, or complex numbers, as percentages.

    Raises:
        RasterError: Says what it has instead.
    """
    if source.count != 1 or np.dtype(source.dtypes[0]).kind not in "uif":
        raise RasterError(
            found=f"{name_of(source)} ({name}) has {source.count} bands of {source.dtypes[0]}",
            expected="one band of percentages from 0 to 100",
            fix="select the band, for example with gdal_translate -b 1",
        )


def percentages(
    path: Path, name: str, geobox: GeoBox, extent: Box, image: Path
) -> Iterator[tuple[Box, NDArray[Any]]]:
    """Reads percentages onto the working grid by nearest neighbour.

    Args:
        path: The raster.
        name: What it has percentages of, named in messages.
        geobox: The working grid.
        extent: All of its pixels.
        image: The imagery, named in messages.

    Yields:
        (1, y, x) uint8 by window, 0 to 100, ``NO_PERCENT`` where there is none.

    Raises:
        LegendError: After the last window, if there were other values, or only shares from 0 to 1;
            lists them with counts.
        GridError: If there was not one percentage.
        RasterError: If pixels cannot be read.
    """
    others: Counter[int] = Counter()
    count, largest, is_float = 0, 0.0, False
    with (
        open_raster(path, name) as source,
        on_grid(source, geobox, Resampling.nearest) as view,
    ):
        is_float = np.dtype(source.dtypes[0]).kind == "f"
        for box in blocks(extent):
            values, known = read(view, 1, box).astype(np.float64), read_mask(view, box)
            known &= np.isfinite(values)
            fits = (values >= 0) & (values <= PERCENT)
            others.update(count_values(np.rint(values[known & ~fits]).astype(np.int64)))
            inside = values[known & fits]
            count += inside.size
            largest = max(largest, float(inside.max(initial=0)))
            rounded = np.where(known & fits, np.rint(values), NO_PERCENT)
            yield box, rounded.astype(np.uint8)[None]
    where = f"{path} (percentages of {name})"
    if others:
        raise LegendError(
            found=f"{where} holds {listed_counts(others)}",
            expected="percentages from 0 to 100",
            fix="declare values that mean no data, for example with gdal_edit.py -a_nodata 255",
        )
    if not count:
        raise _nowhere(path, f"percentages of {name}", image)
    if is_float and 0 < largest <= 1:
        raise LegendError(
            found=f"{where} holds no value above {largest:g}: shares from 0 to 1",
            expected="percentages from 0 to 100",
            fix="multiply them, for example with gdal_calc.py --calc 'A*100'",
        )
