"""Completing a map by a masked prior: hidden pixels are revealed in a few steps."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.inference.canvas import Canvas, put
from landcover_pnp.inference.hidden_map import HiddenMap
from landcover_pnp.inference.step import Callback, Step, require_finite
from landcover_pnp.legend import CLASS_COUNT

_DRAWN = -1
"""Step of the noise that decides what is drawn, apart from those of engines, from 0 up."""


class PredictsClasses(Protocol):
    """A masked prior, as far as filling asks it."""

    def predict_classes(self, codes: Tensor) -> Tensor:
        """(batch, y, x) int64, 0 = hidden -> (batch, class, y, x) probabilities."""


def unmask(
    prior: PredictsClasses,
    hidden_map: HiddenMap,
    callback: Callback | None = None,
) -> Tensor:
    """Reveals the most confident pixels first (Chang et al. 2022, MaskGIT).

    A pixel is revealed as its likeliest class when that is more probable than the step asks for;
    those that wait see it. What is asked for is the same everywhere, instead of a share of the
    canvas, so that no pixel depends on how much is hidden far away: overlapping windows agree.
    Each pixel keeps the probabilities that it was revealed with.

    Args:
        prior: The prior.
        hidden_map: What is known and what is hidden.
        callback: Called at every step.

    Returns:
        (class, y, x) float32: sums to 1 at hidden pixels, 1 for the class of known ones, 0 where
        there is no data.

    Raises:
        TileError: If the prior predicts values that are not finite.
    """
    codes, left = hidden_map.codes.clone(), hidden_map.hidden.clone()
    steps, confident = hidden_map.settings.steps, hidden_map.settings.confident
    p = hidden_map.one_hot(codes)
    for step in range(steps):
        asked = confident * (1 - step / (steps - 1)) if steps > 1 else 0.0
        if callback:
            callback(Step(step, 0, 0.0, {}, functional.pad(p, (0, 0, 0, 0, 1, 0))))
        q = hidden_map.posterior(predicted(prior, hidden_map.canvas, codes, left, step), p, left)
        most, likeliest = q.max(0)
        now = left & (most >= asked)
        p[:, now] = q[:, now]
        codes[now] = likeliest[now] + 1
        left &= ~now
        if not left.any():
            break
    return p


def draw_unmasked(prior: PredictsClasses, hidden_map: HiddenMap) -> Tensor:
    """Samples a map by revealing pixels in random order (Austin et al. 2021; Sahoo et al. 2024).

    Order and classes come from two uniform numbers a pixel that belong to the ground. Few pixels
    are revealed at first (a cosine schedule), while little is known.

    Args:
        prior: The prior.
        hidden_map: What is known and what is hidden; the seed of its canvas tells samples apart.

    Returns:
        (y, x) int64 working codes; 0 where there is no data.

    Raises:
        TileError: If the prior predicts values that are not finite.
    """
    normal = hidden_map.canvas.noise(_DRAWN, 2).double()
    order, choice = 0.5 * (1 + (normal / math.sqrt(2)).erf())
    codes, left = hidden_map.codes.clone(), hidden_map.hidden.clone()
    steps = hidden_map.settings.draw_steps
    for step in range(steps):
        share = 1 - math.cos(math.pi / 2 * (step + 1) / steps)
        now = left if step == steps - 1 else left & (order < share)
        if not now.any():
            continue
        p = predicted(prior, hidden_map.canvas, codes, left, step)
        q = hidden_map.posterior(p, hidden_map.one_hot(codes), left)
        drawn = (choice >= q.double().cumsum(0)).sum(0).clamp(max=CLASS_COUNT - 1)
        codes[now] = drawn[now] + 1
        left = left & ~now
    return codes


def predicted(
    prior: PredictsClasses, canvas: Canvas, codes: Tensor, wanted: Tensor, step: int
) -> Tensor:
    """p(class | revealed) of a canvas, crop by crop; crops without a wanted pixel are left out.

    Args:
        prior: The prior.
        canvas: Its crops and arithmetic.
        codes: (y, x) int64, 0 = hidden or no data.
        wanted: (y, x) bool pixels whose probabilities are asked for.
        step: Step, which sets the lattice of the crops.

    Returns:
        (class, y, x) float32; 0 in crops without a wanted pixel.

    Raises:
        TileError: If a probability of a wanted pixel is not finite.
    """
    p = torch.zeros((CLASS_COUNT, *codes.shape), device=codes.device)
    half = canvas.precision == "bfloat16"
    for batch in canvas.crops(step):
        windows = [window for window in batch if wanted[window].any()]
        if windows:
            crops = torch.stack([codes[window] for window in windows])
            with torch.no_grad(), torch.autocast(codes.device.type, torch.bfloat16, enabled=half):
                put(p, windows, prior.predict_classes(crops).float())
    last = f"step {step - 1}" if step else "the start"
    require_finite({"p(class | revealed)": p[:, wanted].sum().item()}, step, 0, last)
    return p
