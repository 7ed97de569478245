"""One tile's way: its window of the scene -> weak labels -> clusters -> engine -> files."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import DiskFullError, LandcoverError, TileError
from landcover_pnp.grid import Box, Tile, TileGrid
from landcover_pnp.inference.choice import prior_of
from landcover_pnp.inference.engine import infer_each
from landcover_pnp.inference.registry import Engine, register_engine
from landcover_pnp.inference.settings import BASELINE, InferenceSettings
from landcover_pnp.legend import NO_DATA
from landcover_pnp.pipeline.observe import Observer
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.geotiff import Band, write_raster
from landcover_pnp.storage.probabilities import BAND, encode
from landcover_pnp.storage.records import Ingredients, Record, file_hashes
from landcover_pnp.storage.run_folder import METHODS

PREVIEW = "classes"
"""Raster of a tile's most probable classes, its core alone: what can be seen during the run."""


class Tiled(Protocol):
    """Work that is done tile by tile, each tile with its rasters and then its record."""

    @property
    def grid(self) -> TileGrid:
        """The tiles."""

    @property
    def out(self) -> Path:
        """Folder of the tiles' files."""

    @property
    def home(self) -> Path:
        """The run folder, which is held while there is work in it."""

    def made_of_tile(self, tile: Tile) -> Ingredients:
        """What one tile's result depends on."""

    def rasters(self, tile: Tile) -> list[Path]:
        """All files of a tile but its record."""

    def record(self, tile: Tile) -> Path:
        """File of a tile's record, which appears after its rasters."""

    @property
    def endings(self) -> tuple[str, ...]:
        """What stands behind a tile's name in the names of its files."""


@dataclass(frozen=True)
class TileJob:
    """All that a worker needs to infer any tile of a run: a few kilobytes.

    Attributes:
        scene: Folder of the prepared scene.
        out: Folder of the tiles' files.
        grid: The tiles.
        inference: Engine settings.
        made_of: What the tiles depend on besides their position.
        engines: Engines that the program has registered itself, so that no worker knows them.
        observer: What the observations of all tiles share; None before there is a tile to infer.
    """

    scene: Path
    out: Path
    grid: TileGrid
    inference: InferenceSettings
    made_of: Ingredients
    engines: tuple[Engine[Any], ...] = ()
    observer: Observer | None = None

    @property
    def home(self) -> Path:
        """The run folder."""
        return self.out.parent

    def made_of_tile(self, tile: Tile) -> Ingredients:
        """What one tile's result depends on."""
        return {**self.made_of, "core": list(tile.core), "canvas": list(tile.canvas)}

    def raster(self, tile: Tile, what: str) -> Path:
        """File of a tile's probabilities by a method, or of its ``PREVIEW``."""
        return self.out / f"{tile.id}_{what}.tif"

    def rasters(self, tile: Tile) -> list[Path]:
        """All files of a tile."""
        return [self.raster(tile, what) for what in (*METHODS, PREVIEW)]

    def record(self, tile: Tile) -> Path:
        """File of a tile's record, which appears after its rasters."""
        return self.out / f"{tile.id}.json"

    @property
    def endings(self) -> tuple[str, ...]:
        """What stands behind a tile's name in the names of its files."""
        return (*(f"_{what}.tif" for what in (*METHODS, PREVIEW)), ".json")


def infer_tile(job: TileJob, tile_id: str) -> Record:
    """Infers a tile and writes its probabilities by every method, then its record.

    Args:
        job: What all tiles of the run share.
        tile_id: Name of the tile.

    Returns:
        As ``make_tile``.

    Raises:
        DiskFullError: If there is no room for the tile, and hence for no other.
    """

    def make(tile: Tile) -> Mapping[str, float]:
        probabilities, figures = _probabilities(job, tile)
        for method, p in probabilities.items():
            write_probabilities(job, tile.canvas, p, job.raster(tile, method))
        _write_preview(job, tile, probabilities["map"])
        return figures

    if job.inference.engine_or_default != BASELINE:
        one_thread()
    for engine in job.engines:
        register_engine(engine)
    return make_tile(job, tile_id, make)


