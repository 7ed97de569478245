"""The gentle use of the prior: the mean clean map it sees in a lightly noised one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from landcover_pnp.config import renamed
from landcover_pnp.inference.checks import require_noise_level, require_within
from landcover_pnp.inference.registry import register_engine, start_from
from landcover_pnp.inference.relaxation import as_probabilities, one_hot
from landcover_pnp.inference.step import Callback, Step, require_finite
from landcover_pnp.legend import WORKING

if TYPE_CHECKING:
    from torch import Tensor

    from landcover_pnp.inference.canvas import Canvas
    from landcover_pnp.inference.task import Task
    from landcover_pnp.prior.denoiser import Prior


@dataclass(frozen=True)
class DenoiseSettings:
    """A map noised a little and denoised by the prior, several times; its water stays.

    Attributes:
        start: What is noised, as one-hot labels: the weak labels, or the map of another engine.
        spectral_indices: Whether that is weighed first by how green and red the image is, see
            ``index_borders.class_given_indices``; once, if the engine it starts from does.
        t: Noise level, out of the prior's T; above about 300 of 1000 rare classes go.
        draws: Noise draws that are averaged; each costs one forward pass.
        start_share: Share s of the start in the result, clean^(1 - s) start^s.
    """

    start: str = start_from("weak_labels", default="evidence")
    spectral_indices: bool = renamed("tones", default=True)
    t: int = 200
    draws: int = 8
    start_share: float = 0.5


@register_engine
class Denoise:
    """The gentle use of the prior: the mean clean map it sees in a lightly noised one."""

    name = "denoise"
    needs_prior = True
    prior_kind = "gaussian"
    Settings = DenoiseSettings

    def check(self, settings: DenoiseSettings, prior: Prior | None) -> None:
        """Refuses a noise level that the prior has not, and values that make no map."""
        require_noise_level(self.name, settings, "t", prior)
        require_within(self.name, settings, 1, float("inf"), "draws")
        require_within(self.name, settings, 0, 1, "start_share")

    def run(self, task: Task[DenoiseSettings]) -> Tensor:
        """The map (channel 6, y, x) of ``denoise``, with the water that it starts from."""
        s, indices = task.settings, task.observations.spectral_indices
        start = task.start(s.start)
        started_from = None if s.start == "weak_labels" else task.inference.of(s.start)
        weighed = getattr(started_from, "spectral_indices", False)
        if s.spectral_indices and indices is not None and not weighed:
            start = keep_water(start * task.with_no_data(indices), start)
        return keep_water(denoise(start, task.prior, task.canvas, s, task.callback), start)


def denoise(
    start: Tensor,
    prior: Prior,
    canvas: Canvas,
    settings: DenoiseSettings,
    callback: Callback | None = None,
) -> Tensor:
    """Mean of E[x0 | x_t] over several noise draws, x_t a map noised to level t.

    A denoiser trained on one-hot maps by mean squared error predicts the mean of all clean maps
    that could lie behind x_t (Ho et al. 2020, section 3.2; Efron 2011): at each pixel, class
    probabilities. What is noised is one-hot too, each pixel's likeliest class: mixed
    probabilities are no map the prior was trained on. At small t the result stays close to the
    map one starts from and only loses what the prior has never seen; above about t = 300 of 1000
    rare classes go. The cost is one forward pass a draw, no gradient.

    The start keeps a share s in the result, clean^(1 - s) start^s: a logarithmic opinion pool
    (Genest & Zidek 1986), since a start that has seen the image knows what the prior does not.

    Args:
        start: (channel 6, y, x) float32 probabilities of another engine, 0 in channel 0.
        prior: The prior.
        canvas: Place, size, seed and view.
        settings: Noise level, number of draws, share of the start.
        callback: Called at every draw, with the map so far.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1.

    Raises:
        TileError: If the prior predicts values that are not finite; names the draw.
    """
    labels, total = one_hot(start), start.new_zeros(start.shape)
    for draw in range(settings.draws):
        if callback:
            callback(Step(draw, settings.t, 0.0, {}, as_probabilities(total) if draw else start))
        x_t = prior.schedule.add_noise(labels, canvas.noise(draw, len(start)), settings.t)
        eps = canvas.predict_noise(prior, x_t, settings.t, draw)
        total += prior.schedule.predict_clean(x_t, eps, settings.t)
        last = f"draw {draw - 1}" if draw else "the start"
        require_finite({"clean map": total.sum().item()}, draw, settings.t, last)
    clean = as_probabilities(total / settings.draws)
    s = settings.start_share
    return as_probabilities(clean ** (1 - s) * start.clamp_min(1e-9) ** s)


def keep_water(p: Tensor, start: Tensor) -> Tensor:
    """The land of one map beside the water of another.

    Water is known from maps, and its ponds and streams are small enough for a prior to take
    them for specks.

    Args:
        p: (channel 6, y, x) float32 probabilities.
        start: The same, whose water stays.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1.
    """
    channel = 1 + WORKING.index("water")  # behind no data
    water, land = start[channel], p.clone()
    land[channel] = 0
    kept = as_probabilities(land) * (1 - water)
    kept[channel] = water
    return kept
