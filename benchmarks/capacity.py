"""What a metro area and all cities of the United States would cost, from measured seconds.

Usage: python benchmarks/capacity.py [ENGINE ...]

Maps a synthetic city of 5.3 km2 by each engine and takes from it CPU seconds by canvas pixel
(tiles) and by working pixel (driver: scene, mosaic, products), and bytes by working pixel. Predicts
from them a smaller city cut into other tiles, maps that one too and prints both; then simulates
large areas on 1, 8 and 64 workers.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from city_memory import city_of
from words import parser

from landcover_pnp.grid import TileGrid
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import MapSettings, TileSettings
from landcover_pnp.scenes.settings import SceneSettings

AREAS_KM2 = {"metro area": 5_000.0, "all US urban areas": 275_000.0}
CITY_KM2 = 1_000.0
"""Largest area that one driver maps: a batch is cut into cities of this size."""

PX_PER_KM2 = 1e6 / 4.0**2
DISPATCH_S = 0.004
"""CPU seconds that scheduler and client spend on a tile, see ``benchmarks/many_tiles.py``."""


@dataclass(frozen=True)
class Cost:
    """Measured cost of a run.

    Attributes:
        canvas_px_s: CPU seconds of a worker by canvas pixel (core and ring).
        px_s: CPU seconds of the driver by working pixel.
        px_bytes: Bytes of the run folder by working pixel.
    """

    canvas_px_s: float
    px_s: float
    px_bytes: float


def canvas_px(grid: TileGrid) -> int:
    """Pixels of all canvases: rings count as often as they are computed."""
    return sum(tile.canvas.shape[0] * tile.canvas.shape[1] for tile in grid)


def measure(settings: MapSettings, run: Path) -> tuple[float, float, float]:
    """Maps in this process; returns CPU seconds of tiles and of the rest, and bytes."""
    marks: list[float] = []

    def mark(progress: Progress) -> None:
        if progress.total:
            marks.append(time.process_time())

    start = time.process_time()
    map_city(settings, run, mark)
    tiles = marks[-1] - marks[0]
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    return tiles, time.process_time() - start - tiles, size


def simulated(cost: Cost, area_km2: float, workers: int) -> tuple[float, float, str]:
    """Hours, storage in TB and what is busy first for an area on a number of workers.

    Tiles run on all workers at once; each driver prepares, blends and publishes its city alone,
    and there are as many drivers at work as cities, but no more than one for 8 workers.
    """
    px = area_km2 * PX_PER_KM2
    core, ring = TileSettings().core_px, TileSettings().halo_px
    tiles = px / core**2
    drivers = min(max(1, workers // 8), max(1, round(area_km2 / CITY_KM2)))
    parts = {
        "workers": tiles * (core + 2 * ring) ** 2 * cost.canvas_px_s / workers,
        "drivers": (px * cost.px_s + tiles * DISPATCH_S) / drivers,
    }
    # A driver's own stages and the tiles of its city follow each other.
    hours = sum(parts.values()) / 3600
    return hours, px * cost.px_bytes / 1e12, max(parts, key=lambda name: parts[name])


def main(engines: list[str]) -> None:
    """Measures, checks and simulates every engine."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for engine in engines:
            cost = _checked(engine, folder)
            print(f"\n`{engine}`: simulated\n\n| area | workers | hours | TB | busiest |")
            print("|---|---:|---:|---:|---|")
            for area, km2 in AREAS_KM2.items():
                for workers in (1, 8, 64):
                    hours, terabytes, busiest = simulated(cost, km2, workers)
                    print(f"| {area} | {workers} | {hours:.1f} | {terabytes:.2f} | {busiest} |")


def _checked(engine: str, folder: Path) -> Cost:
    usual = TileSettings()
    halved = TileSettings(usual.core_px // 2, usual.halo_px // 2)

    def settings(side_m: int, tiles: TileSettings) -> MapSettings:
        return MapSettings(
            scene=SceneSettings(rasters=city_of(side_m, folder / f"{side_m}")),
            inference=InferenceSettings(engine),
            student=None,
            tiles=tiles,
            workers=0,
        )

    large, small = settings(2304, usual), settings(1536, halved)
    grid = plan_map(large).grid
    px = grid.extent.shape[0] * grid.extent.shape[1]
    tiles, rest, size = measure(large, folder / engine / "large")
    cost = Cost(tiles / canvas_px(grid), rest / px, size / px)
    grid = plan_map(small).grid
    px = grid.extent.shape[0] * grid.extent.shape[1]
    predicted = canvas_px(grid) * cost.canvas_px_s, px * cost.px_s, px * cost.px_bytes
    found = measure(small, folder / engine / "small")
    print(f"\n`{engine}`: measured on 5.3 km2, checked on 2.4 km2\n\n| | predicted | measured |")
    print("|---|---:|---:|")
    rows = ("tiles, CPU s", 1), ("driver, CPU s", 1), ("run folder, MB", 1e6)
    for (what, unit), a, b in zip(rows, predicted, found, strict=True):
        print(f"| {what} | {a / unit:.1f} | {b / unit:.1f} |")
    tile_s = (usual.core_px + 2 * usual.halo_px) ** 2 * cost.canvas_px_s
    km2_s = tile_s / usual.core_px**2 * PX_PER_KM2
    print(
        f"\nA tile of {usual.core_px} px and its ring: {tile_s:.2f} CPU s; a km2: {km2_s:.2f} s of "
        f"a worker, {cost.px_s * PX_PER_KM2:.2f} s of the driver, "
        f"{cost.px_bytes * PX_PER_KM2 / 1e6:.1f} MB."
    )
    return cost


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("engine", nargs="*", default=["evidence", "denoise"])
    main(options.parse_args().engine)
