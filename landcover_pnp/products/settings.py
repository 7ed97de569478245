"""Settings of publishing: products, zones, comparisons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config import require_within
from landcover_pnp.config.texts import require_text
from landcover_pnp.legends.palettes import Palette


@dataclass(frozen=True)
class PublishSettings:
    """The products of a finished run.

    Attributes:
        title: Title of project and report; null is the city's name, or the run folder's.
        min_area_px: Minimum mapping unit of the polygons, pixels of the map; smaller patches go
            to their largest neighbour.
        simplify_px: Detail of the polygons' edges that may go, pixels of the map.
        min_area_m2: Minimum mapping unit in square metres; null takes that in pixels.
        simplify_m: Detail that may go in metres; null takes that in pixels.
        second_class: Whether to write the second most probable class too.
        probabilities: Whether to write all class probabilities too, in percent.
        ground_under_trees: Whether to write a second map too, of the ground: what crowns hide of
            it is inferred by a masked prior, and named so.
        palette: Colours of all products: ``standard``, the legend's own, or ``colour_blind``.
        geoparquet: Whether to write the polygons as GeoParquet too; takes the extra ``web``.
        web_tiles: Whether to write the map as tiles for a web page too, one PMTiles archive;
            takes the extra ``web``.
    """

    title: str | None = None
    min_area_px: float = 12.0
    simplify_px: float = 1.5
    min_area_m2: float | None = None
    simplify_m: float | None = None
    second_class: bool = False
    probabilities: bool = False
    ground_under_trees: bool = False
    palette: Palette = "standard"
    geoparquet: bool = False
    web_tiles: bool = False

    def __post_init__(self) -> None:
        """Refuses what is no area, no length and no title."""
        require_text("title", self.title)
        names = ("min_area_px", "simplify_px", "min_area_m2", "simplify_m")
        require_within(self, 0, 1e12, *names)

    def smallest_px(self, pixel_m2: float) -> int:
        """Pixels of the smallest patch, where each has so many square metres."""
        wanted = self.min_area_px if self.min_area_m2 is None else self.min_area_m2 / pixel_m2
        return math.ceil(wanted)

    def detail_px(self, pixel_m: float) -> float:
        """Detail of edges that may go, in pixels of such a side."""
        return self.simplify_px if self.simplify_m is None else self.simplify_m / pixel_m


@dataclass(frozen=True)
class ReportSettings:
    """The report of a finished run.

    Attributes:
        title: Title; null is the city's name, or the run folder's.
        palette: Colours of the classes: ``standard``, the legend's own, or ``colour_blind``.
    """

    title: str | None = None
    palette: Palette = "standard"

    def __post_init__(self) -> None:
        """Refuses what is no title."""
        require_text("title", self.title)


@dataclass(frozen=True)
class ZonalSettings:
    """Class areas by zone.

    Attributes:
        layer: Layer of the zones file; null means the only one.
    """

    layer: str | None = None


@dataclass(frozen=True)
class CompareSettings:
    """What differs between two maps of the same ground.

    Attributes:
        out: Folder of the difference map and the transition table.
        palette: Colours of the classes: ``standard``, the legend's own, or ``colour_blind``.
    """

    out: Path = Path("comparison")
    palette: Palette = "standard"


@dataclass(frozen=True)
class QgisPluginSettings:
    """The plugin for QGIS.

    Attributes:
        out: Folder of plugins it is copied to; null: that of QGIS' default profile.
    """

    out: Path | None = None


@dataclass(frozen=True)
class CatalogSettings:
    """A catalogue of published runs.

    Attributes:
        title: Title of the collection.
        prior: Folder of the prior the maps were made with, to be listed too.
        validate: Whether to check all by the schemas of STAC and of its extensions, which are
            fetched; takes the extra ``web``.
    """

    title: str = "Land cover"
    prior: Path | None = None
    validate: bool = False

    def __post_init__(self) -> None:
        """Refuses what is no title."""
        require_text("title", self.title)


@dataclass(frozen=True)
class GatherSettings:
    """The maps of a batch, gathered.

    Attributes:
        title: Title of the collection of the published ones.
        palette: Colours of the virtual rasters: ``standard``, the maps' own, or ``colour_blind``.
    """

    title: str = "Land cover"
    palette: Palette = "standard"

    def __post_init__(self) -> None:
        """Refuses what is no title."""
        require_text("title", self.title)


@dataclass(frozen=True)
class DoubtfulSettings:
    """Places of a map that are worth a look.

    Attributes:
        count: Number of places.
        apart_m: Least distance between two of them, metres.
    """

    count: int = 50
    apart_m: float = 40.0

    def __post_init__(self) -> None:
        """Refuses what is no number of places and no distance."""
        require_within(self, 1, 10_000, "count")
        require_within(self, 0, 100_000, "apart_m")


@dataclass(frozen=True)
class SampleSettings:
    """A stratified random sample of a map, to be labelled by hand.

    Attributes:
        n: Number of points.
        per_class: Fewest points of a class; null is half of what equal shares would be.
        seed: Seed of the draw.
    """

    n: int = 200
    per_class: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers of points that make no sample."""
        require_within(self, 2, 1_000_000, "n")
        require_within(self, 2, 1_000_000, "per_class")
        require_within(self, 0, 2**63, "seed")


@dataclass(frozen=True)
class AssessSettings:
    """What becomes of the estimates from a labelled sample.

    Attributes:
        csv: File for the table of classes, which must not be there yet; null writes none.
    """

    csv: Path | None = None
