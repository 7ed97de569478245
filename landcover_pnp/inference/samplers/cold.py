"""Cold diffusion: a degradation without noise is undone (Bansal et al. 2022, arXiv 2208.09392)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.linear import block_means
from landcover_pnp.inference.samplers.model import require_finite_values

Degradation = Callable[[Tensor, int], Tensor]
"""(clean x, severity s) -> x as degraded; s = 0 leaves it as it is."""


def block_averaging(x: Tensor, s: int) -> Tensor:
    """Means of blocks of 2^s x 2^s pixels, at each of their pixels: 30 m shares are s of about 5.

    Args:
        x: (batch, channel, y, x).
        s: Severity; 0 is x.
    """
    return block_means(2**s)(x) if s else x


@torch.no_grad()
def cold_diffusion(
    restore: Callable[[Tensor, int], Tensor],
    x: Tensor,
    levels: Sequence[int],
    degrade: Degradation = block_averaging,
) -> Tensor:
    """Restores a degraded x, one severity after the other (Algorithm 2).

    x <- x - D(x0, s) + D(x0, s'): what the restored x0 would lose between the two severities is
    given back, so that errors of the restorer do not add up. Deterministic: a restorer trained
    by squared error leads to a mean, not to a sample.

    Args:
        restore: (degraded x, severity) to an estimate of the clean x.
        x: (batch, channel, ...) degraded by ``levels[0]``.
        levels: Severities, strictly falling to 0; one call of the restorer each but the last.
        degrade: D; averaging by blocks of 2^s pixels.

    Returns:
        The restored x. Where D is a block average and x one of clean x, its block averages are
        those given.

    Raises:
        SamplerError: If levels do not fall to 0, or the restorer returns another shape.
        TileError: If x or what is restored is not finite.
    """
    require_finite_values("x", x)
    if len(levels) < 2 or levels[-1] != 0 or not all(a > b for a, b in pairwise(levels)):
        raise SamplerError(
            found=f"the severities {list(levels)}",
            expected="two or more that fall strictly to 0",
            fix="give for example [3, 2, 1, 0]",
        )
    for s, s_next in pairwise(levels):
        x0 = restore(x, s)
        if x0.shape != x.shape:
            raise SamplerError(
                found=f"a restored x of shape {tuple(x0.shape)} for one of {tuple(x.shape)}",
                expected="the same shape",
                fix="correct the restorer",
            )
        require_finite_values(f"x restored at severity {s}", x0)
        x = x - degrade(x0, s) + degrade(x0, s_next)
    return x
