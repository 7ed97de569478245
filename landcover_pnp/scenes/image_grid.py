"""The grids of an image: its own pixels, and a working grid that they divide if they can."""

from __future__ import annotations

import math

from affine import Affine
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import ResolutionError
from landcover_pnp.scenes.imagery import Image, Imagery

ADAPTS = 0.1
"""Share by which working pixels may be larger or smaller than asked for, to be whole multiples of
the image's pixels: as much as a prior's may be than those it has learned from."""

SAME = 0.01
"""Pixels of two grids that are less apart than this share of a pixel are the same."""

SIDE_PX = 4
"""Working pixels along the shorter side of an area whose pixels were too large for it."""


def own_grid(imagery: Imagery) -> GeoBox:
    """The pixels of the images: those of the finest, over the ground of all of them, north up.

    Of images of one size the first counts. What is turned, or lies on other pixels, is resampled.
    """
    own, ground = _finest(imagery), imagery.bounds
    width_m, height_m = own.res
    left = own.bounds.left - round((own.bounds.left - ground.left) / width_m) * width_m
    top = own.bounds.top + round((ground.top - own.bounds.top) / height_m) * height_m
    shape = (
        max(1, round((top - ground.bottom) / height_m)),
        max(1, round((ground.right - left) / width_m)),
    )
    place = Affine(width_m, 0, left, 0, -height_m, top)
    return GeoBox(shape, place, imagery.crs.to_string())


def grid_notes(imagery: Imagery) -> list[str]:
    """What is resampled because it does not lie on ``own_grid``, one sentence each."""
    own, notes = _finest(imagery), []
    several = len(imagery.images) > 1
    turned = sum(image.turned for image in imagery.images)
    if turned:
        which = f"{turned} of {len(imagery.images)} images are" if several else "the image is"
        notes.append(f"{which} turned: resampled onto pixels of {own.res[0]:g} m, north up")
    other = sum(not (image.turned or _same_pixels(image, own)) for image in imagery.images)
    if other:
        notes.append(
            f"{other} of {len(imagery.images)} images lie on other pixels than {own.path.name}, "
            f"the finest: resampled onto its pixels of {own.res[0]:g} m"
        )
    return notes


def _finest(imagery: Imagery) -> Image:
    return min(imagery.images, key=lambda image: image.res[0] * image.res[1])


def _same_pixels(image: Image, own: Image) -> bool:
    rows = (image.bounds.top - image.bounds.bottom) / own.res[1]
    columns = (image.bounds.right - image.bounds.left) / own.res[0]
    longest = max(rows, columns, 1)
    sizes = [abs(a / b - 1) * longest for a, b in zip(image.res, own.res, strict=True)]
    shifts = (
        (image.bounds.left - own.bounds.left) / own.res[0],
        (image.bounds.top - own.bounds.top) / own.res[1],
    )
    return bool(max(*sizes, *(abs(shift - round(shift)) for shift in shifts)) < SAME)


def working_grid(own: GeoBox, resolution_m: float, *, adapts: bool = True) -> GeoBox:
    """The working grid from the image's upper left corner on, over all of its pixels.

    Its pixels are as many whole pixels of the image as come next to the size asked for, where
    they come within ``ADAPTS`` of it; else they have the size asked for, and a map of the image's
    pixels is resampled.

    Args:
        own: The image's pixels.
        resolution_m: Side asked for, metres.
        adapts: Whether another size than that may be taken.

    Raises:
        ResolutionError: If the image has no room for a pixel.
    """
    height_m, width_m = (side * abs(r) for side, r in zip(own.shape, _sides(own), strict=True))
    if min(height_m, width_m) < resolution_m / 2:
        raise no_room(width_m, height_m, resolution_m, "name an image of more ground")
    side_m = (whole_multiple(own, resolution_m) if adapts else None) or resolution_m
    rows, columns = (
        max(1, math.ceil((size_m - own_m / 2) / side_m))
        for size_m, own_m in zip((height_m, width_m), _sides(own), strict=True)
    )
    place = Affine(side_m, 0, own.transform.c, 0, -side_m, own.transform.f)
    return GeoBox((rows, columns), place, own.crs)


def whole_multiple(own: GeoBox, resolution_m: float) -> float | None:
    """The whole multiple of square pixels within ``ADAPTS`` of a size; None where there is none."""
    height_m, width_m = _sides(own)
    if abs(height_m / width_m - 1) * max(own.shape) > SAME:
        return None
    side_m = fine_factor(own, resolution_m) * width_m
    return side_m if abs(side_m / resolution_m - 1) <= ADAPTS else None


def fine_factor(own: GeoBox, resolution_m: float) -> int:
    """Pixels about as large as the image's along a working pixel of ``resolution_m``."""
    return max(1, round(resolution_m / _sides(own)[1]))


def is_whole(own: GeoBox, resolution_m: float) -> bool:
    """Whether pixels of a size are whole multiples of the image's."""
    side_m = whole_multiple(own, resolution_m)
    return side_m is not None and bool(abs(side_m / resolution_m - 1) * max(own.shape) < SAME)


def no_room(width_m: float, height_m: float, resolution_m: float, fix: str) -> ResolutionError:
    """The error for an area that is too small for the pixels."""
    return ResolutionError(
        found=f"an area of {width_m:.1f} x {height_m:.1f} m",
        expected=f"an area with room for pixels of {resolution_m:g} m",
        fix=fix,
        tries_m=(min(width_m, height_m) / SIDE_PX,),
    )


def _sides(geobox: GeoBox) -> tuple[float, float]:
    """Height and width of a pixel, metres."""
    return abs(geobox.resolution.y), abs(geobox.resolution.x)
