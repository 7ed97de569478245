"""The canvas of a tile as the prior sees it: noise and crops that belong to the ground.

Neighbouring tiles overlap. Where they do, they should compute the same numbers, or seams form:
so the noise comes from absolute pixel positions. A canvas too large for the network's memory is
cut into crops along one lattice for all tiles, which jitters from step to step, so that no line
on the ground stays a border between crops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.prior.noise import noise_field

Window = tuple[slice, slice]
"""Rows and columns of a crop on the canvas."""

PIXELS_AT_ONCE = 2**16
"""Pixels of the crops that go through the network together, unless one crop is larger."""

CPU = torch.device("cpu")

_JITTER = 1  # keeps the lattice's random numbers apart from any others of (seed, step)


@dataclass(frozen=True)
class Canvas:
    """Where a tile's canvas (core + halo) lies on the working grid.

    Attributes:
        origin: Absolute pixel position (y, x) of its upper left corner.
        shape: Rows and columns.
        seed: Seed of the run, the same for all tiles.
        view_px: Side of the crops the network sees of a larger canvas.
        precision: Arithmetic of the network.
        device: Where the engines compute: where the prior's weights are.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    seed: int
    view_px: int
    precision: Literal["float32", "bfloat16"] = "float32"
    device: torch.device = CPU

    def noise(self, step: int, channels: int) -> Tensor:
        """Standard normal noise of one step, (channel, y, x) float32."""
        (y, x), (height, width) = self.origin, self.shape
        window = ((y, y + height), (x, x + width))
        return torch.from_numpy(noise_field(self.seed, step, channels, window)).to(self.device)

    def crops(self, step: int) -> list[list[Window]]:
        """The crops of one step: windows that share no pixel and cover the canvas.

        At the edges of the canvas they are from half to one and a half times ``view_px`` wide,
        so that no strip is left over; a canvas up to ``view_px`` wide is never cut.

        Args:
            step: Step of the run; each has its own lattice, which all tiles share.

        Returns:
            Batches of windows of the same size.
        """
        side = self.view_px
        random = np.random.default_rng([self.seed % 2**64, step, _JITTER])
        first = (random.integers(0, side, 2) - self.origin) % side
        batches: dict[tuple[int, int], list[Window]] = {}
        for rows in _cut(self.shape[0], side, int(first[0])):
            for columns in _cut(self.shape[1], side, int(first[1])):
                size = (rows.stop - rows.start, columns.stop - columns.start)
                batches.setdefault(size, []).append((rows, columns))
        together = max(1, PIXELS_AT_ONCE // side**2)
        return [
            windows[i : i + together]
            for windows in batches.values()
            for i in range(0, len(windows), together)
        ]

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
        eps = torch.empty_like(x_t)
        with torch.no_grad():
            for windows in self.crops(step):
                put(eps, windows, self.eps_theta(prior, take(x_t, windows), t))
        return eps

    def eps_theta(self, prior: Prior, crops: Tensor, t: int) -> Tensor:
        """eps_theta of (crop, channel, y, x) in the canvas's precision, differentiable."""
        half = self.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            return prior.predict_noise(crops, t).float()


def take(canvas: Tensor, windows: Sequence[Window]) -> Tensor:
    """Cuts windows of one size out of a (channel, y, x) canvas: (crop, channel, y, x)."""
    return torch.stack([canvas[:, *window] for window in windows])


def put(canvas: Tensor, windows: Sequence[Window], crops: Tensor) -> None:
    """Writes (crop, channel, y, x) into the windows of a (channel, y, x) canvas."""
    for window, crop in zip(windows, crops, strict=True):
        canvas[:, *window] = crop


def _cut(size: int, side: int, first: int) -> list[slice]:
    """Cuts a line of pixels at first, first + side, ..., but not within side / 2 of its ends."""
    cuts = [at for at in range(first, size, side) if side < 2 * min(at, size - at)]
    return [slice(a, b) for a, b in pairwise([0, *cuts, size])]
