"""A user's own files: headers checked and the working grid laid before any work begins."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import shapely
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from landcover_pnp.errors import AlignmentWarning, ResolutionError, ScaleWarning
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.class_labels import label_notes
from landcover_pnp.scenes.coarse_maps import require_percent_band
from landcover_pnp.scenes.image_grid import (
    fine_factor,
    grid_notes,
    no_room,
    own_grid,
    working_grid,
)
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.imagery import Imagery, plan_imagery
from landcover_pnp.scenes.inputs import coarse_file, input_files, input_hashes
from landcover_pnp.scenes.scene import OBJECT_LAYERS, PERCENTAGES
from landcover_pnp.scenes.settings import LayerFile, RasterFiles
from landcover_pnp.scenes.vector_files import require_vector, vector_layers
from landcover_pnp.scenes.vectors import read_area, require_overlap, width_notes
from landcover_pnp.storage.georeference import (
    area_scale,
    bounds_of,
    overlapping_bounds,
    require_same_ground,
    system_name,
)
from landcover_pnp.storage.raster import label_band, open_raster
from landcover_pnp.storage.records import Ingredients, file_hash, ingredients
from landcover_pnp.storage.remote.ranges import look_again
from landcover_pnp.version import __version__

AREA_OFF = 0.05
"""Share by which areas of the map may differ from those on the ground unsaid."""


@dataclasses.dataclass(frozen=True)
class ScenePlan:
    """A scene whose files' headers have been checked and whose grid is laid.

    Attributes:
        files: The files.
        imagery: The images, their headers checked.
        geobox: The working grid: the image's CRS, from its upper left corner on; see
            ``working_grid``.
        area: Area of interest in the grid's CRS, or None for the whole image.
        notes: What will be done to the layers, one sentence each.
    """

    files: RasterFiles
    imagery: Imagery
    geobox: GeoBox
    area: shapely.Geometry | None
    notes: tuple[str, ...]

    @property
    def own(self) -> GeoBox:
        """The image's own pixels, beyond an area of interest too."""
        return own_grid(self.imagery)

    @property
    def resolution_m(self) -> float:
        """Side of a working pixel in metres."""
        return float(abs(self.geobox.resolution.x))

    @property
    def factor(self) -> int:
        """Pixels about as large as the image's along a working pixel's side."""
        return fine_factor(self.own, self.resolution_m)

    def made_of(self, hash_of: Callable[[Path], str] = file_hash) -> Ingredients:
        """What the prepared scene depends on: all that is read of the files, grid and options.

        Args:
            hash_of: SHA-256 of a file; may remember it as long as the file stays the same.
        """
        return ingredients(
            version=__version__,
            files=self.files,
            sha256=input_hashes(self.files, hash_of),
            transform=self.geobox.transform,
            shape=self.geobox.shape,
        )


