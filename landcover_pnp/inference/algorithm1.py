"""Algorithm 1 of Graikos et al. 2022: the map that the prior finds likely and evidence supports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landcover_pnp.errors import TileError
from landcover_pnp.inference.canvas import CROPS_AT_ONCE, Canvas
from landcover_pnp.inference.constraints import Constraint, weight_at
from landcover_pnp.inference.relaxation import SIGMA_END, SIGMA_START, probabilities, sigma_at
from landcover_pnp.prior.denoiser import Prior
from landcover_pnp.settings import Algorithm1Settings

_START = 1e-2  # added to the weak labels: no class starts at 0


@dataclass(frozen=True)
class Step:
    """The paper's quantities at one step.

    Attributes:
        step: Step i from 0; the clean-up goes on counting.
        t: Noise level, 1..T.
        sigma: Width of the relaxation.
        losses: ``mse`` and each constraint's value by its name; empty during the clean-up.
        probabilities: (channel, y, x) float32 before the step.
    """

    step: int
    t: int
    sigma: float
    losses: Mapping[str, float]
    probabilities: Tensor


Callback = Callable[[Step], None]


def time_at(step: int, settings: Algorithm1Settings, noise_levels: int) -> int:
    """Noise level of a step: t / T = ((S - i) / 3 + (S - i) / 10 cos(i / wave)) / S.

    The released program rounds down, and at the very end of a long run to t = 0, where there
    is no noise to predict; here t is 1 at least.

    Args:
        step: Step i, 0 to S - 1.
        settings: The steps S and the wave.
        noise_levels: T of the prior.

    Returns:
        t in 1..T.
    """
    left = settings.steps - step
    share = (left / 3 + left / 10 * math.cos(step / settings.time_wave)) / settings.steps
    return max(1, int(share * noise_levels))


def algorithm1(
    weak_labels: Tensor,
    valid: Tensor,
    constraints: Sequence[Constraint],
    prior: Prior,
    canvas: Canvas,
    settings: Algorithm1Settings,
    callback: Callback | None = None,
) -> Tensor:
    """Infers the map of one canvas.

    Adam moves the relaxed one-hot map eta down the gradient of

        mse(eps, eps_theta(sqrt(abar_t) eta + sqrt(1 - abar_t) eps, t)) + sum_c w_c c(p(eta)),

    through the network, while t and the width of the relaxation fall (Graikos et al. 2022,
    Algorithm 1, with the released program's schedules). Then the result is noised to
    ``clean_up_t`` and ancestral sampling takes the noise away again; the released data-set
    recipe forgets to add it.

    The terms are means over the valid pixels, but their gradient counts each pixel as on a
    canvas of one crop: what happens at a pixel depends neither on the size of the canvas nor
    on how much of it is valid.

    Args:
        weak_labels: (channel 6, y, x) float32; channel 0, no data, is 0.
        valid: (y, x) bool; elsewhere the prior fills in, and no term counts.
        constraints: The terms of the evidence.
        prior: The prior, its weights frozen.
        canvas: Place, size and seed.
        settings: Schedules.
        callback: Called at every step.

    Returns:
        (channel 6, y, x) float32 probabilities, sum to 1.

    Raises:
        TileError: If a term or the gradient is not finite; names it and the step.
    """
    scale = valid.sum().item() / prior.crop_px**2
    eta = (weak_labels + _START) / (weak_labels + _START).sum(0)
    eta.requires_grad_()
    adam = torch.optim.Adam([eta], lr=settings.learning_rate, betas=(settings.beta1, 0.999))
    decay = torch.optim.lr_scheduler.LinearLR(
        adam, 1.0, settings.learning_rate_end, total_iters=settings.steps
    )
    finite_until = "the start"
    for step in range(settings.steps):
        t, sigma = time_at(step, settings, prior.schedule.steps), sigma_at(step, settings.steps)
        p = probabilities(eta, sigma)
        values = {c.name: c(p) for c in constraints}
        evidence = sum(
            (weight_at(c.weight, step, settings.steps) * values[c.name] for c in constraints),
            start=p.new_zeros(()),
        )
        adam.zero_grad()
        (scale * evidence).backward()
        losses = {"mse": _add_prior_gradient(eta, valid, prior, canvas, t, step)}
        losses |= {name: value.item() for name, value in values.items()}
        _require_finite(losses | {"gradient": _total(eta.grad)}, step, t, sigma, finite_until)
        if callback:
            callback(Step(step, t, sigma, losses, p.detach()))
        adam.step()
        decay.step()
        finite_until = f"step {step} ({', '.join(f'{k} {v:.4g}' for k, v in losses.items())})"
    eta = _clean_up(eta.detach(), prior, canvas, settings, callback)
    return probabilities(eta, SIGMA_START)


def _add_prior_gradient(
    eta: Tensor, valid: Tensor, prior: Prior, canvas: Canvas, t: int, step: int
) -> float:
    """Adds the gradient of the denoising error to ``eta.grad``; returns the mean error.

    Crops go through the network in small batches, each with its own backward pass, so that
    memory does not grow with the canvas.
    """
    eps = canvas.noise(step, len(eta))
    crops = canvas.crops(step, prior.crop_px)
    x_t = crops.cut(prior.schedule.add_noise(eta, eps, t))
    counted = crops.owned() * crops.cut(valid[None].float())
    error, gradients = 0.0, []
    batches = (tensor.split(CROPS_AT_ONCE) for tensor in (x_t.detach(), crops.cut(eps), counted))
    for x, noise, count in zip(*batches, strict=True):
        x.requires_grad_()
        squares = ((noise - prior.predict_noise(x, t)).square() * count).sum()
        gradients += torch.autograd.grad(squares, x)
        error += squares.item()
    x_t.backward(torch.cat(gradients) / (len(eta) * prior.crop_px**2))
    return error / (len(eta) * valid.sum().item())


def _clean_up(
    eta: Tensor,
    prior: Prior,
    canvas: Canvas,
    settings: Algorithm1Settings,
    callback: Callback | None,
) -> Tensor:
    """Noises the map to ``clean_up_t`` and samples back to t = 0 (Ho et al. 2020, Algorithm 2)."""
    start, step = settings.clean_up_t, settings.steps
    x = prior.schedule.add_noise(eta, canvas.noise(step, len(eta)), start) if start else eta
    for t in range(start, 0, -1):
        step += 1
        if callback:
            callback(Step(step - 1, t, SIGMA_END, {}, probabilities(x, SIGMA_START)))
        eps = canvas.predict_noise(prior, x, t, step)
        x = prior.schedule.ancestral_step(x, eps, t, canvas.noise(step, len(x)))
        _require_finite({"clean-up": _total(x)}, step, t, SIGMA_END, "the end of the optimisation")
    return x


def _total(values: Tensor | None) -> float:
    """Sum of all values: finite only if each of them is."""
    return 0.0 if values is None else values.sum().item()


def _require_finite(
    terms: Mapping[str, float], step: int, t: int, sigma: float, finite_until: str
) -> None:
    for name, value in terms.items():
        if not math.isfinite(value):
            raise TileError(
                found=f"the term {name!r} is {value} at step {step} (t = {t}, sigma = {sigma:.3g})",
                expected=f"finite terms at every step, as until {finite_until}",
                way_out="check the evidence of this tile for values that are not finite, and the "
                "prior's weights; a smaller learning rate also helps where the terms grew",
            )
