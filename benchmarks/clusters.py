"""Time and memory of the local mixture: wall seconds, process seconds, peak MB by radius.

Usage: python benchmarks/clusters.py [HEIGHT WIDTH [RADIUS ...]]
"""

import resource
import sys
import time

import numpy as np

from landcover_pnp.evidence.local_mixture import LocalGaussianMixture


def main(height: int, width: int, radii: list[int]) -> None:
    """Fits 5 clusters to noise of 4 bands, 30 iterations on two threads; prints a row a radius."""
    rng = np.random.default_rng(0)
    image = rng.random((4, height, width), dtype=np.float32)
    centres = rng.random((5, 4), dtype=np.float32)
    print("| pixels | radius | wall s | process s | peak MB |\n|---|---:|---:|---:|---:|")
    for radius in radii:
        mixture = LocalGaussianMixture(5, radius=radius, max_iter=30, init=centres, n_jobs=2)
        wall, process = time.monotonic(), time.process_time()
        mixture.fit(image)
        wall, process = time.monotonic() - wall, time.process_time() - process
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"| {height} x {width} | {radius} | {wall:.1f} | {process:.1f} | {peak_mb:.0f} |")


if __name__ == "__main__":
    numbers = list(map(int, sys.argv[1:])) or [512, 512]
    main(numbers[0], numbers[1], numbers[2:] or [3, 7, 30])
