"""Image, map and doubt of a city in one picture, as README shows it.

    python benchmarks/glance.py docs/glance.png
    python benchmarks/glance.py PICTURE --run RUN --corner 188 60

Draws and maps a synthetic city of another look than the demo's and publishes it, with two river
banks, warehouses and housing under trees; or takes a finished run of which the map has the image's
pixels. --corner is the pixel (column, row) of the map at the upper left, a multiple of 4. One pixel
of the picture is one of the map: nothing is resampled.
"""

from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image
from rasterio.windows import Window
from words import parser

from landcover_pnp.grid import Box
from landcover_pnp.pipeline.demo import run_demo
from landcover_pnp.pipeline.mapped_scenes import open_mapped_scene
from landcover_pnp.pipeline.settings import DemoSettings
from landcover_pnp.products.page import hex_colour
from landcover_pnp.products.pictures import RGBA, class_picture, ramp_picture
from landcover_pnp.products.rasters import DOUBT_RAMP
from landcover_pnp.products.result_classes import map_legend
from landcover_pnp.scenes.settings import SyntheticSettings
from landcover_pnp.storage.bands import shown
from landcover_pnp.storage.run_folder import RunFolder

CITY = SyntheticSettings(look="humid_east", width_m=768, seed=5)
"""The city of the picture: of the first six of each look, one with water that looks its best."""

PANEL = (480, 544)
"""Rows and columns of a panel, whole working pixels of 4 m; three of them and their gaps are twice
as wide as README's text."""

GAP, TITLE, STRIP = 14, 52, 64
"""Pixels between the panels, above and below them."""

DPI, COLOURS = 100, 160


def panels(run: Path, corner: tuple[int, int]) -> dict[str, RGBA]:
    """The pictures by their titles, each of ``PANEL`` pixels."""
    mapped, paths = open_mapped_scene(run), RunFolder(run)
    (x, y), (rows, columns) = corner, PANEL

    def pixels(path: Path) -> np.ndarray:
        with rasterio.open(path) as source:
            return source.read(1, window=Window(x, y, columns, rows))

    box = Box(*(v // mapped.fine.factor for v in (y, y + rows, x, x + columns)))
    bands = mapped.fine.image(box)[list(shown(mapped.scene.bands))]
    colours = np.concatenate([bands, np.ones_like(bands[:1])])
    legend = map_legend(paths.landcover).legend
    return {
        "Aerial image": np.moveaxis((255 * colours).round().astype(np.uint8), 0, -1),
        "Land cover": class_picture(pixels(paths.landcover), legend),
        "Doubt": ramp_picture(pixels(paths.raster("doubt")), DOUBT_RAMP),
    }


def draw(run: Path, picture: Path, corner: tuple[int, int]) -> None:
    """Draws the panels side by side above a strip with their legends."""
    rows, columns = PANEL
    width, height = 3 * columns + 2 * GAP, TITLE + rows + STRIP
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for number, (title, panel) in enumerate(panels(run, corner).items()):
        left = number * (columns + GAP)
        figure.figimage(_fewer(panel), left, STRIP)
        axes.text(left + columns / 2, TITLE / 2, title, size=20, ha="center", va="center")
    _scale_bar(axes, TITLE + rows)
    _legends(axes, run, TITLE + rows + STRIP / 2 + 4)
    figure.savefig(picture, dpi=DPI)
    # Without alpha, and packed as small as may be.
    Image.open(picture).convert("RGB").save(picture, optimize=True)


def _fewer(panel: RGBA) -> RGBA:
    """A panel in ``COLOURS`` colours, which a file needs half the room for."""
    colours = Image.fromarray(panel[..., :3]).quantize(COLOURS, dither=Image.Dither.NONE)
    return np.asarray(colours.convert("RGBA"))


def _scale_bar(axes: Axes, bottom: int) -> None:
    """A hundred metres in the corner of the image; the run's pixel is a metre."""
    axes.add_patch(Rectangle((14, bottom - 20), 100, 6, facecolor="white", edgecolor="black"))
    label = axes.text(64, bottom - 25, "100 m", size=16, color="white", ha="center")
    label.set_path_effects([withStroke(linewidth=3, foreground="black")])


def _legends(axes: Axes, run: Path, middle: float) -> None:
    """Classes below the first two panels, the ramp of doubt below the third."""
    handles = [
        Patch(facecolor=hex_colour(c.colour), edgecolor="0.4", label=c.name)
        for c in map_legend(RunFolder(run).landcover).legend.classes
    ]
    words = {"ncols": len(handles), "frameon": False, "fontsize": 16, "borderpad": 0}
    spaces = {"handlelength": 1.2, "handletextpad": 0.4, "columnspacing": 1.0}
    at = {"loc": "center left", "bbox_to_anchor": (-0.003, 1 - middle / axes.get_ylim()[0])}
    axes.legend(handles=handles, **at, **words, **spaces)
    values, colours = zip(*DOUBT_RAMP.stops, strict=True)
    stops = [(v / 100, hex_colour(c)) for v, c in zip(values, colours, strict=True)]
    left = 2 * (PANEL[1] + GAP)
    axes.imshow(
        np.linspace(0, 1, 256)[None],
        cmap=LinearSegmentedColormap.from_list("doubt", stops),
        extent=(left + 125, left + 385, middle + 11, middle - 11),
        aspect="auto",
    )
    for x, word, side in ((left + 115, "agreed", "right"), (left + 395, "contradicted", "left")):
        axes.text(x, middle, word, size=16, ha=side, va="center")


def main(options: Namespace) -> None:
    """Maps the city where no run is named, and draws the picture."""
    if options.run:
        draw(options.run, options.picture, tuple(options.corner))
        return
    with TemporaryDirectory() as folder:
        demo = run_demo(DemoSettings(out=Path(folder) / "demo", city=CITY, window_m=64))
        draw(demo.run, options.picture, tuple(options.corner))


if __name__ == "__main__":
    parse = parser(__doc__)
    parse.add_argument("picture", type=Path)
    parse.add_argument("--run", type=Path)
    parse.add_argument("--corner", type=int, nargs=2, default=(188, 60))
    main(parse.parse_args())
