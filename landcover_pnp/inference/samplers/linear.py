"""Linear observations: orthogonal projections, such as block means and masks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.model import seeded

Operator = Callable[[Tensor], Tensor]
"""x (batch, channel, ...) -> what is observed of it."""


def block_means(side: int) -> Operator:
    """The mean of each block of side x side pixels, at each of its pixels.

    I minus it is the projection onto what block means do not tell. Blocks start at the upper
    left; at the lower and right edges they are cut off.

    Args:
        side: Side of a block, pixels.
    """

    def project(x: Tensor) -> Tensor:
        means = functional.avg_pool2d(x, side, ceil_mode=True, count_include_pad=False)
        wide = means.repeat_interleave(side, -2).repeat_interleave(side, -1)
        return wide[..., : x.shape[-2], : x.shape[-1]]

    return project


def visible(known: Tensor) -> Operator:
    """The values that are known, 0 elsewhere.

    Args:
        known: Bool, of a shape that broadcasts to x.
    """
    return lambda x: torch.where(known, x, 0)


def require_linear(operator: Operator, like: Tensor) -> None:
    """Refuses an operator that is not linear: A(a u + b v) = a A(u) + b A(v) on random u, v.

    Args:
        operator: The operator.
        like: Some x.

    Raises:
        SamplerError: With the largest difference.
    """
    noise = seeded(0)
    u, v, a, b = noise(like), noise(like), 1.7, -0.6
    both = operator(a * u + b * v)
    apart = a * operator(u) + b * operator(v)
    _require_same("is not linear: A(a u + b v) is not a A(u) + b A(v)", both, apart)


def require_projection(operator: Operator, like: Tensor) -> None:
    """Refuses what is no orthogonal projection: linear, P P = P, and symmetric.

    Args:
        operator: The operator.
        like: Some x.

    Raises:
        SamplerError: Names what it is not.
    """
    noise = seeded(1)
    u, v = noise(like), noise(like)
    shape = tuple(operator(u).shape)
    if shape != tuple(like.shape):
        raise _wrong(f"gives the shape {shape} for x of {tuple(like.shape)}")
    require_linear(operator, like)
    once = operator(u)
    _require_same("is no projection: P(P(u)) is not P(u)", operator(once), once)
    inner = ((once * v).sum(), (u * operator(v)).sum())
    _require_same("is not symmetric: <P u, v> is not <u, P v>", *inner)


def _require_same(fault: str, one: Tensor, other: Tensor) -> None:
    tolerance = 1e4 * torch.finfo(other.dtype).eps * (1 + float(other.abs().max()))
    difference = float((one - other).abs().max()) if one.shape == other.shape else float("nan")
    if not difference <= tolerance:
        raise _wrong(f"{fault}, by {difference:.3g}")


def _wrong(found: str) -> SamplerError:
    return SamplerError(
        found=f"the operator {found}",
        expected="a linear observation, such as block_means(side) or visible(known)",
        fix="correct the operator; for one that is not linear take dps or universal_guidance",
    )
