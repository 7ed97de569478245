"""A picture of a fetched scene: its images, and on them roads, buildings, water and the area."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import reproject

from landcover_pnp.scenes.widths import COLUMN
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.bands import shown
from landcover_pnp.storage.images import open_image, read_bands

SIDE_PX = 900
"""Longest side of a picture."""

COLOURS = {"water": (0, 140, 255), "roads": (255, 60, 60), "buildings": (255, 190, 0)}
AREA = (255, 255, 255)


def write_preview(
    path: Path,
    crs: str,
    images: Sequence[Path],
    objects: Mapping[str, gpd.GeoDataFrame],
    area: shapely.Geometry,
) -> None:
    """Draws the images of a grid twice: as they are, and with the objects on them.

    Args:
        path: The PNG file.
        crs: CRS of the images.
        images: Their files; where they overlap the first wins.
        objects: Objects by layer, in any CRS.
        area: The area in ``crs``.
    """
    colours, transform = _mosaic(images, crs)
    height, width = colours.shape[:2]
    drawn = colours.copy()
    pixel_m = transform.a
    for name, frame in objects.items():
        shapes = _shapes(frame, crs, pixel_m)
        if shapes:
            there = rasterize(shapes, (height, width), transform=transform, dtype="uint8") > 0
            tint = np.array(COLOURS[name])
            drawn[there] = (0.35 * drawn[there] + 0.65 * tint).astype(np.uint8)
    outline = shapely.buffer(shapely.boundary(area), pixel_m)
    drawn[rasterize([outline], (height, width), transform=transform, dtype="uint8") > 0] = AREA
    gap = np.full((height, 8, 3), 255, np.uint8)
    with completed(path) as partial:
        Image.fromarray(np.hstack([colours, gap, drawn])).save(partial, format="PNG")


def _mosaic(images: Sequence[Path], crs: str) -> tuple[NDArray[np.uint8], Affine]:
    """(y, x, 3) colours of all images thinned, white where there is none, and where they lie."""
    bounds = []
    for image in images:
        with open_image(image) as source:
            bounds.append(source.bounds)
    left, bottom = min(b.left for b in bounds), min(b.bottom for b in bounds)
    right, top = max(b.right for b in bounds), max(b.top for b in bounds)
    pixel_m = max(right - left, top - bottom) / SIDE_PX
    shape = math.ceil((top - bottom) / pixel_m), math.ceil((right - left) / pixel_m)
    transform = Affine(pixel_m, 0, left, 0, -pixel_m, top)
    whole = np.full((*shape, 3), 255, np.uint8)
    for image in reversed(images):
        with open_image(image) as source:
            bands = read_bands(source)
            indexes = [bands.indexes[i] for i in shown(bands.names)]
            step = max(1, round(pixel_m / abs(source.res[0])))
            small = max(1, source.height // step), max(1, source.width // step)
            values = source.read(indexes, out_shape=(3, *small), resampling=Resampling.average)
            valid = source.dataset_mask(out_shape=small)
            own = source.transform * Affine.scale(source.width / small[1], source.height / small[0])
            layers: list[Any] = []
            for layer in (*_bright(values), valid):
                target = np.zeros(shape, np.uint8)
                reproject(
                    layer,
                    target,
                    src_transform=own,
                    src_crs=source.crs,
                    dst_transform=transform,
                    dst_crs=crs,
                    resampling=Resampling.nearest,
                )
                layers.append(target)
        there = layers.pop() > 0
        whole[there] = np.stack(layers, axis=-1)[there]
    return whole, transform


def _bright(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours as bytes; those of more than 8 bits by the brightest of the image."""
    if values.dtype == np.uint8:
        return values
    return (values / max(int(values.max()), 1) * 255).astype(np.uint8)


def _shapes(frame: gpd.GeoDataFrame, crs: str, pixel_m: float) -> list[shapely.Geometry]:
    """Objects with their widths, lines at least a pixel wide."""
    if not len(frame):
        return []
    shapes = frame.to_crs(crs).geometry.to_numpy()
    widths = np.nan_to_num(frame[COLUMN].to_numpy(float), nan=1.0)
    thin = shapely.get_dimensions(shapes) < 2
    shapes[thin] = shapely.buffer(shapes[thin], np.maximum(widths[thin], pixel_m) / 2)
    return [shape for shape in shapes if not shape.is_empty]
