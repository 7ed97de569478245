"""Landscape metrics of real label maps beside those of synthetic cities, at 4 m in crops of 256 m.

Usage: python benchmarks/landscapes.py
"""

import numpy as np
from engine_scenes import REAL
from words import parser

from landcover_pnp.legend import WORKING
from landcover_pnp.prior.crops import LabelCrops, LabelSource
from landcover_pnp.prior.label_maps import draw_label_maps, read_label_maps
from landcover_pnp.prior.landscape import describe, distances
from landcover_pnp.prior.settings import LabelFolder

CHESAPEAKE = {1: 1, 2: 4, 3: 5, 4: 3, 5: 2, 6: 2, 15: 0}
FOLDERS = {
    "Pittsburgh": LabelFolder(REAL / "ea-mini" / "pittsburgh_pa", "labels.tif"),
    "patches dp0 to dp4": LabelFolder(REAL / "ea-patches", "*_ea_64.tif", resolution_m=4.0),
    "epitomes (suburban)": LabelFolder(
        REAL / "chesapeake-epitomes", "lc.tif", remap={0: 1, 1: 4, 2: 5, 3: 2}, resolution_m=2.0
    ),
    "West Virginia (rural)": LabelFolder(
        REAL / "chesapeake-lulc-1m", "Baywide_7class_*.tif", remap=CHESAPEAKE
    ),
}
CROPS, SIDE_PX, PIXEL_M = 96, 64, 4.0


def main() -> None:
    """Prints the table."""
    sources = {name: read_label_maps(f, PIXEL_M) for name, f in FOLDERS.items() if f.path.is_dir()}
    for label_map in draw_label_maps(8, 1600, seed=0):
        sources.setdefault(label_map.name.split()[0], []).append(label_map)
    looks = {}
    for name, maps in sources.items():
        crops = LabelCrops([LabelSource(maps)], SIDE_PX, PIXEL_M, CROPS, seed=0)
        drawn = [crops[i].x0.argmax(0).numpy() for i in range(CROPS)]
        looks[name] = describe(np.stack(drawn).astype(np.uint8), PIXEL_M)
    real = [name for name in FOLDERS if name in looks]
    head = ["patches / km2", "boundary m / ha", *WORKING.names, *(f"distance to {n}" for n in real)]
    print("| | " + " | ".join(head) + " |\n|---|" + "---:|" * len(head))
    for name, look in looks.items():
        cells = [f"{look.patch_density.mean():.0f}", f"{look.edge_density.mean():.0f}"]
        cells += [f"{share:.1%}" for share in look.shares]
        cells += [f"{distances(look, looks[n])['all']:.2f}" for n in real]
        print(" | ".join([f"| {name}", *cells]) + " |")


if __name__ == "__main__":
    parser(__doc__).parse_args()
    main()
