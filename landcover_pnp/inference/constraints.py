"""Constraints: differentiable terms of the observations that inference weighs against the prior.

Your own takes a few lines::

    @dataclass
    class NoWaterOnRoads:
        roads: Tensor  # (y, x), 1 on a road
        name: str = "no_water_on_roads"
        weight: Weight = 1.0

        def __call__(self, probabilities: Tensor) -> Tensor:
            water = probabilities[1 + WORKING.index("water")]  # behind no data
            return (water * self.roads).mean()

What is to be reached exactly has a kink there, ``torch.relu(0.3 - share)`` or ``(area -
wanted).abs()``: a square flattens before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from landcover_pnp.inference.settings import CONSTRAINTS, ConstraintSettings

Weight = float | Callable[[int, int], float]
"""A factor of the paper's w = (S - i) / S, or a schedule: (step i, steps S) -> weight."""

_SMALLEST_ENTROPY = 1e-2  # nats; a window below it holds one label and one cluster
_SMALLEST_PROBABILITY = 1e-12


class Constraint(Protocol):
    """What inference asks of a constraint.

    Attributes:
        name: Name in callbacks and messages.
        weight: Its weight in the loss, which is minimised: negative where more is better. A mean
            over the valid pixels of weight 1 moves the log odds of a map by 1 nat at the end of
            ``infer``; from about 10 on, what it asks for holds.
    """

    name: str
    weight: Weight

    def __call__(self, probabilities: Tensor) -> Tensor:
        """The term at the current map.

        Args:
            probabilities: (channel 6, y, x) float32; the channel is the class code, 0 no data.

        Returns:
            Scalar, a mean over the valid pixels; differentiable.
        """
        ...


def named_constraints(
    clusters: Tensor,
    weak_labels: Tensor,
    valid: Tensor,
    settings: ConstraintSettings,
    origin: tuple[int, int],
) -> list[Constraint]:
    """The constraints that the settings name, with their weights.

    Args:
        clusters: (cluster, y, x) float32 responsibilities, sum to 1 where valid.
        weak_labels: (channel, y, x) float32, sum to 1 where valid.
        valid: (y, x) bool.
        settings: Weights by name, radius and blocks.
        origin: Absolute pixel position (y, x) of the canvas.

    Returns:
        One constraint a name; mutual information is maximised, so its weight is negative.
    """
    radius, blocks = settings.radius_px, settings.weak_label_blocks
    terms: list[Constraint] = []
    for name, weight in settings.weights.items():
        if name == MutualInformation.name:
            terms.append(MutualInformation(clusters, valid, radius, -weight))
        else:
            terms.append(
                WeakLabelKL(weak_labels, valid, radius, weight, blocks=blocks, origin=origin)
            )
    return terms


def weight_at(weight: Weight, step: int, steps: int) -> float:
    """Weight of a constraint at step i of S: w = (S - i) / S times its factor, or its schedule."""
    return weight(step, steps) if callable(weight) else weight * (steps - step) / steps


class MutualInformation:
    """Mutual information of label and cluster in running windows.

    MI / (H(cluster) + H(label)) in the window around each pixel, averaged over the valid
    pixels (Graikos et al. 2022, section 4; normalised as in the released program). Windows
    count their valid pixels only, so they shrink at borders.

    Args:
        clusters: (cluster, y, x) float32 responsibilities, sum to 1 where valid.
        valid: (y, x) bool.
        radius_px: Radius of the windows.
        weight: Weight in the loss; negative, since mutual information is maximised.
    """

    name = CONSTRAINTS[0]

    def __init__(
        self, clusters: Tensor, valid: Tensor, radius_px: int = 15, weight: Weight = -1.0
    ) -> None:
        self.weight = weight
        self._windows = _Windows(valid, radius_px)
        self._clusters = clusters * valid
        self._cluster_entropy = _entropy(self._windows.mean(self._clusters))

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Normalised mutual information at (channel, y, x) probabilities, 0 to 0.5."""
        label_entropy = joint_entropy = torch.zeros(())
        for label in probabilities:  # one at a time: all joint planes at once leave the cache
            joint = self._windows.mean(label * self._clusters)
            label_entropy = label_entropy + _entropy(joint.sum(0, keepdim=True))
            joint_entropy = joint_entropy + _entropy(joint)
        both = self._cluster_entropy + label_entropy
        information = both - joint_entropy
        return self._windows.average(information / both.clamp_min(_SMALLEST_ENTROPY))


class WeakLabelKL:
    """KL divergence of local mean label frequencies from the weak labels.

    KL(weak || mean of p), averaged over valid pixels AND classes. The released program takes
    the mean of p in running windows, against the weak labels of the window's centre; the paper
    (Graikos et al. 2022, section 4) compares the means of both in non-overlapping blocks.

    Args:
        weak_labels: (channel, y, x) float32, sum to 1 where valid.
        valid: (y, x) bool.
        radius_px: Radius of the windows; blocks are as wide as a window.
        weight: Weight in the loss.
        blocks: Whether to compare non-overlapping blocks.
        origin: Absolute pixel position (y, x) of the canvas: all tiles share one lattice of
            blocks.
    """

    name = CONSTRAINTS[1]

    def __init__(
        self,
        weak_labels: Tensor,
        valid: Tensor,
        radius_px: int = 15,
        weight: Weight = 1.0,
        *,
        blocks: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        self.weight = weight
        self._valid = valid
        self._means: _Means = (
            _Blocks(valid, 2 * radius_px + 1, origin) if blocks else _Windows(valid, radius_px)
        )
        self._weak = self._means.mean(weak_labels * valid) if blocks else weak_labels * valid
        self._negative_entropy = torch.xlogy(self._weak, self._weak)

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Mean divergence at (channel, y, x) probabilities, from 0 up."""
        mean = self._means.mean(probabilities * self._valid)
        divergence = self._negative_entropy - self._weak * _log(mean)
        return self._means.average(divergence.mean(0))


