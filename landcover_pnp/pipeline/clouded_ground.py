"""Which ground of a map the image has not shown: a layer of the run, beside the map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA
from landcover_pnp.pipeline.fill_rasters import LAYER_LEGEND
from landcover_pnp.pipeline.fill_windows import FILLED, SEEN
from landcover_pnp.products.rasters import SOFTWARE
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.scenes.scene import CLOUDS, Scene
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.run_folder import FILLED as FILLED_STEM
from landcover_pnp.storage.run_folder import RunFolder


def has_clouds(scene: Scene) -> bool:
    """Whether clouds hide a part of a prepared scene."""
    return CLOUDS in scene.layers


def write_clouded(run: Path, scene: Scene) -> Path:
    """Writes the layer on the grid of the map: 1 seen, 2 filled, 0 no data.

    Args:
        run: Run folder whose map is written.
        scene: Its scene, with clouds.

    Returns:
        The file, a cloud-optimised GeoTIFF with its QGIS style beside it.

    Raises:
        RunError: If it cannot be written.
    """
    paths = RunFolder(run)
    path = paths.raster(FILLED_STEM)
    with (
        open_raster(paths.landcover, "map") as labels,
        open_raster(scene.folder / f"{CLOUDS}.tif", CLOUDS) as source,
        on_grid(source, GeoBox.from_rio(labels), Resampling.nearest) as clouds,
        scratch(path) as simple,
    ):

        def parts() -> Iterator[tuple[Box, NDArray[np.uint8]]]:
            for box in blocks(Box(0, labels.height, 0, labels.width)):
                hidden = np.where(read(clouds, 1, box) > 0, FILLED, SEEN)
                mapped = read(labels, 1, box) != NO_DATA
                yield box, np.where(mapped, hidden, NO_DATA).astype(np.uint8)[None]

        band = Band("uint8", ("filled",), nodata=NO_DATA, legend=LAYER_LEGEND, tags=SOFTWARE)
        write_raster(simple, GeoBox.from_rio(labels), band, parts())
        write_cog(path, simple, "mode")
    write_text(path.with_suffix(".qml"), qml(ClassStyle(LAYER_LEGEND)))
    return path
