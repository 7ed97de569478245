"""How often the interval of `landcover assess` holds the truth: many samples of one map.

Each sample is labelled by the truth raster, as a person without error would. Of the map only ground
with truth is drawn from, so that the full-truth figure is known.

Usage: python benchmarks/sample_coverage.py RUN TRUTH [--n 200] [--draws 100]
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from words import parser

from landcover_pnp.evaluation.area_estimation import Estimate, estimate_areas
from landcover_pnp.grid import Box
from landcover_pnp.legend import CLASS_COUNT, ENVIROATLAS, WORKING, to_working
from landcover_pnp.products.sample_design import draw_sample
from landcover_pnp.products.settings import SampleSettings
from landcover_pnp.storage.raster import on_grid, read_labels
from landcover_pnp.storage.run_folder import RunFolder


def main(run: Path, truth: Path, n: int, draws: int) -> None:
    """Prints how many intervals hold what the truth says, and how wide they are."""
    with rasterio.open(RunFolder(run).landcover) as source, rasterio.open(truth) as labels:
        mapped, profile = source.read(1), source.profile
        with on_grid(labels, GeoBox.from_rio(source), Resampling.nearest) as view:
            codes = read_labels(view, Box(0, source.height, 0, source.width))
    reference = to_working(codes, ENVIROATLAS, str(truth))
    mapped = np.where(reference > 0, mapped, 0)
    known = mapped > 0
    accuracy = float((mapped == reference)[known].mean())
    shares = np.bincount(reference[known], minlength=CLASS_COUNT + 1)[1:] / known.sum()
    held = np.zeros(1 + CLASS_COUNT, int)
    widths = np.zeros(1 + CLASS_COUNT)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "map.tif"
        plain = {key: profile[key] for key in ("width", "height", "crs", "transform", "dtype")}
        with rasterio.open(path, "w", driver="GTiff", count=1, **plain) as target:
            target.write(mapped, 1)
        for seed in range(draws):
            drawn = draw_sample(path, SampleSettings(n=n, seed=seed))
            counts = np.zeros((CLASS_COUNT, CLASS_COUNT), np.int64)
            told = reference[drawn.rows, drawn.columns].astype(int) - 1
            np.add.at(counts, (drawn.strata, told), 1)
            found = estimate_areas(counts, drawn.pixels)
            for i, (estimate, right) in enumerate(
                zip((found.overall, *found.shares), (accuracy, *shares), strict=True)
            ):
                held[i] += _holds(estimate, right)
                widths[i] += estimate.half_width / draws
    print(f"{draws} samples of {n} points of {run}; the truth in the interval of")
    for name, right, count, width in zip(
        ("overall accuracy", *(f"share of {c}" for c in WORKING.names)),
        (accuracy, *shares),
        held,
        widths,
        strict=True,
    ):
        print(f"  {name:<32}{right:.3f} +- {width:.3f}: {count} of {draws}")


def _holds(estimate: Estimate, right: float) -> bool:
    return estimate.low <= right <= estimate.high


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("run", type=Path, help="folder of a finished run")
    words.add_argument("truth", type=Path, help="truth raster in EnviroAtlas codes")
    words.add_argument("--n", type=int, default=200, help="points of a sample")
    words.add_argument("--draws", type=int, default=100, help="number of samples")
    given = words.parse_args()
    main(given.run, given.truth, given.n, given.draws)
