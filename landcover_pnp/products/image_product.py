"""The image among the products: as fine as the map, where its files are as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.grid import Box
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.picture_grid import PictureGrid
from landcover_pnp.products.styles import ImageStyle, qml
from landcover_pnp.storage.atomic import scratch, write_text
from landcover_pnp.storage.bands import shown
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.run_folder import RunFolder


def write_image(image: OriginalImage, folder: Path) -> ImageStyle:
    """Writes the image with its style; 0 is no data, so black becomes 1.

    Its pixels are the finest of which there are not too many, see ``PictureGrid``; those of the
    working grid where these are no finer, or the image's files are not as they were.

    Args:
        image: The image.
        folder: Folder of the products, with the map.

    Returns:
        How it is drawn, in false colours where it has no blue.

    Raises:
        RasterError: If a file of the image cannot be read.
        RunError: If it cannot be written.
    """
    style = ImageStyle(image.scene.image_scale)
    _write(image, image_grid(image, folder), folder / "image.tif")
    write_text(folder / "image.qml", qml(style))
    return style


def image_grid(image: OriginalImage, folder: Path) -> GeoBox:
    """The pixels in which an image is published beside a map."""
    if image.imagery is None:
        return image.scene.geobox
    with open_raster(RunFolder(folder).landcover, "class map") as source:
        grid = PictureGrid.of(GeoBox.from_rio(source), image.resolution_m)
    return grid.geobox if grid.resolution_m < image.scene.resolution_m else image.scene.geobox


def _write(image: OriginalImage, geobox: GeoBox, path: Path) -> None:
    scene = image.scene
    with open_raster(scene.folder / "image.tif", "image") as source:
        order = list(dict.fromkeys((*shown(scene.bands), *range(source.count))))
        names = tuple(source.descriptions[i] for i in order)
        band = Band(source.dtypes[0], names, nodata=0, rgb=True)

    def parts() -> Iterator[tuple[Box, NDArray[Any]]]:
        for box, values, valid in image.windows(geobox):
            yield box, np.where(valid, np.maximum(values[order], 1), 0).astype(band.dtype)

    with scratch(path) as plain:
        write_raster(plain, geobox, band, parts())
        write_cog(path, plain, "average")
