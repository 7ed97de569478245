"""Where the tiles of a map meet: 3 x 3 tiles against one big tile, engine by engine.

Prints the share of pixels whose class differs, by their distance to the next edge between cores,
on a synthetic piedmont city.

Usage: python benchmarks/seams.py [--core PX] [--view PX] [ENGINE ...]
"""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from words import parser

from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings, TileSettings
from landcover_pnp.scenes.settings import EnviroAtlasTile, SceneSettings, SyntheticSettings
from landcover_pnp.scenes.synthetic import write_city

DISTANCES_PX = (0, 4, 8, 16, 32, 10_000)


def halo_px(core_px: int) -> int:
    """The default ring, or the widest that small cores allow."""
    return min(TileSettings().halo_px, core_px // 2)


def disagreement(
    inference: InferenceSettings, core_px: int, folder: Path
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Maps 3 x 3 tiles and one big tile.

    Args:
        inference: Engine.
        core_px: Side of the cores of the small tiles.
        folder: Folder of city and runs.

    Returns:
        (y, x) where the classes differ, and (y, x) distance to the next edge between cores.
    """
    look = SyntheticSettings("piedmont", width_m=3 * core_px * 4, seed=1)
    city = write_city(look, folder / "city")
    scene = SceneSettings(
        enviroatlas=EnviroAtlasTile(folder / "city", city.city, "test", city.tile)
    )
    labels = []
    for side in (core_px, 3 * core_px):
        tiles = TileSettings(side, halo_px(core_px))
        settings = MapSettings(scene, inference=inference, student=None, tiles=tiles)
        summary = map_city(settings, folder / f"{inference.engine}-{side}")
        with rasterio.open(summary.products[0]) as source:
            labels.append(source.read(1))
    edges = np.array([core_px, 2 * core_px])
    line = np.abs(np.arange(3 * core_px)[:, None] + 0.5 - edges).min(axis=1)
    return labels[0] != labels[1], np.minimum.outer(line, line)


def main(core_px: int, view_px: int | None, engines: list[str]) -> None:
    """Prints the table."""
    bounds = list(itertools.pairwise(DISTANCES_PX))
    columns = [f"{a} to {b} px" if b < 10_000 else f"from {a} px" for a, b in bounds]
    print(f"3 x 3 cores of {core_px} px, ring {halo_px(core_px)} px; share of pixels that differ\n")
    print("| engine | all | " + " | ".join(columns) + " |\n|---|" + "---:|" * (len(columns) + 1))
    for engine in engines:
        inference = InferenceSettings(engine=engine, view_px=view_px)
        with TemporaryDirectory() as folder:
            differs, distance = disagreement(inference, core_px, Path(folder))
        shares = [differs[(distance >= a) & (distance < b)].mean() for a, b in bounds]
        cells = " | ".join(f"{share:.2%}" for share in [differs.mean(), *shares])
        print(f"| {engine} | {cells} |", flush=True)


if __name__ == "__main__":  # worker processes import this file too
    words = parser(__doc__)
    words.add_argument("engines", nargs="*", default=["evidence", "algorithm1"])
    words.add_argument(
        "--core", type=int, default=TileSettings().core_px, help="side of the cores, pixels"
    )
    words.add_argument("--view", type=int, help="what the prior sees at once, pixels")
    options = words.parse_args()
    main(options.core, options.view, options.engines)
