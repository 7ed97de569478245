"""Label maps the prior learns from, and the one-hot crops of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from landcover_pnp.errors import RasterError, SettingsError
from landcover_pnp.grid import Box
from landcover_pnp.legend import ENVIROATLAS, LEGENDS, NO_DATA, WORKING, to_working
from landcover_pnp.raster import label_band, open_raster, read, read_mask, require_projected
from landcover_pnp.settings import LabelFolder, TrainPriorSettings
from landcover_pnp.sources.synthetic import synthetic_label_map
from landcover_pnp.sources.synthetic.style import Look

LabelMap = NDArray[np.uint8]
"""Labels (y, x) of the working legend at the prior's resolution, 0 = no data."""

VALIDATION_CROPS = 256
"""Number of crops of the held-out maps that the validation loss is taken over."""

_SYNTHETIC_SEED = 1_000_000
"""First seed of the drawn maps: far from the small seeds of cities that get mapped."""


def majority(labels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Makes labels coarser: the most frequent class of each block.

    No data does not vote: a block is no data where none of its pixels has a class, as in
    GDAL's ``mode``. Among equals the lowest code wins. Rows and columns that do not fill a
    block are cut off at the bottom and on the right.

    Args:
        labels: (y, x) uint8, 0 = no data.
        factor: Side of a block in pixels.

    Returns:
        (y // factor, x // factor) uint8.
    """
    height, width = labels.shape[0] // factor, labels.shape[1] // factor
    blocks = labels[: height * factor, : width * factor].reshape(height, factor, width, factor)
    winner = np.full((height, width), NO_DATA, np.uint8)
    most = np.zeros((height, width), np.int64)
    for code in np.unique(labels):
        if code != NO_DATA:
            votes = np.count_nonzero(blocks == code, axis=(1, 3))
            winner[votes > most] = code
            np.maximum(most, votes, out=most)
    return winner


def one_hot(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Labels as the prior sees them.

    Args:
        labels: (y, x) uint8 of the working legend, 0 = no data.

    Returns:
        (channel, y, x) float32 of 0 and 1, channel 0 for no data.
    """
    codes = np.array((NO_DATA, *WORKING.codes), np.uint8)
    return np.equal(labels, codes[:, None, None]).astype(np.float32)


def read_label_maps(folder: LabelFolder, resolution_m: float) -> Iterator[LabelMap]:
    """Reads a folder of label GeoTIFFs in the order of their names.

    Each file stays in its CRS; classes are translated to the working legend and then
    resampled by mode.

    Args:
        folder: Folder, file name pattern and legend.
        resolution_m: Pixel side of the maps, metres.

    Yields:
        One label map a file.

    Raises:
        RasterError: If there is no such file, or one is not a raster of classes in a
            projected CRS, or is coarser than ``resolution_m``.
        LegendError: If a file has codes its legend does not have.
    """
    paths = sorted(folder.path.rglob(folder.pattern))
    if not paths:
        raise RasterError(
            found=f"no file {folder.pattern} in {folder.path}",
            expected="a folder of label GeoTIFFs",
            way_out="correct the folder or the pattern of the labels",
        )
    for path in paths:
        with open_raster(path, "labels") as source:
            require_projected(source, "labels")
            extent = Box(0, source.height, 0, source.width)
            codes = read(source, label_band(source, "labels"), extent)
            codes[~read_mask(source, extent)] = NO_DATA
            bounds, side = source.bounds, max(source.res)
            transform, crs = source.transform, source.crs
        if side > 1.001 * resolution_m:
            raise RasterError(
                found=f"{path} has pixels of {side:g} m",
                expected=f"labels at least as fine as the prior, {resolution_m:g} m",
                way_out="leave the file out, or train a prior with a larger denoiser.resolution_m",
            )
        height = max(1, int((bounds.top - bounds.bottom) / resolution_m + 0.001))
        width = max(1, int((bounds.right - bounds.left) / resolution_m + 0.001))
        labels = np.full((height, width), NO_DATA, np.uint8)
        reproject(
            to_working(codes, LEGENDS[folder.legend], str(path)),
            labels,
            src_transform=transform,
            src_crs=crs,
            src_nodata=NO_DATA,
            dst_transform=Affine(resolution_m, 0, bounds.left, 0, -resolution_m, bounds.top),
            dst_crs=crs,
            dst_nodata=NO_DATA,
            resampling=Resampling.mode,
        )
        yield labels


def draw_label_maps(count: int, width_m: int, resolution_m: float, seed: int) -> Iterator[LabelMap]:
    """Draws label maps of synthetic cities, the four looks in turn.

    Args:
        count: Number of maps.
        width_m: Side of each, metres.
        resolution_m: Pixel side of the maps, whole metres.
        seed: The same seed draws the same maps.

    Yields:
        The label maps.

    Raises:
        SettingsError: If ``resolution_m`` is not a whole number.
    """
    if resolution_m != int(resolution_m):
        raise SettingsError(
            found=f"synthetic label maps at {resolution_m} m",
            expected="whole metres: they are drawn at 1 m",
            way_out="set denoiser.resolution_m to a whole number, or synthetic_maps to 0",
        )
    looks: tuple[Look, ...] = get_args(Look)
    for i in range(count):
        labels = synthetic_label_map(
            looks[i % len(looks)], width_m, _SYNTHETIC_SEED * (seed + 1) + i
        )
        yield majority(to_working(labels, ENVIROATLAS), int(resolution_m))


class LabelCrops(Dataset[Tensor]):
    """One-hot crops of label maps at random places, turned and mirrored at random.

    A crop depends on (seed, index) only, whatever process asks for it. Every place of every
    map is equally likely, but for crops of which less than half has a class: those are drawn
    again.

    Args:
        maps: Label maps, each at least ``crop_px`` high and wide.
        crop_px: Side of the crops.
        count: Number of crops.
        seed: Seed.
    """

    def __init__(self, maps: Sequence[LabelMap], crop_px: int, count: int, seed: int) -> None:
        self.maps = maps
        self.crop_px = crop_px
        self.count = count
        self.seed = seed
        places = np.array([np.prod(np.array(m.shape) - crop_px + 1) for m in maps], np.float64)
        self._share = places / places.sum()

    def __len__(self) -> int:
        """Number of crops."""
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        """The crop of a number: (channel, y, x) float32 of 0 and 1."""
        rng = np.random.default_rng((self.seed, index))
        for _attempt in range(100):
            labels = self.maps[rng.choice(len(self.maps), p=self._share)]
            y, x = rng.integers(np.array(labels.shape) - self.crop_px + 1)
            crop = labels[y : y + self.crop_px, x : x + self.crop_px]
            if 2 * np.count_nonzero(crop) >= crop.size:
                break
        crop = np.rot90(crop, int(rng.integers(4)))
        if rng.integers(2):
            crop = crop.T
        return torch.from_numpy(one_hot(crop))


class LabelMapsModule(pl.LightningDataModule):
    """Crops for training and for validation, from different maps.

    Args:
        maps: Label maps at the prior's resolution.
        settings: Crop size, batch size, number of steps, share held out, seed.

    Attributes:
        train_maps: Maps the prior learns from.
        val_maps: Maps held out.

    Raises:
        SettingsError: If there are fewer than two maps, or one is smaller than a crop.
    """

    def __init__(self, maps: Sequence[LabelMap], settings: TrainPriorSettings) -> None:
        super().__init__()
        self.settings = settings
        crop_px = settings.denoiser.crop_px
        small = [m.shape for m in maps if min(m.shape) < crop_px]
        if small or len(maps) < 2:
            raise SettingsError(
                found=f"{len(maps)} label maps, {len(small)} of them smaller than a crop"
                + (f", such as {small[0]} px (y, x)" if small else ""),
                expected=f"at least two label maps of {crop_px} x {crop_px} px or more, so that "
                "one can be held out",
                way_out="name more or larger files in labels, or set synthetic_maps",
            )
        order = np.random.default_rng(settings.seed).permutation(len(maps))
        held_out = min(max(1, round(settings.val_share * len(maps))), len(maps) - 1)
        self.val_maps = [maps[i] for i in order[:held_out]]
        self.train_maps = [maps[i] for i in order[held_out:]]

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Batches (batch, channel, y, x), one a training step."""
        count = self.settings.steps * self.settings.batch_size
        return self._loader(self.train_maps, count, self.settings.seed)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """The same batches at every call."""
        return self._loader(self.val_maps, VALIDATION_CROPS, self.settings.seed + 1)

    def _loader(self, maps: Sequence[LabelMap], count: int, seed: int) -> DataLoader[Tensor]:
        return DataLoader(
            LabelCrops(maps, self.settings.denoiser.crop_px, count, seed),
            batch_size=self.settings.batch_size,
            num_workers=self.settings.workers,
            generator=torch.Generator(),  # keeps the loader off the global one
        )
