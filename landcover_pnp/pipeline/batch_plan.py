"""The plan of a batch: all cities planned before the first is mapped, and what is wrong."""

from __future__ import annotations

import dataclasses
import io
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from rich.text import Text

from landcover_pnp.config import load_settings
from landcover_pnp.errors import LandcoverError, LandcoverWarning, RequestError, SettingsError
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.settings import BatchSettings, MapSettings
from landcover_pnp.pipeline.slices import Slice
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.imagery import image_systems


@dataclass(frozen=True)
class PlannedCity:
    """A city of a batch.

    Attributes:
        name: Name of its configuration file, and of the CRS where it has several: its run's.
        settings: Settings of its map; None where it cannot be mapped.
        error: Why not.
        note: What the user should know of it.
    """

    name: str
    settings: MapSettings | None
    error: Exception | None = None
    note: str = ""

    @property
    def exit_code(self) -> int:
        """As ``landcover map`` would give it, were it to end now."""
        unforeseen = 1 if self.error else 0
        return int(getattr(self.error, "exit_code", unforeseen))

    @property
    def found(self) -> str:
        """What is wrong, in one line."""
        if isinstance(self.error, LandcoverError):
            return " ".join(self.error.found.split())
        if isinstance(self.error, LandcoverWarning):
            return f"{' '.join(str(self.error).split())} (a warning, and --strict was given)"
        return f"unexpected {type(self.error).__name__}: {' '.join(str(self.error).split())}"

    @property
    def fix(self) -> str:
        """What to do about it."""
        if isinstance(self.error, LandcoverError):
            return " ".join(self.error.fix.split())
        if isinstance(self.error, LandcoverWarning):
            return "correct it, or leave out --strict"
        return "run `landcover check` with the city's configuration"


@dataclass(frozen=True)
class BatchPlan:
    """All cities of a batch, planned.

    Attributes:
        cities: In the order of the settings.
    """

    cities: tuple[PlannedCity, ...]

    @property
    def wrong(self) -> tuple[PlannedCity, ...]:
        """The cities that cannot be mapped."""
        return tuple(city for city in self.cities if city.settings is None)

    def table(self) -> str:
        """What is wrong with which city and how to mend it; as wide as the terminal, if any."""
        table = Table("city", "found", "fix", box=MARKDOWN)
        for city in self.wrong:
            table.add_row(Text(city.name), Text(city.found), Text(city.fix))
        width = shutil.get_terminal_size().columns if sys.stderr.isatty() else 100_000
        console = Console(file=io.StringIO(), width=width)
        with console.capture() as capture:
            console.print(table)
        return "\n".join(line.rstrip() for line in capture.get().strip().splitlines())

    def require_usable(self, *, strict: bool) -> None:
        """Refuses a batch none of whose cities can be mapped.

        Args:
            strict: Refuse one with any such city.

        Raises:
            RequestError: Its message has the table.
        """
        count = len(self.wrong)
        hopeless = all(city.exit_code == RequestError.exit_code for city in self.cities)
        if not count or not (strict or hopeless):
            return
        raise RequestError(
            found=f"{count} of {len(self.cities)} cities cannot be mapped\n\n{self.table()}\n",
            expected="cities that can all be mapped" if strict else "a city that can be mapped",
            fix="correct what the table names; `landcover check` reads all inputs of a city",
        )


def plan_cities(settings: BatchSettings, *, strict: bool = False) -> BatchPlan:
    """Plans every city as its map would; nothing is written.

    Args:
        settings: The cities' configuration files, the workers of the batch, and its slice.
        strict: Whether a warning of the plan is an error of the city. Else it is left to the map.

    Returns:
        The plan, of one map a city or, of one whose images are in several coordinate reference
        systems such as two UTM zones, a map each.

    Raises:
        SettingsError: If there are no cities or two would share a run folder.
    """
    stems = [config.stem for config in settings.cities]
    _require_names(stems)
    wanted = settings.cities
    if settings.slice is not None:
        wanted = Slice.of(settings.slice).cities(settings.cities)
    cities = tuple(city for config in wanted for city in _planned(config, settings, strict))
    others = set(stems) - {config.stem for config in wanted}
    if cities:
        _require_names([*(city.name for city in cities), *others])
    return BatchPlan(cities)


def _planned(config: Path, settings: BatchSettings, strict: bool) -> Iterator[PlannedCity]:
    try:
        parts = _by_zone(config.stem, load_settings(MapSettings, config))
    except Exception as error:  # whatever a city's files do, the others are to be mapped
        yield PlannedCity(config.stem, None, error)
        return
    note = f"images in several zones, mapped as {', '.join(parts)}" if len(parts) > 1 else ""
    for name, part in parts.items():
        city = _pooled(part, settings)
        try:
            with _silent(not strict):
                plan_map(city)
        except Exception as error:
            yield PlannedCity(name, None, error, note)
        else:
            yield PlannedCity(name, city, None, note)


@contextmanager
def _silent(silent: bool) -> Iterator[None]:
    """Keeps warnings back that the map will give again."""
    with warnings.catch_warnings():
        if silent:
            warnings.simplefilter("ignore", LandcoverWarning)
        yield


def _pooled(city: MapSettings, settings: BatchSettings) -> MapSettings:
    """The city's settings with the batch's workers, where it names any."""
    workers = city.workers if settings.workers is None else settings.workers
    return dataclasses.replace(
        city, workers=workers, scheduler=settings.scheduler or city.scheduler
    )


def _by_zone(name: str, city: MapSettings) -> dict[str, MapSettings]:
    """Settings by run name: one a coordinate reference system of the images."""
    files = city.scene.rasters
    if files is None or files.image_crs is not None:
        return {name: city}
    systems = image_systems(image_files(files.image, files.image_root))
    if len(systems) < 2:
        return {name: city}
    return {
        f"{name}-{crs.lower().replace(':', '_')}": dataclasses.replace(
            city,
            scene=dataclasses.replace(
                city.scene, rasters=dataclasses.replace(files, image_crs=crs)
            ),
        )
        for crs in systems
    }


def _require_names(names: list[str]) -> None:
    # Disks of macOS and Windows take Mesa and mesa for the same folder.
    seen = Counter(name.casefold() for name in names)
    twice = sorted({name for name in names if seen[name.casefold()] > 1})
    if twice or not names:
        raise SettingsError(
            found=f"cities of the same name: {', '.join(twice)}" if twice else "no cities",
            expected="configuration files, each of another name: it becomes the run folder's",
            fix="correct `cities` of the batch",
        )
