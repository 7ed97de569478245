"""How much a classifier of colour and texture trained on one look is worth on another.

A random forest sees R,G,B,NIR and their 5 x 5 means and standard deviations at 4 m, learns from
three cities of one look and is scored on four fresh cities of each; seeds are fixed.

Usage: python benchmarks/look_transfer.py [SIDE_IN_METRES]
"""

from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from sklearn.ensemble import RandomForestClassifier
from words import parser

from landcover_pnp.evaluation.scores import score
from landcover_pnp.legend import ENVIROATLAS, to_working
from landcover_pnp.scenes.settings import Look
from landcover_pnp.scenes.synthetic.look import photograph
from landcover_pnp.scenes.synthetic.plan import city_rng, draw_labels

LOOKS: tuple[Look, ...] = get_args(Look)
FACTOR = 4
TRAINING_PX = 20_000


def city(look: Look, seed: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Features (pixel, 12) and working classes (pixel,) of one city at 4 m."""
    rng = city_rng(look, seed)
    plan = draw_labels(look, (side, side), rng)
    image = photograph(plan, rng).astype(np.float32)
    blocks = image.reshape(4, side // FACTOR, FACTOR, side // FACTOR, FACTOR).mean((2, 4))
    means = np.stack([uniform_filter(band, 5) for band in blocks])
    squares = np.stack([uniform_filter(band**2, 5) for band in blocks])
    texture = np.sqrt(np.maximum(squares - means**2, 0))
    features = np.concatenate([blocks, means, texture]).reshape(12, -1).T
    labels = to_working(plan.labels, ENVIROATLAS)[FACTOR // 2 :: FACTOR, FACTOR // 2 :: FACTOR]
    return features, labels.ravel()


def main(side: int) -> None:
    """Prints the table: rows are trained on, columns are scored on."""
    rng = np.random.default_rng(0)
    test = {look: [city(look, seed, side) for seed in (200, 201, 202, 203)] for look in LOOKS}
    print(f"accuracy / mean IoU, cities of {side} m\n")
    print("| trained on | " + " | ".join(LOOKS) + " |\n|---|" + "---:|" * len(LOOKS))
    for look in LOOKS:
        train = [city(look, seed, side) for seed in (100, 101, 102)]
        x, y = (np.concatenate(part) for part in zip(*train, strict=True))
        chosen = rng.permutation(len(y))[:TRAINING_PX]
        forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=0, n_jobs=1)
        forest.fit(x[chosen], y[chosen])
        cells = []
        for other in LOOKS:
            parts = (score(forest.predict(x), y, "five_classes") for x, y in test[other])
            total = sum(parts, start=next(parts))
            cells.append(f"{total.accuracy:.3f} / {total.mean_iou:.3f}")
        print(f"| {look} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("width", type=int, nargs="?", default=1000)
    main(options.parse_args().width)
