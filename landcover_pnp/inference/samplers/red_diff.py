"""RED-diff: a variational point without gradient through the network (Mardani et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from landcover_pnp.inference.constraints import Weight
from landcover_pnp.inference.samplers.algorithm1 import Descent, descend
from landcover_pnp.inference.samplers.denoising_error import denoising_error
from landcover_pnp.inference.samplers.likelihood import LogLikelihood, log_likelihood_of
from landcover_pnp.inference.samplers.model import Noise, NoisePredictor, require_start
from landcover_pnp.inference.samplers.parametrisation import Parametrisation


class _MinusLogLikelihood:
    """A log likelihood as a constraint of constant weight, summed over the batch."""

    def __init__(self, log_likelihood: LogLikelihood) -> None:
        self.name = "log_likelihood"
        self.weight: Weight = _one
        self._log_likelihood = log_likelihood

    def __call__(self, probabilities: Tensor) -> Tensor:
        return -log_likelihood_of(self._log_likelihood, probabilities).sum()


def _one(_step: int, _steps: int) -> float:
    return 1.0


def red_diff(
    model: NoisePredictor,
    x: Tensor,
    levels: Sequence[int],
    noise: Noise,
    *,
    log_likelihood: LogLikelihood,
    weight: float = 0.25,
    descent: Descent | None = None,
) -> Tensor:
    """Regularisation by denoising: Adam on -log p(y | x) with the noise's residual as slope.

    The prior's slope is lambda sqrt(1 / abar_t - 1) (eps_theta - eps), the network counting as a
    constant, over levels that fall from T (eq. 8 and section 4 there). Algorithm 1's loop with
    another prior term. One point, no sample: neither mean nor mode of the posterior in general.

    Args:
        model: The model; never differentiated.
        x: (batch, channel, ...) clean x to start from.
        levels: Noise levels, strictly falling to 0; one forward pass each but the last.
        noise: Fresh noise.
        log_likelihood: log p(y | x) of each item.
        weight: lambda; the paper takes 0.25 and likelihoods of noise 1.
        descent: Step lengths; None is Adam at 0.1 with its usual averages, as in the paper.

    Returns:
        x, the shape given.

    Raises:
        SamplerError: If x or levels do not fit the model.
        ConstraintError: If the log likelihood is none.
        TileError: If a value is not finite.
    """
    require_start(model, x, levels)

    def term(x: Tensor, _step: int, t: int) -> tuple[float, Tensor]:
        # The mean squared error's slope has a factor 2, which RED-diff's has not.
        return denoising_error(model, x, noise(x), t, weight / 2, "red_diff")

    return descend(
        term,
        x,
        levels[:-1],
        constraints=[_MinusLogLikelihood(log_likelihood)],
        parametrisation=Parametrisation(),
        descent=descent or Descent(0.1, 1.0, (0.9, 0.999)),
    ).eta
