"""The truth of a scene as products beside its map: itself, and where the map differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import NO_DATA, recoded
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.pictures import error_labels
from landcover_pnp.products.qgis import Layer
from landcover_pnp.products.rasters import ERRORS, SOFTWARE
from landcover_pnp.products.styles import ClassStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.run_folder import RunFolder


def write_truth(run: FinishedRun, folder: Path) -> tuple[Layer, ...]:
    """Writes the truth and where the map differs; nothing of a scene without truth.

    Args:
        run: The run.
        folder: Its products, with the map among them.

    Returns:
        The layers.
    """
    if run.scene.truth_legend is None:
        return ()

    shared = run.truth_legend

    def truth(box: Box) -> NDArray[np.uint8]:
        labels = run.scene.truth(box)
        return recoded(np.zeros(box.shape, np.uint8) if labels is None else labels, shared.second)

    def errors(box: Box) -> NDArray[np.uint8]:
        with (
            open_raster(RunFolder(folder).landcover, "class map") as source,
            on_grid(source, run.scene.geobox, Resampling.mode) as view,
        ):
            return error_labels(recoded(read(view, 1, box), shared.first), truth(box))

    layers = []
    for stem, title, legend, pixels in (
        ("errors", "right and wrong", ERRORS, errors),
        ("truth", "truth", shared.legend, truth),
    ):
        band = Band("uint8", (title,), nodata=NO_DATA, legend=legend, tags=SOFTWARE)
        _write_raster(run, folder / f"{stem}.tif", band, pixels, "mode")
        write_text(folder / f"{stem}.qml", qml(ClassStyle(legend)))
        layers.append(Layer(title, f"./{stem}.tif", ClassStyle(legend), shown=False))
    return tuple(layers)


def _write_raster(
    run: FinishedRun,
    path: Path,
    band: Band,
    pixels: Callable[[Box], NDArray[Any]],
    overviews: str,
) -> None:
    """Writes a raster on the scene's grid; ``pixels`` gives a box as (y, x) or (band, y, x)."""
    with scratch(path) as plain:
        parts = ((box, pixels(box).reshape(-1, *box.shape)) for box in blocks(run.scene.extent))
        write_raster(plain, run.scene.geobox, band, parts)
        write_cog(path, plain, overviews)
