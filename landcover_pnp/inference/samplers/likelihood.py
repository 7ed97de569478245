"""Log likelihoods of observations, and their gradients in x."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from landcover_pnp.errors import ConstraintError, LandcoverError, TileError

LogLikelihood = Callable[[Tensor], Tensor]
"""x (batch, channel, ...) -> log p(y | x) of each item but for a constant: (batch,)."""


def log_likelihood_of(log_likelihood: LogLikelihood, x: Tensor) -> Tensor:
    """The log likelihood of each item: (batch,), with gradient if x has one.

    Raises:
        ConstraintError: If it cannot be computed, is no tensor (batch,), or has no gradient.
    """
    name = getattr(log_likelihood, "__name__", type(log_likelihood).__name__)
    try:
        value = log_likelihood(x)
    except LandcoverError:
        raise
    except Exception as error:  # of any kind: it is the user's code
        raise _wrong(
            name,
            f"fails on x of shape {tuple(x.shape)}: {type(error).__name__}: {error}",
            "one that can be computed of the prior's x",
        ) from error
    if not isinstance(value, Tensor) or value.shape != x.shape[:1]:
        kind = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
        raise _wrong(name, f"returns a value {kind}", f"one an item: shape ({len(x)},)")
    if x.requires_grad and not value.requires_grad:
        raise _wrong(name, "has no gradient in x", "torch throughout, without detach or argmax")
    return value


def slope_of(log_likelihood: LogLikelihood, x: Tensor) -> Tensor:
    """Gradient of the log likelihood in x, the shape of x.

    Raises:
        ConstraintError: As ``log_likelihood_of``.
        TileError: If value or gradient is not finite.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = log_likelihood_of(log_likelihood, x)
        return finite_slope(value, x)


def finite_slope(value: Tensor, x: Tensor) -> Tensor:
    """Gradient in x of each item's value (batch,).

    Raises:
        TileError: If a value or the gradient is not finite.
    """
    (slope,) = torch.autograd.grad(value.sum(), x)
    for what, values in {"log likelihood": value, "gradient of the log likelihood": slope}.items():
        if not values.isfinite().all():
            raise TileError(
                found=f"the {what} is not finite",
                expected="finite values for every x that the prior gives",
                fix="look for logarithms and roots of 0 in it, and for NaN in the observations",
            )
    return slope


def _wrong(name: str, found: str, expected: str) -> ConstraintError:
    return ConstraintError(
        found=f"the log likelihood {name!r} {found}",
        expected=expected,
        fix="correct it, see landcover_pnp.inference.samplers.likelihood.LogLikelihood",
    )
