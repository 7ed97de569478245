"""Label maps made finer by a prior that is told coarse ones: a cascade (Ho et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from landcover_pnp.errors import SamplerError
from landcover_pnp.inference.samplers.correction import Corrected
from landcover_pnp.inference.samplers.ddpm import ddpm
from landcover_pnp.inference.samplers.model import Noise, NoisePredictor, require_finite_values
from landcover_pnp.legend import NO_DATA, WORKING
from landcover_pnp.prior.condition import CoarseMap
from landcover_pnp.prior.noise import NoiseSchedule

if TYPE_CHECKING:
    from landcover_pnp.prior.denoiser import Prior


class SuperResolution(Protocol):
    """A model that can be told a coarse x: a prior trained with ``condition: coarse_map``."""

    @property
    def schedule(self) -> NoiseSchedule:
        """Forward process of x and of the coarse x."""
        ...

    def given(self, value: CoarseMap) -> NoisePredictor:
        """The model of x given a coarse x with noise of a level."""
        ...


def cascade(
    model: SuperResolution,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    z: Tensor,
    s: int = 0,
) -> Tensor:
    """Samples x given a coarse z, to which noise of a level s is added first, and told.

    Noise-conditioning augmentation: at s = 0 z is taken at its word, at a higher level errors of
    whatever made z are less followed, and so is z.

    Args:
        model: The model.
        x: (batch, channel, ...) noisy at ``levels[0]``; standard normal at T.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last.
        noise: Fresh noise, for z first.
        z: Clean coarse x, (batch, channel, ...) on its own grid.
        s: Its noise level, 0 to T.

    Returns:
        Samples, the shape of ``x``.

    Raises:
        SamplerError: If x, levels or s do not fit the model.
        PriorError: If z does not fit x, or the prior is told no coarse maps.
        TileError: If z or a prediction is not finite.
    """
    if not 0 <= s <= model.schedule.steps:
        raise SamplerError(
            found=f"the noise level {s} of the coarse map",
            expected=f"0..{model.schedule.steps}",
            fix="give 0 for a map that is to be followed",
        )
    require_finite_values("z", z)
    noisy = model.schedule.add_noise(z, noise(z), s)
    return ddpm(model.given(CoarseMap(noisy, s)), x, levels, noise)


def super_resolve(
    prior: Prior,
    codes: NDArray[np.uint8],
    levels: Sequence[int],
    noise: Noise,
    *,
    s: int = 0,
    samples: int = 1,
) -> NDArray[np.uint8]:
    """Finer label maps of a coarse one, which a prior or an engine has made.

    Args:
        prior: A prior trained with ``denoiser.condition: coarse_map``.
        codes: (y, x) uint8 of the working legend, 0 = no data.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last.
        noise: Fresh noise.
        s: Noise level that is added to the coarse map; see ``cascade``.
        samples: Maps to draw.

    Returns:
        (sample, y * factor, x * factor) uint8, no data where the coarse map has none, whose place
        is taken by the nearest class for what lies beside.

    Raises:
        SamplerError: If a code is not of the working legend or there is none, or s or levels do
            not fit.
        PriorError: If the prior is told no coarse maps.
    """
    condition = prior.condition
    factor = condition.factor if condition is not None and condition.kind == "coarse_map" else 1
    z = _one_hot(codes).to(prior.device).expand(samples, -1, -1, -1)
    height, width = (n * factor for n in codes.shape)
    x = noise(z.new_empty(samples, prior.channels, height, width))
    drawn = cascade(_KeptIn(prior), x, levels, noise, z=z, s=s)
    fine = drawn[:, 1:].argmax(1).add(1).cpu().numpy().astype(np.uint8)
    gone = (codes == NO_DATA).repeat(factor, 0).repeat(factor, 1)
    return np.where(gone, NO_DATA, fine).astype(np.uint8)


class _KeptIn:
    """A prior whose clean predictions are kept in [0, 1], as one-hot maps are."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior

    @property
    def schedule(self) -> NoiseSchedule:
        return self._prior.schedule

    def given(self, value: CoarseMap) -> NoisePredictor:
        return Corrected(self._prior.given(value), lambda x0: x0.clamp(0, 1))


def _one_hot(codes: NDArray[np.uint8]) -> Tensor:
    """(1, channel, y, x) float32; pixels without data have the nearest class."""
    strange = sorted({*np.unique(codes).tolist()} - {NO_DATA, *WORKING.codes})
    known = codes != NO_DATA
    if codes.ndim != 2 or strange or not known.any():
        raise SamplerError(
            found=f"a coarse map of shape {codes.shape}"
            + (f" with the codes {strange[:5]}" if strange else "")
            + ("" if known.any() else " without a class"),
            expected=f"(y, x) codes {WORKING.codes[0]} to {WORKING.codes[-1]}, or {NO_DATA}",
            fix="give a map of the working legend",
        )
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    classes = torch.from_numpy(codes[tuple(nearest)].astype(np.int64))
    return torch.nn.functional.one_hot(classes, len(WORKING.codes) + 1).movedim(-1, 0)[None].float()
