"""What other coarse maps than NLCD are worth, alone and together, on real windows with truth.

NLCD is the real one; the other maps are DRAWN FROM THE TRUTH, since none is at hand: WorldCover as
the class that covers most of each 10 m cell, a map with CORINE's codes in blocks of 100 m (111
from 80 % impervious, 112 from 30 %, else what covers most), and percentages of impervious ground
and tree canopy in cells of 30 m. They have none of the errors that real ones have, so their rows
are upper bounds. p(class | code) is that of each legend's own texts; no label is used but to draw
the maps. Scores at 4 m.

With --pooling: rules to combine NLCD with another map, on all windows with truth, and what leaving
one out would have chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import rasterio
from affine import Affine
from choosing_scenes import _real
from numpy.typing import NDArray
from words import parser

import landcover_pnp as lc
from landcover_pnp.evaluation.scores import Scores, score
from landcover_pnp.evidence import coarse_classes
from landcover_pnp.legend import ENVIROATLAS
from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.opening import CoarseMap
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles

WORLDCOVER = {10: 80, 20: 50, 30: 60, 40: 10, 52: 20, 70: 30, 80: 40, 82: 40, 91: 90, 92: 90}
"""WorldCover codes by EnviroAtlas codes."""

CORINE = {10: 512, 20: 112, 30: 333, 40: 311, 52: 324, 70: 231, 80: 211, 82: 222, 91: 411, 92: 411}
"""CORINE codes by EnviroAtlas codes, where less than 30 % is impervious."""

Combination = Sequence[str]
"""Coarse maps and percentages of a row."""

ROWS: tuple[Combination, ...] = (
    ("nlcd",),
    ("worldcover",),
    ("nlcd", "worldcover"),
    ("corine",),
    ("nlcd", "corine"),
    ("nlcd", "impervious"),
    ("nlcd", "impervious", "canopy"),
    ("nlcd", "worldcover", "impervious", "canopy"),
)

POOLED: tuple[Combination, ...] = (("nlcd", "worldcover"), ("nlcd", "corine"))


@dataclass(frozen=True)
class Cells:
    """Shares of the truth in square cells.

    Attributes:
        shares: (code, y, x) of EnviroAtlas classes, sums to 1 where there is truth.
        known: (y, x) cells with truth.
        transform: Of the cells.
        crs: Of the truth.
    """

    shares: NDArray[np.float64]
    known: NDArray[np.bool_]
    transform: Affine
    crs: str


def cells(truth: Path, side_m: float) -> Cells:
    """Shares of EnviroAtlas classes in cells, from the north-west corner on."""
    with rasterio.open(truth) as source:
        labels, transform, crs = source.read(1), source.transform, str(source.crs)
    y, x = (np.arange(n) * abs(r) // side_m for n, r in zip(labels.shape, source.res, strict=True))
    rows, columns = int(y[-1]) + 1, int(x[-1]) + 1
    cell = (y[:, None] * columns + x).astype(np.intp)
    counts = np.stack(
        [
            np.bincount(cell[labels == code], minlength=rows * columns).reshape(rows, columns)
            for code in ENVIROATLAS.codes
        ]
    ).astype(np.float64)
    total = counts.sum(axis=0)
    place = transform @ Affine.scale(side_m / source.res[0], side_m / source.res[1])
    return Cells(counts / np.maximum(total, 1), total > 0, place, crs)


def write(path: Path, pixels: NDArray[np.integer], of: Cells, nodata: int) -> Path:
    """A raster of cells."""
    kept = np.where(of.known, pixels, nodata).astype(np.uint16)
    profile = {"count": 1, "dtype": "uint16", "nodata": nodata, "crs": of.crs}
    height, width = kept.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, transform=of.transform, **profile
    ) as target:
        target.write(kept, 1)
    return path


def drawn(truth: Path, folder: Path) -> dict[str, Path]:
    """Coarse maps and percentages drawn from a truth."""
    codes = np.array(ENVIROATLAS.codes)
    fine, middle, wide = (cells(truth, side_m) for side_m in (10.0, 30.0, 100.0))
    cover = np.array([WORLDCOVER[code] for code in codes])[fine.shares.argmax(axis=0)]
    impervious = wide.shares[list(codes).index(20)]
    most = np.array([CORINE[code] for code in codes])[wide.shares.argmax(axis=0)]
    blocks = np.select([impervious >= 0.8, impervious >= 0.3], [111, 112], most)
    percent = np.rint(100 * middle.shares)
    return {
        "worldcover": write(folder / "worldcover.tif", cover, fine, 0),
        "corine": write(folder / "corine.tif", blocks, wide, 0),
        "impervious": write(folder / "impervious.tif", percent[list(codes).index(20)], middle, 255),
        "canopy": write(folder / "canopy.tif", percent[list(codes).index(40)], middle, 255),
    }


def opened(files: RasterFiles, layers: dict[str, Path], row: Combination) -> Scene:
    """The scene of a window with the coarse maps and percentages of a row."""
    maps = [CoarseMap({"nlcd": files.coarse, **layers}[n], n) for n in row if n in LEGENDED]
    percent = {name: layers[name] for name in row if name not in LEGENDED}
    rest = {name: getattr(files, name) for name in ("roads", "buildings", "water", "truth")}
    options = {"black_is_no_data": files.black_is_no_data, "bands": files.bands}
    return lc.open_scene(files.image, coarse=maps, **rest, **percent, **options)


LEGENDED = ("nlcd", "worldcover", "corine")


def scored(scene: Scene) -> tuple[Scores, Scores]:
    """Scores of weak labels and of the engine `evidence`, at 4 m."""
    truth, valid = scene.truth(scene.extent), scene.valid(scene.extent)
    found = lc.observe(scene)
    maps = (found.weak_labels, lc.infer(found, "evidence"))
    weak, evidence = (
        score(np.where(valid, p.argmax(axis=0) + 1, 0), truth, "five_classes") for p in maps
    )
    return weak, evidence


def product(maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The product of the maps that have data, renormalised."""
    known = np.stack([p.any(axis=0) for p in maps])
    found = np.ones_like(maps[0])
    for p, there in zip(maps, known, strict=True):
        found *= np.where(there, np.maximum(p, 1e-6), 1)
    found *= known.any(axis=0)
    return found / np.maximum(found.sum(axis=0), np.finfo(np.float32).tiny)


