"""Whether torch.compile pays: a forward pass of the shipped network, eager and compiled.

Usage: python benchmarks/compiled.py

Prints processor seconds of a forward pass over four crops of 64 x 64 pixels on one thread, and the
wall seconds that compiling took (a second run finds the compiled code in a cache).
"""

import time
from collections.abc import Callable

import torch
from words import parser

from landcover_pnp.prior.denoiser import Prior

PASSES = 8


def forward_s(network: Callable[..., torch.Tensor], x: torch.Tensor, t: torch.Tensor) -> float:
    """Processor seconds of a forward pass, after two that do not count."""
    for _ in range(2):
        network(x, t)
    start = time.process_time()
    for _ in range(PASSES):
        network(x, t)
    return (time.process_time() - start) / PASSES


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    network = Prior.load().network.eval()

    def noise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        prediction: torch.Tensor = network(x, t).sample
        return prediction

    x = torch.randn(4, 6, 64, 64, generator=torch.Generator().manual_seed(0))
    x, t = x.contiguous(memory_format=torch.channels_last), torch.full((4,), 75)
    print("| precision | eager, s | compiled, s | compiling, s |\n|---|---:|---:|---:|")
    for dtype in (torch.float32, torch.bfloat16):
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            compiled = torch.compile(noise, dynamic=False)
            start = time.monotonic()
            compiled(x, t)
            compiling = time.monotonic() - start
            eager_s, compiled_s = forward_s(noise, x, t), forward_s(compiled, x, t)
        name = str(dtype).removeprefix("torch.")
        print(f"| {name} | {eager_s:.4f} | {compiled_s:.4f} | {compiling:.0f} |", flush=True)


if __name__ == "__main__":
    parser(__doc__).parse_args()
    main()
