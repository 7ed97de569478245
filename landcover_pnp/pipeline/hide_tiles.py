"""One window of a map whose unsure pixels are filled: what the prior says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.grid import Box, Tile, blocks
from landcover_pnp.inference.filling import FillSettings
from landcover_pnp.pipeline.fill_grid import FillGrid
from landcover_pnp.pipeline.fill_windows import METHOD, READ_PX
from landcover_pnp.pipeline.hidden_ground import Floats, Shown, asked, unsure
from landcover_pnp.pipeline.run_tiles import RunTiles
from landcover_pnp.pipeline.tiles import make_tile, one_thread, write_probabilities
from landcover_pnp.storage.hidden_files import HiddenFiles
from landcover_pnp.storage.probabilities import decode
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.records import Ingredients, Record
from landcover_pnp.storage.run_folder import RunFolder


@dataclass(frozen=True)
class HideJob(RunTiles):
    """All that a worker needs to ask the prior of any window of a map.

    Attributes:
        run: The run folder.
        before: Probabilities of the map before its unsure pixels are filled.
        clouds: Raster of clouds; the ground under them is filled already. None without.
        below: Probability of its class below which a pixel is hidden.
        pixels: The pixels of map and prior.
        grid: The windows, on the grid of the prior's pixels.
        prior: Folder of the masked prior; None is the shipped one.
        settings: How pixels are filled.
        seed: Seed of the run.
        made_of: What the windows depend on besides their position.
    """

    before: Path
    clouds: Path | None
    below: float
    pixels: FillGrid
    prior: Path | None
    settings: FillSettings
    seed: int
    made_of: Ingredients

    @property
    def out(self) -> Path:
        """Folder of the windows' files."""
        return HiddenFiles(RunFolder(self.run)).windows

    def made_of_tile(self, tile: Tile) -> Ingredients:
        """What one window's result depends on."""
        return {**self.made_of, "core": list(tile.core), "canvas": list(tile.canvas)}

    def raster(self, tile: Tile) -> Path:
        """File of what the prior says of a window."""
        return self.out / f"{tile.id}_{METHOD}.tif"

    @property
    def endings(self) -> tuple[str, ...]:
        """What stands behind a window's name in the names of its files."""
        return (f"_{METHOD}.tif", ".json")

    def stored(self, box: Box) -> NDArray[np.uint16]:
        """Probabilities (class, y, x) of a box of the map, as they are stored."""
        with open_raster(self.before, "map") as source:
            pixels: NDArray[np.uint16] = read(source, source.indexes, box)
        return pixels

    def hidden(self, p: Floats, box: Box) -> NDArray[np.bool_]:
        """Pixels (y, x) to fill of a box of the map, whose probabilities are given."""
        hidden = unsure(p, self.below)
        if self.clouds is None or not hidden.any():
            return hidden
        with (
            open_raster(self.before, "map") as grid,
            open_raster(self.clouds, "clouds") as source,
            on_grid(source, GeoBox.from_rio(grid), Resampling.nearest) as view,
        ):
            return np.asarray(hidden & (read(view, 1, box) == 0))

    def shown(self, tile: Tile) -> Shown:
        """A window as the prior is shown it."""

        def parts() -> Iterator[tuple[Box, Floats, NDArray[np.bool_]]]:
            for box in blocks(self.pixels.fine(tile.canvas), READ_PX):
                p = decode(self.stored(box))
                yield box, p, self.hidden(p, box)

        return Shown.of(self.pixels, parts(), tile.canvas)


def hide_tile(job: HideJob, tile_id: str) -> Record:
    """Asks the prior of a window and writes what it says, then the record.

    Args:
        job: What all windows share.
        tile_id: Name of the window.

    Returns:
        As ``make_tile``.

    Raises:
        DiskFullError: If there is no room for it, and hence for no other.
    """
    from landcover_pnp.prior.loading import load_prior  # torch: seconds in every process

    def make(tile: Tile) -> None:
        prior, origin = load_prior(job.prior, "masked"), (tile.canvas.y0, tile.canvas.x0)
        p = asked(prior, job.shown(tile), job.settings, job.seed, origin)
        write_probabilities(job, tile.canvas, p, job.raster(tile))

    one_thread()
    return make_tile(job, tile_id, make)
