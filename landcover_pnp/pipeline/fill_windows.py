"""One window of a map that is filled: its pixels as the prior sees them -> probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.grid import Tile, TileGrid, blocks
from landcover_pnp.inference.filling import FillSettings, fill
from landcover_pnp.legend import CLASS_COUNT
from landcover_pnp.pipeline.fill_grid import FillGrid, majority
from landcover_pnp.pipeline.tiles import make_tile, one_thread, write_probabilities
from landcover_pnp.products.ground import FILLED
from landcover_pnp.scenes.class_map import ClassMap
from landcover_pnp.storage.raster import open_raster, read, read_labels
from landcover_pnp.storage.records import Ingredients, Record

METHOD = "map"
"""What a window's raster is called, as those of a map run."""

READ_PX = 2048
"""Side of the parts of the map that are in memory at a time."""


@dataclass(frozen=True)
class FillJob:
    """All that a worker needs to fill any window of a map.

    Attributes:
        class_map: The map.
        filled: File of the layer that says which pixels are to be filled.
        pixels: The pixels of map and prior.
        grid: The windows, on the working grid.
        out: Folder of the windows' files.
        prior: Folder of the prior; None is the shipped one.
        settings: How pixels are filled.
        seed: Seed of the noise.
        made_of: What the windows depend on besides their position.
    """

    class_map: ClassMap
    filled: Path
    pixels: FillGrid
    grid: TileGrid
    out: Path
    prior: Path | None
    settings: FillSettings
    seed: int
    made_of: Ingredients

    @property
    def home(self) -> Path:
        """Folder of the results, which is locked."""
        return self.out.parent

    def made_of_tile(self, tile: Tile) -> Ingredients:
        """What one window's result depends on."""
        return {**self.made_of, "core": list(tile.core), "canvas": list(tile.canvas)}

    def raster(self, tile: Tile) -> Path:
        """File of a window's probabilities."""
        return self.out / f"{tile.id}_{METHOD}.tif"

    def rasters(self, tile: Tile) -> list[Path]:
        """All files of a window."""
        return [self.raster(tile)]

    def record(self, tile: Tile) -> Path:
        """File of a window's record, which appears after its raster."""
        return self.out / f"{tile.id}.json"

    @property
    def endings(self) -> tuple[str, ...]:
        """What stands behind a window's name in the names of its files."""
        return (f"_{METHOD}.tif", ".json")

    def has_hidden(self, tile: Tile) -> bool:
        """Whether any pixel of a window is to be filled."""
        with open_raster(self.filled, "filled pixels") as source:
            parts = blocks(self.pixels.fine(tile.canvas), READ_PX)
            return any((read(source, 1, box) == FILLED).any() for box in parts)

    def counted(self, tile: Tile) -> NDArray[np.float64]:
        """Pixels of the map by class in each working pixel of a window, and hidden ones."""
        counted = np.zeros((CLASS_COUNT + 1, *tile.canvas.shape))
        with (
            open_raster(self.class_map.path, "map") as source,
            open_raster(self.filled, "filled pixels") as layer,
        ):
            for box in blocks(self.pixels.fine(tile.canvas), READ_PX):
                codes = self.class_map.to_working(read_labels(source, box))
                hidden = read(layer, 1, box) == FILLED
                counted += self.pixels.counted(box, codes, hidden, tile.canvas)
        return counted

    def mix(self, codes: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """(class,) what is known where nothing at all is known near: the whole map's shares."""
        return None if codes.any() else self.class_map.mix


def fill_window(job: FillJob, tile_id: str) -> Record:
    """Fills a window and writes its probabilities, then its record.

    Args:
        job: What all windows share.
        tile_id: Name of the window.

    Returns:
        As ``make_tile``.

    Raises:
        DiskFullError: If there is no room for it, and hence for no other.
    """
    from landcover_pnp.prior.loading import load_prior

    def make(tile: Tile) -> None:
        codes, hidden = majority(job.counted(tile))
        shares = job.mix(codes)
        mix = (
            None
            if shares is None
            else np.broadcast_to(shares[:, None, None], (CLASS_COUNT, *codes.shape))
        )
        prior = load_prior(job.prior, "masked")
        origin = (tile.canvas.y0, tile.canvas.x0)
        view_px = max(tile.canvas.shape)
        p = fill(prior, codes, hidden, mix, job.settings, job.seed, origin, view_px=view_px)
        write_probabilities(job, tile.canvas, p, job.raster(tile))

    one_thread()
    return make_tile(job, tile_id, make)
