"""Which ground of a map was filled, not seen: a layer of the run, beside the map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA
from landcover_pnp.products.ground import FILLED, SEEN, write_ground
from landcover_pnp.scenes.scene import CLOUDS, Scene
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.run_folder import DRAWN, RunFolder
from landcover_pnp.storage.run_folder import FILLED as FILLED_STEM


def has_clouds(scene: Scene) -> bool:
    """Whether clouds hide a part of a prepared scene."""
    return CLOUDS in scene.layers


def write_filled(run: Path, scene: Scene, final: Path | None = None) -> Path:
    """Writes how the ground is known, seen or filled, on the grid of the map.

    Ground under clouds is filled, and so are the pixels whose probabilities are others than before
    the unsure ones were hidden.

    Args:
        run: Run folder whose map is written.
        scene: Its scene.
        final: Probabilities of the map; None where no unsure pixel was hidden.

    Returns:
        The file, a cloud-optimised GeoTIFF with its QGIS style beside it.

    Raises:
        RunError: If it cannot be written.
    """
    paths = RunFolder(run)
    path = paths.raster(FILLED_STEM)
    with ExitStack() as opened:
        labels = opened.enter_context(open_raster(paths.landcover, "map"))
        clouds = None
        if has_clouds(scene):
            source = opened.enter_context(open_raster(scene.folder / f"{CLOUDS}.tif", CLOUDS))
            grid = GeoBox.from_rio(labels)
            clouds = opened.enter_context(on_grid(source, grid, Resampling.nearest))
        maps = [] if final is None else [paths.probability(DRAWN), final]
        before_after = [opened.enter_context(open_raster(p, "map")) for p in maps]

        def parts() -> Iterator[tuple[Box, NDArray[np.uint8]]]:
            for box in blocks(Box(0, labels.height, 0, labels.width)):
                hidden = np.zeros(box.shape, np.bool_)
                if clouds is not None:
                    hidden |= read(clouds, 1, box) > 0
                if before_after:
                    before, after = (read(source, source.indexes, box) for source in before_after)
                    hidden |= (before != after).any(axis=0)
                mapped = read(labels, 1, box) != NO_DATA
                ground = np.where(hidden, FILLED, SEEN)
                yield box, np.where(mapped, ground, NO_DATA).astype(np.uint8)

        return write_ground(path, GeoBox.from_rio(labels), parts())
