"""The batch stage: maps of many cities, one run folder each, one table for all."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config.texts import as_cell
from landcover_pnp.errors import LandcoverError, LandcoverWarning
from landcover_pnp.pipeline.batch_plan import BatchPlan, plan_cities
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.progress import Progress
from landcover_pnp.pipeline.settings import BatchSettings, MapSettings
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.owned_folder import held

TABLE = "cities.csv"
"""Name of the table in the folder of a batch."""


@dataclass(frozen=True)
class CityResult:
    """A row of the table.

    Attributes:
        city: Name of its configuration file, and of the CRS where it has several.
        exit_code: As ``landcover map`` gives it.
        area_km2: Mapped area.
        tiles: Tiles of the map.
        done: Tiles inferred by this run.
        kept: Tiles that an earlier run had finished.
        failed: Tiles that are no data in the map.
        seconds: Time of the run.
        accuracy: Share of truth pixels that are right, None without truth.
        mean_iou: Mean intersection over union, None without truth.
        landcover: The map, empty if there is none.
        reason: Why there is none.
        legend: Legend of the map: scores of different legends cannot be compared.
    """

    city: str
    exit_code: int
    area_km2: float = 0.0
    tiles: int = 0
    done: int = 0
    kept: int = 0
    failed: int = 0
    seconds: float = 0.0
    accuracy: float | None = None
    mean_iou: float | None = None
    landcover: str = ""
    reason: str = ""
    legend: str = ""


@dataclass(frozen=True)
class BatchSummary:
    """What became of the cities.

    Attributes:
        table: CSV file with a row a city.
        cities: The same rows.
    """

    table: Path
    cities: tuple[CityResult, ...]

    @property
    def exit_code(self) -> int:
        """0 all cities whole, 3 some of them, 1 no map at all."""
        codes = {city.exit_code for city in self.cities}
        if codes == {0}:
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
    such as two UTM zones, become a map each.

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
    plan.require_usable(strict=strict)
    with held(settings.out, "batch", signs=(TABLE,), names=(TABLE,)) as owned:
        owned.kept = True  # the cities' maps outlive a table that cannot be written
        if plan.wrong:
            count = f"{len(plan.wrong)} of {len(plan.cities)} cities cannot be mapped"
            report("batch", Progress(total=0, note=f"{count}\n\n{plan.table()}\n"))
        return _map_cities(plan, settings.out, report)


def _map_cities(
    plan: BatchPlan, out: Path, report: Callable[[str, Progress], None]
) -> BatchSummary:
    table, rows = out / TABLE, list[CityResult]()
    before = _read_table(table)
    for city in plan.cities:
        if city.note:
            report(city.name, Progress(total=0, note=city.note))
        if city.settings is None:
            rows.append(_without_map(city.name, city.error))
        else:
            rows.append(_map(city.name, city.settings, out / city.name, report))
        _write_table(table, rows, before)
    _write_table(table, rows)
    return BatchSummary(table, tuple(rows))


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


def _read_table(path: Path) -> list[dict[str, str]]:
    """The rows an earlier batch wrote; none of a table that a spreadsheet has rewritten."""
    if not path.is_file():
        return []
    columns = {field.name for field in dataclasses.fields(CityResult)}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return [row for row in csv.DictReader(file) if row.keys() == columns]


def _write_table(path: Path, rows: list[CityResult], before: Sequence[dict[str, str]] = ()) -> None:
    """Writes the rows, and after them those of before whose city is not among them."""
    cells = [{k: as_cell(v) for k, v in dataclasses.asdict(row).items()} for row in rows]
    cities = {row["city"] for row in cells}
    with completed(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(CityResult)])
        writer.writeheader()
        writer.writerows(cells)
        writer.writerows(row for row in before if row["city"] not in cities)
