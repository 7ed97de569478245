"""Settings of map runs and their scores."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landcover_pnp.config import file_or_address, profiled, renamed, require_within
from landcover_pnp.errors import SettingsError
from landcover_pnp.evaluation.truth_legend import TruthName
from landcover_pnp.evidence.settings import ClusterSettings, WeakLabelSettings
from landcover_pnp.inference.filling import RANGES, CompletionSettings, FillSettings
from landcover_pnp.inference.settings import InferenceSettings
from landcover_pnp.legends.result_legend import ResultName
from landcover_pnp.pipeline.profiles import DEFAULT_PROFILE, PROFILES
from landcover_pnp.pipeline.slices import Slice
from landcover_pnp.scenes.settings import LARGEST_SEED, Look, SceneSettings, SyntheticSettings
from landcover_pnp.student.settings import StudentSettings

MOST_WORKERS = 10_000
"""More processes are a slip of the pen."""


MOST_SAMPLES = 1000
"""Their counts are kept tile by tile."""


def require_samples(samples: int) -> None:
    """Refuses a number of posterior samples of which there can be no interval.

    Raises:
        SettingsError: If it is 1, negative or far too large.
    """
    if samples != 0 and not 2 <= samples <= MOST_SAMPLES:
        raise SettingsError(
            found=f"samples is {samples}",
            expected=f"0 for none, or 2 to {MOST_SAMPLES}: one map tells nothing of an interval",
            fix="set samples to 16, which is enough",
        )


@dataclass(frozen=True)
class TileSettings:
    """How the working grid is cut into tiles.

    Attributes:
        core_px: Side of the core that a tile answers for, working pixels.
        halo_px: Overlap on each side, working pixels.
    """

    core_px: int = 384
    halo_px: int = renamed("ring_px", default=64)


@profiled(PROFILES, DEFAULT_PROFILE)
@dataclass(frozen=True)
class MapSettings:
    """A map of one scene.

    Files and the command line have the key ``profile`` besides, see ``pipeline.profiles``.

    Attributes:
        scene: Layers and working grid.
        weak_labels: Weak labels.
        clusters: Clusters.
        inference: Engine and prior.
        student: Image model that learns from the engine's map and draws the final one, at the
            image's own resolution; null leaves the engine's map.
        tiles: Tiles.
        legend: Legend of the map: ``five`` are the working classes, ``buildings`` has buildings
            apart from other impervious ground, as the scene's layer of buildings says; or a YAML
            file each of whose classes holds some of them.
        samples: Posterior samples of the map, which give class frequencies by pixel and the class
            areas with an interval; 0 draws none, 16 are enough.
        seed: Seed of everything random.
        workers: Worker processes of one thread; 0 works in this process, without dask; null is
            one a GPU or, where there is none, one a core.
        scheduler: Address of a running dask scheduler whose workers do the tiles; null starts
            workers on this machine.
    """

    scene: SceneSettings
    weak_labels: WeakLabelSettings = field(default_factory=WeakLabelSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    student: StudentSettings | None = field(default_factory=StudentSettings)
    tiles: TileSettings = field(default_factory=TileSettings)
    legend: ResultName | Path = "five"
    samples: int = 0
    seed: int = 0
    workers: int | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuses numbers of samples or workers, or a seed, that there cannot be."""
        require_samples(self.samples)
        require_within(self, 0, LARGEST_SEED, "seed")
        require_within(self, 0, MOST_WORKERS, "workers")


@dataclass(frozen=True)
class BatchSettings:
    """Maps of many cities, one after the other.

    Attributes:
        cities: Configuration files of the maps; each gets a run folder of its file's name.
        out: Folder of the run folders and of the table of all cities.
        workers: Worker processes, instead of what each city says; null leaves that.
        scheduler: Address of a running dask scheduler, instead of what each city says.
        slice: Which part of the cities to map, such as 3/20: every twentieth from the third on;
            slices may run at once, and share folder and table. Null maps all.
    """

    cities: list[Path]
    out: Path = Path("runs/batch")
    workers: int | None = None
    scheduler: str | None = None
    slice: str | None = None

    def __post_init__(self) -> None:
        """Refuses a number of workers and a slice that there cannot be."""
        require_within(self, 0, MOST_WORKERS, "workers")
        if self.slice is not None:
            Slice.of(self.slice)


