"""The doubt stage: a finished run in, the places worth a look out, each with a picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import shapely
from PIL import Image

from landcover_pnp.config import plain
from landcover_pnp.errors import RasterError
from landcover_pnp.pipeline.doubtful_places import Place, doubtful_places
from landcover_pnp.products.chips import MARK, Chip
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.point_style import PointStyle
from landcover_pnp.products.settings import DoubtfulSettings
from landcover_pnp.products.styles import qml
from landcover_pnp.products.tables import write_features
from landcover_pnp.products.vectors import dated
from landcover_pnp.scenes.vector_files import require_plain_name
from landcover_pnp.storage.atomic import write_text
from landcover_pnp.storage.records import Record, file_hashes, ingredients, make_way
from landcover_pnp.storage.replaced_folder import replaced
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.version import __version__

CHIP_PX = 256
"""Side of each half of a picture: the image, and the map beside it."""

LAYER = "places"
"""Layer of the places."""

_STYLE = PointStyle(MARK, size_mm=5)


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
    """Writes layer and pictures; says where the image's own pixels could not be read."""
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
    image = OriginalImage.of(finished)
    for place, chip in zip(places, chips, strict=True):
        _picture(finished, image, place).save(folder / chip)
    if image.reason is None:
        return []
    return [f"pictures in working pixels, since the image is not there as it was: {image.reason}"]


def _picture(finished: FinishedRun, image: OriginalImage, place: Place) -> Image.Image:
    """The image and the map around a place, side by side, the place framed in both."""
    chip = Chip.around(place.x, place.y, finished.scene, CHIP_PX)
    both = Image.new("RGB", (2 * CHIP_PX, CHIP_PX), (255, 255, 255))
    both.paste(chip.image(image), (0, 0))
    both.paste(chip.map(finished.newest.landcover, finished.legend.legend), (CHIP_PX, 0))
    return both
