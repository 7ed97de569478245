"""Tiles of a run that have one raster and one record each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.grid import Tile, TileGrid


@dataclass(frozen=True)
class RunTiles(ABC):
    """Where the files of a run's tiles lie: the names that ``Tiled`` asks for.

    Attributes:
        run: The run folder.
        grid: The tiles, on the working grid.
    """

    run: Path
    grid: TileGrid

    @property
    def home(self) -> Path:
        """The run folder."""
        return self.run

    @property
    @abstractmethod
    def out(self) -> Path:
        """Folder of the tiles' files."""

    def raster(self, tile: Tile) -> Path:
        """File of a tile's core, without its halo."""
        return self.out / f"{tile.id}.tif"

    def rasters(self, tile: Tile) -> list[Path]:
        """All files of a tile but its record."""
        return [self.raster(tile)]

    def record(self, tile: Tile) -> Path:
        """File of a tile's record, which appears after its raster."""
        return self.out / f"{tile.id}.json"

    @property
    def endings(self) -> tuple[str, ...]:
        """What stands behind a tile's name in the names of its files."""
        return (".tif", ".json")