@dataclass(frozen=True)
class EvaluateSettings:
    """Scores of a finished run.

    Attributes:
        truth: Truth raster, or its address; any grid that covers the same ground.
        legend: Its legend: EnviroAtlas, the working classes, ``buildings`` or a YAML file as of a
            map. What truth and map do not both tell apart is scored together.
        scheme: ``five_classes`` counts shrubs and wetlands as trees and agriculture as
            grass; ``published`` takes only the five EnviroAtlas classes as truth, while predictions
            on other truth still count in the unions (Graikos et al. 2022).
        overlap: Whether truth and map may cover different ground; what both cover is scored.
    """

    truth: Path = file_or_address()
    legend: TruthName | Path = "enviroatlas"
    scheme: Literal["five_classes", "published"] = renamed("protocol", default="five_classes")
    overlap: bool = False


@dataclass(frozen=True)
class FillOptions(CompletionSettings):
    """How hidden pixels of a class map are filled, see ``inference.filling``.

    Attributes:
        evidence_weight: Power of the whole map's class shares, which are the evidence in windows
            without a known pixel; 0 leaves them out.
    """

    def __post_init__(self) -> None:
        """Refuses values that fill nothing."""
        own = {f.name for f in dataclasses.fields(self)}
        for names, (low, high) in RANGES.items():
            require_within(self, low, high, *(name for name in names if name in own))

    @property
    def complete(self) -> FillSettings:
        """The same as ``inference.filling.fill`` takes them; what is left out it does not use."""
        return FillSettings(**dataclasses.asdict(self))


@dataclass(frozen=True)
class FillMapSettings:
    """A class map whose masked pixels are filled by a prior over label maps.

    Attributes:
        mask: What is hidden, such as clouds: a raster, on whatever grid, or a vector file of
            polygons.
        out: Folder of the results; null is filled/<name of the map or run>.
        mask_values: Values of a mask raster that hide a pixel; null means every one but 0.
        mask_layer: Layer of a vector mask with several; null means the only one.
        legend: Legend of the map: working, enviroatlas, the name of a coarse legend, or a YAML
            file of one; null tells it from the map's colours and codes.
        fill_no_data: Whether masked pixels without data are filled too; else they stay so.
        prior: Folder of a prior of either kind; null is the shipped masked one.
        fill: How pixels are filled.
        window_px: Side of the windows, pixels of the prior (4 m).
        halo_px: What the prior sees around a window, on each side, at most half of it.
        samples: Posterior samples of the filled pixels, which give their class frequencies and the
            class areas of the whole map with an interval; 0 draws none, 16 are enough.
        seed: Seed of everything random.
        workers: Worker processes; 0 works in this process.
    """

    mask: Path = file_or_address()
    out: Path | None = None
    mask_values: list[int] | None = None
    mask_layer: str | None = None
    legend: str | None = None
    fill_no_data: bool = False
    prior: Path | None = None
    fill: FillOptions = field(default_factory=FillOptions)
    window_px: int = 192
    halo_px: int = 32
    samples: int = 0
    seed: int = 0
    workers: int | None = 0

    def __post_init__(self) -> None:
        """Refuses numbers of samples or workers, a seed or windows that there cannot be."""
        require_samples(self.samples)
        require_within(self, 0, LARGEST_SEED, "seed")
        require_within(self, 16, 4096, "window_px")
        require_within(self, 0, self.window_px // 2, "halo_px")
        require_within(self, 0, MOST_WORKERS, "workers")


@dataclass(frozen=True)
class NoSettings:
    """A command without options."""


@dataclass(frozen=True)
class DemoSettings:
    """The demo: a synthetic city drawn, mapped by every profile and scored.

    p(class | code) comes from a second city of the same look: the matrix source ``source``.

    Attributes:
        out: Folder of the city and of the run.
        city: The city.
        look: Its climate and building style, in place of ``city.look``.
        window_m: Side of the window that the profile ``paper`` maps, metres.
        inference: Engine and prior of the default profile's map, and the engines' own settings.
        student: Image model that draws that map at 1 m; null leaves the engine's map.
        seed: Seed of the run.
        workers: Worker processes; null is one a core.
    """

    out: Path = Path("demo")
    city: SyntheticSettings = field(default_factory=SyntheticSettings)
    look: Look | None = None
    window_m: float = 256.0
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    student: StudentSettings | None = field(default_factory=StudentSettings)
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuses a seed, a window or a number of workers that there cannot be."""
        require_within(self, 0, LARGEST_SEED, "seed")
        require_within(self, 16, 100_000, "window_m")
        require_within(self, 0, MOST_WORKERS, "workers")
