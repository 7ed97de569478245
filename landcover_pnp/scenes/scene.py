"""The scene: image, weak layers and optional truth on one working grid, read by window."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.transform import Affine

from landcover_pnp.errors import DamagedError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import LEGENDS, to_working
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.bands import ORDER
from landcover_pnp.storage.checked_json import read_regular
from landcover_pnp.storage.raster import label_band, open_raster, read
from landcover_pnp.storage.records import RECORD, Ingredients, Record

WEAK_LAYERS = ("roads", "buildings", "water")
"""Optional layers of objects, stored as the share of a pixel they cover."""

CLOUDS = "clouds"
"""Optional layer of what hides the ground from the image, stored as they are."""

OBJECT_LAYERS = (*WEAK_LAYERS, CLOUDS)
"""All layers that are stored so."""

PERCENTAGES = ("impervious", "canopy")
"""Optional layers of percentages, whose pixels have tens of metres."""

NO_PERCENT = 255
"""Stored percentage of pixels without one."""


def scaled_image(values: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Image values as float32 in 0..1: ``scale`` becomes 1, brighter ones are cut off there."""
    return np.asarray(np.minimum(values / np.float32(scale), 1), np.float32)


def covered_share(stored: NDArray[Any]) -> NDArray[np.float32]:
    """The share of a pixel that objects cover, as stored: 255 = all."""
    return np.asarray(stored, np.float32) / np.float32(255)


