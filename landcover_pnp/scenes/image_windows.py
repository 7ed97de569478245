"""Imagery on a grid, read window by window; what cannot be read is left out and remembered."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.coords import BoundingBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import DamagedError, SuspiciouslyEmptyWarning
from landcover_pnp.grid import Box, blocks
from landcover_pnp.scenes.imagery import Image, Imagery
from landcover_pnp.storage.raster import damaged, on_grid, open_image, read, read_mask

OPEN_IMAGES = 16
"""Images held open at a time while windows are read in row-major order."""

DAMAGE_PX = 64
"""Side of the parts, working pixels, into which a window that cannot be read is split."""

EMPTY_SHARE = 0.1
"""An image with less than this share of the data that its neighbours have is reported."""


class ImageryOnGrid:
    """Imagery on a grid, resampled window by window as it is read.

    Args:
        imagery: The images.
        geobox: The grid, in the images' CRS.
        resampling: Rule by which image pixels make a grid pixel.

    Attributes:
        damaged: Boxes that no image covers because one cannot be used there, each with file,
            window and reason; grows as windows are read.
    """

    def __init__(self, imagery: Imagery, geobox: GeoBox, resampling: Resampling) -> None:
        self._images, self._geobox, self._resampling = imagery.images, geobox, resampling
        self._boxes = [_box(image.bounds, geobox) for image in imagery.images]
        self._open: dict[int, tuple[ExitStack, WarpedVRT]] = {}
        self._seen: Counter[int] = Counter()
        self._area: Counter[int] = Counter()
        self.damaged: dict[Box, str] = {}

    @classmethod
    @contextmanager
    def opened(
        cls, imagery: Imagery, geobox: GeoBox, resampling: Resampling = Resampling.average
    ) -> Iterator[ImageryOnGrid]:
        """Opens imagery, and closes it when the block ends."""
        view = cls(imagery, geobox, resampling)
        try:
            yield view
        finally:
            while view._open:
                view._close_oldest()

    def read(self, box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Reads a window.

        Args:
            box: Pixels of the working grid.

        Returns:
            (band, y, x) in the images' dtype, and (y, x) bool: where there is data.

        Raises:
            RasterError: If the only image cannot be read there.
        """
        pixels = np.zeros((len(self._images[0].bands), *box.shape), self._images[0].dtype)
        valid = np.zeros(box.shape, bool)
        failed: dict[Box, str] = {}
        for number, footprint in enumerate(self._boxes):
            part = footprint.clip(box)
            if part.is_empty:
                continue
            for sub, values, mask in self._parts(number, part, failed):
                y, x = sub.within(box)
                new = mask & ~valid[y, x]
                pixels[:, y, x][:, new] = values[:, new]
                valid[y, x] |= new
                self._seen[number] += int((mask & values.any(axis=0)).sum())
                self._area[number] += mask.size
        for sub, reason in failed.items():
            if not valid[sub.within(box)].all():
                self.damaged[sub] = reason
        return pixels, valid

    def warn_of_empty(self) -> None:
        """Warns of images with far less data than the others, of all windows read so far."""
        shares = {n: self._seen[n] / area for n, area in self._area.items()}
        usual = float(np.median(list(shares.values()))) if len(shares) > 1 else 0.0
        for number, share in shares.items():
            if share < EMPTY_SHARE * usual:
                warnings.warn(
                    f"{self._images[number].path}: {share:.1%} of its pixels have data, "
                    f"of the other images' {usual:.1%}",
                    SuspiciouslyEmptyWarning,
                    stacklevel=2,
                )

    def _parts(
        self, number: int, part: Box, failed: dict[Box, str]
    ) -> Iterator[tuple[Box, NDArray[Any], NDArray[np.bool_]]]:
        """What can be read of one image in a box; what cannot is added to ``failed``."""
        image = self._images[number]
        if image.fault:
            failed[part] = image.fault
            return
        try:
            yield part, *self._read(number, part)
            return
        except DamagedError:
            if len(self._images) == 1:
                raise
        for sub in blocks(part, DAMAGE_PX):
            try:
                yield sub, *self._read_apart(image, sub)
            except DamagedError as error:
                failed[sub] = error.found

    def _read(self, number: int, box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if number not in self._open:
            while len(self._open) >= OPEN_IMAGES:
                self._close_oldest()
            stack = ExitStack()
            source = stack.enter_context(open_image(self._images[number].path))
            view = stack.enter_context(on_grid(source, self._geobox, self._resampling))
            self._open[number] = stack, view
        view = self._open[number][1]
        return read(view, self._images[number].bands, box), read_mask(view, box)

    def _read_apart(self, image: Image, box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Reads a box through a view of nothing else: the other one reads in larger blocks."""
        height, width = box.shape
        whole = Box(0, height, 0, width)
        grid = self._geobox[box.y0 : box.y1, box.x0 : box.x1]
        with (
            open_image(image.path) as source,
            on_grid(source, grid, self._resampling) as view,
        ):
            try:
                return read(view, image.bands, whole), read_mask(view, whole)
            except DamagedError as error:
                raise damaged(view, box, error) from error

    def _close_oldest(self) -> None:
        stack, _ = self._open.pop(next(iter(self._open)))
        stack.close()


def _box(bounds: BoundingBox, geobox: GeoBox) -> Box:
    """Pixels of the grid that bounds touch."""
    left, top = ~geobox.transform * (bounds.left, bounds.top)
    right, bottom = ~geobox.transform * (bounds.right, bounds.bottom)
    height, width = geobox.shape
    touched = Box(math.floor(top), math.ceil(bottom), math.floor(left), math.ceil(right))
    return touched.clip(Box(0, int(height), 0, int(width)))
