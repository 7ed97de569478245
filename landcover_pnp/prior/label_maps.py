"""Label maps the prior learns from: read from files or drawn, at whatever resolution they have."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from landcover_pnp.errors import LegendError, RasterError, SettingsError
from landcover_pnp.grid import Box
from landcover_pnp.legend import (
    ENVIROATLAS,
    LEGENDS,
    NO_DATA,
    WORKING,
    count_values,
    listed_counts,
    to_working,
)
from landcover_pnp.prior.settings import LabelFolder
from landcover_pnp.scenes.settings import Look
from landcover_pnp.scenes.synthetic import synthetic_label_map
from landcover_pnp.scenes.synthetic.skeletons import Skeleton, dress
from landcover_pnp.storage.georeference import require_projected
from landcover_pnp.storage.raster import label_band, open_raster, read, read_mask

SHEET_M = 1600
"""Larger maps are cut into sheets of about this side, so that parts of one can be held out."""

SKELETON_M = 512
"""Side of the squares that skeletons are cut into: a turned crop of 256 m fits."""

_LOOK_SHARES = (0.35, 0.3, 0.2, 0.15)
"""Shares of the looks that are drawn onto skeletons: mostly green ones."""

_SYNTHETIC_SEED = 1_000_000
"""First seed of the synthetic maps: far from the small seeds of cities that get mapped."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map, as fine as it came.

    Attributes:
        labels: (y, x) uint8 of the working legend, 0 = unlabelled.
        resolution_m: Pixel side, metres.
        name: File or synthetic city, for messages and records.
        place: What ground it shows, where several maps show the same; None: its own.
    """

    labels: NDArray[np.uint8]
    resolution_m: float
    name: str
    place: str | None = None


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


def read_label_maps(folder: LabelFolder, resolution_m: float, seed: int = 0) -> list[LabelMap]:
    """Reads a folder of label GeoTIFFs in the order of their names.

    Args:
        folder: Folder, file name pattern, legend or remap, resolution.
        resolution_m: Pixel side the labels are wanted at, metres: a file must be as fine.
        seed: Seed of what is drawn onto skeletons.

    Returns:
        The maps, trimmed to what is labelled; a file larger than ``SHEET_M`` gives several. Of
        skeletons, squares of ``SKELETON_M`` that are built up, each as often as it is drawn.

    Raises:
        SettingsError: If the remap leads out of the working legend.
        RasterError: If there is no such file, or one is not a raster of classes with square
            pixels of a known size in metres, or is coarser than ``resolution_m``.
        LegendError: If a file has codes that neither legend nor remap has, or no labels.
    """
    strange = set(folder.remap.values()) - {NO_DATA, *WORKING.codes}
    if strange:
        raise SettingsError(
            found=f"remap of {folder.path} leads to {sorted(strange)}",
            expected=f"working classes: {', '.join(map(str, WORKING.codes))}, or 0 for unlabelled",
            fix="correct the right-hand sides of remap",
        )
    try:
        paths = sorted(path for path in folder.path.rglob(folder.pattern) if path.is_file())
    except (NotImplementedError, ValueError):  # what pathlib says to absolute and empty patterns
        paths = []
    if not paths:
        raise RasterError(
            found=f"no file {folder.pattern} in {folder.path}",
            expected="a folder of label GeoTIFFs",
            fix="correct the folder or the pattern of the labels",
        )
    maps = [_read_map(path, folder, resolution_m) for path in paths]
    if folder.legend == "skeleton":
        return [drawn for skeleton in maps for drawn in _drawn(skeleton, folder.drawings, seed)]
    return [sheet for whole in maps for sheet in _sheets(whole)]


def draw_label_maps(count: int, width_m: int, seed: int) -> Iterator[LabelMap]:
    """Draws label maps of synthetic cities at 1 m, the four looks in turn.

    Args:
        count: Number of maps.
        width_m: Side of each, metres.
        seed: The same seed draws the same maps.

    Yields:
        The label maps.
    """
    looks: tuple[Look, ...] = get_args(Look)
    for i in range(count):
        look, number = looks[i % len(looks)], _SYNTHETIC_SEED * (seed + 1) + i
        codes = synthetic_label_map(look, width_m, number)
        yield LabelMap(to_working(codes, ENVIROATLAS), 1.0, f"{look} {number}")


def _read_map(path: Path, folder: LabelFolder, resolution_m: float) -> LabelMap:
    """One file, trimmed to what is labelled."""
    with warnings.catch_warnings():
        if folder.resolution_m is not None:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path, "labels") as source:
            if folder.resolution_m is None:
                require_projected(source, "labels")
            extent = Box(0, source.height, 0, source.width)
            codes = read(source, label_band(source, "labels"), extent)
            has_data = read_mask(source, extent)
            width, height = map(abs, source.res)  # south up, a side is negative
    if folder.resolution_m is not None:
        width = height = folder.resolution_m
    if abs(width - height) > 0.01 * width:
        raise RasterError(
            found=f"{path} has pixels of {width:g} x {height:g} m",
            expected="square pixels",
            fix="resample it, for example with gdalwarp -tr 1 1 -r mode",
        )
    if width > 1.001 * resolution_m:
        raise RasterError(
            found=f"{path} has pixels of {width:g} m",
            expected=f"labels at least as fine as the prior, {resolution_m:g} m",
            fix="leave the file out, or train a prior with a larger denoiser.resolution_m",
        )
    labels = np.zeros(codes.shape, np.uint8)
    labels[has_data] = _translated(codes[has_data], folder, path)
    if folder.legend == "skeleton":  # 0 is unknown ground, which is drawn
        return LabelMap(labels, width, f"{folder.path.name}/{path.stem}")
    rows, columns = (np.flatnonzero(labels.any(axis)) for axis in (1, 0))
    if not rows.size:
        raise LegendError(
            found=f"{path} has no labelled pixel",
            expected="at least one pixel with a class",
            fix="leave the file out, or correct legend or remap",
        )
    trimmed = labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return LabelMap(np.ascontiguousarray(trimmed), width, f"{folder.path.name}/{path.stem}")


def _translated(codes: NDArray[np.integer], folder: LabelFolder, path: Path) -> NDArray[np.uint8]:
    """Working classes of a file's codes, by remap or legend."""
    table = {NO_DATA: NO_DATA, **folder.remap}
    if not folder.remap and folder.legend != "skeleton":
        return to_working(codes, LEGENDS[folder.legend], str(path))
    if folder.legend == "skeleton":
        table = {code: code for code in tuple(Skeleton)}
    unknown = {code: n for code, n in count_values(codes).items() if code not in table}
    if unknown:
        raise LegendError(
            found=f"unknown class codes in {path}: {listed_counts(unknown)}",
            expected="codes of its remap: " + ", ".join(map(str, sorted(table))),
            fix="add them to remap; 0 on the right-hand side stands for unlabelled",
        )
    labels = np.zeros(codes.shape, np.uint8)
    for code, new in table.items():
        labels[codes == code] = new
    return labels


