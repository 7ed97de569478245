"""The folder of a map run: every path and every name in it, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.storage.marker import MARKER, TileNames
from landcover_pnp.storage.owned_folder import OwnedFolder, held, require_apart
from landcover_pnp.storage.records import RECORD
from landcover_pnp.storage.sample_files import SampleFiles

KIND = "map run"
"""What the marker of a run folder says."""

SIGNS = ("settings.json", "journal.jsonl")
"""Files of a run of version 0.1.0, which wrote no marker."""

METHODS = ("map", "evidence", "weak_labels")
"""Probabilities that every run has: the engine's and the two baselines it must beat."""

STUDENT = "student"
"""Probabilities at the image's resolution, of a run with a student."""

CORRECTED = "corrected"
"""Folder of the map that a user has corrected, laid out as the run's own."""

DRAWN = "drawn"
"""Probabilities before what is done to them last: of a corrected map those of its student before
the edits are held, of a run those of its map before unsure pixels are filled."""

FILLED = "filled"
"""What ground was not seen: filled by the prior, or corrected by the user."""

DOUBT = "doubt"
"""Doubt of the map's pixels, beside the probabilities, and places worth a look."""

RASTERS = ("landcover", "confidence", "entropy", DOUBT, "evidence", "weak_labels")
"""Class and percent rasters of a finished map."""

