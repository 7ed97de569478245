"""What a masked prior is trained to do: the step, free of Lightning and of everything but torch."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from landcover_pnp.prior.hiding import hide
from landcover_pnp.prior.masked_network import HIDDEN, MaskedUNet
from landcover_pnp.prior.masked_settings import OptimiserSettings

_LEAST = 64
"""Hidden pixels of a crop below which it counts less: a mean over few of them is mostly noise."""


class MaskedTraining:
    """A network, its optimiser and the moving average of its weights, one step at a time.

    The loss is the cross entropy of hidden labelled pixels, the mean of each crop. Where single
    pixels are hidden at a rate t, that is the weight 1 / t of the likelihood bound of absorbing
    diffusion (Austin et al. 2021, arXiv 2107.03006; Sahoo et al. 2024, arXiv 2406.07524, eq. 10).

    Randomness comes from (seed, step), so that a resumed training goes on as if it had not
    stopped.

    Args:
        network: The network; taken over.
        settings: Optimiser.
        resolution_m: Pixel side of the crops, metres.
        device: Where it trains.

    Attributes:
        network: The network.
        average: Moving average of it, the one that is kept.
        step: Number of steps taken.
    """

    def __init__(
        self,
        network: MaskedUNet,
        settings: OptimiserSettings,
        resolution_m: float,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.settings = settings
        self.resolution_m = resolution_m
        self.step = 0
        self.optimiser = make_optimiser(self.network, settings)

    def train(self, codes: NDArray[np.uint8]) -> float:
        """One step on a batch.

        Args:
            codes: (batch, y, x) uint8, 0 = unlabelled.

        Returns:
            The loss before the step.
        """
        rate = learning_rate(self.settings, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        seen, target = corrupt(codes, self.resolution_m, (self.settings.seed, 0, self.step))
        loss = self.loss(self.network, seen, target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        self.optimiser.step()
        self.step += 1
        move_average(self.average, self.network, self.settings.ema_decay, self.step)
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, codes: NDArray[np.uint8], batch: int = 32) -> float:
        """Loss of the average on held-out crops (crop, y, x), the same pixels hidden each time."""
        losses = []
        for first in range(0, len(codes), batch):
            part = codes[first : first + batch]
            seen, target = corrupt(part, self.resolution_m, (self.settings.seed, 1, first))
            losses.append(float(self.loss(self.average, seen, target)) * len(part))
        return sum(losses) / len(codes)

    def loss(
        self, network: MaskedUNet, seen: NDArray[np.int64], target: NDArray[np.int64]
    ) -> Tensor:
        """Mean loss of a batch: see the class."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            logits = network(torch.from_numpy(seen).to(self.device))
        return masked_cross_entropy(logits, torch.from_numpy(target).to(self.device)).mean()


def corrupt(
    codes: NDArray[np.uint8], resolution_m: float, seed: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turns, mirrors and hides parts of a batch of crops.

    Args:
        codes: (batch, y, x) uint8 of square crops, 0 = unlabelled.
        resolution_m: Pixel side, metres.
        seed: Seed.

    Returns:
        What the network sees (batch, y, x), 0 = hidden or unlabelled; and what it is to tell,
        the class 1, 2, ... of each hidden labelled pixel, 0 elsewhere.
    """
    rng = np.random.default_rng(seed)
    seen = np.empty(codes.shape, np.int64)
    target = np.empty(codes.shape, np.int64)
    for k, crop in enumerate(codes):
        turned = np.rot90(crop, int(rng.integers(4)))
        turned = turned.T if rng.integers(2) else turned
        hidden = hide(turned, resolution_m, rng)
        seen[k] = np.where(hidden, HIDDEN, turned)
        target[k] = np.where(hidden, turned, HIDDEN)
    return seen, target


def hide_pixels(
    codes: NDArray[np.uint8], shares: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hides single pixels of a batch, as the forward process does; as ``corrupt`` returns them.

    Args:
        codes: (batch, y, x) uint8, 0 = unlabelled.
        shares: (batch,) chance of a pixel to be hidden.
        rng: Source of randomness.
    """
    hidden = rng.random(codes.shape) < shares[:, None, None]
    whole = codes.astype(np.int64)
    return np.where(hidden, HIDDEN, whole), np.where(hidden, whole, HIDDEN)


def masked_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of the hidden pixels, the mean of each crop.

    Args:
        logits: (batch, class, y, x) float32.
        target: (batch, y, x) int64, 1, 2, ...; 0 does not count.

    Returns:
        (batch,) float32; of few pixels a part of their mean.
    """
    counts = target > 0
    each = functional.cross_entropy(logits, (target - 1).clamp(min=0), reduction="none")
    return (each * counts).sum((1, 2)) / counts.sum((1, 2)).clamp(min=_LEAST)


def make_optimiser(network: MaskedUNet, settings: OptimiserSettings) -> torch.optim.AdamW:
    """Adam with decoupled weight decay; its learning rate is set step by step."""
    return torch.optim.AdamW(
        network.parameters(),
        settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
    )


def learning_rate(settings: OptimiserSettings, step: int) -> float:
    """Learning rate of a step, counted from 0: a linear rise, then half a cosine."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    done = max(0, step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    falling = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    end = settings.learning_rate_end
    return settings.learning_rate * warm * (end + (1.0 - end) * falling)


@torch.no_grad()
def move_average(average: MaskedUNet, network: MaskedUNet, decay: float, step: int) -> None:
    """Moves the average towards the network; its memory grows with the steps."""
    share = 1.0 - min(decay, (1 + step) / (10 + step)) if decay else 1.0
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, share)
