"""Class areas by zone: what a map says of a city's parcels, districts or watersheds.

Counted here and not by ``exactextract``: it weighs pixels by their cover and knows no rule of the
centre, shows a function of one's own one band and one weight at most, where class and range need
all five probabilities of a pixel, and hands it all pixels of a zone at once, whatever their number.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from rasterio.io import DatasetReader

from landcover_pnp.errors import RasterError, RequestError, ZonesWarning
from landcover_pnp.legends.result_legend import ResultLegend
from landcover_pnp.products.area_columns import SHARES, class_columns, share_columns
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.rasters import classes
from landcover_pnp.products.result_classes import Probabilities
from landcover_pnp.products.stac import slug
from landcover_pnp.products.tables import write_csv, write_features
from landcover_pnp.products.under_trees import ground_areas, standing_ground
from landcover_pnp.products.zone_windows import zone_windows
from landcover_pnp.scenes.vector_files import layers_of_shapes, require_plain_name
from landcover_pnp.scenes.vector_tables import read_table
from landcover_pnp.scenes.vectors import near_grid, shares_beyond
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.georeference import system_name
from landcover_pnp.storage.owned_folder import require_apart
from landcover_pnp.storage.raster import open_raster
from landcover_pnp.storage.records import Record, file_hashes, ingredients
from landcover_pnp.storage.run_folder import RunFolder

CUT_SHARE = 0.001
"""Share of a zone's area that may lie beyond the map unsaid: outlines are seldom drawn alike."""


@dataclass(frozen=True)
class ZonalSummary:
    """Where the table lies.

    Attributes:
        zones: Number of zones.
        table: CSV file.
        layer: GeoPackage with the zones' outlines and the same columns.
        notes: What was done to the zones, one sentence each.
    """

    zones: int
    table: Path
    layer: Path
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ZoneCounts:
    """Pixels of a zone.

    Attributes:
        mapped: (class,) pixels whose most probable class it is.
        kept: (class,) sum of its probability over those pixels.
        elsewhere: (class,) sum of its probability over the other pixels.
        no_data: Pixels without data.
    """

    mapped: NDArray[np.float64]
    kept: NDArray[np.float64]
    elsewhere: NDArray[np.float64]
    no_data: float = 0.0

    def __add__(self, other: ZoneCounts) -> ZoneCounts:
        """Pixels of both together."""
        return ZoneCounts(
            self.mapped + other.mapped,
            self.kept + other.kept,
            self.elsewhere + other.elsewhere,
            self.no_data + other.no_data,
        )

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], inside: NDArray[np.bool_]) -> ZoneCounts:
        """Counts the pixels of one window.

        Args:
            probabilities: (class, y, x) float32, sums to 1, or 0 where there is no data.
            inside: (y, x) bool, the zone.
        """
        p = probabilities[:, inside].astype(np.float64)
        labels = classes(probabilities)[inside]
        own = labels == np.arange(1, len(probabilities) + 1)[:, None]
        return cls(
            own.sum(axis=1).astype(np.float64),
            np.where(own, p, 0).sum(axis=1),
            np.where(own, 0, p).sum(axis=1),
            float((labels == 0).sum()),
        )


