"""The design of a stratified random sample: how many pixels of each class, and which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RequestError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.products.settings import SampleSettings
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster, read

LEAST = 2
"""Fewest points of a class: of one alone no variance can be told."""


@dataclass(frozen=True, eq=False)
class Draw:
    """Pixels drawn of a map.

    Attributes:
        rows: (point,) int64 rows of the map.
        columns: (point,) int64 columns of the map.
        strata: (point,) int64 positions of their mapped classes on the class axis.
        pixels: (class,) int64 pixels of each class in the map.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    strata: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @property
    def points(self) -> NDArray[np.int64]:
        """Number of points by class, (class,)."""
        return np.bincount(self.strata, minlength=len(self.pixels))


def allocate(pixels: NDArray[np.integer], n: int, per_class: int | None = None) -> NDArray[np.intp]:
    """Shares points out among classes by their area, with a minimum for each.

    Rare classes get the minimum, the others what is left, by area: this keeps the interval of the
    overall accuracy narrow without leaving user's accuracies of rare classes to a few points
    (Olofsson et al. 2014, section 5.1.2).

    Args:
        pixels: (class,) pixels of each class in the map.
        n: Number of points.
        per_class: Fewest points of a class; None is half of what equal shares would be, at least
            ``LEAST``. A class of fewer pixels gives all of them.

    Returns:
        (class,) points, sum to ``n``; 0 for a class that is not mapped.

    Raises:
        RequestError: If there are fewer pixels than points, or too few points for the minimum.
    """
    present = int((pixels > 0).sum())
    if n > int(pixels.sum()):
        raise RequestError(
            found=f"{n} points to be drawn of {int(pixels.sum())} mapped pixels",
            expected="a map with at least as many pixels as points",
            fix="ask for fewer points by --n",
        )
    least = max(LEAST, n // (2 * present)) if per_class is None else per_class
    floor = np.minimum(pixels, least)
    if floor.sum() > n:
        raise RequestError(
            found=f"{n} points for {present} mapped classes, at least {least} for each",
            expected=f"at least {int(floor.sum())} points",
            fix="ask for more points by --n, or for fewer of a class by --per_class",
        )
    low, high = 0.0, 1.0
    for _ in range(200):  # bisection; the sum rises with the rate
        rate = (low + high) / 2
        low, high = (rate, high) if np.clip(rate * pixels, floor, pixels).sum() < n else (low, rate)
    wanted = np.clip(high * pixels, floor, pixels)
    points: NDArray[np.intp] = np.floor(wanted + 1e-9).astype(np.intp)
    # Largest remainders, the first class of equal ones; a full class takes no more.
    order = np.argsort(-(wanted - points), kind="stable")
    for i in [i for i in order if points[i] < pixels[i]][: n - points.sum()]:
        points[i] += 1
    return points


def draw_sample(path: Path, settings: SampleSettings) -> Draw:
    """Draws pixels of a class map at random, a number of its own of each class.

    The map is read in blocks, twice. The order of the points is random too, so that it tells
    nothing of the map to who labels them.

    Args:
        path: Class map.
        settings: Number of points, minimum of a class, seed.

    Returns:
        The pixels; the same for the same map, settings and version of numpy.

    Raises:
        RequestError: As ``allocate``, or if no pixel is mapped.
    """
    with open_raster(path, "class map") as source:
        extent, legend = Box(0, source.height, 0, source.width), legend_of(source).legend
        pixels = np.zeros(len(legend.classes) + 1, np.int64)
        for box in blocks(extent):
            numbers = legend.numbers(read(source, 1, box))
            pixels += np.bincount(numbers.ravel(), minlength=len(pixels))
        pixels = pixels[1:]
        if not pixels.any():
            raise RequestError(
                found=f"{path} has no mapped pixel",
                expected="a map with data",
                fix="map a scene whose image has data",
            )
        rng = np.random.default_rng(settings.seed)
        points = allocate(pixels, settings.n, settings.per_class)
        ranks = [
            np.sort(rng.choice(int(there), int(count), replace=False)) if count else np.empty(0)
            for there, count in zip(pixels, points, strict=True)
        ]
        found: list[tuple[NDArray[np.intp], NDArray[np.intp], int]] = []
        seen = np.zeros(len(pixels), np.int64)
        for box in blocks(extent):
            labels = read(source, 1, box)
            for i, code in enumerate(legend.codes):
                rows, columns = np.nonzero(labels == code)
                first, last = np.searchsorted(ranks[i], [seen[i], seen[i] + len(rows)])
                chosen = (ranks[i][first:last] - seen[i]).astype(np.intp)
                found.append((rows[chosen] + box.y0, columns[chosen] + box.x0, i))
                seen[i] += len(rows)
    order = rng.permutation(int(points.sum()))
    return Draw(
        np.concatenate([rows for rows, _, _ in found])[order],
        np.concatenate([columns for _, columns, _ in found])[order],
        np.concatenate([np.full(len(rows), i) for rows, _, i in found])[order],
        pixels,
    )
