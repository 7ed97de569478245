"""Settings of publishing: products, zones, comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config import require_within
from landcover_pnp.config.texts import require_text


@dataclass(frozen=True)
class PublishSettings:
    """The products of a finished run.

    Attributes:
        title: Title of project and report; null is the city's name, or the run folder's.
        min_area_m2: Minimum mapping unit of the polygons; smaller patches go to their largest
            neighbour.
        simplify_m: Detail of the polygons' edges that may go, metres.
        second_class: Whether to write the second most probable class too.
        probabilities: Whether to write all class probabilities too, in percent.
    """

    title: str | None = None
    min_area_m2: float = 200.0
    simplify_m: float = 12.0
    second_class: bool = False
    probabilities: bool = False

    def __post_init__(self) -> None:
        """Refuses what is no area, no length and no title."""
        require_text("title", self.title)
        require_within(self, 0, 1e12, "min_area_m2", "simplify_m")


@dataclass(frozen=True)
class ReportSettings:
    """The report of a finished run.

    Attributes:
        title: Title; null is the city's name, or the run folder's.
    """

    title: str | None = None

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
    """

    out: Path = Path("comparison")


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
    """

    title: str = "Land cover"
    prior: Path | None = None

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
