"""The overview: one picture of a run, to be looked at before anything else."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Patch

from landcover_pnp.legend import recoded
from landcover_pnp.legends.result_legend import FIVE
from landcover_pnp.legends.shared_legend import SharedLegend
from landcover_pnp.products.page import hex_colour
from landcover_pnp.products.pictures import (
    RGBA,
    class_picture,
    image_picture,
    ramp_picture,
    thinned,
    truth_labels,
)
from landcover_pnp.products.rasters import CONFIDENCE_RAMP
from landcover_pnp.products.result_classes import map_legend
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.run_folder import RunFolder

PANEL_PX = 900
"""Longest side of a panel; larger maps are thinned out."""

DPI = 100
"""Pixels of the picture per inch of the figure."""


def write_overview(run: Path) -> Path:
    """Draws image, weak labels, evidence, map, confidence and, where there is one, truth.

    Args:
        run: Folder of a run with its products.

    Returns:
        The PNG file.
    """
    paths = RunFolder(run)
    scene, legend = Scene.open(paths.scene), map_legend(paths.landcover)
    panels: dict[str, RGBA] = {"image": image_picture(scene, PANEL_PX)}
    for title, stem in {
        "weak labels": "weak_labels",
        "evidence": "evidence",
        "map": "landcover",
    }.items():
        panels[title] = class_picture(thinned(paths.raster(stem), PANEL_PX)[0], legend.legend)
    percent = thinned(paths.confidence, PANEL_PX)[0]
    panels["confidence (dark: low)"] = ramp_picture(percent, CONFIDENCE_RAMP)
    truth = truth_labels(scene, PANEL_PX)
    if truth is not None:
        shared = SharedLegend.of(legend, FIVE)
        panels["truth"] = class_picture(recoded(truth, shared.second), shared.legend)

    height, width = panels["image"].shape[:2]
    columns = 3
    rows = -(-len(panels) // columns)
    # A strip of a map would be a picture too long to be opened.
    panel_in = min(12 / columns * height / width, PANEL_PX / DPI)
    figure = Figure(figsize=(12, rows * panel_in + 0.9), layout="constrained")
    for number, (title, picture) in enumerate(panels.items(), start=1):
        axis = figure.add_subplot(rows, columns, number)
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title)
        axis.axis("off")
    known = get_font(findfont(FontProperties())).get_charmap()
    handles = [
        Patch(
            facecolor=hex_colour(c.colour),
            edgecolor="0.5",
            # A script that the font does not have would be empty boxes.
            label=c.name if {*map(ord, c.name)} <= known.keys() else f"class {c.code}",
        )
        for c in legend.legend.classes
    ]
    legend_row = figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False
    )
    for text in legend_row.get_texts():
        text.set_parse_math(False)  # a dollar sign in a name
    path = paths.overview
    with completed(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI)
    return path
