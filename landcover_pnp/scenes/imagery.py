"""Aerial images as one area: their headers checked, planned together."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rasterio.coords import BoundingBox
from rasterio.crs import CRS
from rasterio.errors import CRSError

from landcover_pnp.errors import DamagedError, GridError, RasterError, SuspiciouslyEmptyWarning
from landcover_pnp.storage.bands import BandName, Bands
from landcover_pnp.storage.georeference import bounds_of, require_projected, require_square
from landcover_pnp.storage.images import open_image, read_bands
from landcover_pnp.storage.raster import open_raster, unwritten_share


@dataclass(frozen=True)
class Image:
    """One image file whose header has been checked.

    Attributes:
        path: The file.
        crs: rasterio CRS.
        bounds: Left, bottom, right, top.
        res: Pixel size (x, y) in metres.
        bands: The colour bands: names, indices, how they are known.
        dtype: ``uint8`` or ``uint16``.
        fault: Why none of it can be used, or empty.
        given: What the user says that its bands are.
        turned: Whether its rows do not run from west to east.
    """

    path: Path
    crs: Any
    bounds: BoundingBox
    res: tuple[float, float]
    bands: Bands
    dtype: str
    fault: str = ""
    given: tuple[BandName, ...] | None = None
    turned: bool = False


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

    @property
    def bands(self) -> tuple[BandName, ...]:
        """Names of the bands, in the order in which they are read."""
        return self.images[0].bands.names

    @property
    def notes(self) -> tuple[str, ...]:
        """How the bands of the images are read, one sentence a reading."""
        readings = Counter(str(image.bands) for image in self.images)
        if len(readings) == 1:
            return tuple(readings)
        return tuple(f"{reading} in {n} images" for reading, n in sorted(readings.items()))


def image_systems(paths: Sequence[Path]) -> list[str]:
    """Coordinate reference systems of images, by name; of files that can be opened and have one."""
    systems = set()
    for path in paths:
        with suppress(RasterError), open_raster(path, "imagery") as source:
            if source.crs is not None:
                systems.add(source.crs.to_string())
    return sorted(systems)


def plan_imagery(
    paths: Sequence[Path], crs: str | None = None, bands: Sequence[BandName] | None = None
) -> Imagery:
    """Checks the headers of images that are to be mapped together.

    Args:
        paths: The files; of several, one that cannot be opened is left out and reported.
        crs: CRS such as ``EPSG:26917``: images in others are left out.
        bands: What the bands of each file are, where the user says so.

    Returns:
        The imagery.

    Raises:
        RasterError: If the bands of an image cannot be told, or are not of uint8 or uint16, or if
            it is in no projected CRS, its pixels are far from square, the images are not alike,
            or none can be used.
        GridError: If the images are in several CRSs.
    """
    images, unusable = [], {}
    for path in paths:
        try:
            images.append(_plan_image(path, bands, several=len(paths) > 1))
        except DamagedError as error:
            if len(paths) == 1:
                raise
            unusable[str(path) if path.name in unusable else path.name] = error.found
            warnings.warn(f"left out: {error.found}", SuspiciouslyEmptyWarning, stacklevel=2)
    systems = sorted({image.crs.to_string() for image in images})
    wanted = None if crs is None else _system(crs)
    chosen = [image for image in images if wanted in (None, image.crs)]
    if not chosen:
        raise RasterError(
            found=f"none of {len(paths)} images "
            + (f"is in {crs}: they are in {', '.join(systems)}" if systems else "can be opened"),
            expected="images to map",
            fix="correct scene.rasters.image or scene.rasters.image_crs",
        )
    if len(systems) > 1 and crs is None:
        raise GridError(
            found=f"images in {len(systems)} coordinate reference systems: {', '.join(systems)}",
            expected="one for a map: pixels of two UTM zones lie on no common grid",
            fix="set scene.rasters.image_crs to one of them, or map them one after the other "
            "with `landcover batch`, which makes a map of each",
        )
    kinds = {(image.bands.names, image.dtype): image.path for image in chosen}
    if len(kinds) > 1:
        alike = len({len(names) for names, _ in kinds}) == 1
        listed = [
            f"{len(names)} bands of {dtype} in {path}" + (f" ({', '.join(names)})" if alike else "")
            for (names, dtype), path in kinds.items()
        ]
        raise RasterError(
            found="images of different kinds: " + "; ".join(listed),
            expected="the same number of bands of the same type in all images",
            fix="map them separately, or convert them with gdal_translate",
        )
    return Imagery(tuple(chosen), unusable)


def _system(name: str) -> CRS:
    try:
        return CRS.from_user_input(name)
    except CRSError as error:
        raise RasterError(
            found=f"scene.rasters.image_crs is {name!r}",
            expected="a coordinate reference system, such as EPSG:26917",
            fix="correct it; the message without it names the systems of the images",
        ) from error


def _plan_image(path: Path, given: Sequence[BandName] | None, *, several: bool) -> Image:
    with open_raster(path, "imagery") as source:
        missing = unwritten_share(source) if several else 0.0
    with open_image(path, given) as source:
        require_projected(source, "imagery")
        require_square(source, "imagery")
        bands = read_bands(source, given)
        fault = ""
        if missing == 1:
            fault = f"{path} holds no pixels: its writer was interrupted"
        if missing and (missing == 1 or source.nodata is None):
            warnings.warn(
                f"{path}: {missing:.0%} of its blocks were never written and read as no data",
                SuspiciouslyEmptyWarning,
                stacklevel=3,
            )
        width_m, height_m = map(abs, source.res)  # south up, a side is negative
        return Image(
            path,
            source.crs,
            bounds_of(source),
            (width_m, height_m),
            bands,
            source.dtypes[bands.indexes[0] - 1],
            fault,
            None if given is None else tuple(given),
            turned=(source.transform.b, source.transform.d) != (0, 0),
        )