PLACES = (
    "scene",
    "sources",
    "tiles",
    "student",
    "posterior",
    "hidden",
    "probabilities",
    "products",
    "zonal",
    "samples",
    "doubtful",
    CORRECTED,
)
"""Folders below the run folder that are the run's."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run; nothing needs to be there.

    Attributes:
        path: The run folder.
    """

    path: Path

    @property
    def settings(self) -> Path:
        """Settings of the run, as JSON that ``load_settings`` reads."""
        return self.path / "settings.json"

    @property
    def summary(self) -> Path:
        """Counts, scores and notes of the finished map."""
        return self.path / "summary.json"

    @property
    def journal(self) -> Path:
        """What has happened, a JSON object a line."""
        return self.path / "journal.jsonl"

    @property
    def marker(self) -> Path:
        """What makes the folder one of ours, see ``owned_folder``."""
        return self.path / MARKER

    @property
    def preview(self) -> Path:
        """Finished tiles as one map, while the run is at work."""
        return self.path / "preview.vrt"

    @property
    def overview(self) -> Path:
        """Picture of the finished run."""
        return self.path / "overview.png"

    @property
    def report(self) -> Path:
        """Report of its own, of the command ``report``."""
        return self.path / "report.html"

    @property
    def rasters_record(self) -> Path:
        """Record of the map and its baselines."""
        return self.path / "products.json"

    @property
    def scene(self) -> Path:
        """The prepared scene."""
        return self.path / "scene"

    @property
    def scene_record(self) -> Path:
        """Record of the prepared scene."""
        return self.scene / RECORD

    @property
    def sources(self) -> Path:
        """Prepared scenes of the source cities, in which p(class | code) is counted."""
        return self.path / "sources"

    @property
    def tiles(self) -> Path:
        """Results of the tiles."""
        return self.path / "tiles"

    @property
    def student(self) -> Path:
        """The run's own student and its tiles."""
        return self.path / "student"

    @property
    def probabilities(self) -> Path:
        """Blended probabilities by method, and their record."""
        return self.path / "probabilities"

    @property
    def products(self) -> Path:
        """What ``publish`` makes; a folder that can be moved."""
        return self.path / "products"

    @property
    def zonal(self) -> Path:
        """Tables of class areas by zone."""
        return self.path / "zonal"

    @property
    def samples(self) -> Path:
        """Samples of the map, to be labelled by hand."""
        return self.path / "samples"

    @property
    def doubtful(self) -> Path:
        """Places of the map that are worth a look; a folder that can be moved."""
        return self.path / "doubtful"

    @property
    def doubtful_record(self) -> Path:
        """Record of these places."""
        return self.path / "doubtful.json"

    @property
    def landcover(self) -> Path:
        """The map."""
        return self.raster("landcover")

    @property
    def confidence(self) -> Path:
        """The largest class probability, percent."""
        return self.raster("confidence")

    @property
    def mosaic_record(self) -> Path:
        """Record of the blended probabilities."""
        return self.probabilities / RECORD

    @property
    def model(self) -> Path:
        """The run's own student, see ``student.stored_model``."""
        return self.student / "model.safetensors"

    @property
    def published_record(self) -> Path:
        """Record of what ``publish`` has made."""
        return self.path / "published.json"

    @property
    def student_record(self) -> Path:
        """Record of the run's own student."""
        return self.student / RECORD

    @property
    def student_mosaic_record(self) -> Path:
        """Record of the student's joined probabilities."""
        return self.probabilities / f"{STUDENT}.json"

    @property
    def sampled(self) -> SampleFiles:
        """Files of posterior samples, and of the ground under trees."""
        return SampleFiles(self.path)

    @property
    def doubt_record(self) -> Path:
        """Record of the doubt of the map's pixels."""
        return self.probabilities / f"{DOUBT}.json"

    @property
    def corrected(self) -> RunFolder:
        """Files of the corrected map, under the names that the run's own have."""
        return RunFolder(self.path / CORRECTED)

    @property
    def edits(self) -> Path:
        """Of a corrected map, the user's edits on its grid."""
        return self.raster("edits")

    @property
    def drawn_record(self) -> Path:
        """Record of what the student has drawn where that is not the map yet, see ``DRAWN``."""
        return self.probabilities / f"{DRAWN}.json"

    @property
    def trained_summary(self) -> Path:
        """Rounds of a student that ``train-student`` trained on this run and others."""
        return self.path / f"{STUDENT}.json"

    def raster(self, stem: str) -> Path:
        """A class or percent raster of the finished map, such as ``landcover``."""
        return self.path / f"{stem}.tif"

    def probability(self, method: str) -> Path:
        """Blended probabilities of a method, or of the student."""
        return self.probabilities / f"{method}.tif"

    def name(self, path: Path) -> str:
        """Name of a path below the run folder, as claims and messages have it."""
        return path.relative_to(self.path).as_posix()

    def held(self, names: Iterable[str] = ()) -> AbstractContextManager[OwnedFolder]:
        """Takes and holds the folder, see ``owned_folder.held``."""
        from landcover_pnp.storage.lost_names import lost_names  # which knows this class

        return held(self.path, KIND, SIGNS, names, lambda: lost_names(self))

    def names(
        self, rasters: Iterable[str], *, student: bool, samples: bool = False
    ) -> Iterator[str]:
        """Names that a map run writes, besides tiles, scene and sources.

        Args:
            rasters: Stems of the class and percent rasters.
            student: Whether a student draws the map.
            samples: Whether posterior samples of it are drawn.
        """
        methods = (*METHODS, DOUBT, *([STUDENT] if student else []))
        probabilities = [file for m in methods for file in raster_files(self.probability(m))]
        finals = [file for stem in rasters for file in raster_files(self.raster(stem))]
        single = [
            self.settings,
            self.summary,
            self.journal,
            self.preview,
            self.overview,
            self.rasters_record,
            self.mosaic_record,
            self.doubt_record,
        ]
        single += [self.student_record, self.student_mosaic_record] if student else []
        single += sample_paths(self.sampled) if samples else []
        yield from map(self.name, [*single, *probabilities, *finals])

    def require_apart(self, inputs: Iterable[Path]) -> None:
        """Refuses inputs in the run's own places, before any work.

        Raises:
            RequestError: Names the first one.
        """
        places = [self.path / place for place in PLACES]
        single = (self.settings, self.summary, self.journal, self.preview, self.overview)
        require_apart(inputs, [*places, *single, *map(self.raster, (*RASTERS, METHODS[0]))])


def raster_files(path: Path) -> tuple[Path, ...]:
    """A raster that this package writes, and what may lie beside it."""
    return path, path.with_name(f"{path.name}.aux.xml"), path.with_suffix(".qml")


def sample_paths(files: SampleFiles) -> list[Path]:
    """Files of posterior samples, but for those of the tiles."""
    return [*raster_files(files.frequencies), *files.records]


def with_sidecars(rasters: Iterable[Path]) -> Iterator[Path]:
    """Rasters with what lies beside them of ``raster_files``."""
    return (file for path in rasters for file in raster_files(path) if file.is_file())


def tile_names(folder: str, shape: tuple[int, int], endings: Iterable[str]) -> TileNames:
    """Names of the files of a grid's tiles.

    Args:
        folder: Where they lie, relative to the run folder.
        shape: Rows and columns of tiles.
        endings: What stands behind a tile's name, such as ``_map.tif`` and ``.json``.
    """
    return TileNames(folder, *shape, tuple(endings))
