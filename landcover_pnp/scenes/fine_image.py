"""The image of a scene at its own resolution, on a grid that divides the working pixels.

That grid is the image's own wherever the working pixels are whole multiples of the image's. Where
they are not, what is drawn on it is interpolated to the image's pixels, so that a map has those.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.errors import SuspiciouslyEmptyWarning
from landcover_pnp.grid import Box
from landcover_pnp.legend import LEGENDS, to_working
from landcover_pnp.scenes.image_grid import SAME, fine_factor, own_grid
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.image_windows import ImageryOnGrid
from landcover_pnp.scenes.imagery import Imagery, plan_imagery
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.scenes.scene import CLOUDS, Scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.raster import label_band, on_grid, open_raster, read_labels


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

    @cached_property
    def factor(self) -> int:
        """Fine pixels along a working pixel's side: their side is about the image's own."""
        return fine_factor(own_grid(self.imagery), self.scene.resolution_m)

    @cached_property
    def geobox(self) -> GeoBox:
        """The fine grid."""
        return self.scene.geobox.zoom_out(1 / self.factor)

    @cached_property
    def overlay(self) -> Overlay:
        """The image's own pixels that lie in the scene, those of a map, on its working pixels."""
        own, scene = own_grid(self.imagery), self.scene.geobox
        left, top = ~own.transform * (scene.transform * (0, 0))
        right, bottom = ~own.transform * (scene.transform * scene.shape.xy)
        rows, columns = (
            slice(max(round(first), 0), min(round(last), int(side)))
            for first, last, side in zip((top, left), (bottom, right), own.shape, strict=True)
        )
        return Overlay(scene, own[rows, columns])

    @cached_property
    def shift(self) -> tuple[int, int] | None:
        """First row and column of the map on the fine grid; None where their pixels differ."""
        fine, own = self.geobox, self.overlay.geobox
        place = ~fine.transform * own.transform
        row, column = round(place.f), round(place.c)
        ends = np.abs(
            [
                place.c - column,
                place.f - row,
                (place.a - 1) * own.shape.x,
                (place.e - 1) * own.shape.y,
            ]
        )
        return (row, column) if ends.max() < SAME else None

    def fine(self, box: Box) -> Box:
        """The fine pixels of a box of working pixels."""
        return Box(*(v * self.factor for v in box))

    def image(self, box: Box) -> NDArray[np.float32]:
        """The image.

        Args:
            box: Working pixels, inside the scene.

        Returns:
            (band, fine y, fine x) float32, 0..1; 0 where the image has no data or clouds; beyond
            its edge, in working pixels that reach over it, the pixels at the edge.
        """
        fine = self.fine(box)
        rows, columns = (
            np.clip(np.arange(first, last), edge.start, edge.stop - 1)
            for first, last, edge in zip(fine[::2], fine[1::2], self._covered, strict=True)
        )
        inside = Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        with ImageryOnGrid.opened(self.imagery, self.geobox, Resampling.bilinear) as view:
            values, _ = view.read(inside)
        values = values[:, rows - inside.y0, :][:, :, columns - inside.x0]
        image = np.asarray(np.minimum(values / np.float32(self.scene.image_scale), 1), np.float32)
        clouds = self.scene.coverage(CLOUDS, box)
        if clouds is not None:
            image *= (clouds == 0).repeat(self.factor, axis=0).repeat(self.factor, axis=1)
        return image

    @cached_property
    def _covered(self) -> tuple[slice, slice]:
        """Rows and columns of the fine pixels whose centre lies in the image."""
        fine, bounds = self.geobox, self.imagery.bounds
        left, top = ~fine.transform * (bounds.left, bounds.top)
        right, bottom = ~fine.transform * (bounds.right, bounds.bottom)
        rows, columns = (
            slice(max(round(first), 0), max(min(round(last), int(side)), 1))
            for first, last, side in zip((top, left), (bottom, right), fine.shape, strict=True)
        )
        return rows, columns

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

    def on_map(self, p: NDArray[np.float32], around: Box, box: Box) -> NDArray[np.float32]:
        """What was drawn on the fine grid, on the map's pixels.

        Args:
            p: (class, fine y, fine x) probabilities of ``around``.
            around: The box, with a working pixel more on each side where ``shift`` is None.
            box: Working pixels.

        Returns:
            (class, map y, map x) float32, cut out, or interpolated between the fine pixels.
        """
        own, fine = self.overlay.box(box), self.fine(around)
        if self.shift is not None:
            down, across = self.shift
            there = Box(own.y0 + down, own.y1 + down, own.x0 + across, own.x1 + across)
            return np.asarray(p[:, *there.within(fine)])
        place = ~self.geobox.transform * self.overlay.geobox.transform
        rows = place.f + place.e * (np.arange(own.y0, own.y1) + 0.5) - 0.5 - fine.y0
        columns = place.c + place.a * (np.arange(own.x0, own.x1) + 0.5) - 0.5 - fine.x0
        return _between(_between(p, rows).swapaxes(1, 2), columns).swapaxes(1, 2)


def _between(p: NDArray[np.float32], rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., y, x) interpolated between rows; beyond the first and the last, those themselves."""
    at = np.clip(rows, 0, p.shape[-2] - 1)
    lower = np.floor(at).astype(np.intp)
    upper = np.minimum(lower + 1, p.shape[-2] - 1)
    share = (at - lower).astype(np.float32)[:, None]
    return np.asarray(p[..., lower, :] * (1 - share) + p[..., upper, :] * share, np.float32)
