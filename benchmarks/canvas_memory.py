"""Peak memory of one engine on one canvas with the shipped prior.

Usage: python benchmarks/canvas_memory.py [SIDE_PX] [ENGINE]
"""

import resource
import time

import numpy as np
import torch
from words import parser

from landcover_pnp.inference.engine import infer
from landcover_pnp.inference.engines.algorithm1 import Algorithm1Settings
from landcover_pnp.inference.engines.denoise import DenoiseSettings
from landcover_pnp.inference.engines.guided import GuidedSettings
from landcover_pnp.inference.observations import Observations
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.prior.denoiser import Prior


def main(side: int, engine: str) -> None:
    """Prints the peak of the process; one draw or step, since memory does not grow with them."""
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    layers = [random.random((count, side, side), np.float32) for count in (5, 5)]
    for layer in layers:
        layer /= layer.sum(axis=0)
    observations = Observations(*layers, np.ones((side, side), np.bool_), (0, 0))
    settings = InferenceSettings(
        engine=engine,
        options={
            "denoise": DenoiseSettings(draws=1),
            "guided": GuidedSettings(steps=1, constraint_steps=1),
            "algorithm1": Algorithm1Settings(steps=1, clean_up_t=0),
        },
    )
    start = time.process_time()
    infer(observations, settings, Prior.load(), seed=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{engine}, {side} x {side} px: peak {peak:.2f} GiB, {time.process_time() - start:.0f} s")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("side", type=int, nargs="?", default=2048)
    options.add_argument("engine", nargs="?", default="denoise")
    main(options.parse_args().side, options.parse_args().engine)
