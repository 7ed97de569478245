"""The plan of a fetch: every header read that can refuse it, no pixel, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox
from rasterio.transform import Affine

from landcover_pnp.config.addresses import hidden, shown
from landcover_pnp.errors import GridError, RequestError, SettingsError
from landcover_pnp.fetch.area import Area, box_area, file_area
from landcover_pnp.fetch.catalogue import Found, Listing, items_of
from landcover_pnp.fetch.choice import Chosen, choose_images
from landcover_pnp.fetch.coarse import CoarsePart, coarse_json, plan_coarse
from landcover_pnp.fetch.geocoding import named_area
from landcover_pnp.fetch.images import ImagePart, part_json, plan_part
from landcover_pnp.fetch.memory import Memory
from landcover_pnp.fetch.object_sources import ObjectsPlan, plan_objects
from landcover_pnp.fetch.reader import CatalogueReader, size_of
from landcover_pnp.fetch.settings import COLLECTIONS, CoarseSource, FetchSettings, ImageSource
from landcover_pnp.grid import Box

PRODUCTS_FACTOR = 2.0
"""Bytes on disk of a scene's images for a byte that is read: deflated, with overviews."""


@dataclass(frozen=True)
class PlannedImage:
    """An image to fetch.

    Attributes:
        name: Its identifier in the catalogue.
        date: When it was recorded, as ISO 8601.
        part: What is read of it.
    """

    name: str
    date: str
    part: ImagePart


