"""The batch stage: maps of many cities, one run folder each, one table for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.errors import LandcoverError, LandcoverWarning
from landcover_pnp.pipeline.batch_plan import BatchPlan, PlannedCity, plan_cities
from landcover_pnp.pipeline.batch_table import (
    CityResult,
    read_table,
    signs_of_old,
    update_table,
    write_table,
)
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import BatchSettings, MapSettings
from landcover_pnp.pipeline.slices import BATCH, TABLE, Slice, require_no_slices, table_held
from landcover_pnp.storage.owned_folder import held


@dataclass(frozen=True)
class BatchSummary:
    """What became of the cities.

    Attributes:
        table: CSV file with a row a city.
        cities: The same rows; of a slice, those of its own cities.
    """

    table: Path
    cities: tuple[CityResult, ...]

    @property
    def exit_code(self) -> int:
        """0 all cities whole, 3 some of them, 1 no map at all."""
        codes = {city.exit_code for city in self.cities}
        if codes <= {0}:  # a slice may have no city
            return 0
        return 3 if codes & {0, 3} else 1


def map_cities(
    settings: BatchSettings,
    report: Callable[[str, Progress], None] = lambda *_: None,
    *,
    strict: bool = False,
) -> BatchSummary:
    """Plans all cities, then maps one after the other those that can be.

    The same call again keeps what is finished, as ``map_city`` does, and in the table the rows of
    cities that it has not come to yet. Images of a city in several coordinate reference systems,
    such as two UTM zones, become a map each. Of a batch in slices, each is a call of its own, at
    whatever time and in whatever order.

    Args:
        settings: The cities' configuration files and the folder of the runs.
        report: Called with a city's name and the progress of its map whenever that changes;
            first, where some cannot be mapped, with ``batch`` and the table of what is wrong.
        strict: Map none if one cannot be mapped.

    Returns:
        The table, written anew after every city.

    Raises:
        SettingsError: If there are no cities or two would share a run folder.
        RequestError: If none can be mapped, or not all and ``strict``; nothing is written then.
        RunLockedError: If another batch works in the folder.
        RunGoneError: If the folder is deleted meanwhile.
    """
    plan = plan_cities(settings, strict=strict)
    if settings.slice is not None:
        if strict:
            plan.require_usable(strict=True)
        return _map_slice(plan, settings, Slice.of(settings.slice), report)
    plan.require_usable(strict=strict)
    signs = signs_of_old(settings.out / TABLE)
    with held(settings.out, BATCH, signs=signs, names=(TABLE,)) as owned:
        require_no_slices(settings.out)
        owned.kept = True  # the cities' maps outlive a table that cannot be written
        _say_wrong(plan, report)
        return _map_cities(plan, settings.out, report)


def _say_wrong(plan: BatchPlan, report: Callable[[str, Progress], None]) -> None:
    if plan.wrong:
        count = f"{len(plan.wrong)} of {len(plan.cities)} cities cannot be mapped"
        report("batch", Progress(total=0, note=f"{count}\n\n{plan.table()}\n"))


def _map_slice(
    plan: BatchPlan,
    settings: BatchSettings,
    part: Slice,
    report: Callable[[str, Progress], None],
) -> BatchSummary:
    """Maps a slice's cities; holds the slice all the time, the table only to write to it."""
    out, rows = settings.out, list[CityResult]()
    names = [config.stem for config in settings.cities]
    with part.held(out):
        said = f"slice {part}: {len(plan.cities)} maps of {len(names)} cities"
        report("batch", Progress(total=0, note=said))
        _say_wrong(plan, report)
        for city in plan.cities:
            rows.append(_mapped(city, out, report))
            with table_held(out):
                update_table(out / TABLE, rows[-1:], names)
        if not rows:
            with table_held(out):
                update_table(out / TABLE, (), names)
    return BatchSummary(out / TABLE, tuple(rows))


def _map_cities(
    plan: BatchPlan, out: Path, report: Callable[[str, Progress], None]
) -> BatchSummary:
    table, rows = out / TABLE, list[CityResult]()
    before = read_table(table)
    for city in plan.cities:
        rows.append(_mapped(city, out, report))
        write_table(table, rows, before)
    write_table(table, rows)
    return BatchSummary(table, tuple(rows))


def _mapped(city: PlannedCity, out: Path, report: Callable[[str, Progress], None]) -> CityResult:
    if city.note:
        report(city.name, Progress(total=0, note=city.note))
    if city.settings is None:
        return _without_map(city.name, city.error)
    return _map(city.name, city.settings, out / city.name, report)


def _map(
    name: str, city: MapSettings, run: Path, report: Callable[[str, Progress], None]
) -> CityResult:
    try:
        summary = map_city(city, run, lambda progress: report(name, progress))
    except LandcoverWarning:  # an error by the user's wish
        raise
    except Exception as error:
        return _without_map(name, error)
    scores = summary.scores.get("map")
    progress = summary.progress
    return CityResult(
        name,
        summary.exit_code,
        round(summary.area_km2, 3),
        progress.total,
        progress.done,
        progress.kept,
        progress.failed,
        round(summary.seconds, 1),
        round(scores.accuracy, 4) if scores else None,
        round(scores.mean_iou, 4) if scores else None,
        str(summary.products[0]),
        "; ".join({**summary.unusable, **summary.reasons}.values()).replace("\n", " "),
        summary.legend.name,
    )


def _without_map(name: str, error: Exception | None) -> CityResult:
    expected = isinstance(error, LandcoverError)
    text = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
    reason = " ".join(text.split())
    return CityResult(name, getattr(error, "exit_code", 1), reason=reason)
