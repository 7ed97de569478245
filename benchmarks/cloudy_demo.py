"""The demo's city under a cloud: what is mapped below it and below its shadow.

A white cloud with a soft rim and its shadow are drawn onto the image of synthetic cities, the
demo's own first. Each city is mapped four times by the default configuration and a forest student:

  filled        with the cloud and its shadow as `scene.rasters.clouds`
  harmonic      the same map, what is hidden filled by Laplace's equation from around it instead
  not masked    as if there were no cloud: the student learns from what it looks like
  clear sky     the image without a cloud, which no map under one can reach

Printed are accuracy and mean IoU of the hidden ground, and, of the filled map, the share of
neighbours of unlike class across the rim of the hidden ground and two pixels outside of it: an
invisible rim has as many. A picture shows image, mask, filled map and truth of the first city.

Usage: python benchmarks/cloudy_demo.py FOLDER [--width 512] [--looks desert ...]
"""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import rasterio
from holes import harmonic
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter, shift
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.errors import LandcoverWarning
from landcover_pnp.evaluation.scores import score
from landcover_pnp.legend import ENVIROATLAS, WORKING, to_working
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.pictures import class_picture
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import (
    EnviroAtlasTile,
    LayerFile,
    Look,
    RasterFiles,
    SceneSettings,
    SyntheticSettings,
)
from landcover_pnp.scenes.synthetic import write_city
from landcover_pnp.storage.run_folder import RunFolder

NEWCOMER = Path(__file__).parents[1] / "configs" / "cities" / "own_files.yaml"
ACROSS_M, SHADOW_M, DARK, SEED = 150, (40, -70), 0.35, 0
OPAQUE = 0.05
"""Part of the light of the ground that a cloud or shadow may take before a pixel is masked."""

Pixels = NDArray[np.uint8]


