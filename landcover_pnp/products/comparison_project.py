"""A comparison in QGIS: the changes and the two maps, each a theme of one project."""

from __future__ import annotations

from pathlib import Path

from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from landcover_pnp.legend import Legend
from landcover_pnp.legends.palettes import Palette, coloured
from landcover_pnp.products.qgis import Group, Layer, Project, write_qgz
from landcover_pnp.products.stac import relative
from landcover_pnp.products.styles import ClassStyle
from landcover_pnp.storage.map_legend import legend_of
from landcover_pnp.storage.raster import open_raster

PROJECT = "comparison.qgz"
"""Name of the project of a comparison."""

CHANGE = "change"
"""Name of a layer of changes, and of the theme that shows it."""


def write_project(
    path: Path, geobox: GeoBox, changes: Legend, maps: tuple[Path, Path], palette: Palette
) -> None:
    """Writes the project of a comparison; its maps are named from its own folder on.

    Args:
        path: The project.
        geobox: Grid of ``difference.tif`` beside it.
        changes: Legend of that.
        maps: Map A and map B, which are left out where they have two CRSs.
        palette: Colours of the maps' classes.
    """
    layers, systems = list[Layer](), list[CRS]()
    for name, there in zip(("map A", "map B"), maps, strict=True):
        with open_raster(there, name) as source:
            systems.append(CRS(source.crs))
            style = ClassStyle(coloured(legend_of(source), palette).legend)
        layers.insert(0, Layer(name, relative(there, path.parent), style, shown=False))
    change = Layer(CHANGE, "./difference.tif", ClassStyle(changes))
    groups = Group("Change", (change,)), Group("Maps", tuple(layers))
    left, bottom, right, top = geobox.boundingbox
    project = Project(
        "What differs",
        CRS(str(geobox.crs)),
        (left, bottom, right, top),
        groups if systems[0] == systems[1] else groups[:1],
        {},
    )
    write_qgz(path, project)
