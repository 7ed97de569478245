"""What polygons keep of a map, and what they look like.

    python benchmarks/polygons.py RUN [RUN ...]
    python benchmarks/polygons.py RUN --compare "200 m2, 12 m:min_area_m2=200 simplify_m=12"
    python benchmarks/polygons.py RUN --picture docs/polygons_1m.png --middle 300 420 --side 160

A row a run and choice of settings, the default one and those of --compare: polygons; the share of
them with three corners, and of those that are slivers (less than a tenth of the area of a circle of
the same outline); vertices by kilometre of outline; the class whose area differs most from the
map's, as a share of the map; corners of buildings that are right angles to a degree; and, of the
whole coverage, overlaps and gaps in square metres. --picture draws map, first comparison and
default side by side, around a pixel (column, row) of the first run.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
import shapely
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from words import parser

from landcover_pnp.config import load_settings
from landcover_pnp.legend import WORKING
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.page import hex_colour
from landcover_pnp.products.polygons import Geometries, patches, sieved, simplified, staircases
from landcover_pnp.products.roofs import ROOF, roofs_of, squared
from landcover_pnp.products.settings import PublishSettings

Named = tuple[str, PublishSettings, bool]
"""Name of a choice, its settings, whether buildings are apart."""

EARLIER: Named = ("200 m2, 12 m", PublishSettings(min_area_m2=200, simplify_m=12), False)
"""The defaults of version 0.2."""


def choice(text: str) -> Named:
    """Settings from ``NAME:key=value ...``."""
    name, colon, words = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME:key=value ...")
    options = [f"--{word}" for word in words.split()]
    return name.strip(), load_settings(PublishSettings, overrides=options), True


def made(run: Path, named: Named) -> tuple[NDArray[np.uint8], Geometries, NDArray[np.intp], float]:
    """The labels of a run, its polygons, their classes (roofs: ``ROOF`` more), the pixel's side."""
    _, settings, apart = named
    with rasterio.open(run / "landcover.tif") as source:
        labels, pixel_m, geobox = source.read(1), source.res[0], GeoBox.from_rio(source)
    kinds, roofs = labels.astype(np.uint16), roofs_of(FinishedRun.open(run)) if apart else None
    if roofs is not None:
        kinds = roofs.set_apart(kinds, geobox)
    numbers = patches(sieved(kinds, settings.smallest_px(pixel_m**2)))
    own = np.zeros(numbers.max() + 1, np.intp)
    own[numbers] = sieved(kinds, settings.smallest_px(pixel_m**2))
    outlines = simplified(numbers, settings.detail_px(pixel_m))
    return labels, squared(outlines, own[1:] > ROOF), own[1:], pixel_m


def right_angles(outlines: Geometries) -> float:
    """Share of the corners of outlines that are right angles to a degree."""
    found = []
    for outline in outlines:
        xy = shapely.get_coordinates(shapely.get_exterior_ring(outline))[:-1]
        angle = np.degrees(np.angle((np.roll(xy, -1, axis=0) - xy) @ (1, 1j)))
        turn = np.abs((np.roll(angle, -1) - angle + 180) % 360 - 180)
        found.append(np.abs(turn[turn > 1] - 90) < 1)
    return float(np.concatenate(found).mean()) if found else float("nan")


def row(run: Path, named: Named) -> str:
    """The figures of a run."""
    labels, outlines, kinds, pixel_m = made(run, named)
    corners = shapely.get_num_coordinates(shapely.get_exterior_ring(outlines)) - 1
    area, length = shapely.area(outlines), shapely.length(outlines)
    thin = 4 * np.pi * area / length**2 < 0.1
    count = np.bincount(labels.ravel(), minlength=WORKING.codes[-1] + 1)
    left = np.bincount(kinds % ROOF, area, minlength=len(count))
    change = (left - count)[1:] / count[1:].sum()
    worst = int(np.abs(change).argmax())
    union = shapely.union_all(outlines)
    data = shapely.union_all(staircases(patches((labels > 0).astype(np.uint8))))
    overlap_m2, gap_m2 = (
        v * pixel_m**2 for v in (area.sum() - union.area, union.symmetric_difference(data).area)
    )
    vertices = shapely.get_num_coordinates(outlines).sum() / (length.sum() * pixel_m / 1e3)
    return (
        f"| {run.name}, {pixel_m:g} m | {named[0]} | {len(outlines)} | "
        f"{(corners < 4).mean():.1%} | {thin.mean():.1%} | {vertices:.0f} | "
        f"{WORKING.names[worst]} {change[worst]:+.2%} | "
        f"{right_angles(outlines[kinds > ROOF]):.0%} | {overlap_m2:.3f} / {gap_m2:.3f} |"
    )


def draw(path: Path, run: Path, both: tuple[Named, Named], middle: list[int], side: int) -> None:
    """Draws map and polygons around a pixel."""
    x0, y0 = (v - side // 2 for v in middle)
    figure = Figure(figsize=(9.6, 3.5), layout="constrained")
    axes = figure.subplots(1, 3)
    labels = made(run, both[0])[0]
    colours = np.array([(255, 255, 255), *(c.colour for c in WORKING.classes)], np.uint8)
    axes[0].imshow(colours[labels], interpolation="nearest", extent=(0, *labels.shape[::-1], 0))
    axes[0].set_title("map")
    for axis, named in zip(axes[1:], both, strict=True):
        _, outlines, kinds, _ = made(run, named)
        here = shapely.intersects(outlines, shapely.box(x0, y0, x0 + side, y0 + side))
        faces = [hex_colour(WORKING.classes[k % ROOF - 1].colour) for k in kinds[here]]
        drawn = PatchCollection([PathPatch(_path(o)) for o in outlines[here]], linewidth=0.5)
        drawn.set(facecolor=faces, edgecolor="black")
        axis.add_collection(drawn)
        axis.set_title(named[0])
    for axis in axes:
        axis.set(xlim=(x0, x0 + side), ylim=(y0 + side, y0), xticks=[], yticks=[], aspect=1)
    figure.savefig(path, dpi=100)


def _path(polygon: shapely.Polygon) -> Outline:
    def rings() -> Iterator[Outline]:
        for ring in shapely.get_rings(polygon):
            yield Outline(shapely.get_coordinates(ring), closed=True)

    return Outline.make_compound_path(*rings())


def main(options: argparse.Namespace) -> None:
    """Prints the table, or draws the picture."""
    default: Named = ("default", PublishSettings(), True)
    choices = [EARLIER, *options.compare, default]
    if options.picture:
        draw(options.picture, options.run[0], (choices[0], default), options.middle, options.side)
        return
    print(
        "| run | settings | polygons | triangles | slivers | vertices / km | largest change | "
        "right angles | overlap / gap, m2 |\n|---|---|---:|---:|---:|---:|---|---:|---:|"
    )
    for run in options.run:
        for named in choices:
            print(row(run, named), flush=True)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("run", type=Path, nargs="+")
    options.add_argument("--compare", type=choice, action="append", default=[])
    options.add_argument("--picture", type=Path)
    options.add_argument("--middle", type=int, nargs=2, default=[200, 200])
    options.add_argument("--side", type=int, default=160)
    main(options.parse_args())
