"""Aerial images as one area: planned together, read together on the working grid."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.coords import BoundingBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from landcover_pnp.errors import (
    DamagedError,
    GridError,
    RasterError,
    SuspiciouslyEmptyWarning,
)
from landcover_pnp.grid import Box
from landcover_pnp.raster import (
    blocks,
    image_bands,
    on_grid,
    open_image,
    open_raster,
    read,
    read_mask,
    require_projected,
    unwritten_share,
)

OPEN_IMAGES = 16
"""Images held open at a time while windows are read in row-major order."""

DAMAGE_PX = 64
"""Side of the parts, working pixels, into which a window that cannot be read is split."""

EMPTY_SHARE = 0.1
"""An image with less than this share of the data that its neighbours have is reported."""


@dataclass(frozen=True)
class Image:
    """One image file whose header has been checked.

    Attributes:
        path: The file.
        crs: rasterio CRS.
        bounds: Left, bottom, right, top.
        res: Pixel size (x, y) in metres.
        bands: Indices of the colour bands.
        dtype: ``uint8`` or ``uint16``.
        fault: Why none of it can be used, or empty.
    """

    path: Path
    crs: Any
    bounds: BoundingBox
    res: tuple[float, float]
    bands: tuple[int, ...]
    dtype: str
    fault: str = ""


@dataclass(frozen=True)
class Imagery:
    """Images in one CRS that cover an area together; at a pixel the first with data wins.

    Attributes:
        images: At least one.
        unusable: Reason by name of each file that cannot even be opened.
    """

    images: tuple[Image, ...]
    unusable: dict[str, str] = field(default_factory=dict)

    @property
    def crs(self) -> Any:
        """The CRS of all images, rasterio's."""
        return self.images[0].crs

    @property
    def bounds(self) -> BoundingBox:
        """Bounds of all images together."""
        left, bottom, right, top = zip(*(image.bounds for image in self.images), strict=True)
        return BoundingBox(min(left), min(bottom), max(right), max(top))

    @property
    def res(self) -> tuple[float, float]:
        """Pixel size (x, y) of the coarsest image in metres."""
        return max(image.res for image in self.images)


def image_systems(paths: Sequence[Path]) -> list[str]:
    """Coordinate reference systems of images, by name; of files that can be opened and have one."""
    systems = set()
    for path in paths:
        with suppress(RasterError), open_raster(path, "imagery") as source:
            if source.crs is not None:
                systems.add(source.crs.to_string())
    return sorted(systems)


def plan_imagery(paths: Sequence[Path], crs: str | None = None) -> Imagery:
    """Checks the headers of images that are to be mapped together.

    Args:
        paths: The files; of several, one that cannot be opened is left out and reported.
        crs: CRS such as ``EPSG:26917``: images in others are left out.

    Returns:
        The imagery.

    Raises:
        RasterError: If an image has not 3 or 4 bands of uint8 or uint16 in a projected CRS, or
            they are not alike, or none can be used.
        GridError: If the images are in several CRSs.
    """
    images, unusable = [], {}
    for path in paths:
        try:
            images.append(_plan_image(path, several=len(paths) > 1))
        except DamagedError as error:
            if len(paths) == 1:
                raise
            unusable[str(path) if path.name in unusable else path.name] = error.found
            warnings.warn(f"left out: {error.found}", SuspiciouslyEmptyWarning, stacklevel=2)
    systems = sorted({image.crs.to_string() for image in images})
    chosen = [image for image in images if crs in (None, image.crs.to_string())]
    if not chosen:
        raise RasterError(
            found=f"none of {len(paths)} images "
            + (f"is in {crs}: they are in {', '.join(systems)}" if systems else "can be opened"),
            expected="images to map",
            way_out="correct scene.rasters.image or scene.rasters.image_crs",
        )
    if len(systems) > 1 and crs is None:
        raise GridError(
            found=f"images in {len(systems)} coordinate reference systems: {', '.join(systems)}",
            expected="one for a map: pixels of two UTM zones lie on no common grid",
            way_out="set scene.rasters.image_crs to one of them, or map them one after the other "
            "with `landcover batch`, which makes a map of each",
        )
    kinds = {(len(image.bands), image.dtype): image.path for image in chosen}
    if len(kinds) > 1:
        raise RasterError(
            found="images of different kinds: "
            + "; ".join(f"{n} bands of {t} in {p}" for (n, t), p in kinds.items()),
            expected="the same number of bands of the same type in all images",
            way_out="map them separately, or convert them with gdal_translate",
        )
    return Imagery(tuple(chosen), unusable)


def _plan_image(path: Path, *, several: bool) -> Image:
    with open_image(path) as source:
        require_projected(source, "imagery")
        bands = tuple(image_bands(source))
        missing = unwritten_share(source) if several else 0.0
        fault = ""
        if missing == 1:
            fault = f"{path} holds no pixels: its writer was interrupted"
        if missing and (missing == 1 or source.nodata is None):
            warnings.warn(
                f"{path}: {missing:.0%} of its blocks were never written and read as no data",
                SuspiciouslyEmptyWarning,
                stacklevel=3,
            )
        dtype = source.dtypes[bands[0] - 1]
        return Image(path, source.crs, source.bounds, source.res, bands, dtype, fault)


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
        except DamagedError as error:
            if len(self._images) == 1:
                raise
            if max(part.shape) <= DAMAGE_PX:
                failed[part] = error.found
                return
            for sub in blocks(part, DAMAGE_PX):
                yield from self._parts(number, sub, failed)

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
