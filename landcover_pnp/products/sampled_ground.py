"""What a map says of the points of a sample, and of all its pixels, without what was corrected."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from landcover_pnp.errors import SampleError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import Legend
from landcover_pnp.products.sample import SamplePoints
from landcover_pnp.storage.raster import open_raster, read


@dataclass(frozen=True, eq=False)
class SampledGround:
    """What a map says where a sample's points lie, and of all its pixels.

    What was corrected by hand counts nowhere: neither its points, which would flatter the map, nor
    its pixels, for which they stand. The other points of a class are still a random sample of the
    rest of it.

    Attributes:
        strata: (point,) position of the mapped class.
        corrected: (point,) bool, whether its ground was corrected by hand.
        pixels: (class,) mapped pixels, without corrected ones.
        corrected_px: Number of these.
    """

    strata: NDArray[np.int64]
    corrected: NDArray[np.bool_]
    pixels: NDArray[np.int64]
    corrected_px: int

    @classmethod
    def of(
        cls,
        source: DatasetReader,
        points: SamplePoints,
        edits: Path,
        path: Path,
        legend: Legend,
    ) -> SampledGround:
        """Reads a map.

        Args:
            source: The map.
            points: The sample.
            edits: Raster of the edits on the map's grid; not there where nothing was corrected.
            path: File of the sample.
            legend: Legend of the map.

        Raises:
            SampleError: If a point lies on no data.
        """
        pixels, corrected_px = np.zeros(len(legend.classes) + 1, np.int64), 0
        codes, corrected = np.zeros((2, len(points.pixels)), np.int64)
        with ExitStack() as stack:
            drawn = stack.enter_context(open_raster(edits, "edits")) if edits.is_file() else None
            for box in blocks(Box(0, source.height, 0, source.width)):
                labels = legend.numbers(read(source, 1, box))
                edited = read(drawn, 1, box) > 0 if drawn else np.zeros(labels.shape, np.bool_)
                pixels += np.bincount(labels[~edited], minlength=len(pixels))
                corrected_px += int((edited & (labels > 0)).sum())
                y, x = points.pixels[:, 0] - box.y0, points.pixels[:, 1] - box.x0
                here = (y >= 0) & (y < labels.shape[0]) & (x >= 0) & (x < labels.shape[1])
                codes[here] = labels[y[here], x[here]]
                corrected[here] = edited[y[here], x[here]]
        if not codes.all():
            raise SampleError(
                found=f"{int((codes == 0).sum())} points of {path} lie where the map has no data",
                expected="the points that were drawn at random, each where it was",
                fix="put them back, or take the sample as it was drawn",
            )
        return cls(codes - 1, corrected > 0, pixels[1:], corrected_px)
