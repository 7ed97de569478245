"""The doubt stage: a finished run in, the places worth a look out, each with a picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image, ImageDraw

from landcover_pnp.config import load_settings, plain
from landcover_pnp.errors import LandcoverError, RasterError
from landcover_pnp.grid import Box
from landcover_pnp.pipeline.doubtful_places import Place, doubtful_places
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.pictures import class_picture
from landcover_pnp.products.point_style import PointStyle
from landcover_pnp.products.settings import DoubtfulSettings
from landcover_pnp.products.styles import qml
from landcover_pnp.products.tables import write_features
from landcover_pnp.products.vectors import dated
from landcover_pnp.scenes.enviroatlas import scene_files
from landcover_pnp.scenes.fine_image import FineImage
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.vector_files import require_plain_name
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.bands import shown
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Record, file_hashes, ingredients, make_way
from landcover_pnp.storage.replaced_folder import replaced
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.version import __version__

CHIP_M = 100.0
"""Side of the ground that a picture shows, metres."""

CHIP_PX = 256
"""Side of each half of a picture: the image, and the map beside it."""

LAYER = "places"
"""Layer of the places."""

ReadImage = Callable[[Box], NDArray[np.float32]]
"""From working pixels to (band, y, x) of the image there, at any resolution."""

_MARK = (215, 25, 28)
_STYLE = PointStyle(_MARK, size_mm=5)


@dataclass(frozen=True)
class DoubtfulSummary:
    """Where the places are listed.

    Attributes:
        run: The run folder.
        layer: GeoPackage of the places, most useful first.
        places: Their number.
        notes: What was done, one sentence each.
    """

    run: Path
    layer: Path
    places: int
    notes: tuple[str, ...] = ()


def write_doubtful(run: Path, settings: DoubtfulSettings | None = None) -> DoubtfulSummary:
    """Writes the places worth a look to ``RUN/doubtful/``: a GeoPackage, and a picture of each.

    Columns: ``rank``, ``doubt`` in percent, ``reason``, ``mapped_class`` and ``chip``, the path
    of the picture from the GeoPackage's folder. What is as it would be again stays.

    Args:
        run: Folder of a finished run.
        settings: Number of places, distance between them.

    Returns:
        Where they lie.

    Raises:
        RasterError: If the run is not finished or has no doubt.
        RunError: If a file cannot be written.
    """
    chosen = settings or DoubtfulSettings()
    finished, paths = FinishedRun.open(run), RunFolder(run)
    if not paths.doubt_record.is_file():
        raise RasterError(
            found=f"no doubt in {run}: an earlier version has made it",
            expected="a run whose map has a doubt beside it",
            fix=f"go on with it by `landcover resume {run}`, which adds what is missing",
        )
    layer = paths.doubtful / f"{LAYER}.gpkg"
    require_plain_name(layer, "the places")
    doubt = Record.read(finished.newest.doubt_record)
    made_of = ingredients(
        version=__version__,
        doubtful=chosen,
        doubt=doubt.files if doubt else {},
        legend=plain(finished.legend),
    )
    record_path, start = paths.doubtful_record, time.monotonic()
    notes: list[str] = []
    with paths.held([paths.name(record_path)]) as owned:
        record, _ = Record.standing(record_path, made_of)
        if record is None:
            notes += make_way(record_path)
            newest = finished.newest.path
            places = doubtful_places(newest, finished.scene, chosen.count, chosen.apart_m)
            with (
                dated(finished.finished),
                replaced(owned, paths.name(paths.doubtful)) as folder,
            ):
                notes += _write(finished, places, folder)
                names = [p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()]
            written = [paths.doubtful / name for name in names]
            record = Record(
                "done",
                made_of,
                time.monotonic() - start,
                figures={"places": len(places)},
                files=file_hashes(paths.path, written),
            )
            record.write(record_path)
    return DoubtfulSummary(run, layer, int(record.figures["places"]), tuple(notes))


def _write(finished: FinishedRun, places: Sequence[Place], folder: Path) -> list[str]:
    """Writes layer and pictures; says where the image's own pixels were not to be had."""
    chips = [f"chips/{place.rank:04d}.png" for place in places]
    frame = geopandas.GeoDataFrame(
        {
            "rank": np.array([p.rank for p in places], np.int32),
            "doubt": np.array([p.doubt for p in places], np.float64),
            "reason": np.array([p.reason for p in places], object),
            "mapped_class": np.array([p.mapped_class for p in places], object),
            "chip": np.array(chips, object),
        },
        geometry=shapely.points([(p.x, p.y) for p in places]),
        crs=finished.crs.proj,
    )
    path = folder / f"{LAYER}.gpkg"
    write_features(frame, path, LAYER)
    write_text(path.with_suffix(".qml"), qml(_STYLE))
    (folder / "chips").mkdir()
    coarse: ReadImage = finished.scene.image
    image, notes = _fine_image(finished)
    for place, chip in zip(places, chips, strict=True):
        try:
            picture = _picture(finished, image or coarse, place)
        except LandcoverError as error:  # of an image that is there, but not all of it
            if image is None:
                raise
            image, notes = None, [_in_working_pixels(error)]
            picture = _picture(finished, coarse, place)
        picture.save(folder / chip)
    return notes


