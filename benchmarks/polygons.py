"""What polygons keep of a map: area, gaps, overlaps, vertices.

Usage: python benchmarks/polygons.py RUN [RUN ...]

Per run, from its landcover.tif: the area of the raster and of the polygons before sieving, the
difference between the sum of the polygons' areas and the area of their union (0: no overlap),
what the union leaves of the data's outline (0: no gap), and the vertices of raw outlines and of
published polygons at the default settings of `landcover publish`.
"""

import math
from pathlib import Path

import numpy as np
import rasterio
import shapely
from words import parser

from landcover_pnp.products.polygons import patches, sieved, simplified, staircases
from landcover_pnp.products.settings import PublishSettings


def main(runs: list[Path]) -> None:
    """Prints one row a run."""
    settings = PublishSettings()
    print("| run | raster, ha | polygons, ha | overlap, m2 | gap, m2 | vertices | published |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for run in runs:
        with rasterio.open(run / "landcover.tif") as source:
            labels, pixel_m = source.read(1), source.res[0]
        tolerance_px = settings.simplify_m / pixel_m
        whole = simplified(patches(labels), tolerance_px)
        raw = staircases(patches(labels))
        data = shapely.union_all(staircases(patches((labels > 0).astype(np.uint8))))
        union = shapely.union_all(whole)
        overlap = shapely.area(whole).sum() - union.area
        gap = union.symmetric_difference(data).area
        min_px = math.ceil(settings.min_area_m2 / pixel_m**2)
        kept = simplified(patches(sieved(labels, min_px)), tolerance_px)
        vertices, left = (int(shapely.get_num_coordinates(p).sum()) for p in (raw, kept))
        hectares = [n * pixel_m**2 / 1e4 for n in ((labels > 0).sum(), shapely.area(whole).sum())]
        print(
            f"| {run.name} | {hectares[0]:.4f} | {hectares[1]:.4f} | {overlap * pixel_m**2:.4f} | "
            f"{gap * pixel_m**2:.4f} | {vertices} | {left} ({left / vertices:.1%}) |"
        )


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("run", type=Path, nargs="+")
    main(options.parse_args().run)