def _drawn(skeleton: LabelMap, drawings: int, seed: int) -> Iterator[LabelMap]:
    """Squares of a skeleton that are built up, with yards and trees in the four looks in turn."""
    looks: tuple[Look, ...] = get_args(Look)
    side, factor = round(SKELETON_M / skeleton.resolution_m), round(skeleton.resolution_m)
    # A plan with hardly any roofs is one of streets alone: houses are drawn.
    has_roofs = np.sum(skeleton.labels == Skeleton.ROOF) > 0.05 * np.sum(
        skeleton.labels == Skeleton.PAVED
    )
    height, width = skeleton.labels.shape
    for row in range(height // side):
        for column in range(width // side):
            square = skeleton.labels[row * side :, column * side :][:side, :side]
            streets, roofs = np.mean(square == Skeleton.PAVED), np.mean(square == Skeleton.ROOF)
            if streets < 0.05 or (has_roofs and roofs < 0.05):
                continue
            place = f"{skeleton.name} r{row}c{column}"
            fine = square.repeat(factor, 0).repeat(factor, 1)
            for k in range(drawings):
                rng = np.random.default_rng([seed, *place.encode(), k])
                look = looks[rng.choice(len(looks), p=_LOOK_SHARES)]
                labels = to_working(dress(fine, look, rng), ENVIROATLAS)
                yield LabelMap(labels, 1.0, f"{place} {look} {k}", place)


def _sheets(whole: LabelMap) -> Iterator[LabelMap]:
    """The map itself or, where it is large, its sheets that have labels."""
    counts = [max(1, round(n * whole.resolution_m / SHEET_M)) for n in whole.labels.shape]
    if counts == [1, 1]:
        yield whole
        return
    for row, band in enumerate(np.array_split(whole.labels, counts[0], axis=0)):
        for column, sheet in enumerate(np.array_split(band, counts[1], axis=1)):
            if sheet.any():
                name = f"{whole.name} r{row}c{column}"
                yield LabelMap(np.ascontiguousarray(sheet), whole.resolution_m, name)