def plan_scene(files: RasterFiles, resolution_m: float, *, adapts: bool = True) -> ScenePlan:
    """Checks every file's header and lays the working grid; reads no pixels, writes nothing.

    Args:
        files: The files.
        resolution_m: Side of a working pixel in metres, at least the image's.
        adapts: Whether the working grid may take other pixels, whole multiples of the image's.

    Returns:
        The plan.

    Raises:
        RasterError: If a file is missing or not what its layer needs.
        LegendError: If a coarse map has a legend that there is not.
        GridError: If layers or area do not overlap.
        ResolutionError: If pixels are finer than the image's, or there is no room for one.
    """
    notes = []
    look_again()
    image = plan_imagery(image_files(files.image, files.image_root), files.image_crs, files.bands)
    if image.res[0] > resolution_m * 1.001:
        raise ResolutionError(
            found=f"a working grid of {resolution_m:g} m for imagery of {image.res[0]:g} m",
            expected="a working grid at least as coarse as the imagery",
            fix=f"set scene.resolution_m to {image.res[0]:g}",
            tries_m=(image.res[0],),
        )
    own = own_grid(image)
    geobox = working_grid(own, resolution_m, adapts=adapts)
    scale = area_scale(image.bounds, image.crs)
    if abs(scale - 1) > AREA_OFF:
        warnings.warn(
            f"areas in {system_name(image.crs)}, the CRS of {files.image}, are {scale:.2f} times "
            "those on the ground here: hectares, square kilometres and the pixels of "
            f"{resolution_m:g} m are too; for true ones reproject the image, for example to the "
            "UTM zone with gdalwarp -r bilinear",
            ScaleWarning,
            stacklevel=2,
        )
    notes += [_averaged(image, own, resolution_m, geobox), *grid_notes(image), *image.notes]
    area = None
    if files.area is not None:
        area = read_area(files.area, geobox)
        outline = shapely.box(*own.extent.boundingbox.bbox)
        beyond = 1 - area.intersection(outline).area / area.area
        if beyond > 0.001:
            notes.append(f"{beyond:.1%} of the area of interest lies beyond the imagery")
        geobox = _cropped(geobox, area)
    for name, path in input_files(files).items():
        if name in OBJECT_LAYERS and vector_layers(path, name) is not None:
            drawn: LayerFile = getattr(files, name)
            require_overlap(path, drawn.layer, name, geobox)
            notes.append(f"{name} drawn from vectors")
            notes += width_notes(path, drawn.layer, drawn.width_m, geobox, name)
        elif name == "labels" and files.labels is not None:
            require_vector(path, name)
            require_overlap(path, files.labels.layer, name, geobox)
            notes += label_notes(files.labels, geobox)
        elif name in PERCENTAGES:
            with open_raster(path, name) as source:
                require_percent_band(source, name)
                notes.append(_overlap_note(source, f"percentages of {name}", image, geobox))
        elif coarse := coarse_file(name, files):
            title = CoarseLegend.load(coarse.legend).title
            with open_raster(path, title) as source:
                label_band(source, title)
                notes.append(_overlap_note(source, title, image, geobox))
        elif name in (*OBJECT_LAYERS, "truth"):
            with open_raster(path, name) as source:
                label_band(source, name)
                notes.append(_overlap_note(source, name, image, geobox))
    return ScenePlan(files, image, geobox, area, tuple(notes))


def _averaged(image: Imagery, own: GeoBox, asked_m: float, geobox: GeoBox) -> str:
    """How the image becomes the working grid."""
    several = f"{len(image.images)} images" if len(image.images) > 1 else "image"
    side_m = abs(geobox.resolution.x)
    note = f"{several} averaged from {image.res[0]:g} m to {side_m:g} m"
    if f"{side_m:g}" == f"{asked_m:g}":
        return note
    count = fine_factor(own, side_m)
    return f"{note}, {count} pixels of the image, which comes next to {asked_m:g} m"


def _cropped(geobox: GeoBox, area: shapely.Geometry) -> GeoBox:
    """The pixels of a grid whose centre lies within the bounds of an area."""
    inside = area.intersection(shapely.box(*geobox.extent.boundingbox.bbox)).bounds
    (x0, y1), (x1, y0) = (~geobox.transform * inside[i : i + 2] for i in (0, 2))
    rows, columns = (round(y0), round(y1)), (round(x0), round(x1))
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        width_m, height_m = inside[2] - inside[0], inside[3] - inside[1]
        side_m = abs(geobox.resolution.x)
        raise no_room(width_m, height_m, side_m, "enlarge the area of interest")
    return geobox[slice(*rows), slice(*columns)]


def _overlap_note(source: DatasetReader, name: str, image: Imagery, geobox: GeoBox) -> str:
    """Checks that a raster layer overlaps the grid; says how it gets there."""
    overlapping_bounds(source, name, geobox.extent.boundingbox.bbox, image.crs)
    if name == "truth":
        resolution_m = abs(geobox.resolution.x)
        require_same_ground(source, name, image.bounds, image.crs, tolerance_m=resolution_m)
    if source.crs != image.crs:
        return f"{name} warped from {system_name(source.crs)} at {source.res[0]:g} m"
    there, here = bounds_of(source), image.bounds
    shift = [
        ((a - b) / r + 0.5) % 1 - 0.5
        for a, b, r in zip((there.left, there.top), (here.left, here.top), image.res, strict=True)
    ]
    if tuple(map(abs, source.res)) == image.res and max(map(abs, shift)) > 0.01:
        warnings.warn(
            f"{source.name} ({name}) lies {shift[0]:.2f}, {shift[1]:.2f} image pixels off the "
            "image's grid; it is resampled",
            AlignmentWarning,
            stacklevel=2,
        )
    return f"{name} resampled from {source.res[0]:g} m"
