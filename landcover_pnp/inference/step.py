"""What an engine reports of each step, and the check that its terms are finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landcover_pnp.errors import TileError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Step:
    """The paper's quantities at one step of an engine.

    Attributes:
        step: Step i from 0; a clean-up goes on counting.
        t: Noise level, 1..T; 0 in an engine without a prior.
        sigma: Width of the relaxation; 0 where there is none.
        losses: ``mse`` and the value of each constraint by its name, as far as the engine
            computes them.
        probabilities: (channel 6, y, x) float32: the map that the losses were taken of.
    """

    step: int
    t: int
    sigma: float
    losses: Mapping[str, float]
    probabilities: Tensor


Callback = Callable[[Step], None]
"""Called by every engine at every step: progress, plots and tests hang here."""


def require_finite(terms: Mapping[str, float], step: int, t: int, last_finite: str) -> None:
    """Stops a tile at the first term that is not finite.

    Args:
        terms: Values by name.
        step: Step of the engine.
        t: Noise level.
        last_finite: The last finite state, in words.

    Raises:
        TileError: Names the term, the step and the last finite state.
    """
    for name, value in terms.items():
        if not math.isfinite(value):
            raise TileError(
                found=f"the term {name!r} is {value} at step {step} (t = {t})",
                expected=f"finite terms at every step; the last finite step is {last_finite}",
                fix="look for values that are not finite in this tile's image and weak "
                "labels, and in constraints of your own",
            )


def described(step: int, terms: Mapping[str, float]) -> str:
    """A finite state in words, for ``require_finite``."""
    return f"{step} (" + ", ".join(f"{name} {value:.4g}" for name, value in terms.items()) + ")"
