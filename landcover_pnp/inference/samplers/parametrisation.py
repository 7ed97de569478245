"""What is optimised and what it stands for: x = f(y)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from landcover_pnp.inference.relaxation import probabilities, sigma_at


def _same(y: Tensor) -> Tensor:
    return y


@dataclass(frozen=True)
class Parametrisation:
    """x = f(y): y is what Algorithm 1 moves, x what the prior sees. By default x is y.

    Attributes:
        draw: y, of any shape, to x (batch, channel, ...): differentiable, such as a drawing of a
            latent.
        relax: x and a width to what constraints see, differentiable; None: they see x.
        width: (step i, steps S) to the width, which falls as the relaxation narrows.
    """

    draw: Callable[[Tensor], Tensor] = _same
    relax: Callable[[Tensor, float], Tensor] | None = None
    width: Callable[[int, int], float] = sigma_at

    def width_at(self, step: int, steps: int) -> float:
        """The width at step i of S; 0 where nothing is relaxed."""
        return self.width(step, steps) if self.relax else 0.0

    def seen(self, x: Tensor, width: float) -> Tensor:
        """What constraints see."""
        return self.relax(x, width) if self.relax else x


def one_hot_relaxation(axis: int = 1) -> Parametrisation:
    """A relaxed one-hot map: the prior sees it, constraints see the probabilities it stands for.

    The relaxation narrows from step to step (Graikos et al. 2022, section 4).

    Args:
        axis: Axis of the channels: 1, or 0 of a map without batch.
    """

    def relax(x: Tensor, width: float) -> Tensor:
        return probabilities(x.movedim(axis, 0), width).movedim(0, axis)

    return Parametrisation(relax=relax)
