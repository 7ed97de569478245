"""Scenes with truth on which defaults are chosen: real ones of ../shared, and synthetic cities.

Scenes of files are mapped as a user would map them. dp0 to dp3 are patches without NLCD, with weak
labels as given: no matrix and no student takes part there, engines alone do. The quarter quad of
Chesapeake is decimated to 24 m, which no prior serves. The sixteen Chesapeake patches lie side by
side on one raster, a gap of 64 m without data between them. The seeds of the synthetic cities stand
nowhere else in this repository; two of the cities are mapped without their near infrared.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from affine import Affine
from engine_scenes import PIXEL_M, REAL
from numpy.typing import NDArray

from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import (
    EnviroAtlasTile,
    LayerFile,
    Look,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
    TruthFile,
)
from landcover_pnp.scenes.synthetic import write_city

CITIES: dict[tuple[Look, int], bool] = {
    ("humid_east", 53): True,
    ("piedmont", 67): True,
    ("hill_country", 79): True,
    ("desert", 83): True,
    ("humid_east", 97): False,
    ("desert", 97): False,
}
"""Look and seed of the synthetic cities, and whether near infrared is used."""

PATCHES = {
    "dp0": "austin_tx_dp0",
    "dp1": "austin_tx_dp1",
    "dp2": "unknown_dp2",
    "dp3": "unknown_dp3",
}
"""Files of ea-patches by the names of the scenes."""

_CITY_M = 512
_PATCH_PX, _GAP_PX, _ACROSS = 256, 64, 4
_CHESAPEAKE = np.array([0, 10, 40, 70, 30, 20, 20], np.uint8)  # its seven classes as EnviroAtlas'
_QUAD = "m_3907833_nw_17_1"


@dataclass(frozen=True)
class TruthScene:
    """A scene that configurations are scored on.

    Attributes:
        name: Its name.
        files: Its layers and working grid; None is a patch with given weak labels.
        kind: Whether it is of the real world.
        austin: Whether it lies in Austin.
        cell_m: Side of the cells that are resampled, metres.
    """

    name: str
    files: SceneSettings | None
    kind: Literal["real", "synthetic"] = "real"
    austin: bool = False
    cell_m: float = 30.0

    @property
    def patch(self) -> str:
        """Name of its files in ea-patches."""
        return PATCHES[self.name]

    @property
    def served(self) -> bool:
        """Whether the shipped prior serves its working grid."""
        return self.files is None or self.files.resolution_m == PIXEL_M


def truth_scenes(folder: Path) -> dict[str, TruthScene]:
    """All scenes that are there, by name.

    Args:
        folder: Where cities are drawn and rasters put together; what is there is not made again.
    """
    found = [*_real(folder), *_synthetic(folder)] if REAL.is_dir() else [*_synthetic(folder)]
    return {scene.name: scene for scene in found}


def _real(folder: Path) -> Iterator[TruthScene]:
    for name, city in (("Pittsburgh", "pittsburgh_pa"), ("Durham", "durham_nc")):
        yield TruthScene(name, SceneSettings(_window(REAL / "ea-mini" / city)))
    for name in PATCHES:
        yield TruthScene(name, None, austin=PATCHES[name].startswith("austin"))
    oem = REAL / "oem-austin"
    objects = partial(LayerFile, oem / "roads_buildings.tif")
    files = RasterFiles(
        image=oem / "image.tif",
        coarse=oem / "nlcd_from_labels.tif",
        roads=objects([11]),
        buildings=objects([2]),
        truth=TruthFile(oem / "labels.tif"),
    )
    yield TruthScene("oem-austin", SceneSettings(files), austin=True)
    yield TruthScene("WV quad", SceneSettings(_quad(folder), resolution_m=24.0), cell_m=240.0)
    yield TruthScene("WV patches", SceneSettings(_patches(folder)))


def _window(city: Path) -> RasterFiles:
    """A window of ea-mini; osm.tif: 1 water body, 2 building, 11 road, 12 waterway."""
    objects = partial(LayerFile, city / "osm.tif")
    return RasterFiles(
        image=city / "naip.tif",
        coarse=city / "nlcd.tif",
        roads=objects([11]),
        buildings=objects([2]),
        water=objects([1, 12]),
        truth=TruthFile(city / "labels.tif"),
    )


def _quad(folder: Path) -> RasterFiles:
    source = REAL / "chesapeake-cvpr-wv"
    truth = folder / "wv_quad_truth.tif"
    if not truth.exists():
        with rasterio.open(source / f"{_QUAD}_lc.tif") as lc:
            _write(truth, _CHESAPEAKE[lc.read()], lc.transform)
    return RasterFiles(
        image=source / f"{_QUAD}_naip-new.tif",
        coarse=source / f"{_QUAD}_nlcd.tif",
        buildings=LayerFile(source / f"{_QUAD}_buildings.tif"),
        truth=TruthFile(truth),
    )


def _patches(folder: Path) -> RasterFiles:
    """The sixteen patches of 256 m; the CRS is only there to have one."""
    somewhere = Affine(1, 0, 600_000, 0, -1, 4_100_000)
    layers = {"naip2013-14": "image", "nlcd": "nlcd", "buildings": "buildings", "lc": "truth"}
    paths = {name: folder / f"wv_patches_{name}.tif" for name in layers.values()}
    for layer, name in layers.items():
        if paths[name].exists():
            continue
        mosaic = _side_by_side(sorted((REAL / "chesapeake-cvpr-wv").glob(f"wv_1m_*_{layer}.tif")))
        _write(paths[name], _CHESAPEAKE[mosaic] if layer == "lc" else mosaic, somewhere)
    return RasterFiles(
        image=paths["image"],
        coarse=paths["nlcd"],
        buildings=LayerFile(paths["buildings"]),
        truth=TruthFile(paths["truth"]),
        black_is_no_data=True,
    )


def _side_by_side(files: list[Path]) -> NDArray[np.uint8]:
    """Rasters (band, y, x) on one, row by row, 0 between them."""
    step = _PATCH_PX + _GAP_PX
    side = _ACROSS * step - _GAP_PX
    mosaic = np.zeros((0, side, side), np.uint8)
    for number, file in enumerate(files):
        with rasterio.open(file) as source:
            if not len(mosaic):
                mosaic = np.zeros((source.count, side, side), np.uint8)
            y, x = (step * k for k in divmod(number, _ACROSS))
            mosaic[:, y : y + _PATCH_PX, x : x + _PATCH_PX] = source.read()
    return mosaic


def _write(path: Path, pixels: NDArray[np.uint8], transform: Affine) -> None:
    """A GeoTIFF that is there complete or not at all: another process may look for it."""
    partial_path = path.with_name(f".{os.getpid()}-{path.name}")
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    with rasterio.open(
        partial_path, "w", driver="GTiff", crs="EPSG:26917", transform=transform, **shape
    ) as target:
        target.write(pixels)
    partial_path.replace(path)


def _synthetic(folder: Path) -> Iterator[TruthScene]:
    for (look, seed), infrared in CITIES.items():
        root = folder / f"{look}-{seed}"
        if not root.exists():
            drawn = folder / f".{os.getpid()}-{root.name}"
            write_city(SyntheticSettings(look, _CITY_M, seed), drawn)
            with suppress(OSError):  # another process was quicker
                drawn.rename(root)
        files = tile_files(EnviroAtlasTile(root, f"synthetic_{look}-{seed}_1m", "test"))
        if not infrared:
            files = replace(files, bands=["red", "green", "blue", "other"])
        name = f"{look} {seed}" + ("" if infrared else " RGB")
        yield TruthScene(name, SceneSettings(files), kind="synthetic")
