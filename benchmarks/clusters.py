"""Time and memory of the local mixture: wall seconds, process seconds, peak MB by radius.

Usage: python benchmarks/clusters.py [HEIGHT WIDTH [RADIUS ...]]
"""

import resource
import time

import numpy as np
from words import parser

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
    options = parser(__doc__)
    options.add_argument("height", type=int, nargs="?", default=512)
    options.add_argument("width", type=int, nargs="?", default=512)
    options.add_argument("radius", type=int, nargs="*", default=[3, 7, 30])
    words = options.parse_args()
    main(words.height, words.width, words.radius)