def make_tile(
    job: Tiled, tile_id: str, make: Callable[[Tile], Mapping[str, float] | None]
) -> Record:
    """Makes a tile's rasters, then its record.

    Args:
        job: What all tiles share.
        tile_id: Name of the tile.
        make: Writes the rasters of a tile; returns the figures of its record.

    Returns:
        The record without ingredients, which are long: ``done``, or ``failed`` with the reason; a
        failed tile leaves no raster.

    Raises:
        DiskFullError: If there is no room for the tile, and hence for no other.
    """
    start, tile = time.monotonic(), job.grid.tile_by_id(tile_id)
    # Of older files, which go one by one: were this cut short, it would vouch for a mixture.
    job.record(tile).unlink(missing_ok=True)
    try:
        figures = make(tile) or {}
    except DiskFullError:
        raise
    except LandcoverError as error:
        return give_up(job, tile_id, str(error), time.monotonic() - start)
    files, seconds = file_hashes(job.out, job.rasters(tile)), time.monotonic() - start
    record = Record("done", job.made_of_tile(tile), seconds, figures=figures, files=files)
    record.write(job.record(tile))
    return dataclasses.replace(record, ingredients={})


def write_probabilities(job: Tiled, box: Box, p: NDArray[np.float32], path: Path) -> None:
    """Writes probabilities (class, y, x) of a box of the working grid."""
    stored, geobox = encode(p), job.grid.geobox[box.within(job.grid.extent)]
    whole = Box(0, stored.shape[1], 0, stored.shape[2])
    write_raster(path, geobox, BAND, [(whole, stored)])


def one_thread() -> None:
    """Torch sums in an order that depends on the number of its threads, and with it the bytes."""
    import torch  # seconds, for which an engine of arrays does not wait

    torch.set_num_threads(1)


def give_up(job: Tiled, tile_id: str, reason: str, seconds: float = 0.0) -> Record:
    """Quarantines a tile: no raster, and a record that says why.

    Args:
        job: What all tiles of the run share.
        tile_id: Name of the tile.
        reason: Why it has no result.
        seconds: Time it has cost.

    Returns:
        The record.
    """
    tile = job.grid.tile_by_id(tile_id)
    for raster in job.rasters(tile):
        if raster.is_file():
            raster.unlink()
    record = Record("failed", job.made_of_tile(tile), seconds, reason=reason)
    record.write(job.record(tile))
    return record


def _write_preview(job: TileJob, tile: Tile, p: NDArray[np.float32]) -> None:
    core = p[:, *tile.core.within(tile.canvas)]
    classes = np.where(core.any(axis=0), core.argmax(axis=0) + 1, NO_DATA).astype(np.uint8)
    geobox = job.grid.geobox[tile.core.within(job.grid.extent)]
    whole = Box(0, classes.shape[0], 0, classes.shape[1])
    band = Band("uint8", ("land cover",), nodata=NO_DATA)
    write_raster(job.raster(tile, PREVIEW), geobox, band, [(whole, classes[None])])


def _probabilities(
    job: TileJob, tile: Tile
) -> tuple[dict[str, NDArray[np.float32]], Mapping[str, float]]:
    """Probabilities (class, y, x) on the tile's canvas by method, and counts."""
    scene = Scene.open(job.scene)
    damage = scene.damage_in(tile.core)
    if damage:
        raise TileError(
            found="imagery that cannot be used: " + "; ".join(damage),
            expected="imagery whose pixels can all be read",
            fix="fetch the file again and repeat the command; the other tiles are mapped",
        )
    if job.observer is None:
        raise RuntimeError("a tile cannot be inferred before the whole scene was looked at")
    observations = job.observer.observe(scene, tile.canvas)
    valid, weak = observations.valid, observations.weak_labels
    if not valid.any():
        return dict.fromkeys(METHODS, np.zeros_like(weak)), {"valid_px": 0}
    undecided = valid & (np.ptp(weak, axis=0) == 0)
    prior = prior_of(job.inference)
    name = job.inference.engine_or_default
    maps = infer_each((BASELINE, name), observations, job.inference, prior, job.observer.seed)
    results = {"map": maps[name], BASELINE: maps[BASELINE], "weak_labels": weak}
    core = tile.core.within(tile.canvas)
    figures = {"valid_px": int(valid[core].sum()), "uniform_px": int(undecided[core].sum())}
    return {method: np.where(valid, p, 0) for method, p in results.items()}, figures
