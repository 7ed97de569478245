"""The image of a scene at its own resolution, on a grid that divides the working pixels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.errors import SuspiciouslyEmptyWarning
from landcover_pnp.grid import Box
from landcover_pnp.legend import LEGENDS, to_working
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.image_windows import ImageryOnGrid
from landcover_pnp.scenes.imagery import Imagery, plan_imagery
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.raster import label_band, on_grid, open_raster, read_labels


def fine_factor(imagery: Imagery, resolution_m: float) -> int:
    """Fine pixels along a working pixel of ``resolution_m``."""
    return max(1, round(resolution_m / imagery.res[0]))


@dataclass(frozen=True)
class FineImage:
    """Windows of the original image beside the prepared scene's.

    Attributes:
        files: The files the scene was prepared from.
        scene: The scene: working grid, scale of the image, valid pixels.
        imagery: The scene's images.
    """

    files: RasterFiles
    scene: Scene
    imagery: Imagery

    @classmethod
    def of(cls, files: RasterFiles, scene: Scene) -> FineImage:
        """Opens the images' headers once more.

        Raises:
            RasterError: If an image is missing or cannot be opened.
        """
        paths = image_files(files.image, files.image_root)
        with warnings.catch_warnings():  # said when the scene was prepared
            warnings.simplefilter("ignore", SuspiciouslyEmptyWarning)
            return cls(files, scene, plan_imagery(paths, files.image_crs, files.bands))

    @property
    def factor(self) -> int:
        """Fine pixels along a working pixel's side: their side is about the image's own."""
        return fine_factor(self.imagery, self.scene.resolution_m)

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
        with ImageryOnGrid.opened(self.imagery, self.geobox, Resampling.bilinear) as view:
            values, _ = view.read(self.fine(box))
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
                labels = read_labels(view, fine)
        return to_working(labels, LEGENDS[self.files.truth.legend], "truth")