class _Means(Protocol):
    """Means of windows or blocks, and the average over all of them by their valid pixels."""

    def mean(self, values: Tensor) -> Tensor:
        """Means over the valid pixels of (..., y, x) values that are 0 where not valid."""
        ...

    def average(self, means: Tensor) -> Tensor:
        """Scalar average of one value a window or block."""
        ...


class _Windows:
    """The window around each pixel: results are (..., y, x)."""

    def __init__(self, valid: Tensor, radius: int) -> None:
        self._radius = radius
        self._count = box_sum(valid.float(), radius).clamp_min(1)
        self._valid = valid
        self._total = max(1, int(valid.sum()))

    def mean(self, values: Tensor) -> Tensor:
        return box_sum(values, self._radius) / self._count

    def average(self, means: Tensor) -> Tensor:
        return (means * self._valid).sum() / self._total


class _Blocks:
    """Non-overlapping blocks on an absolute lattice: results are (..., block row, column)."""

    def __init__(self, valid: Tensor, side: int, origin: tuple[int, int]) -> None:
        self._side = side
        self._before = (origin[0] % side, origin[1] % side)
        self._count = self._sum(valid.float())
        self._total = max(1, int(valid.sum()))

    def mean(self, values: Tensor) -> Tensor:
        return self._sum(values) / self._count.clamp_min(1)

    def average(self, means: Tensor) -> Tensor:
        return (means * self._count).sum() / self._total

    def _sum(self, values: Tensor) -> Tensor:
        (y, x), (top, left), side = values.shape[-2:], self._before, self._side
        bottom, right = -(top + y) % side, -(left + x) % side
        padded = functional.pad(values, (left, right, top, bottom))
        rows, columns = (top + y + bottom) // side, (left + x + right) // side
        return padded.reshape(*values.shape[:-2], rows, side, columns, side).sum((-3, -1))


def box_sum(values: Tensor, radius: int) -> Tensor:
    """Sums over the square of side 2 radius + 1 around each pixel; outside the canvas is 0.

    Args:
        values: (..., y, x) float.
        radius: Reach in pixels, from 0 up.

    Returns:
        (..., y, x) sums, differentiable in ``values``. Only sums of the values themselves are
        formed, no differences of long running sums: in float32 each sum of positive values
        keeps a relative accuracy of about 1e-6 on a canvas of any size.
    """
    result: Tensor = _BoxSum.apply(values, radius)  # type: ignore[no-untyped-call]
    return result


class _BoxSum(torch.autograd.Function):
    """The box sum is symmetric: it is its own gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, radius: int) -> Tensor:
        ctx.radius = radius
        return _line_sum(_line_sum(values, radius, -1), radius, -2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return box_sum(gradients[0], ctx.radius), None


def _line_sum(values: Tensor, radius: int, dim: int) -> Tensor:
    """Sums over 2 radius + 1 neighbours along one axis, by sums of 1, 2, 4, 8, ... neighbours.

    The window is put together from the powers of two of its width: log2 passes, whatever the
    radius.
    """
    width, size = 2 * radius + 1, values.shape[dim]
    runs = functional.pad(values, (radius, radius) if dim == -1 else (0, 0, radius, radius))
    total, start, run = torch.zeros_like(values), 0, 1
    while True:
        if width & run:
            total += runs.narrow(dim, start, size)
            start += run
        if 2 * run > width:
            return total
        length = runs.shape[dim] - run
        runs = runs.narrow(dim, 0, length) + runs.narrow(dim, run, length)
        run *= 2


def _entropy(probabilities: Tensor) -> Tensor:
    """(y, x) sum of -p log p in nats over (outcome, y, x); its gradient is finite at 0."""
    return -(probabilities * _log(probabilities)).sum(0)


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(_SMALLEST_PROBABILITY).log()
