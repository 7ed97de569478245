"""Random maps that a masked prior finds likely and a map's probabilities support.

Drawn pixel by pixel from the probabilities alone, class areas would hardly vary from map to map,
since the errors of a million independent pixels cancel. A prior knows that neighbours err
together: whole lawns and roofs are drawn, or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.evaluation.area_spread import log_shares
from landcover_pnp.inference.class_tilt import tilted
from landcover_pnp.inference.filling import VIEW_PX, FillSettings, draw
from landcover_pnp.legend import CLASS_COUNT, NO_DATA

if TYPE_CHECKING:
    from landcover_pnp.prior.masked_prior import MaskedPrior

Window = tuple[NDArray[np.float32], tuple[int, int]]
"""Probabilities (class, y, x) of a window, and its position (y, x) on the working grid."""

_CORRECTIONS, _DRAWN = 2, 12

_RARE = 1e-3
"""Frequency that every class is taken to have at least: a prior may know some not at all."""


def posterior_samples(
    prior: MaskedPrior,
    p: NDArray[np.float32],
    tilts: NDArray[np.float64],
    settings: FillSettings,
    seed: int,
    origin: tuple[int, int],
    view_px: int = VIEW_PX,
) -> Iterator[NDArray[np.uint8]]:
    """Draws maps of one canvas, one for each tilt.

    All pixels are hidden, and p(class | revealed) evidence^lambda is drawn from in random order.
    Evidence is what the map says beyond what the prior says knowing nothing: the map's
    probabilities hold class frequencies already, which else would count twice.

    Args:
        prior: The prior.
        p: (class, y, x) float32 the map's probabilities, sum to 1, or all 0 without data.
        tilts: (sample, class) log factors of the classes' odds, see ``class_tilt``.
        settings: Steps, and lambda.
        seed: Seed of the run.
        origin: Position (y, x) of the canvas on the working grid: noise belongs to the ground.
        view_px: Side of the crops that the prior sees of a larger canvas.

    Yields:
        (y, x) uint8 working classes, 0 = no data.

    Raises:
        TileError: If the prior predicts values that are not finite.
    """
    hidden = np.asarray(p.any(axis=0), np.bool_)
    nothing = np.full(hidden.shape, NO_DATA, np.uint8)
    unseen = class_frequencies(prior)
    for number, tilt in enumerate(tilts):
        evidence = tilted(p, tilt - np.log(np.maximum(unseen, _RARE)))
        yield draw(
            prior,
            nothing,
            hidden,
            evidence,
            settings,
            sample_seed(seed, number),
            origin,
            view_px=view_px,
        )


def completed_samples(
    prior: Any,
    codes: NDArray[np.uint8],
    hidden: NDArray[np.bool_],
    expected: NDArray[np.float64],
    tilts: NDArray[np.float64],
    settings: FillSettings,
    seed: int,
    origin: tuple[int, int],
    view_px: int = VIEW_PX,
) -> Iterator[NDArray[np.uint8]]:
    """Draws maps of a canvas whose known pixels all of them have, one for each tilt.

    Args:
        prior: A prior of either kind.
        codes: (y, x) uint8 working classes, 0 = no data; what stands at hidden pixels does not
            matter.
        hidden: (y, x) bool pixels to draw.
        expected: (class,) factors of p(class | revealed) at every hidden pixel, 0 for classes that
            there cannot be.
        tilts: (sample, class) log factors besides, one row for each sample.
        settings: Steps.
        seed: Seed of the run.
        origin: Position (y, x) of the canvas on the working grid: noise belongs to the ground.
        view_px: Side of the crops that the prior sees of a larger canvas.

    Yields:
        (y, x) uint8 working classes, 0 = no data.

    Raises:
        TileError: If the prior predicts values that are not finite.
    """
    in_full = replace(settings, evidence_weight=1.0, share_weight=0.0)
    for number, tilt in enumerate(tilts):
        factors = (expected * np.exp(tilt)).astype(np.float32)[:, None, None]
        evidence = np.broadcast_to(factors, (CLASS_COUNT, *codes.shape))
        own_seed = sample_seed(seed, number)
        yield draw(prior, codes, hidden, evidence, in_full, own_seed, origin, view_px=view_px)


def share_correction(
    prior: MaskedPrior,
    windows: Sequence[Window],
    settings: FillSettings,
    seed: int,
    view_px: int = VIEW_PX,
) -> NDArray[np.float64]:
    """What keeps samples at the class shares of the map's probabilities, on average.

    What neighbours say stands in these probabilities too; drawn together with a prior, classes
    that are common grow and rare ones shrink. A few windows are drawn, and drawn again with the
    odds that would have kept their shares.

    Args:
        prior: The prior.
        windows: Windows of the map; few are drawn several times.
        settings: As of ``posterior_samples``.
        seed: Seed of the run.
        view_px: As of ``posterior_samples``.

    Returns:
        (class,) log factors, to be added to every tilt.
    """
    tilt, codes = np.zeros(CLASS_COUNT), np.arange(1, CLASS_COUNT + 1)[:, None, None]
    times = -(-_DRAWN // max(len(windows), 1))
    for step in range(_CORRECTIONS):
        wanted, drawn = np.zeros(CLASS_COUNT), np.zeros(CLASS_COUNT)
        for number, (p, origin) in enumerate(list(windows) * times):
            own_seed = sample_seed(seed, -1 - step - _CORRECTIONS * (number // len(windows)))
            (labels,) = posterior_samples(prior, p, tilt[None], settings, own_seed, origin, view_px)
            wanted += p.sum(axis=(1, 2), dtype=np.float64)
            drawn += (labels == codes).sum(axis=(1, 2))
        total = max(wanted.sum(), 1.0)
        tilt += log_shares(wanted / total) - log_shares(drawn / total)
    return tilt


def class_frequencies(prior: MaskedPrior) -> NDArray[np.float64]:
    """What a prior says of a pixel when it sees no other: (class,), sums to 1."""
    import torch

    side = prior.crop_px
    p: Any = prior.predict_classes(torch.zeros((1, side, side), dtype=torch.int64))
    return np.asarray(p[0].double().mean((1, 2)).cpu().numpy(), np.float64)


def sample_seed(seed: int, number: int) -> int:
    """Seed of one sample: of two runs with different seeds no samples are the same.

    Args:
        seed: Seed of the run, from 0.
        number: Number of the sample; negative ones are no samples of the map.
    """
    return int(np.random.SeedSequence([seed, number % 2**32]).generate_state(1, np.uint64)[0])