@dataclass(frozen=True)
class Scene:
    """A prepared scene: a folder with one GeoTIFF a layer, all on the same grid.

    Attributes:
        folder: Folder of the layers.
        geobox: The working grid.
        image_bands: Number of image bands, 3 or 4.
        image_scale: Image value that becomes 1.0.
        legends: Legends of its coarse maps, the first one first.
        percent_m: Pixel side in metres of each of ``PERCENTAGES`` that there is.
        truth_legend: Legend of the truth layer, None where there is none.
        valid_px: Number of pixels with data.
        notes: What was done to the layers, one sentence each.
        damaged: Boxes whose imagery cannot be used, each with file, window and reason.
        fingerprint: Hash of all inputs and settings that a map of the scene depends on: truth is
            not among them, a map that learns from it depends on what it has learned.
        bands: Names of the image bands: red, green, then blue and nir where there are.
        files: The files it was made of, where it was opened from Python; None of a run's scene.
    """

    folder: Path
    geobox: GeoBox
    image_bands: int
    image_scale: float
    legends: tuple[CoarseLegend, ...] = field(repr=False)
    percent_m: Mapping[str, float] = field(repr=False)
    truth_legend: str | None
    valid_px: int
    notes: tuple[str, ...]
    damaged: tuple[tuple[Box, str], ...] = field(repr=False)
    fingerprint: str = field(repr=False)
    bands: tuple[str, ...]
    files: RasterFiles | None = field(default=None, repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> Scene:
        """Opens a prepared scene by its ``scene.json``.

        Raises:
            DamagedError: If there is none, or it is damaged.
        """
        folder = Path(folder)
        path = folder / "scene.json"
        try:
            content = json.loads(read_regular(path))
            grid = content.pop("grid")
            geobox = GeoBox(tuple(grid["shape"]), Affine(*grid["transform"]), grid["crs"])
            notes = tuple(content.pop("notes"))
            damaged = tuple((Box(*box), reason) for box, reason in content.pop("damaged"))
            # Scenes of version 0.1 had NLCD alone.
            content.pop("nlcd_legend", None)
            legends = tuple(map(CoarseLegend.of, content.pop("legends", ())))
            percent_m = content.pop("percent_m", {})
            # They had these bands and do not say so.
            bands = tuple(content.pop("bands", ORDER[: content["image_bands"]]))
            return cls(
                folder=folder,
                geobox=geobox,
                notes=notes,
                damaged=damaged,
                bands=bands,
                legends=legends,
                percent_m=percent_m,
                **content,
            )
        except Exception as error:  # wrong values make the libraries raise almost anything
            what = " ".join(str(error).split()) or type(error).__name__
            raise DamagedError(
                found=f"{path} is {f'damaged: {what}' if path.exists() else 'missing'}",
                expected="a scene that `landcover map` has prepared",
                fix="repeat `landcover map` with this run folder: the scene is prepared again",
            ) from error

    @property
    def made_of(self) -> Ingredients:
        """The inputs' hashes and all settings that the layers depend on, those of truth too."""
        record = Record.read(self.folder / RECORD)
        return record.ingredients if record else {}

    @property
    def extent(self) -> Box:
        """All pixels of the scene."""
        height, width = self.geobox.shape
        return Box(0, int(height), 0, int(width))

    @property
    def resolution_m(self) -> float:
        """Side of a pixel in metres."""
        return float(abs(self.geobox.resolution.x))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that exist."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.tif")))

    def image(self, box: Box) -> NDArray[np.float32]:
        """The image.

        Args:
            box: Pixels to read, inside the scene.

        Returns:
            (band, y, x) float32, 0..1 (brighter than the scale is cut off at 1); 0 where clouds
            hide the ground.
        """
        with open_raster(self.folder / "image.tif", "image") as source:
            values = read(source, source.indexes, box)
        image = scaled_image(values, self.image_scale)
        clouds = self.coverage(CLOUDS, box)
        return image if clouds is None else image * (clouds == 0)

    def valid(self, box: Box) -> NDArray[np.bool_]:
        """Where the scene has data: (y, x) bool."""
        with open_raster(self.folder / "valid.tif", "valid") as source:
            return np.asarray(read(source, 1, box) == 1)

    def seen(self, box: Box) -> NDArray[np.bool_]:
        """Where there is data and no cloud, not even on a part of a pixel: (y, x) bool."""
        clouds, valid = self.coverage(CLOUDS, box), self.valid(box)
        return valid if clouds is None else valid & (clouds == 0)

    def coarse(self, box: Box) -> NDArray[np.uint8]:
        """Classes of the coarse maps by their numbers in ``legends``.

        Args:
            box: Pixels to read.

        Returns:
            (map, y, x) uint8 from 1, 0 = no data.
        """
        with open_raster(self.folder / "coarse.tif", "coarse maps") as source:
            return np.asarray(read(source, source.indexes, box))

    def percent(self, name: str, box: Box) -> NDArray[np.float32]:
        """Share of a class by percentages of tens of metres.

        Args:
            name: One of ``percent_m``.
            box: Pixels to read.

        Returns:
            (y, x) float32 in 0..1, nan where there is none.
        """
        with open_raster(self.folder / f"{name}.tif", name) as source:
            stored = read(source, 1, box)
        return np.where(stored == NO_PERCENT, np.nan, stored / np.float32(100)).astype(np.float32)

    def coverage(self, layer: str, box: Box) -> NDArray[np.float32] | None:
        """Share of each pixel that roads, buildings or water cover.

        Args:
            layer: One of ``OBJECT_LAYERS``.
            box: Pixels to read.

        Returns:
            (y, x) float32 in 0..1, or None where the scene has no such layer.
        """
        path = self.folder / f"{layer}.tif"
        if not path.exists():
            return None
        with open_raster(path, layer) as source:
            return covered_share(read(source, 1, box))

    def truth(self, box: Box) -> NDArray[np.uint8] | None:
        """Truth in the working classes: (y, x) uint8, 0 = no data; None without truth."""
        if self.truth_legend is None:
            return None
        with open_raster(self.folder / "truth.tif", "truth") as source:
            values = read(source, label_band(source, "truth"), box)
        return to_working(values, LEGENDS[self.truth_legend], "truth")

    def labels(self, box: Box) -> NDArray[np.uint8] | None:
        """The user's own labels: (y, x) uint8 codes of classes, 0 = none; None without any."""
        path = self.folder / "labels.tif"
        if not path.exists():
            return None
        with open_raster(path, "labels") as source:
            return np.asarray(read(source, 1, box), np.uint8)

    def coordinates(self, box: Box) -> dict[str, Any]:
        """Coordinates of a window in the scene's CRS, for arrays (..., y, x)."""
        from odc.geo.xr import xr_coords

        found = xr_coords(self.geobox[box.within(self.extent)])
        return {str(name): values for name, values in found.items()}

    def damage_in(self, box: Box) -> list[str]:
        """Reasons why parts of a box have no usable imagery, each once."""
        hits = (reason for there, reason in self.damaged if not there.clip(box).is_empty)
        return list(dict.fromkeys(hits))

    def sample(self, size: int, seed: int) -> NDArray[np.float32]:
        """Colours of random pixels that are seen, evenly spread over the whole scene.

        Args:
            size: Number of pixels wanted; fewer where the scene has fewer.
            seed: Seed of the choice.

        Returns:
            (pixel, band) float32, 0..1.
        """
        rng = np.random.default_rng(seed)
        share = min(1.0, size / max(self.valid_px, 1))
        parts = []
        for box in blocks(self.extent):
            colours = self.image(box)[:, self.seen(box)].T
            wanted = round(share * len(colours))
            parts.append(colours[rng.permutation(len(colours))[:wanted]])
        return np.concatenate(parts)
