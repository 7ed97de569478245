"""The image of a scene at its own resolution, on a grid that divides the working pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.grid import Box
from landcover_pnp.legend import LEGENDS, to_working
from landcover_pnp.raster import image_bands, label_band, on_grid, open_image, open_raster, read
from landcover_pnp.raster import read_mask as data_mask
from landcover_pnp.settings import RasterFiles
from landcover_pnp.sources.scene import Scene


@dataclass(frozen=True)
class FineImage:
    """Windows of the original image beside the prepared scene's.

    Attributes:
        files: The files the scene was prepared from.
        scene: The scene: working grid, scale of the image, valid pixels.
        factor: Fine pixels along a working pixel's side, at least 1.
    """

    files: RasterFiles
    scene: Scene
    factor: int

    @classmethod
    def of(cls, files: RasterFiles, scene: Scene) -> FineImage:
        """The finest grid that divides the working pixels and resolves about the image's own.

        Raises:
            RasterError: If the image is missing or cannot be opened.
        """
        with open_image(files.image) as source:
            return cls(files, scene, max(1, round(scene.resolution_m / source.res[0])))

    @property
    def geobox(self) -> GeoBox:
        """The fine grid."""
        return self.scene.geobox.zoom_out(1 / self.factor)

    def fine(self, box: Box) -> Box:
        """The fine pixels of a box of working pixels."""
        return Box(*(v * self.factor for v in box))

    def image(self, box: Box) -> NDArray[np.float32]:
        """The image.

        Args:
            box: Working pixels, inside the scene.

        Returns:
            (band, fine y, fine x) float32, 0..1; 0 where the image has no data.
        """
        with open_image(self.files.image) as source:
            bands = image_bands(source)
            with on_grid(source, self.geobox, Resampling.bilinear) as view:
                values = read(view, bands, self.fine(box))
        return np.asarray(np.minimum(values / np.float32(self.scene.image_scale), 1), np.float32)

    def truth(self, box: Box) -> NDArray[np.uint8]:
        """Truth at the image's resolution, for a source city's supervision only.

        Args:
            box: Working pixels, inside the scene.

        Returns:
            (fine y, fine x) uint8 working classes; all 0, no data, for a scene without truth.

        Raises:
            LegendError: If the truth holds unknown codes.
        """
        fine = self.fine(box)
        if self.files.truth is None:
            return np.zeros(fine.shape, np.uint8)
        with open_raster(self.files.truth.path, "truth") as source:
            label_band(source, "truth")
            with on_grid(source, self.geobox, Resampling.nearest) as view:
                labels = np.where(data_mask(view, fine), read(view, 1, fine), 0)
        return to_working(labels, LEGENDS[self.files.truth.legend], "truth")
