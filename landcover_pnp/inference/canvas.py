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

_JITTER = 1  # keeps the lattice's random numbers apart from any others of (seed, step)


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
            step: Step of the run; each has its own lattice, which all tiles share.
            side: Side of the crops in pixels.

        Returns:
            Crops that cover the canvas.
        """
        random = np.random.default_rng([self.seed % 2**64, step, _JITTER])
        first = (random.integers(0, side, 2) - self.origin) % side
        return Crops(
            rows=_Cuts.at(self.shape[0], side, int(first[0])),
            columns=_Cuts.at(self.shape[1], side, int(first[1])),
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
            batches = torch.split(crops.cut(x_t), CROPS_AT_ONCE)
            return crops.join(torch.cat([prior.predict_noise(batch, t) for batch in batches]))


@dataclass(frozen=True)
class Crops:
    """A canvas cut into crops of one size; each pixel belongs to one of them.

    A crop that would reach over the edge of the canvas is pushed inside: it then overlaps its
    neighbour and answers only for what the neighbour does not cover. A canvas smaller than the
    crops is one crop.
    """

    rows: _Cuts
    columns: _Cuts

    def cut(self, canvas: Tensor) -> Tensor:
        """(channel, y, x) -> (crop, channel, y, x), differentiable."""
        laid_out = canvas.index_select(1, self.rows.pixels).index_select(2, self.columns.pixels)
        return self._stack(laid_out)

    def join(self, crops: Tensor) -> Tensor:
        """(crop, channel, y, x) -> (channel, y, x), each pixel from the crop it belongs to."""
        rows, columns = self.rows, self.columns
        grid = crops.reshape(rows.count, columns.count, -1, rows.side, columns.side)
        laid_out = grid.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
        return laid_out.index_select(1, rows.owner).index_select(2, columns.owner)

    def owned(self) -> Tensor:
        """(crop, 1, y, x) float32, 1 where the pixel belongs to the crop."""
        rows = torch.zeros(len(self.rows.pixels)).index_fill_(0, self.rows.owner, 1)
        columns = torch.zeros(len(self.columns.pixels)).index_fill_(0, self.columns.owner, 1)
        return self._stack(torch.outer(rows, columns)[None])

    def _stack(self, laid_out: Tensor) -> Tensor:
        rows, columns = self.rows, self.columns
        grid = laid_out.reshape(-1, rows.count, rows.side, columns.count, columns.side)
        return grid.permute(1, 3, 0, 2, 4).flatten(0, 1)


@dataclass(frozen=True)
class _Cuts:
    """Crops along one axis, laid end to end.

    Attributes:
        count: Number of crops.
        side: Pixels of each.
        pixels: (count * side,) the canvas pixel at each place.
        owner: (size of the canvas,) the place, in the crop it belongs to, of each pixel.
    """

    count: int
    side: int
    pixels: Tensor
    owner: Tensor

    @classmethod
    def at(cls, size: int, side: int, first: int) -> _Cuts:
        """Cuts ``size`` pixels at first, first + side, first + 2 side, ...; first < side."""
        begin = torch.arange(first - side if first else 0, size, side)
        width, pixel = min(side, size), torch.arange(size)
        # Two crops pushed to the same place are one.
        start, number = torch.unique(begin.clamp(0, size - width), return_inverse=True)
        crop = number[(pixel - begin[0]) // side]
        return cls(
            count=len(start),
            side=width,
            pixels=(start[:, None] + torch.arange(width)).flatten(),
            owner=crop * width + pixel - start[crop],
        )
