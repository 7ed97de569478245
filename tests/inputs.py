"""Small input files made by the tests: right ones, and wrong ones on purpose."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from landcover_pnp.legends.coarse_legend import CoarseLegend
from landcover_pnp.scenes.scene import Scene

NLCD = CoarseLegend.load("nlcd")
DEFINITIONS = NLCD.definitions
"""p(class | code) of NLCD by its texts: (code class, class)."""

UTM = "EPSG:26917"
ORIGIN = (586_000.0, 4_476_000.0)
"""Upper left corner, in Pittsburgh."""


def write_tif(
    path: Path,
    pixels: NDArray[Any],
    resolution_m: float = 1.0,
    crs: str | None = UTM,
    origin: tuple[float, float] = ORIGIN,
    **profile: Any,
) -> Path:
    """Writes (band, y, x) or (y, x) pixels north up from an upper left corner."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    count, height, width = pixels.shape
    transform = Affine(resolution_m, 0, origin[0], 0, -resolution_m, origin[1])
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=pixels.dtype,
        crs=crs,
        transform=transform,
        **profile,
    ) as target:
        target.write(pixels)
    return path


def codes_of(scene: Scene) -> NDArray[np.integer]:
    """(y, x) codes of the first coarse map of a whole scene, 0 = no data."""
    codes = np.array([0, *scene.legends[0].codes])
    return codes[scene.coarse(scene.extent)[0]]


def numbered(nlcd: NDArray[np.integer]) -> NDArray[np.uint8]:
    """(y, x) numbers of the classes of NLCD codes, as scenes have them; 0 = no data."""
    return np.searchsorted([0, *NLCD.codes], nlcd).astype(np.uint8)


def colours(bands: int = 3, size: int = 240, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    """(band, y, x): dark left half, bright right half, with noise."""
    rng = np.random.default_rng(seed)
    base = np.where(np.arange(size) < size // 2, 60, 170)
    pixels = np.clip(base + rng.normal(0, 10, (bands, size, size)), 1, 254)
    return (pixels * (257 if dtype == "uint16" else 1)).astype(dtype)


def two_halves(left: int, right: int, size: int = 240) -> NDArray[np.uint8]:
    """(y, x) labels: one class on the left, another on the right."""
    return np.where(np.indices((size, size))[1] < size // 2, left, right).astype(np.uint8)


def write_scene(folder: Path, **layers: NDArray[Any]) -> Path:
    """A small scene's files and its configuration; ``layers`` replace the standard pixels.

    Left half forest (dark), right half developed (bright); truth agrees. Without a student, a
    refinement or spectral indices: what needs one asks for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tif(folder / "image.tif", layers.get("image", colours()))
    write_tif(folder / "nlcd.tif", layers.get("nlcd", two_halves(41, 24)))
    write_tif(folder / "truth.tif", layers.get("truth", two_halves(40, 20)))
    config = folder / "scene.yaml"
    config.write_text(
        "scene:\n  rasters: {image: image.tif, nlcd: nlcd.tif, truth: {path: truth.tif}}\n"
        "profile: fast\nweak_labels: {refinement: null}\n"
        "inference: {engine: evidence, evidence: {spectral_indices: false}}\nworkers: 1\n"
    )
    return config
