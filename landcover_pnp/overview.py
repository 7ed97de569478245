"""The overview: one picture of a run, to be looked at before anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from rasterio.enums import Resampling

from landcover_pnp.geotiff import completed
from landcover_pnp.legend import LEGENDS, WORKING, to_working
from landcover_pnp.mosaic import PERCENT_NO_DATA
from landcover_pnp.sources.scene import Scene

PANEL_PX = 900
"""Longest side of a panel; larger maps are thinned out."""


def write_overview(run: Path) -> Path:
    """Draws image, weak labels, evidence, map, confidence and, where there is one, truth.

    Args:
        run: Folder of a run with its products.

    Returns:
        The PNG file.
    """
    scene = Scene.open(run / "scene")
    panels: dict[str, NDArray[Any]] = {"image": _image(scene)}
    for title, stem in {
        "weak labels": "weak_labels",
        "evidence": "evidence",
        "map": "landcover",
    }.items():
        panels[title] = _palette()[_thinned(run / f"{stem}.tif")[0]]
    percent = _thinned(run / "confidence.tif")[0]
    panels["confidence (dark: low)"] = np.ma.masked_equal(percent, PERCENT_NO_DATA)
    if scene.truth_legend is not None:
        codes = _thinned(scene.folder / "truth.tif")[0]
        panels["truth"] = _palette()[to_working(codes, LEGENDS[scene.truth_legend])]

    height, width = panels["image"].shape[:2]
    columns = 3
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(12, 12 * rows / columns * height / width + 0.9), layout="constrained")
    for number, (title, picture) in enumerate(panels.items(), start=1):
        axis = figure.add_subplot(rows, columns, number)
        axis.imshow(picture, interpolation="nearest", cmap="viridis", vmin=20, vmax=100)
        axis.set_title(title)
        axis.axis("off")
    handles = [
        Patch(facecolor="#{:02x}{:02x}{:02x}".format(*c.colour), edgecolor="0.5", label=c.name)
        for c in WORKING.classes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    path = run / "overview.png"
    with completed(path) as partial:
        figure.savefig(partial, format="png", dpi=100)
    return path


def _thinned(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as source:
        factor = max(1.0, max(source.height, source.width) / PANEL_PX)
        shape = (source.count, round(source.height / factor), round(source.width / factor))
        return np.asarray(source.read(out_shape=shape, resampling=Resampling.nearest))


def _palette() -> NDArray[np.uint8]:
    colours = [(255, 255, 255), *(c.colour for c in WORKING.classes)]
    return np.array(colours, np.uint8)


def _image(scene: Scene) -> NDArray[np.float32]:
    colours = np.moveaxis(_thinned(scene.folder / "image.tif")[:3], 0, -1)
    valid = _thinned(scene.folder / "valid.tif")[0] == 1
    scaled = np.clip(colours / scene.image_scale, 0, 1)
    return np.where(valid[..., None], scaled, 1).astype(np.float32)