def _fine_image(finished: FinishedRun) -> tuple[ReadImage | None, list[str]]:
    """The image at its own resolution, where its files are still there."""
    try:
        settings = load_settings(MapSettings, RunFolder(finished.folder).settings)
        return FineImage.of(scene_files(settings.scene), finished.scene).image, []
    except LandcoverError as error:
        return None, [_in_working_pixels(error)]


def _in_working_pixels(error: LandcoverError) -> str:
    return f"pictures in working pixels, since the image is not there: {error.found}"


def _picture(finished: FinishedRun, image: ReadImage, place: Place) -> Image.Image:
    """The image and the map around a place, side by side, the place framed in both."""
    scene = finished.scene
    around = _around(place.box, scene)
    colours = np.moveaxis(image(around)[list(shown(scene.bands))], 0, -1)
    pixels = np.rint(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    with open_raster(finished.newest.landcover, "class map") as source:
        overlay = Overlay(scene.geobox, GeoBox.from_rio(source))
        codes = read(source, 1, overlay.box(around))
    both = Image.new("RGB", (2 * CHIP_PX, CHIP_PX), (255, 255, 255))
    scale = CHIP_PX / max(around.shape)
    for number, half in enumerate((pixels, class_picture(codes, finished.legend.legend)[..., :3])):
        both.paste(_framed(half, around, place.box, scale), (number * CHIP_PX, 0))
    return both


def _around(box: Box, scene: Scene) -> Box:
    """Working pixels of a picture: the place in the middle, or moved in from the map's edge."""
    reach = max(1, round((CHIP_M / scene.resolution_m - box.shape[0]) / 2))
    y0, y1, x0, x1 = box.grow(reach)
    (height, width), (rows, columns) = scene.extent.shape, (y1 - y0, x1 - x0)
    y0 = min(max(y0, 0), max(height - rows, 0))
    x0 = min(max(x0, 0), max(width - columns, 0))
    return Box(y0, y0 + rows, x0, x0 + columns).clip(scene.extent)


def _framed(pixels: NDArray[np.uint8], around: Box, box: Box, scale: float) -> Image.Image:
    height, width = (max(1, round(side * scale)) for side in around.shape)
    half = Image.fromarray(np.ascontiguousarray(pixels)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    y, x = box.within(around)
    corners = [x.start * scale, y.start * scale, x.stop * scale - 1, y.stop * scale - 1]
    ImageDraw.Draw(half).rectangle(corners, outline=_MARK)
    return half
