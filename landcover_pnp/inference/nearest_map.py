"""The nearest map that meets constraints: how they hold in the map of any engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.inference.samplers.terms import values_of, weights_of
from landcover_pnp.inference.step import described, require_finite

if TYPE_CHECKING:
    from landcover_pnp.inference.constraints import Constraint

_STEPS = 200
_FLOOR = 1e-6  # smallest probability: a class that an engine has ruled out can come back
_FARTHEST = 14.0  # nats, from probability 1 to below the floor: more changes no label


def nearest_map(p: Tensor, valid: Tensor, constraints: Sequence[Constraint]) -> Tensor:
    """Moves the odds of a map's classes until its labels meet constraints, and no farther.

    Of all maps q it looks for that of the least

        mean over valid pixels of KL(q || p) + sum_c w_c c(labels of q),

    posterior regularisation (Ganchev et al. 2010). At the least, log q = log p - N sum_c w_c
    dc/dq but for a constant at each pixel, N valid pixels: where c is linear, as for water on
    roads, its gradient only has to be added to the log odds. The tilt of others is the average of
    the gradients met on the way (conditional gradient, Frank & Wolfe 1956; Jaggi 2013): a share
    of a polygon moves all its log odds alike, so that the pixels change first of which p is
    least sure. Pixels that no constraint looks at keep their probabilities.

    Constraints see labels: a park whose pixels are trees with probability .3 has no canopy on
    the map. Their gradient is taken as if labels were probabilities (straight through, Bengio
    et al. 2013), so it does not vanish where p is sure.

    Args:
        p: (channel 6, y, x) float32 probabilities; channel 0, no data, has no part.
        valid: (y, x) bool; elsewhere all channels are 0 to the constraints.
        constraints: The constraints; of a weight that depends on the step, its first counts.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1 where valid.

    Raises:
        ConstraintError: If a constraint is none; names it.
        TileError: If its value or gradient is not finite; names it and the step.
    """
    log_p = p[1:].clamp_min(_FLOOR).log().log_softmax(0)
    tilt = best = torch.zeros_like(log_p)
    least, last_finite = float("inf"), "none"
    for step in range(_STEPS):
        log_q = (log_p + tilt).log_softmax(0)
        labels = _labels(log_q, valid).requires_grad_()
        values = values_of(constraints, labels, channel_axis=0)
        weights = log_p.new_tensor(weights_of(constraints, 0, 1))
        pull = (weights * torch.stack(list(values.values()))).sum()
        (slope,) = torch.autograd.grad(pull, labels)
        told = {name: value.item() for name, value in values.items()}
        require_finite(told | {"gradient": slope.abs().sum().item()}, step, 0, last_finite)
        last_finite = described(step, told)
        total = float(_distance(log_q, log_p, valid) + pull.detach())
        if total < least:
            least, best = total, tilt
        wanted = (-valid.sum() * slope[1:]).clamp(-_FARTHEST, _FARTHEST)
        tilt = tilt + 2 / (step + 2) * (wanted - tilt)
    q = functional.pad((log_p + best).softmax(0), (0, 0, 0, 0, 1, 0))
    return torch.where(best.any(0), q, p)


def _labels(log_q: Tensor, valid: Tensor) -> Tensor:
    """(channel 6, y, x) one-hot map of the likeliest classes, 0 where not valid."""
    one_hot = functional.one_hot(log_q.argmax(0), len(log_q)).movedim(-1, 0) * valid
    return functional.pad(one_hot.to(log_q.dtype), (0, 0, 0, 0, 1, 0))


def _distance(log_q: Tensor, log_p: Tensor, valid: Tensor) -> Tensor:
    """Mean KL(q || p) of the valid pixels, nats."""
    return (log_q.exp() * (log_q - log_p)).sum(0)[valid].mean()