@dataclass(frozen=True)
class FetchPlan:
    """What a fetch is going to do.

    Attributes:
        area: The area.
        images: Images by CRS: a grid each, the one with most of the area first.
        chosen: How they were chosen.
        coarse: The coarse maps, the first one first.
        objects: Roads, buildings and water; None without.
        attribution: Makers and licence of each layer, one sentence each.
        memory: What the headers have told, and the versions of the files.
    """

    area: Area
    images: dict[str, tuple[PlannedImage, ...]]
    chosen: Chosen
    coarse: tuple[CoarsePart, ...]
    objects: ObjectsPlan | None
    attribution: tuple[str, ...]
    memory: Memory

    @property
    def read_bytes(self) -> int:
        """Estimate of the bytes that are read of images, coarse map and objects."""
        images = sum(image.part.bytes for images in self.images.values() for image in images)
        coarse = sum(part.bytes for part in self.coarse)
        return images + coarse + (self.objects.bytes if self.objects else 0)

    @property
    def written_bytes(self) -> int:
        """Estimate of the room that the scene takes on disk."""
        return round(PRODUCTS_FACTOR * self.read_bytes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What will be fetched, one sentence each."""
        grids = [
            f"{len(images)} image{'s' * (len(images) != 1)} in {crs}"
            for crs, images in self.images.items()
        ]
        several = (
            f"{len(grids)} grids, since pixels of two UTM zones lie on no common one: "
            f"{' and '.join(grids)}; each becomes a map of its own"
        )
        objects = self.objects.note if self.objects else "no roads, buildings and water"
        return (*self.chosen.notes, *([several] if len(grids) > 1 else []), objects)


def area_of(settings: FetchSettings, name: str | None) -> Area:
    """The area that a user means.

    Args:
        settings: Its box or its file.
        name: Its name, where it has one.

    Raises:
        SettingsError: If there is no area, or more than one.
        RequestError: As ``box_area``, ``file_area`` and ``named_area``.
    """
    given = [value for value in (name, settings.bbox, settings.area) if value is not None]
    if len(given) != 1:
        raise SettingsError(
            found="no place" if not given else f"{len(given)} places: {', '.join(map(str, given))}",
            expected="the name of a place, --bbox W,S,E,N or --area FILE",
            fix="give one of them, such as `landcover fetch place --bbox=-79.0,35.9,-78.8,36.1`",
        )
    if name is not None:
        return named_area(name, settings.geocoder, settings.hit)
    return file_area(settings.area) if settings.area else box_area(str(settings.bbox))


def plan_fetch(settings: FetchSettings, area: Area) -> FetchPlan:
    """Searches catalogues and looks at the headers of what is to be fetched.

    Args:
        settings: From where.
        area: Which area.

    Returns:
        The plan.

    Raises:
        RequestError: If the area is in no catalogue, or what is there cannot be used.
        RunError: If a server does not answer.
    """
    memory = Memory(settings.out)
    chosen, images, imagery = _plan_images(settings, area, memory)
    coarse = [_plan_coarse(source, area, memory) for source in settings.coarse_maps]
    objects = plan_objects(settings.objects, area, memory)
    makers = dict.fromkeys(said for _, said in coarse)
    told = (imagery, *makers, *([objects.attribution] if objects else []))
    parts = tuple(part for part, _ in coarse)
    return FetchPlan(area, images, chosen, parts, objects, told, memory)


def require_limit(plan: FetchPlan, settings: FetchSettings) -> None:
    """Refuses a fetch that is larger than a user may have meant.

    Raises:
        RequestError: Says how large it is.
    """
    limits, km2, gb = settings.limits, plan.area.km2, plan.read_bytes / 1e9
    if km2 > limits.most_km2 or gb > limits.most_gb:
        raise RequestError(
            found=f"{plan.area.name}: {km2:,.0f} km2, about {gb:,.1f} GB to read and "
            f"{plan.written_bytes / 1e9:,.1f} GB on disk",
            expected=f"at most {limits.most_km2:g} km2 and {limits.most_gb:g} GB without a word",
            fix="add --yes if it is meant; `landcover plan place` says what its map takes",
        )


def _plan_images(
    settings: FetchSettings, area: Area, memory: Memory
) -> tuple[Chosen, dict[str, tuple[PlannedImage, ...]], str]:
    source = settings.images
    reader = CatalogueReader(source.catalogue, source.sign)
    listing = _listing(source, (source.asset,), area, reader, "imagery")
    chosen = choose_images(listing.items, area, settings.year, mixed_years=settings.mixed_years)
    found: dict[str, list[PlannedImage]] = {}
    for item in chosen.images:
        path = reader.file(item.address)
        of = {"image": memory.version(path), "of": item.address, "area": area.shape.wkt}
        told = memory.told(of, partial(_looked_at, path, area, item))
        if told is not None:
            part = ImagePart(**{**told, "path": path, "window": Box(*told["window"])})
            image = PlannedImage(item.name, item.date.isoformat(), part)
            found.setdefault(part.crs, []).append(image)
    if not found:
        raise GridError(
            found=f"none of {len(chosen.images)} images shows {area.name}, though their "
            "footprints say so",
            expected="a catalogue whose footprints are right",
            fix="take another catalogue",
        )
    order = sorted(found, key=lambda crs: -sum(image.part.bytes for image in found[crs]))
    said = source.attribution or listing.attribution
    years = " and ".join(map(str, chosen.years))
    return chosen, {crs: tuple(found[crs]) for crs in order}, f"{said}, {years}"


def _looked_at(path: Path, area: Area, item: Found) -> dict[str, Any] | None:
    return part_json(plan_part(path, area, item.size or size_of(path), item.bands))


def _plan_coarse(source: CoarseSource, area: Area, memory: Memory) -> tuple[CoarsePart, str]:
    if source.file is not None:
        name = hidden(shown(source.file) or source.file.name)
        said = source.attribution or f"coarse map: {name}, licence not stated"
        return _remembered([source.file], area, memory), said
    legend_of(source)
    reader = CatalogueReader(source.catalogue, source.sign)
    listing = _listing(source, (source.asset, "data", "map"), area, reader, "coarse map")
    chosen = choose_images(listing.items, area, mixed_years=True)
    said = source.attribution or listing.attribution
    return _remembered([reader.file(item.address) for item in chosen.images], area, memory), said


def legend_of(source: CoarseSource) -> str | Path:
    """The legend of a coarse map, as a scene's configuration names it.

    Raises:
        SettingsError: If it is a collection whose legend nobody knows.
    """
    if source.legend is not None:
        return source.legend.absolute() if isinstance(source.legend, Path) else source.legend
    legend = "nlcd" if source.file is not None else COLLECTIONS.get(source.collection)
    if legend is None:
        raise SettingsError(
            found=f"the collection {source.collection!r} of coarse maps, whose legend is not known",
            expected="coarse.legend: nlcd, worldcover, esri, dynamic_world, corine, ccap or a file",
            fix="name it by --coarse.legend",
        )
    return legend


def _remembered(paths: Sequence[Path], area: Area, memory: Memory) -> CoarsePart:
    of: dict[str, Any] = {
        "coarse": [memory.version(path) for path in paths],
        "area": area.shape.wkt,
    }
    told = memory.told(of, lambda: coarse_json(plan_coarse(paths, area)))
    grid = GeoBox(tuple(told["shape"]), Affine(*told["transform"]), told["crs"])
    return CoarsePart(tuple(paths), grid, told["dtype"], told["nodata"])


def _listing(
    source: ImageSource | CoarseSource,
    assets: Sequence[str],
    area: Area,
    reader: CatalogueReader,
    what: str,
) -> Listing:
    return items_of(source.catalogue, source.collection, assets, area, reader, what)
