"""Two maps of the same ground compared: two dates, or two engines."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import GridError, RequestError
from landcover_pnp.grid import Box
from landcover_pnp.legend import LandClass, Legend
from landcover_pnp.legends.palettes import Palette
from landcover_pnp.products.changes import (
    Labels,
    both_classes,
    difference,
    difference_legend,
    transitions_of,
    write_difference,
)
from landcover_pnp.products.comparison_project import PROJECT, write_project
from landcover_pnp.products.page import render
from landcover_pnp.products.picture_grid import PictureGrid
from landcover_pnp.products.pictures import class_picture
from landcover_pnp.products.viewer import (
    TILES_BYTES,
    Viewer,
    class_entries,
    size_of_tiles,
    tiled_layer,
)
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.integrity import require_intact_rasters
from landcover_pnp.storage.newest import is_corrected, newest
from landcover_pnp.storage.owned_folder import OwnedFolder, make_owned, require_apart
from landcover_pnp.storage.run_folder import RunFolder

FILES = (
    "difference.tif",
    "difference.tif.aux.xml",
    "difference.qml",
    "transitions.csv",
    "comparison.html",
    PROJECT,
)
"""Names of what a comparison writes."""


@dataclass(frozen=True)
class Comparison:
    """What differs between two maps.

    Attributes:
        folder: Folder of difference map, transition table and report.
        transitions: (class of A, class of B) int64 pixels, where both have a class.
        pixel_m2: Area of a pixel.
        classes: The classes that both maps tell apart, in the order of the transitions.
        notes: What was done to the maps, one sentence each.
    """

    folder: Path
    transitions: NDArray[np.int64]
    pixel_m2: float
    classes: tuple[LandClass, ...]
    notes: tuple[str, ...]

    @property
    def changed(self) -> float:
        """Share of the common ground whose class differs; nan without common ground."""
        total = int(self.transitions.sum())
        return 1 - int(np.trace(self.transitions)) / total if total else float("nan")

    @property
    def rows(self) -> list[tuple[str, str, int, float]]:
        """Class in A, class in B, pixels and hectares of every transition that occurs."""
        return [
            (a.name, b.name, int(n), round(int(n) * self.pixel_m2 / 1e4, 4))
            for a, counts in zip(self.classes, self.transitions, strict=True)
            for b, n in zip(self.classes, counts, strict=True)
            if n
        ]


def compare_maps(a: Path, b: Path, out: Path, palette: Palette = "standard") -> Comparison:
    """Compares two class maps where both have data.

    Writes ``difference.tif`` with legend and QGIS style, ``comparison.qgz`` with changes and
    maps as themes, ``transitions.csv`` and ``comparison.html``. Map B is brought onto the grid of
    map A, by nearest neighbour. Maps of different legends are compared in the finest classes that
    both tell apart.

    Args:
        a: Run folder, or class map; one that does not say its legend is in working codes.
        b: Run folder, or class map.
        out: Folder of the results.
        palette: Colours of the classes.

    Returns:
        The transitions.

    Raises:
        RasterError: If a map cannot be read, or map A has no projected CRS in metres.
        LegendError: If a map has codes of another legend, or the legends have nothing in common.
        GridError: If the maps have no ground in common.
        RunError: If a result cannot be written.
    """
    for given in (a, b):
        require_intact_rasters(given)
    OwnedFolder.take(out, "comparison")  # refused now rather than after the work
    require_apart((_map_of(a), _map_of(b)), [out])
    with both_classes(_map_of(a), _map_of(b), palette) as (geobox, classes, pairs, notes):
        grid = PictureGrid.of(geobox)
        shown = np.zeros((2, *grid.shape), np.uint8)

        def look(box: Box, both: tuple[Labels, Labels]) -> None:
            for picture, numbers in zip(shown, both, strict=True):
                grid.take(picture, numbers, box)

        transitions = transitions_of(geobox, classes, pairs, look)
        if not transitions.any():
            raise GridError(
                found=f"{a} and {b} have no pixel with a class in both",
                expected="two maps of the same ground",
                fix="compare maps of one city",
            )
        legend = difference_legend(transitions, classes)
        make_owned(out, "comparison", *FILES)
        write_difference(out / "difference.tif", geobox, legend, pairs)
        write_project(out / PROJECT, geobox, legend, (_map_of(a), _map_of(b)), palette)
    pixel_m2 = abs(geobox.resolution.x * geobox.resolution.y)
    comparison = Comparison(out, transitions, pixel_m2, classes, tuple(notes))
    text = io.StringIO()
    head = ("class in A", "class in B", "pixels", "hectares")
    csv.writer(text, lineterminator="\n").writerows([head, *comparison.rows])
    write_text(out / "transitions.csv", text.getvalue())
    write_text(
        out / "comparison.html", _report(a, b, comparison, _viewer(grid, shown, legend, classes))
    )
    return comparison


def both_maps(run: Path) -> tuple[Path, Path]:
    """The map of a run before and after its user has corrected it.

    Raises:
        RequestError: If the run has not been corrected.
    """
    paths = RunFolder(run)
    if not is_corrected(paths):
        raise RequestError(
            found=f"no RUN_B, and no corrections in {run}",
            expected="two maps, or a run whose map `landcover correct` has changed",
            fix="name another map of the same ground, or correct this one first",
        )
    require_intact_rasters(run)
    return paths.landcover, newest(paths).landcover


def _map_of(path: Path) -> Path:
    return newest(RunFolder(path)).landcover if path.is_dir() else path


def _viewer(
    grid: PictureGrid, shown: Labels, legend: Legend, classes: Sequence[LandClass]
) -> Viewer:
    """Map A below what differs, and below map B.

    Args:
        grid: Pixels of the pictures, no finer than the map's.
        shown: (map, y, x) numbers of the classes in A and in B.
        legend: Legend of the difference map.
        classes: The classes.
    """
    both = Legend("both", tuple(LandClass(n, c.name, c.colour) for n, c in enumerate(classes, 1)))
    while True:
        below, *layers = (
            tiled_layer(name, class_picture(codes, known), class_entries(known), exact=True)
            for name, codes, known in (
                ("map A", shown[0], both),
                ("what differs", difference(*shown), legend),
                ("map B", shown[1], both),
            )
        )
        if size_of_tiles((below, *layers)) <= TILES_BYTES:
            return Viewer(grid, below, tuple(layers), title="Two maps and what differs")
        grid, shown = PictureGrid(grid.map, 2 * grid.step), shown[:, ::2, ::2]


def _report(a: Path, b: Path, comparison: Comparison, viewer: Viewer) -> str:
    hectares = comparison.transitions * comparison.pixel_m2 / 1e4
    rows = [
        (c, *(f"{v:,.2f}" for v in row), f"{row.sum():,.2f}")
        for c, row in zip(comparison.classes, hectares, strict=True)
    ]
    together = f"{hectares.sum():,.2f}"
    largest = sorted(comparison.rows, key=lambda row: -row[2])
    return render(
        "comparison.html",
        title="What differs",
        a=a,
        b=b,
        notes=comparison.notes,
        changed=f"{comparison.changed:.1%}",
        together=together,
        head=["in A", *(c.name for c in comparison.classes), "together"],
        rows=[*rows, ("in B", *(f"{v:,.2f}" for v in hectares.sum(axis=0)), together)],
        viewer=viewer,
        changes=[(f"{x} to {y}", f"{ha:,.2f}") for x, y, _, ha in largest if x != y],
    )
