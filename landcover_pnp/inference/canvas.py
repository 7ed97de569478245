"""The canvas of a tile as the prior sees it: noise and crops that belong to the ground.

Neighbouring tiles overlap. Where they do, they should compute the same numbers, or seams form:
so the noise comes from absolute pixel positions, and the network sees crops of the size it was
trained on, cut along one lattice for all tiles. The lattice jitters from step to step, so that
no line on the ground stays a border between crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.noise import noise_field

CROPS_AT_ONCE = 16
"""Crops that go through the network together; bounds the memory on large canvases."""

_JITTER = 0x6A69747465720000  # keeps the jitter's random numbers apart from the noise's


@dataclass(frozen=True)
class Canvas:
    """Where a tile's canvas (core + ring) lies on the working grid.

    Attributes:
        origin: Absolute pixel position (y, x) of its upper left corner.
        shape: Rows and columns.
        seed: Seed of the run, the same for all tiles.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    seed: int

    def noise(self, step: int, channels: int) -> Tensor:
        """Standard normal noise of one step, (channel, y, x) float32."""
        (y, x), (height, width) = self.origin, self.shape
        window = ((y, y + height), (x, x + width))
        return torch.from_numpy(noise_field(self.seed, step, channels, window))

    def crops(self, step: int, side: int) -> Crops:
        """The crops of one step.

        Args:
            step: Step of the run; each has its own lattice.
            side: Side of the crops in pixels.
        """
        random = np.random.default_rng([self.seed % 2**64, step, _JITTER])
        jitter = random.integers(0, side, 2)
        first_y, first_x = ((jitter - self.origin) % side).tolist()
        return Crops(
            _cut_line(self.shape[0], side, first_y), _cut_line(self.shape[1], side, first_x)
        )

    def predict_noise(self, prior: Prior, x_t: Tensor, t: int, step: int) -> Tensor:
        """eps_theta(x_t, t) of the whole canvas, crop by crop, without gradient.

        Args:
            prior: The prior.
            x_t: (channel, y, x) float32 noisy map.
            t: Noise level in 1..T.
            step: Step of the run, which sets the lattice.

        Returns:
            (channel, y, x) float32.
        """
        crops = self.crops(step, prior.crop_px)
        with torch.no_grad():
            parts = crops.cut(x_t).split(CROPS_AT_ONCE)
            return crops.join(torch.cat([prior.predict_noise(part, t) for part in parts]))


@dataclass(frozen=True)
class _Line:
    """Cuts along one axis.

    Attributes:
        pixels: (crop * side,) the canvas pixel of each pixel of the crops laid end to end.
        owner: (size,) where among those the crop that answers for a canvas pixel has it.
        crops: Number of crops.
    """

    pixels: Tensor
    owner: Tensor
    crops: int


def _cut_line(size: int, side: int, first: int) -> _Line:
    """Cuts 0..size at first, first + side, ...; crops over the edge are pushed inside."""
    side = min(side, size)
    nominal = torch.arange(first % side - side if first % side else 0, size, side)
    starts = nominal.clamp(0, size - side)
    crop = (torch.arange(size) - nominal[0]) // side
    return _Line(
        pixels=(starts[:, None] + torch.arange(side)).flatten(),
        owner=crop * side + torch.arange(size) - starts[crop],
        crops=len(starts),
    )


class Crops:
    """A canvas cut into crops of one size; each pixel belongs to one of them.

    A crop that would reach over the edge of the canvas is pushed inside: it then overlaps its
    neighbour and answers for the pixels beyond the neighbour only. A canvas smaller than the
    crops is one crop.
    """

    def __init__(self, rows: _Line, columns: _Line) -> None:
        self._rows = rows
        self._columns = columns

    def cut(self, canvas: Tensor) -> Tensor:
        """(channel, y, x) canvas -> (crop, channel, y, x), differentiable."""
        laid_out = canvas.index_select(1, self._rows.pixels).index_select(2, self._columns.pixels)
        grid = laid_out.unflatten(2, (self._columns.crops, -1)).unflatten(1, (self._rows.crops, -1))
        return grid.permute(1, 3, 0, 2, 4).flatten(0, 1)

    def join(self, crops: Tensor) -> Tensor:
        """(crop, channel, y, x) -> (channel, y, x), each pixel from the crop it belongs to."""
        grid = crops.unflatten(0, (self._rows.crops, self._columns.crops))
        laid_out = grid.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
        return laid_out.index_select(1, self._rows.owner).index_select(2, self._columns.owner)

    def owned(self) -> Tensor:
        """(crop, 1, y, x) float32, 1 where a crop answers for the pixel."""
        rows = torch.zeros(len(self._rows.pixels)).index_fill_(0, self._rows.owner, 1)
        columns = torch.zeros(len(self._columns.pixels)).index_fill_(0, self._columns.owner, 1)
        grid = torch.outer(rows, columns)[None]
        grid = grid.unflatten(2, (self._columns.crops, -1)).unflatten(1, (self._rows.crops, -1))
        return grid.permute(1, 3, 0, 2, 4).flatten(0, 1)