def arithmetic(maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean of the maps that have data."""
    mean = np.sum(maps, axis=0)
    return (mean / np.maximum(mean.sum(axis=0), 1e-9)).astype(np.float32)


RULES: dict[str, Callable[[list[NDArray[np.float32]]], NDArray[np.float32]]] = {
    "geometric mean": coarse_classes.pooled,
    "product": product,
    "arithmetic mean": arithmetic,
}


def shown(scores: Scores) -> str:
    """Accuracy and mean IoU."""
    return f"{scores.accuracy:.3f} / {scores.mean_iou:.3f}"


def print_maps(windows: dict[str, RasterFiles], folder: Path) -> None:
    """The table of maps."""
    names = [f"{city}, {what}" for city in windows for what in ("weak labels", "`evidence`")]
    print("| coarse maps | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * len(names))
    layers = {}
    for city, files in windows.items():
        (folder / city).mkdir()
        layers[city] = drawn(files.truth.path, folder / city)
    for row in ROWS:
        titles = [
            (CoarseLegend.load(n).title if n in LEGENDED else f"% {n}") + " (drawn)" * (n != "nlcd")
            for n in row
        ]
        cells_ = [
            shown(scores)
            for city, files in windows.items()
            for scores in scored(opened(files, layers[city], row))
        ]
        print(f"| {' + '.join(titles)} | " + " | ".join(cells_) + " |", flush=True)


def print_rules(windows: dict[str, RasterFiles], folder: Path) -> None:
    """The table of rules to combine maps, and what leaving each window out chooses."""
    print("| window, maps | " + " | ".join(RULES) + " |")
    print("|---|" + "---:|" * len(RULES))
    gains: dict[str, NDArray[np.float64]] = {}
    for city, files in windows.items():
        (folder / city).mkdir()
        layers = drawn(files.truth.path, folder / city)
        values = []
        for row in POOLED:
            found = {}
            for name, rule in RULES.items():
                with patch.object(coarse_classes, "pooled", rule):
                    found[name] = scored(opened(files, layers, row))[1]
            print(f"| {city}, {' + '.join(row)} | " + " | ".join(map(shown, found.values())) + " |")
            values.append([s.accuracy + s.mean_iou for s in found.values()])
        gains[city] = np.mean(values, axis=0)
    for city in gains:
        others = np.mean([gain for name, gain in gains.items() if name != city], axis=0)
        print(f"without {city}: {list(RULES)[int(others.argmax())]}")


def main(*, pooling: bool) -> None:
    """Prints the table."""
    with TemporaryDirectory() as text:
        folder = Path(text)
        scenes = {scene.name: scene for scene in _real(folder)}
        wanted = ("Pittsburgh", "Durham", *(("oem-austin", "WV patches") if pooling else ()))
        windows = {name: scenes[name].files.rasters for name in wanted}
        (print_rules if pooling else print_maps)(windows, folder)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--pooling", action="store_true")
    main(pooling=options.parse_args().pooling)
