"""Posterior samples of a tile: drawn, counted by class, and not kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.grid import Box, Tile
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.inference.posterior_samples import posterior_samples
from landcover_pnp.legend import CLASS_COUNT, WORKING
from landcover_pnp.pipeline.run_tiles import RunTiles
from landcover_pnp.pipeline.tiles import make_tile, one_thread, write_probabilities
from landcover_pnp.pipeline.working_map import WorkingMap
from landcover_pnp.storage.geotiff import write_raster
from landcover_pnp.storage.probabilities import BAND
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Ingredients, Record
from landcover_pnp.storage.sample_files import SampleFiles

if TYPE_CHECKING:
    from landcover_pnp.prior.masked_prior import MaskedPrior


class TileSamples(NamedTuple):
    """The samples of a tile's core.

    Attributes:
        labels: (y, x) uint8 working classes of each sample, 0 = no data; drawn one by one.
        pixels: (y, x) pixels of the map that each stands for when areas are counted.
        shown: (y, x) bool pixels whose class frequencies are told.
    """

    labels: Iterator[NDArray[np.uint8]]
    pixels: NDArray[np.float64]
    shown: NDArray[np.bool_]


@dataclass(frozen=True)
class DrawnTiles(RunTiles):
    """All that a worker needs to draw the samples of any tile of a map.

    Attributes:
        run: Folder of the results.
        grid: The tiles, on the working grid.
        prior: Folder of the prior; None is the shipped masked one.
        tilts: (sample, class) log factors of the classes' odds.
        fill: How maps are drawn.
        seed: Seed of the run.
        made_of: What the tiles depend on besides their position.
    """

    prior: Path | None
    tilts: tuple[tuple[float, ...], ...]
    fill: FillSettings
    seed: int
    made_of: Ingredients

    @abstractmethod
    def drawn(self, tile: Tile) -> TileSamples:
        """The samples of a tile, one for each of ``tilts``."""

    @property
    def out(self) -> Path:
        """Folder of the tiles' files."""
        return SampleFiles(self.run).posterior

    def made_of_tile(self, tile: Tile) -> Ingredients:
        """What one tile's result depends on."""
        return {**self.made_of, "core": list(tile.core), "canvas": list(tile.canvas)}


@dataclass(frozen=True)
class SampleJob(DrawnTiles):
    """The samples of a map run: all of the map is drawn.

    Attributes:
        student: Whether a student has drawn the map.
        view_px: Side of the crops that the prior sees.
    """

    student: bool
    view_px: int

    def drawn(self, tile: Tile) -> TileSamples:
        """The samples of a tile, one for each of ``tilts``."""
        from landcover_pnp.prior.loading import load_prior  # torch: seconds in every process

        core = tile.core.within(tile.canvas)
        p = WorkingMap.of(self.run, self.grid.geobox, student=self.student).read(tile.canvas)
        there = np.asarray(p[:, *core].any(axis=0), np.bool_)
        if not there.any():
            return TileSamples(iter(()), np.ones(there.shape), there)
        samples = posterior_samples(
            cast("MaskedPrior", load_prior(self.prior, "masked")),
            p,
            np.asarray(self.tilts),
            self.fill,
            self.seed,
            (tile.canvas.y0, tile.canvas.x0),
            self.view_px,
        )
        return TileSamples((labels[core] for labels in samples), np.ones(there.shape), there)


def sample_tile(job: DrawnTiles, tile_id: str) -> Record:
    """Draws a tile's samples; writes the class frequencies, then the record with the counts.

    Args:
        job: What all tiles of the run share.
        tile_id: Name of the tile.

    Returns:
        As ``make_tile``.

    Raises:
        DiskFullError: If there is no room for the tile, and hence for no other.
    """

    def make(tile: Tile) -> Mapping[str, float]:
        frequencies, counts = _counted(job.drawn(tile), len(job.tilts))
        write_probabilities(job, tile.core, frequencies, job.raster(tile))
        return figures_of(counts)

    one_thread()
    return make_tile(job, tile_id, make)


def _counted(drawn: TileSamples, count: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Frequencies (class, y, x) of the core, and counts (sample, class) of its pixels."""
    codes = np.arange(1, CLASS_COUNT + 1)[:, None, None]
    found = np.zeros((CLASS_COUNT, *drawn.shown.shape), np.float32)
    counts = np.zeros((count, CLASS_COUNT))
    for number, labels in enumerate(drawn.labels):
        own = labels == codes
        found += own & drawn.shown
        counts[number] = (own * drawn.pixels).sum(axis=(1, 2))
    return np.asarray(found / np.float32(count), np.float32), counts


def figures_of(counts: NDArray[np.floating]) -> dict[str, float]:
    """Pixels (sample, class) as figures of a record, by sample and class."""
    return {
        f"sample {number} {name}": float(n)
        for number, row in enumerate(counts, start=1)
        for name, n in zip(WORKING.names, row, strict=True)
    }


def counts_of(figures: Mapping[str, float], samples: int) -> NDArray[np.float64]:
    """``figures_of``, read back: (sample, class) pixels."""
    rows = [
        [figures[f"sample {number} {name}"] for name in WORKING.names]
        for number in range(1, samples + 1)
    ]
    return np.array(rows, np.float64)


def total_counts(folder: Path, done: Collection[str], samples: int) -> NDArray[np.float64]:
    """(sample, class) pixels of all tiles together.

    Args:
        folder: Folder of the tiles' files.
        done: Names of the tiles that are there.
        samples: Number of samples.
    """
    counts = np.zeros((samples, CLASS_COUNT))
    for name in sorted(done):
        record = Record.read(folder / f"{name}.json")
        if record is not None:
            counts += counts_of(record.figures, samples)
    return counts


def join_frequencies(job: DrawnTiles, done: Collection[str], path: Path) -> Path:
    """Writes all tiles' class frequencies to one GeoTIFF.

    Args:
        job: The tiles.
        done: Names of those that are there; the others are no data.
        path: File to write: (class, y, x) uint16 on the working grid, 65535 = 1.

    Returns:
        The file.

    Raises:
        RunError: If the file cannot be written.
    """

    def parts() -> Iterator[tuple[Box, NDArray[np.uint16]]]:
        for tile in job.grid:
            if tile.id not in done:
                yield tile.core, np.zeros((CLASS_COUNT, *tile.core.shape), np.uint16)
                continue
            with open_raster(job.raster(tile), "tile") as source:
                whole = Box(0, source.height, 0, source.width)
                yield tile.core, read(source, source.indexes, whole)

    write_raster(path, job.grid.geobox, BAND, parts())
    return path
