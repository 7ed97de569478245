"""Settings of fetching: which place, from where, how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landcover_pnp.config import file_or_address, require_positive
from landcover_pnp.legends.coarse_legend import CoarseName

PLANETARY = "https://planetarycomputer.microsoft.com/api"
SIGNING = f"{PLANETARY}/sas/v1/sign"
"""The Planetary Computer's service that signs addresses of its storage."""

OVERTURE = "https://stac.overturemaps.org/catalog.json"
NOMINATIM = "https://nominatim.openstreetmap.org/search"


@dataclass(frozen=True)
class ImageSource:
    """Aerial imagery of a STAC catalogue.

    Attributes:
        catalogue: Address of a STAC API, or address or file of a static catalogue.
        collection: Its collection.
        asset: Asset of an item that holds the image.
        sign: Address of a service that signs the assets' addresses; null leaves them as they are.
            The default one is asked for files of Azure's storage alone.
        attribution: Whose imagery it is and its licence; null takes what the collection says.
    """

    catalogue: str = f"{PLANETARY}/stac/v1"
    collection: str = "naip"
    asset: str = "image"
    sign: str | None = SIGNING
    attribution: str | None = None


@dataclass(frozen=True)
class CoarseSource:
    """The coarse land-cover map: a file of the whole country, or a STAC catalogue.

    Attributes:
        file: Raster, a path or an address; what is needed of it is read.
        catalogue: Address of a STAC API, or address or file of a static catalogue, where there is
            no file.
        collection: Its collection.
        asset: Asset of an item that holds the classes.
        legend: Its legend: the name of one that is known, or a YAML file; null is NLCD's of a file,
            and that of the collection where it is known.
        sign: Address of a service that signs the assets' addresses, as that of the images.
        attribution: Whose map it is and its licence; null takes what the collection says.
    """

    file: Path | None = file_or_address(default=None)
    catalogue: str = f"{PLANETARY}/stac/v1"
    collection: str = "esa-worldcover"
    asset: str = "map"
    legend: CoarseName | Path | None = None
    sign: str | None = SIGNING
    attribution: str | None = None


COLLECTIONS: dict[str, CoarseName] = {
    "esa-worldcover": "worldcover",
    "io-lulc": "esri",
    "io-lulc-annual-v02": "esri",
    "noaa-c-cap": "ccap",
}
"""Legends of the collections of coarse maps that the Planetary Computer has."""


@dataclass(frozen=True)
class ObjectSource:
    """Roads, buildings and water.

    Attributes:
        osm: OpenStreetMap extract (.osm.pbf, .osm, .osm.gz or GeoPackage), a path or an address;
            null takes Overture Maps.
        overture: Address or file of the STAC catalogue of Overture Maps; null goes without objects
            where there is no extract either.
        release: Release of Overture Maps, such as 2026-10-21.0; null is the latest.
    """

    osm: Path | None = file_or_address(default=None)
    overture: str | None = OVERTURE
    release: str | None = None


@dataclass(frozen=True)
class FetchLimits:
    """What is fetched only after ``--yes``.

    Attributes:
        most_km2: Largest area, square kilometres.
        most_gb: Largest amount of imagery, gigabytes as it is stored.
    """

    most_km2: float = 1000.0
    most_gb: float = 20.0

    def __post_init__(self) -> None:
        """Refuses limits that let nothing through."""
        require_positive(self, "most_km2", "most_gb")


@dataclass(frozen=True)
class FetchSettings:
    """A place to fetch.

    Attributes:
        out: Folder of the scene.
        bbox: West, south, east and north of the area in degrees, such as -79.0,35.9,-78.8,36.1.
        area: Polygon file of the area.
        year: Year of the imagery; null is the newest that covers the area.
        mixed_years: Whether imagery of several years may be put together.
        images: Where the imagery is from.
        coarse: Where the coarse land-cover map is from.
        more_coarse: Further coarse maps, which the map combines with the first.
        objects: Where roads, buildings and water are from.
        geocoder: Address of a search service such as Nominatim, asked for the name of a place.
        hit: Which of several places of that name is meant, from 1; null where there is one.
        limits: Above them the same command needs ``--yes``.
        resolution_m: Pixel side of the working grid, metres.
        profile: Profile of the scene's configuration: fast draws a map of the working grid,
            balanced one of the images' pixels.
    """

    out: Path
    bbox: str | None = None
    area: Path | None = None
    year: int | None = None
    mixed_years: bool = False
    images: ImageSource = field(default_factory=ImageSource)
    coarse: CoarseSource = field(default_factory=CoarseSource)
    more_coarse: list[CoarseSource] = field(default_factory=list)
    objects: ObjectSource = field(default_factory=ObjectSource)
    geocoder: str = NOMINATIM
    hit: int | None = None
    limits: FetchLimits = field(default_factory=FetchLimits)
    resolution_m: float = 4.0
    profile: Literal["fast", "balanced", "paper"] = "balanced"

    def __post_init__(self) -> None:
        """Refuses pixels without size."""
        require_positive(self, "resolution_m")

    @property
    def coarse_maps(self) -> list[CoarseSource]:
        """Where each of the coarse maps is from, the first one first."""
        return [self.coarse, *self.more_coarse]