def zone_table(run: FinishedRun, zones: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Class areas of each zone.

    A pixel belongs to a zone that holds its centre. A share is given with the range that the
    probabilities leave: ``low`` counts the mapped pixels by their probability alone, ``high``
    adds the probability of the class where another one was mapped.

    Args:
        run: The run.
        zones: Polygons in any CRS.

    Returns:
        The zones' outlines and own columns (with an underscore where the name is taken), then
        ``mapped_ha``, ``no_data_pct`` of the zone's area (all of it counts, beyond the map too),
        ``confidence_pct``, ``<class>_ha`` and ``<class>_pct`` of the mapped area, and for canopy
        and impervious, where the legend tells them, ``_low_pct`` and ``_high_pct``; these are
        empty where a zone has no mapped pixel. Of a run whose ground under trees was published,
        ``impervious_under_trees_ha`` and ``other_under_trees_ha`` too, which are inferred.
    """
    ground = standing_ground(run)
    with (
        open_raster(run.probabilities, "probabilities") as source,
        run.result.probabilities(source) as window,
    ):
        local = near_grid(zones.geometry, run.scene.geobox)
        beyond = shares_beyond(zones.geometry, run.scene.geobox)
        rows = [
            _row(_count(source, window, zone, run.legend), float(share), source, run.legend)
            | ground_areas(ground, zone)
            for zone, share in zip(local, beyond, strict=True)
        ]
    columns = list(rows[0]) if rows else []
    table = zones.rename(columns=_free_names(zones, columns))
    for name in columns:
        table[name] = [row[name] for row in rows]
    return table


def zonal(run: Path, path: Path, layer: str | None = None) -> ZonalSummary:
    """Writes the class areas by zone to ``RUN/zonal/``, as CSV and as GeoPackage.

    Zones may have any CRS and keep it; invalid outlines are repaired.

    Args:
        run: Folder of a finished run.
        path: Vector file of the zones, any OGR format.
        layer: Its layer, None for the only one.

    Returns:
        Where the table lies and what was done to the zones.

    Raises:
        RasterError: If the run is not finished or the zones cannot be used.
    """
    finished = FinishedRun.open(run)
    out = RunFolder(run).zonal
    require_apart([path], [out])
    require_plain_name(out / f"{path.stem}.gpkg", "the table of the zones")
    zones, notes = _read_zones(path, layer, finished)
    table = zone_table(finished, zones)
    stem = path.stem if layer is None else f"{path.stem}-{slug(layer)}"
    files = [out / f"{stem}{ending}" for ending in (".csv", ".gpkg", ".json")]
    csv, gpkg, record = files
    made_of = ingredients(zones=str(path.resolve()), layer=layer)
    with RunFolder(run).held() as owned:
        names = [file.relative_to(run).as_posix() for file in files]
        before = Record.read(record) if owned.owns(names[-1]) else None
        if before is not None and before.ingredients != made_of:
            raise RequestError(
                found=f"{csv} is the table of other zones: {before.ingredients['zones']}",
                expected="zones files of different names: each names its table",
                fix=f"rename {path}, or remove {csv}, {gpkg.name} and {record.name}",
            )
        owned.claim(*names)
        start = time.monotonic()
        with completed(csv) as partial:
            write_csv(table.drop(columns=table.geometry.name), partial)
        with completed(gpkg) as partial:
            write_features(table, partial, "zones")
        hashes = file_hashes(out, (csv, gpkg))
        Record("done", made_of, time.monotonic() - start, files=hashes).write(record)
    return ZonalSummary(len(table), csv, gpkg, tuple(notes))


def _read_zones(
    path: Path, layer: str | None, run: FinishedRun
) -> tuple[geopandas.GeoDataFrame, list[str]]:
    try:
        layers = layers_of_shapes(path, "zones")
        if layer is None and len(layers) > 1:
            names = ", ".join(sorted(layers))
            raise _unusable(f"{path} has several layers: {names}", "name one with --layer")
        layer = layer or next(iter(layers), "")
        zones = read_table(path, layer) if layer else None
    except (DataSourceError, DataLayerError, FeatureError, OSError, ValueError) as error:
        raise _unusable(f"{path} cannot be read: {error}", "correct the path or --layer") from error
    if not isinstance(zones, geopandas.GeoDataFrame) or not len(zones):
        raise _unusable(f"{path} holds no shapes", "take a layer of polygons")
    if zones.crs is None:
        raise _unusable(f"{path} has no coordinate reference system", "assign it, e.g. in QGIS")
    kinds = set(zones.geom_type[shapely.get_dimensions(zones.geometry.array) < 2].dropna())
    if kinds - {"Polygon"}:
        raise _unusable(f"{path} holds {', '.join(sorted(kinds))}", "take a layer of polygons")
    notes = []
    if zones.crs != run.crs.proj:
        there, here = system_name(zones.crs), system_name(run.scene.geobox.crs)
        notes.append(f"zones reprojected from {there} to {here}")
    invalid = ~zones.is_valid & ~shapely.is_missing(zones.geometry.array)
    if invalid.any():
        zones.loc[invalid, zones.geometry.name] = shapely.make_valid(
            zones.geometry[invalid].array, method="structure", keep_collapsed=False
        )
        _warn(f"outlines repaired of zones {_listed(invalid)}")
    extent = shapely.box(*run.bounds(run.scene.extent))
    local = near_grid(zones.geometry, run.scene.geobox)
    away = ~local.intersects(extent)
    if away.any():
        _warn(f"zones without a pixel of the map: {_listed(away)}")
    cut = (shares_beyond(zones.geometry, run.scene.geobox) > CUT_SHARE) & ~away
    if cut.any():
        notes.append(
            f"zones that reach beyond the map, where they count as no data: {_listed(cut)} "
            "(rows of the file, from 0)"
        )
    return zones, notes


def _count(
    source: DatasetReader, window: Probabilities, zone: Any, legend: ResultLegend
) -> ZoneCounts:
    nothing = np.zeros(len(legend.classes))
    total = ZoneCounts(nothing, nothing, nothing)
    for box, inside in zone_windows(source, zone):
        total += ZoneCounts.of(window(box), inside)
    return total


def _row(
    counts: ZoneCounts, beyond: float, source: DatasetReader, legend: ResultLegend
) -> dict[str, float | None]:
    pixel_ha = abs(source.res[0] * source.res[1]) / 1e4
    mapped = float(counts.mapped.sum())
    # Of a zone too small to hold the centre of a pixel nothing is mapped.
    known = (1 - beyond) * (mapped / (mapped + counts.no_data) if mapped else 0)

    def percent(part: float, whole: float = mapped) -> float | None:
        return round(100 * part / whole, 2) if whole else None

    row: dict[str, float | None] = {
        "mapped_ha": round(mapped * pixel_ha, 4),
        "no_data_pct": None if np.isnan(beyond) else round(100 * (1 - known), 2),
        "confidence_pct": percent(float(counts.kept.sum())),
    }
    for key, n in zip(class_columns(legend), counts.mapped, strict=True):
        row[f"{key}_ha"] = round(float(n) * pixel_ha, 4)
        row[f"{key}_pct"] = percent(float(n))
    for share, name in SHARES.items():
        places = list(legend.holding(name))
        if not places:
            continue
        mapped_as, kept = counts.mapped[places].sum(), counts.kept[places].sum()
        low, own, high = share_columns(share)
        row[low], row[own] = percent(float(kept)), percent(float(mapped_as))
        row[high] = percent(float(mapped_as + counts.elsewhere[places].sum()))
    return row


def _free_names(zones: geopandas.GeoDataFrame, taken: Sequence[str]) -> dict[str, str]:
    """New names of those columns whose own is taken in a GeoPackage, whatever its case."""
    known = {"fid", "geom", *(name.lower() for name in taken)}
    names = {}
    for name in zones.columns.drop(zones.geometry.name):
        free = str(name)
        while free.lower() in known:
            free += "_"
        known.add(free.lower())
        names[name] = free
    return names


def _listed(where: Any) -> str:
    numbers = [str(number) for number in np.flatnonzero(where)]
    shown = ", ".join(numbers[:20])
    return shown + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")


def _warn(text: str) -> None:
    warnings.warn(f"{text} (rows of the file, from 0)", ZonesWarning, stacklevel=3)


def _unusable(found: str, fix: str) -> RasterError:
    return RasterError(found=found, expected="a vector file of zones, polygons", fix=fix)
