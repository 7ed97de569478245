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
from landcover_pnp.storage.images import open_image
from landcover_pnp.storage.raster import damaged, on_grid, read, read_mask

OPEN_IMAGES = 16
"""Images held open at a time while windows are read in row-major order."""

DAMAGE_PX = 64
"""Side of the parts, working pixels, into which a window that cannot be read is split."""

EDGE_PX = 2
"""Width of the edge of an image, working pixels, that is looked at for a collar."""

COLLAR_SHARE = 0.05
"""Share of an image's edge at the largest value from which it is no roof or cloud."""

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
        self._outlines = [_box(image.bounds, geobox) for image in imagery.images]
        extent = Box(0, int(geobox.shape[0]), 0, int(geobox.shape[1]))
        self._boxes = [outline.clip(extent) for outline in self._outlines]
        self._open: dict[int, tuple[ExitStack, WarpedVRT]] = {}
        self._seen: Counter[int] = Counter()
        self._area: Counter[int] = Counter()
        self._edge: Counter[int] = Counter()
        self._full: Counter[int] = Counter()
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
        pixels = np.zeros((len(self._images[0].bands.names), *box.shape), self._images[0].dtype)
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
                edge = mask & ~_inner(self._outlines[number], sub)
                full = np.iinfo(values.dtype).max
                self._edge[number] += int(edge.sum())
                self._full[number] += int((values[:, edge] == full).all(axis=0).sum())
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

    @property
    def collars(self) -> list[str]:
        """Images whose edge is as bright as can be, of all windows read so far; one a sentence."""
        found = []
        for number, edge in self._edge.items():
            image, share = self._images[number], self._full[number] / max(edge, 1)
            full = np.iinfo(image.dtype).max
            if share > COLLAR_SHARE:
                found.append(
                    f"{image.path}: {share:.0%} of its edge is {full} in every band, the largest "
                    "value there is: if that is no data, declare it, for example with gdal_edit.py "
                    f"-a_nodata {full}"
                )
        return found

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
        image = self._images[number]
        if number not in self._open:
            while len(self._open) >= OPEN_IMAGES:
                self._close_oldest()
            stack = ExitStack()
            source = stack.enter_context(open_image(image.path, image.given))
            view = stack.enter_context(on_grid(source, self._geobox, self._resampling))
            self._open[number] = stack, view
        view = self._open[number][1]
        return read(view, image.bands.indexes, box), read_mask(view, box)

    def _read_apart(self, image: Image, box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Reads a box through a view of nothing else: the other one reads in larger blocks."""
        height, width = box.shape
        whole = Box(0, height, 0, width)
        grid = self._geobox[box.y0 : box.y1, box.x0 : box.x1]
        with (
            open_image(image.path, image.given) as source,
            on_grid(source, grid, self._resampling) as view,
        ):
            try:
                return read(view, image.bands.indexes, whole), read_mask(view, whole)
            except DamagedError as error:
                raise damaged(view, box, error) from error

    def _close_oldest(self) -> None:
        stack, _ = self._open.pop(next(iter(self._open)))
        stack.close()


def _box(bounds: BoundingBox, geobox: GeoBox) -> Box:
    """Pixels of the grid that bounds touch."""
    left, top = ~geobox.transform * (bounds.left, bounds.top)
    right, bottom = ~geobox.transform * (bounds.right, bounds.bottom)
    return Box(math.floor(top), math.ceil(bottom), math.floor(left), math.ceil(right))


def _inner(outline: Box, box: Box) -> NDArray[np.bool_]:
    """(y, x) bool, which pixels of a box are not at the edge of an outline."""
    rows, columns = np.arange(box.y0, box.y1), np.arange(box.x0, box.x1)
    inner = outline.grow(-EDGE_PX)
    within = (rows >= inner.y0) & (rows < inner.y1), (columns >= inner.x0) & (columns < inner.x1)
    return np.asarray(within[0][:, None] & within[1])
