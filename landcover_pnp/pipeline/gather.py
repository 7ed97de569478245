"""The gather stage: the maps of a batch in one virtual raster, one table and one catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from landcover_pnp.errors import LandcoverError, RasterError
from landcover_pnp.legend import NO_DATA
from landcover_pnp.legends.palettes import Palette
from landcover_pnp.pipeline.slices import BATCH, table_held
from landcover_pnp.products.catalog import COLLECTION, ITEM, write_collection
from landcover_pnp.products.finished import FinishedRun
from landcover_pnp.products.settings import GatherSettings
from landcover_pnp.products.tables import write_csv
from landcover_pnp.products.virtual_mosaic import MapPlace, class_pixels, write_mosaic
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.marker import Marker
from landcover_pnp.storage.owned_folder import OwnedFolder, make_owned
from landcover_pnp.storage.run_folder import RunFolder

AREAS = "areas.csv"
"""Name of the table of areas in the folder of a batch."""

_MOSAIC = re.compile(r"landcover-[^/]+\.vrt")


@dataclass(frozen=True)
class GatherSummary:
    """What the maps of a batch were gathered in.

    Attributes:
        mosaics: Virtual rasters, one a coordinate reference system and legend.
        areas: Table with a row a city.
        collection: STAC collection of the published ones; None where none is.
        cities: Number of maps.
        notes: What is not among them, and why; one sentence each.
    """

    mosaics: tuple[Path, ...]
    areas: Path
    collection: Path | None
    cities: int
    notes: tuple[str, ...]


def gather_maps(folder: Path, settings: GatherSettings | None = None) -> GatherSummary:
    """Gathers the finished maps under the folder of a batch; run folders stay as they are.

    Args:
        folder: Folder of the run folders.
        settings: Title of the collection.

    Returns:
        Where it all lies. Maps that are not finished are left out, and named.

    Raises:
        RasterError: If there is no finished map, or an item of a published one is damaged.
        RequestError: If something that is not ours has the name of one of the files.
        RunLockedError: If a batch that is no slice is at work in the folder.
        RunError: If a file cannot be written.
    """
    chosen, notes = settings or GatherSettings(), list[str]()
    maps = dict(_finished(folder, notes, chosen.palette))
    if not maps:
        raise RasterError(
            found=f"no finished map in {folder}" + "".join(f"; {note}" for note in notes),
            expected="the folder of a batch, with the run folders of its cities",
            fix="map them by `landcover batch CONFIG`, or name the folder that is its `out`",
        )
    kinds: dict[tuple[object, ...], list[MapPlace]] = {}
    for place in maps.values():
        kinds.setdefault(place.kind, []).append(place)
    named = dict(zip(_names([parts[0] for parts in kinds.values()]), kinds.values(), strict=True))
    areas = _areas(maps)  # which takes long, unlike what the folder is held for
    published = any((RunFolder(folder / city).products / ITEM).is_file() for city in maps)
    with _claiming(folder):
        owned = make_owned(folder, "catalogue", AREAS, *named, beside=True)
        _remove_others(owned, named)
        for name, parts in named.items():
            write_mosaic(folder / name, parts)
        with completed(folder / AREAS) as partial:
            write_csv(areas, partial)
        collection = write_collection(folder, chosen.title).collection if published else None
    if collection is None:
        notes.append(f"no {COLLECTION}: none of the maps is published, see `landcover publish`")
    elif missing := [c for c in maps if not (RunFolder(folder / c).products / ITEM).is_file()]:
        notes.append(f"not in {COLLECTION}, since not published: {', '.join(missing)}")
    return GatherSummary(
        tuple(folder / name for name in named), folder / AREAS, collection, len(maps), tuple(notes)
    )


def _claiming(folder: Path) -> AbstractContextManager[object]:
    """Holds the folder of a batch, where slices claim names too: no claim undoes another."""
    marked = Marker.read(folder)
    return table_held(folder) if marked is not None and marked.kind == BATCH else nullcontext()


def _finished(folder: Path, notes: list[str], palette: Palette) -> Iterable[tuple[str, MapPlace]]:
    """Name and place of each finished map; what stands in the way of the others is noted."""
    for run in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not RunFolder(run).settings.is_file():
            continue
        try:
            FinishedRun.open(run)
            yield run.name, MapPlace.of(RunFolder(run).landcover, palette)
        except LandcoverError as error:
            notes.append(f"{run.name} is left out: {error.found}")


def _names(firsts: Iterable[MapPlace]) -> list[str]:
    """File of each virtual raster: its CRS, and a number where there are several legends."""
    names: list[str] = []
    for first in firsts:
        system = re.sub(r"[^a-z0-9]+", "_", first.system[:40].lower()).strip("_")
        like = sum(name.startswith(f"landcover-{system}") for name in names)
        names.append(f"landcover-{system}{f'-{like + 1}' if like else ''}.vrt")
    return names


def _remove_others(owned: OwnedFolder, named: Iterable[str]) -> None:
    """Removes the virtual rasters of an earlier gathering whose kind of map is gone."""
    others = {name for name in owned.names if _MOSAIC.fullmatch(name)} - set(named)
    owned.remove(*others)
    owned.disown(*others)


def _areas(maps: dict[str, MapPlace]) -> pd.DataFrame:
    """A row a city: hectares and share of each class, in the CRS of the map."""
    rows = []
    for city, place in maps.items():
        pixels, pixel_ha = class_pixels(place.path), place.res[0] * place.res[1] / 1e4
        mapped = max(int(pixels.sum() - pixels[NO_DATA]), 1)
        row: dict[str, object] = {
            "city": city,
            "crs": place.system,
            "pixel_m": round(place.res[0], 4),
            "mapped_ha": round((pixels.sum() - pixels[NO_DATA]) * pixel_ha, 4),
            "no_data_ha": round(pixels[NO_DATA] * pixel_ha, 4),
        }
        for code, name in enumerate(place.classes):
            if code != NO_DATA and name:
                row[f"{name}, ha"] = round(pixels[code] * pixel_ha, 4)
                row[f"{name}, %"] = round(100 * pixels[code] / mapped, 2)
        rows.append(row)
    return pd.DataFrame(rows)