def cloud(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Opacity (y, x) at 1 m of a ragged cloud in the middle of a city."""
    y, x = np.indices(shape) - np.array(shape)[:, None, None] / 2
    ragged = gaussian_filter(np.random.default_rng(SEED).normal(size=shape), 12)
    height = 1 - np.hypot(y, x) / (ACROSS_M / 2) + 0.4 * ragged / ragged.std()
    return np.asarray(gaussian_filter(np.clip(3 * height, 0, 1), 3))


def clouded(image: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
    """An image (band, y, x) under a cloud, and the ground (y, x) that is not to be seen."""
    opacity = cloud(image.shape[1:])
    shadow = shift(opacity, SHADOW_M, order=1)
    light = image * (1 - DARK * shadow) * (1 - opacity) + 250 * opacity
    return light.astype(np.uint8), (opacity > OPAQUE) | (shadow > OPAQUE)


def write_clouded(files: RasterFiles, folder: Path) -> tuple[RasterFiles, RasterFiles]:
    """The scene under the cloud: without a mask, and with one."""
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(files.image) as source:
        image, profile = source.read(), source.profile
    pixels, hidden = clouded(image)
    with rasterio.open(folder / "image.tif", "w", **profile) as target:
        target.write(pixels)
    with rasterio.open(folder / "clouds.tif", "w", **{**profile, "count": 1}) as target:
        target.write(hidden.astype(np.uint8), 1)
    plain = replace(files, image=folder / "image.tif")
    return plain, replace(plain, clouds=LayerFile(folder / "clouds.tif"))


def mapped(files: RasterFiles, run: Path, words: list[str]) -> Pixels:
    """The map (y, x) of working classes, at the image's own pixels."""
    options = [f"--{word}" for word in words]
    settings = load_settings(MapSettings, NEWCOMER, options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LandcoverWarning)
        map_city(replace(settings, scene=SceneSettings(files), workers=0), run)
    return band(RunFolder(run).landcover)


def band(path: Path) -> Pixels:
    """The first band of a raster."""
    with rasterio.open(path) as source:
        pixels: Pixels = source.read(1)
    return pixels


def rim(codes: Pixels, hidden: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of neighbours of unlike class across the rim of hidden ground, and two pixels out."""
    found = []
    for grown in (hidden, binary_dilation(hidden, iterations=2)):
        unlike = total = 0
        for turned, inside in ((codes, grown), (codes.T, grown.T)):
            across = inside[:, 1:] != inside[:, :-1]
            unlike += int((turned[:, 1:] != turned[:, :-1])[across].sum())
            total += int(across.sum())
        found.append(unlike / max(total, 1))
    return found[0], found[1]


def picture(path: Path, files: RasterFiles, hidden: NDArray[np.bool_], *maps: Pixels) -> None:
    """Image, mask, and maps side by side, around the hidden ground."""
    with rasterio.open(files.image) as source:
        image = np.moveaxis(source.read([1, 2, 3]), 0, -1)
    panels = [image, np.where(hidden, 255, 60).astype(np.uint8)[..., None].repeat(3, 2)]
    panels += [class_picture(codes, WORKING)[..., :3] for codes in maps]
    y, x = np.nonzero(hidden)
    seen = np.s_[max(y.min() - 40, 0) : y.max() + 40, max(x.min() - 40, 0) : x.max() + 40]
    white = ((0, 0), (0, 6), (0, 0))
    row = np.concatenate([np.pad(p[seen], white, constant_values=255) for p in panels], axis=1)
    colours = Image.fromarray(row).quantize(96)
    colours.save(path, optimize=True)


def compare(look: Look, width_m: int, seed: int, folder: Path, words: list[str]) -> Path | None:
    """Prints the rows of a city; returns where its maps lie."""
    drawn = write_city(SyntheticSettings(look, width_m, seed), folder / "cities")
    files = tile_files(EnviroAtlasTile(folder / "cities", drawn.city, "test", drawn.tile))
    own = folder / f"{look}-{seed}-{width_m}"
    plain, masked = write_clouded(files, own)
    hidden = band(own / "clouds.tif") > 0
    truth = to_working(band(files.truth.path), ENVIROATLAS) if files.truth else np.zeros(0)
    filled = mapped(masked, own / "filled", words)
    maps = {
        "filled": filled,
        "harmonic": np.where(hidden, harmonic(np.where(hidden, 0, filled), hidden), filled),
        "not masked": mapped(plain, own / "not_masked", words),
        "clear sky": mapped(files, own / "clear", words),
    }
    for name, codes in maps.items():
        found = score(np.where(hidden, codes, 0), np.where(hidden, truth, 0), "five_classes")
        print(f"| {look} {seed} | {name} | {found.accuracy:.3f} | {found.mean_iou:.3f} |")
    across, beside = rim(filled, hidden)
    print(
        f"  rim of the filled ground: {across:.3f} unlike across, {beside:.3f} beside", flush=True
    )
    np.savez_compressed(own / "maps.npz", hidden=hidden, filled=filled, truth=truth)
    picture(own / "picture.png", plain, hidden, filled, truth)
    return own / "picture.png"


def main(folder: Path, looks: list[Look], width_m: int, seed: int, words: list[str]) -> None:
    """Maps the cities and prints the table."""
    print("| city | hidden ground | accuracy | mean IoU |\n|---|---|---:|---:|")
    for look in looks:
        print(f"  picture: {compare(look, width_m, seed, folder, words)}", flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="folder of cities, maps and pictures")
    options.add_argument("--width", type=int, default=512, help="side of the cities, metres")
    options.add_argument("--looks", nargs="+", default=["desert"], choices=get_args(Look))
    options.add_argument("--seed", type=int, default=SyntheticSettings().seed)
    options.add_argument("--words", nargs="*", default=[], help="changes of the configuration")
    given = options.parse_args()
    main(given.folder, given.looks, given.width, given.seed, given.words)
