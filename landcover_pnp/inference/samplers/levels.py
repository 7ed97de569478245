"""Noise levels that samplers visit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def levels(t: int, steps: int) -> list[int]:
    """Noise levels from t down to 0 in equal parts: strictly falling, at most ``steps`` + 1."""
    return sorted({int(level) for level in np.linspace(0, t, steps + 1).round()}, reverse=True)


def annealed(step: int, steps: int, noise_levels: int, wave: float = 10.0) -> int:
    """Noise level of a step of Algorithm 1: t / T = ((S - i) / 3 + (S - i) / 10 cos(i / w)) / S.

    The schedule of the program released with Graikos et al. 2022. It rounds down: at the end of
    more than about 430 steps to t = 0, which is no noise level; here t is at least 1.

    Args:
        step: Step i, 0 to S - 1.
        steps: Number of steps S.
        noise_levels: T of the prior.
        wave: Period factor w of the cosine.

    Returns:
        t in 1..T.
    """
    left = steps - step
    share = (left / 3 + left / 10 * math.cos(step / wave)) / steps
    return max(1, int(share * noise_levels))


def resampled(falling: Sequence[int], resamplings: int, jump: int) -> list[int]:
    """Noise levels with RePaint's jumps back (Lugmayr et al. 2022, appendix B).

    At every ``jump``-th level the sampler climbs ``jump`` levels again, ``resamplings`` - 1 times,
    before it goes on.

    Args:
        falling: Noise levels, strictly falling, the last one 0.
        resamplings: How often each stretch is sampled, from 1 up.
        jump: Length of a jump in levels of ``falling``.

    Returns:
        All levels in the order of their visits, from ``falling[0]`` to 0: a step down costs a
        forward pass, one up costs none.
    """
    last = len(falling) - 1
    left = dict.fromkeys(range(0, last - jump, jump), resamplings - 1)
    visited, place = [falling[0]], last
    while place:
        place -= 1
        visited.append(falling[last - place])
        if left.get(place, 0):
            left[place] -= 1
            for _ in range(jump):
                place += 1
                visited.append(falling[last - place])
    return visited
