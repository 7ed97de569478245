"""Split Gibbs sampling with a masked prior and a likelihood of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.model import Noise, require_finite_values
from landcover_pnp.prior.masked_network import HIDDEN
from landcover_pnp.prior.unmasking import UnmaskSettings, unmask


class ClassPredictor(Protocol):
    """What is asked of a masked prior."""

    def predict_classes(self, codes: Tensor) -> Tensor:
        """(batch, y, x) int64, 0 = hidden, to (batch, class, y, x) probabilities."""
        ...


@torch.no_grad()
def split_gibbs(
    model: ClassPredictor,
    codes: Tensor,
    rates: Sequence[float],
    noise: Noise,
    *,
    evidence: Tensor,
    unmasking: UnmaskSettings | None = None,
) -> Tensor:
    """Samples maps from a masked prior times a likelihood of each pixel.

    A second map z, which the evidence sees, is tied to the map x: with the rate m a pixel of it
    is redrawn uniformly. In turn z is drawn given x and the evidence, pixel by pixel, and x
    given z: redrawn pixels of x are hidden and revealed by the prior, which never sees the
    evidence. Plug-and-play for categories (Chu et al. 2025, arXiv 2503.01161, with this coupling;
    Vono et al. 2019 for the split). Exact, for a prior whose steps are, for the softened evidence
    (1 - m) e + m mean(e) of the last rate; falling rates let the chain move first.

    Args:
        model: The masked prior.
        codes: (batch, y, x) int64, 1 to the number of classes: where the chains start.
        rates: m of each round, above 0 to 1.
        noise: Fresh noise.
        evidence: (class, y, x) or (batch, class, y, x) from 0 up: likelihood of each class.
        unmasking: Steps of the prior in each round; None is 8.

    Returns:
        (batch, y, x) int64.

    Raises:
        SamplerError: If codes, rates or evidence do not fit.
        TileError: If evidence is not finite.
    """
    likelihood = _checked(codes, rates, evidence)
    classes = likelihood.shape[1]
    settings = unmasking or UnmaskSettings(steps=8)
    soft = torch.zeros((len(codes), classes + 1, *codes.shape[1:]))

    def fresh(_step: int) -> Tensor:
        return noise(soft).to(codes.device)

    masked: Any = model  # `unmask` asks of a prior nothing but predict_classes
    for m in rates:
        here = torch.nn.functional.one_hot(codes - 1, classes).movedim(-1, 1)
        tie = (1 - m) * here + m / classes
        weight = (tie * likelihood).log() + _gumbel(fresh(0)[:, :classes])
        z = weight.argmax(1) + 1
        same = (1 - m) / (1 - m + m / classes)  # share of pixels z = x that were not redrawn
        uniform = torch.special.ndtr(fresh(0)[:, 0])
        kept = (z == codes) & (uniform < same)
        codes = unmask(masked, torch.where(kept, z, HIDDEN), settings, fresh)
    return codes


def _gumbel(normal: Tensor) -> Tensor:
    """Standard Gumbel noise by the quantiles of standard normal noise."""
    uniform = torch.special.ndtr(normal.double()).clamp(1e-12, 1 - 1e-12)
    return -torch.log(-torch.log(uniform))


def _checked(codes: Tensor, rates: Sequence[float], evidence: Tensor) -> Tensor:
    """The evidence as (batch or 1, class, y, x) float64."""
    likelihood = evidence.double() if evidence.ndim == 4 else evidence.double()[None]
    size = (likelihood.shape[-2:], likelihood.shape[0] in (1, len(codes)))
    if codes.ndim != 3 or likelihood.ndim != 4 or size != (codes.shape[1:], True):
        raise SamplerError(
            found=f"codes {tuple(codes.shape)} and evidence {tuple(evidence.shape)}",
            expected="(batch, y, x) and (class, y, x), or (batch, class, y, x), of one size",
            fix="cut both with the same window",
        )
    require_finite_values("evidence", likelihood)
    classes = likelihood.shape[1]
    fair = bool((likelihood >= 0).all()) and bool((likelihood.amax(1) > 0).all())
    if not fair or int(codes.min()) < 1 or int(codes.max()) > classes:
        raise SamplerError(
            found=f"codes {int(codes.min())} to {int(codes.max())}, evidence from "
            f"{float(likelihood.min()):.3g}",
            expected=f"codes 1 to {classes}, evidence from 0 up and above 0 for some class",
            fix="start from a map without hidden pixels; 1 for every class is no evidence",
        )
    if not rates or not all(0 < m <= 1 for m in rates):
        raise SamplerError(
            found=f"rates {list(rates)[:5]}", expected="above 0 to 1", fix="correct the rates"
        )
    return likelihood
