"""Names of the files that ``publish`` makes of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from landcover_pnp.storage.run_folder import FILLED, RASTERS, raster_files

ATTRIBUTION = "attribution.txt"
"""Makers and licences of the layers, beside the products."""

_PUBLISHED = (
    *("second_class", "probabilities", "ground_under_trees"),
    *("image", "truth", "errors", "change", FILLED),
)
"""Rasters that ``publish`` makes besides ``RASTERS``."""


def published_names() -> Iterator[str]:
    """Names of all files that ``publish`` makes."""
    for stem in (*RASTERS, *_PUBLISHED):
        yield from (file.name for file in raster_files(Path(f"{stem}.tif")))
    yield from (f"landcover.{kind}" for kind in ("gpkg", "qlr", "qgz", "parquet", "pmtiles"))
    yield from ("report.html", "item.json", ATTRIBUTION)
