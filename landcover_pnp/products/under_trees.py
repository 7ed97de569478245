"""The ground under trees as a product: a map of its own, which says what was seen and what not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landcover_pnp.errors import RequestError
from landcover_pnp.legend import NO_DATA, WORKING, LandClass, Legend
from landcover_pnp.legends.palettes import Palette, recoloured
from landcover_pnp.products.rasters import Product, first_band
from landcover_pnp.products.styles import ClassStyle
from landcover_pnp.products.zone_windows import zone_windows
from landcover_pnp.storage.geotiff import Band
from landcover_pnp.storage.raster import open_raster, read
from landcover_pnp.storage.records import Record, file_hash
from landcover_pnp.storage.run_folder import RunFolder
from landcover_pnp.storage.sample_files import GROUND

if TYPE_CHECKING:
    from landcover_pnp.products.finished import FinishedRun

GROUND_STEM = "ground_under_trees"
"""Stem of the product's file, and the setting that asks for it."""

GROUND_LEGEND = Legend(
    "ground under trees",
    (
        LandClass(1, "water", (0, 197, 255)),
        LandClass(2, "impervious", (156, 156, 156)),
        LandClass(3, "other ground", (237, 232, 196)),
        LandClass(4, "impervious under trees (inferred)", (122, 76, 122)),
        LandClass(5, "other ground under trees (inferred)", (150, 184, 128)),
    ),
)
"""What is seen, and what is inferred, never under one name."""

GROUND_BAND = Band(
    "uint8", ("ground under trees", "impervious under trees, percent, 255 = seen or no data")
)
"""Format of the stored ground: its classes, and how likely the inferred are impervious."""

_COLOURED_AS = {
    1: "water",
    2: "impervious",
    3: "grass and herbaceous",
    4: "buildings",
    5: "trees and forest",
}
"""Kind of ground whose colour each class takes in another palette."""

SEEN_PERCENT = 255
"""Stored percentage of pixels that are seen, or have no data."""

INFERRED = {"impervious_under_trees": 4, "other_under_trees": 5}
"""Codes by the names of zonal columns."""


def ground_product(palette: Palette = "standard") -> Product:
    """The raster of it.

    Args:
        palette: Its colours.
    """
    legend = recoloured(GROUND_LEGEND, palette, _COLOURED_AS)
    return Product(
        "ground under trees (inferred, not seen)",
        GROUND,
        first_band,
        Band("uint8", ("ground under trees",), nodata=NO_DATA, legend=legend),
        "mode",
        ClassStyle(legend),
        decoded=False,
    )


def ground_classes(codes: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Classes of ground: (y, x) uint8 of the legend.

    Args:
        codes: (y, x) uint8 working classes of the ground, 0 = no data.
        hidden: (y, x) bool where it was inferred.
    """
    water, impervious = WORKING.code("water"), WORKING.code("impervious")
    seen = np.select([codes == NO_DATA, codes == water, codes == impervious], [0, 1, 2], 3)
    inferred = np.where(codes == impervious, 4, 5)
    return np.where(hidden & (codes != NO_DATA), inferred, seen).astype(np.uint8)


def map_hash(run: FinishedRun) -> str:
    """Hash of the probabilities of a run's map, as their record tells it."""
    path = run.probabilities
    beside = RunFolder(path.parents[1])
    record = Record.read(beside.student_mosaic_record if run.student else beside.mosaic_record)
    return (record.files.get(path.name) if record else None) or file_hash(path)


def standing_ground(run: FinishedRun) -> Path | None:
    """The ground of a run, if it is there, whole, and of the map as it is now."""
    paths = RunFolder(run.folder)
    record = Record.read(paths.sampled.ground_record)
    known = record is not None and record.ingredients.get("map") == map_hash(run)
    whole = record is not None and not record.damage(paths.sampled.ground_record.parent)
    return paths.sampled.ground if known and whole else None


def ground_hashes(run: FinishedRun) -> dict[str, str]:
    """Hashes of the files of a run's ground, by name, as their record tells them.

    Raises:
        RequestError: As ``require_ground``.
    """
    require_ground(run)
    record = Record.read(RunFolder(run.folder).sampled.ground_record)
    return dict(record.files) if record else {}


def ground_areas(ground: Path | None, zone: Any) -> dict[str, float | None]:
    """Hectares of a zone's inferred ground by column; empty without a ground.

    Args:
        ground: File of the ground, see ``standing_ground``.
        zone: A polygon in its CRS, or None.
    """
    if ground is None:
        return {}
    counts = np.zeros(len(GROUND_LEGEND.classes) + 1, np.int64)
    with open_raster(ground, "ground under trees") as source:
        for box, inside in zone_windows(source, zone):
            codes = read(source, 1, box)[inside]
            counts += np.bincount(codes, minlength=len(counts))
        pixel_ha = abs(source.res[0] * source.res[1]) / 1e4
    return {f"{name}_ha": round(float(counts[c]) * pixel_ha, 4) for name, c in INFERRED.items()}


def require_ground(run: FinishedRun) -> Path:
    """The ground of a run.

    Raises:
        RequestError: If it has not been inferred from the run's map.
    """
    ground = standing_ground(run)
    if ground is None:
        raise RequestError(
            found=f"no ground under trees of the map in {run.folder}",
            expected="ground inferred from this map, which takes a masked prior",
            fix="`landcover publish RUN --ground_under_trees true` infers it first, and so does "
            "landcover_pnp.publish",
        )
    return ground
