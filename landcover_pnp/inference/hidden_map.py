"""A map with hidden pixels, as a prior is asked to complete it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landcover_pnp.box_filter import box_sum
from landcover_pnp.inference.canvas import CPU, Canvas
from landcover_pnp.legend import CLASS_COUNT, NO_DATA

if TYPE_CHECKING:
    from landcover_pnp.inference.filling import FillSettings

_TINY = 1e-9
"""Smallest evidence: of no class can it be said that it is impossible."""


@dataclass(frozen=True, eq=False)
class HiddenMap:
    """A map with hidden pixels, and all that is known of them.

    Attributes:
        codes: (y, x) int64 of the working legend, 0 where hidden or no data.
        hidden: (y, x) bool pixels to fill; where neither, there is no data.
        factor: (class, y, x) float32 evidence^lambda; None without evidence.
        weak_labels: (class, y, x) float32 whose shares hidden pixels get; None where they do not.
        settings: Steps and weights.
        canvas: Place, seed, device, arithmetic.
    """

    codes: Tensor
    hidden: Tensor
    factor: Tensor | None
    weak_labels: NDArray[np.float32] | None
    settings: FillSettings
    canvas: Canvas

    @classmethod
    def of(
        cls,
        codes: NDArray[np.uint8],
        hidden: NDArray[np.bool_],
        evidence: NDArray[np.float32] | None,
        weak_labels: NDArray[np.float32] | None,
        settings: FillSettings,
        canvas: Canvas,
    ) -> Self:
        """Takes arrays to where the prior computes.

        Args:
            codes: (y, x) uint8 of the working legend, 0 where no data, any where hidden.
            hidden: (y, x) bool.
            evidence: (class, y, x) float32 from 0 up, or None.
            weak_labels: (class, y, x) float32 from 0 up, or None.
            settings: Steps and weights.
            canvas: Place, seed, device, arithmetic.
        """
        factor = None
        if evidence is not None and settings.evidence_weight:
            there = torch.from_numpy(np.where(hidden, evidence, 0).astype(np.float32))
            factor = there.clamp_min(_TINY).to(canvas.device)
            # Where nothing is known, 1 for every class; before the power, which may leave nothing.
            factor = (factor / factor.amax(0)) ** settings.evidence_weight
        weak = None
        if weak_labels is not None and settings.share_weight:
            weak = np.where(hidden, weak_labels, 0).astype(np.float32)
        return cls(
            codes=torch.from_numpy(np.where(hidden, NO_DATA, codes).astype(np.int64)).to(
                canvas.device
            ),
            hidden=torch.from_numpy(hidden).to(canvas.device),
            factor=factor,
            weak_labels=weak,
            settings=settings,
            canvas=canvas,
        )

    @staticmethod
    def is_masked(prior: Any) -> bool:
        """Whether a prior predicts classes from the pixels that are left of a map."""
        return hasattr(prior, "predict_classes")

    def one_hot(self, codes: Tensor) -> Tensor:
        """(y, x) working codes as (class, y, x) float32, 0 where there is no class."""
        each = torch.arange(1, CLASS_COUNT + 1, device=codes.device)
        return (codes == each[:, None, None]).float()

    def posterior(self, p: Tensor, revealed: Tensor, left: Tensor) -> Tensor:
        """What prior and evidence say of the pixels that are still hidden.

        Args:
            p: (class, y, x) float32, the prior's p(class | revealed).
            revealed: (class, y, x) float32, what hidden pixels have become so far.
            left: (y, x) bool pixels that are still hidden.

        Returns:
            (class, y, x) float32, sums to 1: p evidence^lambda, and then with the weak labels'
            shares among all hidden pixels of each box.
        """
        q = _normalised(p if self.factor is None else p * self.factor)
        if self.weak_labels is None:
            return q
        # One step of iterative proportional fitting (Deming & Stephan 1940).
        so_far = torch.where(left, q, revealed) * self.hidden
        has = box_sum(so_far.cpu().numpy().astype(np.float32), self.settings.share_radius_px)
        should = box_sum(self.weak_labels, self.settings.share_radius_px)
        ratio = (np.maximum(should, _TINY) / np.maximum(has, _TINY)) ** self.settings.share_weight
        # Where the weak labels say nothing, shares stay as they are.
        ratio = np.where(should.sum(axis=0) > _TINY, ratio, 1).astype(np.float32)
        return _normalised(q * torch.from_numpy(ratio).to(q))


def device_of(prior: Any) -> torch.device:
    """Where a prior computes."""
    return torch.device(getattr(prior, "device", CPU))


def _normalised(p: Tensor) -> Tensor:
    return p / p.sum(0).clamp_min(torch.finfo(p.dtype).tiny)
