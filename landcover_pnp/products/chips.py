"""Small pictures of places: the image and the map around each, the place framed in both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image, ImageDraw
from rasterio.enums import Resampling

from landcover_pnp.grid import Box
from landcover_pnp.legend import Legend
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.pictures import class_picture
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.raster import on_grid, open_raster, read

CHIP_M = 100.0
"""Side of the ground that a picture shows, metres."""

PLACE_M = 20.0
"""Side of the squares whose mean doubt is compared, metres."""

MARK = (215, 25, 28)
"""Colour of the frame."""


def place_radius(scene: Scene) -> int:
    """Working pixels from the middle one of a place to its edge, without the middle one."""
    return max(0, round(PLACE_M / scene.resolution_m / 2 - 0.5))


def place_side_m(scene: Scene) -> float:
    """Side of a place, metres."""
    return (2 * place_radius(scene) + 1) * scene.resolution_m


@dataclass(frozen=True)
class Chip:
    """Where a picture lies.

    Attributes:
        geobox: Its pixels, square and north up.
        frame: Left, top, right and bottom of the place, pixels of the picture.
    """

    geobox: GeoBox
    frame: tuple[float, float, float, float]

    @classmethod
    def around(cls, x: float, y: float, scene: Scene, side_px: int) -> Chip:
        """A picture with a place in its middle, or moved in from the edge of the scene.

        Args:
            x: Easting of the middle of the place, in the scene's CRS.
            y: Northing of it.
            scene: The scene; one that is smaller than a picture is shown whole.
            side_px: Side of the picture.
        """
        ground = scene.geobox.boundingbox
        height_m, width_m = ground.top - ground.bottom, ground.right - ground.left
        side_m = min(max(CHIP_M, 2 * place_side_m(scene)), max(height_m, width_m))
        left = min(max(x - side_m / 2, ground.left), max(ground.right - side_m, ground.left))
        top = max(min(y + side_m / 2, ground.top), min(ground.bottom + side_m, ground.top))
        pixel_m, half_m = side_m / side_px, place_side_m(scene) / 2
        shape = (
            min(side_px, round(height_m / pixel_m)),
            min(side_px, round(width_m / pixel_m)),
        )
        place = Affine(pixel_m, 0, left, 0, -pixel_m, top)
        corners = (x - half_m - left, top - y - half_m, x + half_m - left, top - y + half_m)
        a, b, c, d = (v / pixel_m for v in corners)
        return cls(GeoBox(shape, place, scene.geobox.crs), (a, b, c, d))

    def image(self, image: OriginalImage) -> Image.Image:
        """The image there, framed.

        Raises:
            RasterError: If a file of the image cannot be read.
        """
        return self._framed(image.colours(self.geobox)[..., :3])

    def map(self, landcover: Path, legend: Legend) -> Image.Image:
        """A map of classes there, framed."""
        height, width = (int(n) for n in self.geobox.shape)
        with (
            open_raster(landcover, "class map") as source,
            on_grid(source, self.geobox, Resampling.nearest) as view,
        ):
            codes = read(view, 1, Box(0, height, 0, width))
        return self._framed(class_picture(codes, legend)[..., :3])

    def _framed(self, pixels: NDArray[np.uint8]) -> Image.Image:
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        draw = ImageDraw.Draw(picture)
        left, top, right, bottom = (round(v) for v in self.frame)
        inner = [left, top, right - 1, bottom - 1]
        draw.rectangle([v - 1 if i < 2 else v + 1 for i, v in enumerate(inner)], outline="white")
        draw.rectangle(inner, outline=MARK, width=2)
        return picture
