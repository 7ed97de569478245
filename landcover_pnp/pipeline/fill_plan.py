"""What is checked before a map is filled: legend, mask, prior; and which pixels are hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import FillError
from landcover_pnp.grid import Box, TileGrid
from landcover_pnp.pipeline.fill_grid import FillGrid
from landcover_pnp.pipeline.settings import FillMapSettings
from landcover_pnp.prior.loading import AnyPrior, load_prior
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.ground import FILLED, SEEN
from landcover_pnp.scenes.class_map import ClassMap
from landcover_pnp.scenes.object_shares import object_shares
from landcover_pnp.scenes.settings import LayerFile
from landcover_pnp.scenes.vector_files import vector_layers
from landcover_pnp.scenes.vectors import require_overlap
from landcover_pnp.storage.georeference import overlapping_bounds, system_name
from landcover_pnp.storage.raster import label_band, open_raster, read_mask
from landcover_pnp.storage.user_files import require_file

MASK = "mask"
"""What messages call the mask."""


@dataclass(frozen=True)
class FillPlan:
    """A map that can be filled, as far as that can be known before its mask is read.

    Attributes:
        settings: The settings.
        origin: The map file, or the folder of the run whose newest map it is.
        class_map: The map.
        prior: The prior.
        pixels: The pixels of map and prior.
        grid: The windows, on the working grid.
        pixel_m2: Area of a pixel of the map.
        notes: What was taken for what, one sentence each.
    """

    settings: FillMapSettings
    origin: Path
    class_map: ClassMap
    prior: AnyPrior
    pixels: FillGrid
    grid: TileGrid
    pixel_m2: float
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the default folder of the results is called: as the run, or the map file.

        The maps of all runs have the same name.
        """
        is_run = self.origin != self.class_map.path
        return self.origin.resolve().name if is_run else self.origin.stem

    @property
    def prior_folder(self) -> Path | None:
        """Folder of the prior, as workers find it."""
        return self.settings.prior and self.settings.prior.absolute()

    @property
    def inputs(self) -> list[Path]:
        """Files that are read."""
        return [self.class_map.path, self.settings.mask]

    @property
    def needed_bytes(self) -> int:
        """Estimate of what is written, bytes."""
        height, width = map(int, self.class_map.geobox.shape)
        rows, columns = map(int, self.grid.geobox.shape)
        each = np.dtype(self.class_map.dtype).itemsize
        frequencies = 20 if self.settings.samples else 0  # of windows, and joined
        return height * width * (3 * each + 2) + rows * columns * (10 + frequencies)

    def require_sense(self, seen: int, hidden: int) -> None:
        """Refuses a mask that leaves nothing to hold on to.

        Args:
            seen: Pixels of the map with data that the mask does not hide.
            hidden: Pixels that it hides.

        Raises:
            FillError: If it hides all.
        """
        if hidden and not seen:
            raise FillError(
                found=f"{self.settings.mask} hides all {hidden} pixels of "
                f"{self.class_map.path} that have data",
                expected="pixels whose class is known: there is nothing to hold on to",
                fix="look at both in QGIS; if the mask is 1 where the ground is seen, name its "
                "other value by mask_values",
            )


def plan_fill(path: Path, settings: FillMapSettings) -> FillPlan:
    """Opens map, mask and prior, and lays the windows.

    Args:
        path: Class map, or the folder of a map run, whose newest map is filled.
        settings: Mask, legend, prior, windows.

    Raises:
        RequestError: If one of them cannot be used, or they do not fit.
    """
    origin = path
    if path.is_dir():
        path = FinishedRun.open(path).newest.landcover
    if not is_address(path):
        require_file(path, "map", "a class map, or the folder of a finished map run")
    class_map = ClassMap.open(path, settings.legend)
    notes = [*class_map.notes, *_mask_notes(settings, class_map)]
    prior = load_prior(settings.prior, "masked")
    sides = class_map.geobox.resolution
    pixel_m = abs(float(sides.y)), abs(float(sides.x))
    pixels = FillGrid.of(class_map.geobox, pixel_m, prior.resolution_m)
    core_px = -(-settings.window_px // pixels.parts) * pixels.parts
    grid = TileGrid(pixels.geobox, core_px, settings.halo_px)
    working_m = abs(float(pixels.geobox.resolution.x))
    notes.append(
        f"filled at {working_m:.3g} m by a {prior.kind} prior of label maps at "
        f"{prior.resolution_m:g} m; the map has {pixel_m[1]:.3g} m"
    )
    return FillPlan(
        settings=settings,
        origin=origin,
        class_map=class_map,
        prior=prior,
        pixels=pixels,
        grid=grid,
        pixel_m2=pixel_m[0] * pixel_m[1],
        notes=tuple(notes),
    )


def hide(plan: FillPlan) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
    """Which pixels of the map are to be filled.

    Yields:
        Windows that partition the map, each with (y, x) uint8: 0 no data, ``SEEN``, ``FILLED``.

    Raises:
        RasterError: If mask or map cannot be read.
    """
    source, settings = plan.class_map, plan.settings
    height, width = map(int, source.geobox.shape)
    layer = LayerFile(settings.mask, settings.mask_values, settings.mask_layer)
    extent = Box(0, height, 0, width)
    with open_raster(source.path, "map") as opened:
        for box, share in object_shares(layer, MASK, source.geobox, extent, subpixels=1):
            codes = opened.read(1, window=box.window)
            valid = read_mask(opened, box) & (codes != 0)
            hidden = (share > 0) & (valid | settings.fill_no_data)
            yield box, np.where(hidden, FILLED, np.where(valid, SEEN, 0)).astype(np.uint8)


def _mask_notes(settings: FillMapSettings, class_map: ClassMap) -> list[str]:
    """Checks that the mask lies on the map; says how it gets there."""
    path, geobox = settings.mask, class_map.geobox
    if not is_address(path):
        require_file(path, MASK, "a raster, or a vector file of polygons")
    is_vector = vector_layers(path, MASK) is not None
    _require_options_of(settings, is_vector)
    if is_vector:
        require_overlap(path, settings.mask_layer, MASK, geobox)
        return ["mask drawn from vectors: pixels whose centre lies inside are hidden"]
    with open_raster(path, MASK) as source:
        label_band(source, MASK)
        bounds = geobox.extent.boundingbox.bbox
        with open_raster(class_map.path, "map") as opened:
            overlapping_bounds(source, MASK, bounds, opened.crs)
            same = source.crs == opened.crs and source.transform.almost_equals(opened.transform)
            if same and source.shape == opened.shape:
                return []
            return [
                f"mask brought onto the grid of the map by nearest neighbour, from "
                f"{system_name(source.crs)} at {source.res[0]:.3g}"
            ]


def _require_options_of(settings: FillMapSettings, is_vector: bool) -> None:
    """Refuses an option that says nothing of this kind of mask."""
    if is_vector and settings.mask_values is not None:
        option, kind, other = "mask_values", "a vector file", "a raster"
    elif not is_vector and settings.mask_layer is not None:
        option, kind, other = "mask_layer", "a raster", "a vector file"
    else:
        return
    raise FillError(
        found=f"{option} is {getattr(settings, option)!r}, and the mask {settings.mask} is {kind}",
        expected=f"{option} only with {other}: it would change nothing here",
        fix=f"leave {option} out, or name the mask that it belongs to",
    )
