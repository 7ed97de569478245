"""The image of a run as it is shown: read from its own files where those are as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landcover_pnp.config.addresses import is_address
from landcover_pnp.errors import LandcoverError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.pictures import RGBA
from landcover_pnp.scenes.fine_image import FineImage
from landcover_pnp.scenes.image_grid import own_grid
from landcover_pnp.scenes.image_windows import ImageryOnGrid
from landcover_pnp.scenes.imagery import Imagery
from landcover_pnp.scenes.inputs import image_hashes, image_inputs, name_inputs
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.bands import shown
from landcover_pnp.storage.hashes import HashBook
from landcover_pnp.storage.raster import on_grid, open_raster, read
from landcover_pnp.storage.records import changed, ingredients
from landcover_pnp.storage.run_folder import RunFolder

_Windows = Callable[[Box], tuple[NDArray[Any], NDArray[np.bool_]]]


@dataclass(frozen=True)
class OriginalImage:
    """Colours of a run's image on any grid of its CRS.

    Attributes:
        scene: The scene, whose own image is shown where ``imagery`` is None.
        imagery: The files that the scene was prepared from, as they were then.
        reason: Why they are not shown; None where they are.
    """

    scene: Scene
    imagery: Imagery | None
    reason: str | None = None

    @classmethod
    def of(cls, run: FinishedRun) -> OriginalImage:
        """The image of a run: of its files, or as its scene has it where they have changed.

        Files at addresses are not fetched again for a picture.
        """
        if "version" not in run.scene.made_of:
            return cls(run.scene, None, "version 0.1.0, which made the run, noted less of them")
        try:
            files = run.files
            if is_address(files.image) or any(map(is_address, image_inputs(files).values())):
                return cls(run.scene, None, "its files are not on this machine")
            differing = changed_images(run.folder, run.scene, files)
            if differing:
                return cls(run.scene, None, f"changed since: {', '.join(differing)}")
            return cls(run.scene, FineImage.of(files, run.scene).imagery)
        except LandcoverError as error:
            return cls(run.scene, None, error.found)
        except FileNotFoundError as error:
            return cls(run.scene, None, f"there is no {error.filename or 'file'} any more")
        except OSError as error:
            return cls(run.scene, None, str(error))

    @property
    def resolution_m(self) -> float:
        """Side of its pixels, those of the finest of several images, metres."""
        if self.imagery is None:
            return self.scene.resolution_m
        return float(abs(own_grid(self.imagery).resolution.x))

    def colours(self, geobox: GeoBox) -> RGBA:
        """The image on a grid, in windows; false colours where it has no blue.

        Args:
            geobox: The grid, north up in the CRS of the scene.

        Returns:
            (y, x, 4) uint8; alpha is 0 where the scene has no data.

        Raises:
            RasterError: If a file of the image cannot be read.
        """
        height, width = (int(n) for n in geobox.shape)
        extent = Box(0, height, 0, width)
        picture = np.zeros((height, width, 4), np.uint8)
        for box, values, valid in self.windows(geobox):
            part = picture[box.within(extent)]
            bands = values[list(shown(self.scene.bands))].astype(np.float32)
            bright = np.clip(bands * (255 / self.scene.image_scale), 0, 255)
            part[..., :3] = np.rint(np.moveaxis(bright, 0, -1))
            part[..., 3] = 255
            part[~valid] = 0
        return picture

    def windows(self, geobox: GeoBox) -> Iterator[tuple[Box, NDArray[Any], NDArray[np.bool_]]]:
        """The image on a grid, window by window.

        Args:
            geobox: The grid, north up in the CRS of the scene.

        Yields:
            Pixels of the grid, (band, y, x) values of the image's bands there in its own dtype,
            and (y, x) bool, where both image and scene have data.

        Raises:
            RasterError: If a file of the image cannot be read.
        """
        height, width = (int(n) for n in geobox.shape)
        coarse = abs(geobox.resolution.x) > 1.001 * self.resolution_m
        rule = Resampling.average if coarse else Resampling.nearest
        with (
            open_raster(self.scene.folder / "valid.tif", "valid") as source,
            on_grid(source, geobox, Resampling.nearest) as known,
            self._reading(geobox, rule) as pixels,
        ):
            for box in blocks(Box(0, height, 0, width)):
                values, valid = pixels(box)
                yield box, values, valid & (read(known, 1, box) == 1)

    @contextmanager
    def _reading(self, geobox: GeoBox, rule: Resampling) -> Iterator[_Windows]:
        if self.imagery is not None:
            with ImageryOnGrid.opened(self.imagery, geobox, rule) as imagery:
                yield imagery.read
            return
        with (
            open_raster(self.scene.folder / "image.tif", "image") as source,
            on_grid(source, geobox, rule) as view,
        ):

            def prepared(box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
                return read(view, source.indexes, box), np.ones(box.shape, bool)

            yield prepared


def changed_images(run: Path, scene: Scene, files: RasterFiles) -> list[str]:
    """Images that are not as they were when the scene of a run was prepared, by name.

    Args:
        run: The run folder.
        scene: Its scene; of one of version 0.1.0, which noted less, nothing is said.
        files: The files of today.

    Raises:
        RasterError: If there are no images any more.
    """
    if "version" not in scene.made_of:
        return []
    book = HashBook(run / f"{RunFolder(run).scene.name}-inputs.json")
    today = ingredients(sha256=image_hashes(files, book.file_hash))
    then = {k: v for k, v in scene.made_of.items() if k.startswith("sha256.image")}
    return name_inputs(changed(then, today), files)
