"""Memory of a whole city, from drawn rasters of 1 m to cloud-optimised products.

Usage: python benchmarks/city_memory.py SIDE_PX [SIDE_PX ...]

A synthetic city of 1 km2 is drawn once and laid side by side, window by window, until the image
has SIDE_PX x SIDE_PX pixels; then it is mapped with one iteration of the clusters and of the engine
``evidence`` by one worker. Prints a Markdown table: the largest resident sets of driver and worker,
CPU seconds of the driver, wall seconds, and the size of the run folder.
"""

import json
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import rasterio
from rasterio.windows import Window
from words import parser

from landcover_pnp.evidence.settings import ClusterSettings
from landcover_pnp.inference.engines.evidence import EvidenceSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import (
    EnviroAtlasTile,
    LayerFile,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
)
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.raster import small_cache


def repeated(source: Path, side: int, path: Path) -> Path:
    """Lays a raster side by side until it has side x side pixels."""
    with rasterio.open(source) as drawn:
        pixels, profile = drawn.read(), drawn.profile
    profile.update(
        width=side, height=side, tiled=True, blockxsize=512, blockysize=512, compress="deflate",
        zlevel=1, bigtiff="if_safer",
    )  # fmt: skip
    height, width = pixels.shape[1:]
    with rasterio.open(path, "w", **profile) as target:
        for y in range(0, side, height):
            for x in range(0, side, width):
                part = pixels[:, : min(height, side - y), : min(width, side - x)]
                target.write(part, window=Window(x, y, part.shape[2], part.shape[1]))
    return path


class Peak(threading.Thread):
    """Largest resident sets (MB) of this process and of any child, looked at twice a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.driver = self.worker = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        """Looks until it is over."""
        me = psutil.Process()
        while not self.over.wait(0.5):
            self.driver = max(self.driver, me.memory_info().rss / 1e6)
            for child in me.children(recursive=True):
                try:
                    self.worker = max(self.worker, child.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    continue


def size_mb(folder: Path) -> float:
    """Size of all files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def city_of(side: int, folder: Path) -> RasterFiles:
    """Draws a city and lays it side by side to side x side pixels of 1 m; returns its files."""
    drawn = write_city(SyntheticSettings("hill_country", width_m=1024), folder / "drawn")
    files = tile_files(EnviroAtlasTile(folder / "drawn", drawn.city, "test", drawn.tile))
    with small_cache():
        return RasterFiles(
            repeated(files.image, side, folder / "image.tif"),
            repeated(files.coarse, side, folder / "nlcd.tif"),
            **{
                name: LayerFile(repeated(getattr(files, name).path, side, folder / f"{name}.tif"))
                for name in ("roads", "buildings")
            },
        )


def measure(side: int, folder: Path) -> None:
    """Draws, maps and prints one row."""
    settings = MapSettings(
        scene=SceneSettings(rasters=city_of(side, folder)),
        # one iteration each: memory does not depend on their number
        clusters=ClusterSettings(iterations=1),
        inference=InferenceSettings(
            "evidence", options={"evidence": EvidenceSettings(iterations=1)}
        ),
        student=None,
        workers=1,
    )
    peak = Peak()
    peak.start()
    cpu = time.process_time()
    summary = map_city(settings, folder / "run")
    cpu = time.process_time() - cpu
    peak.over.set()
    lines = [json.loads(x) for x in (folder / "run" / "journal.jsonl").read_text().splitlines()]
    tiles = sum(x["seconds"] for x in lines if x["event"] == "tile")
    print(
        f"| {side} | {side**2 / 1e6:.0f} | {summary.progress.done} | {peak.driver:.0f} | "
        f"{peak.worker:.0f} | {cpu:.0f} | {tiles:.0f} | {summary.seconds:.0f} | "
        f"{size_mb(folder / 'run'):.0f} |",
        flush=True,
    )


def main(sides: list[int]) -> None:
    """Measures one city after the other."""
    print(
        "| side, px | Mpx | tiles | driver, MB | worker, MB | driver, CPU s | tiles, wall s | "
        "all, wall s | run folder, MB |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for side in sides:
        with TemporaryDirectory() as folder:
            measure(side, Path(folder))


if __name__ == "__main__":  # worker processes import this file too
    options = parser(__doc__)
    options.add_argument("side", type=int, nargs="*", default=[10_000, 20_000])
    main(options.parse_args().side)
