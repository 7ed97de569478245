"""One step of Algorithm 1 with the paper's network of 85 M parameters: here, and a plain version.

The plain version does what a first program does: the weights stay unfrozen, so that every step
computes their gradients too, and windows are pooled k x k for all pairs of class and cluster. Both
take the same step: the gradients of the map are compared. Prints process time a step and ratios.

Usage: python benchmarks/algorithm1_step.py [STEPS]
"""

import math
import time

import torch
from torch import Tensor
from torch.nn import functional
from words import parser

from landcover_pnp.inference.canvas import Canvas
from landcover_pnp.inference.constraints import MutualInformation, WeakLabelKL
from landcover_pnp.prior.denoiser import Prior, build_network
from landcover_pnp.prior.noise import NoiseSchedule
from landcover_pnp.prior.settings import DenoiserSettings

PAPER = DenoiserSettings(
    channels=[128, 256, 384, 512],
    layers_per_block=2,
    head_channels=128,
    norm_groups=32,
    prediction="epsilon",
)
SIDE, WINDOW, T = 64, 31, 400


def plain_gradient(
    network: torch.nn.Module, p: Tensor, eps: Tensor, clusters: Tensor, weak: Tensor
) -> Tensor:
    """Gradient of mse - MI + KL in the map p (channel, y, x), as plainly as can be."""

    def pooled(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, WINDOW, 1, WINDOW // 2, count_include_pad=False)

    def entropy(x: Tensor) -> Tensor:
        return -(x * x.clamp_min(1e-12).log()).sum(0)

    p = p.clone().requires_grad_()
    abar = float(NoiseSchedule().alpha_bar(T))
    x_t = math.sqrt(abar) * p + math.sqrt(1 - abar) * eps
    mse = functional.mse_loss(network(x_t[None], T).sample[0], eps)
    joint = pooled((p[:, None] * clusters).flatten(0, 1)).reshape(len(p), -1, SIDE, SIDE)
    both = entropy(joint.sum(1)) + entropy(pooled(clusters))
    information = (both - entropy(joint.flatten(0, 1))) / both.clamp_min(1e-2)
    divergence = torch.xlogy(weak, weak) - weak * pooled(p).clamp_min(1e-12).log()
    network.zero_grad()
    (mse - information.mean() + divergence.mean()).backward()
    return p.grad


def gradient(
    prior: Prior, p: Tensor, canvas: Canvas, eps: Tensor, clusters: Tensor, weak: Tensor
) -> Tensor:
    """The same gradient with this package's parts."""
    valid = torch.ones(SIDE, SIDE, dtype=torch.bool)
    p = p.clone().requires_grad_()
    x_t = prior.schedule.add_noise(p, eps, T)
    mse = functional.mse_loss(canvas.eps_theta(prior, x_t[None], T)[0], eps)
    information = MutualInformation(clusters, valid, WINDOW // 2)(p)
    (mse - information + WeakLabelKL(weak, valid, WINDOW // 2)(p)).backward()
    return p.grad


def main(steps: int) -> None:
    """Prints the table."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = build_network(PAPER, seed=0)
    p, clusters, weak = (torch.randn(n, SIDE, SIDE).softmax(0) for n in (6, 5, 6))
    eps = torch.randn(6, SIDE, SIDE)

    def seconds(step: object) -> float:
        step()
        start = time.process_time()
        for _ in range(steps):
            step()
        return (time.process_time() - start) / steps

    reference = plain_gradient(network, p, eps, clusters, weak)
    plain = seconds(lambda: plain_gradient(network, p, eps, clusters, weak))
    print("| version | process s a step | share of plain | gradient off by |")
    print(f"|---|---:|---:|---:|\n| plain | {plain:.3f} | 1.00 | 0 |")
    prior = Prior(network, NoiseSchedule(), resolution_m=4.0, crop_px=SIDE)
    for precision in ("float32", "bfloat16"):
        canvas = Canvas((0, 0), (SIDE, SIDE), 0, SIDE, precision)
        off = gradient(prior, p, canvas, eps, clusters, weak) - reference
        share = (off.abs().mean() / reference.abs().mean()).item()
        took = seconds(lambda c=canvas: gradient(prior, p, c, eps, clusters, weak))
        print(f"| here, {precision} | {took:.3f} | {took / plain:.2f} | {share:.2%} |", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("steps", type=int, nargs="?", default=3)
    main(options.parse_args().steps)
