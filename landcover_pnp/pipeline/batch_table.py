"""The table of a batch: a row a city, kept in the order of its configuration."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from landcover_pnp.config.texts import as_cell
from landcover_pnp.storage.atomic import completed


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


Row = dict[str, str]
"""A row of the table as it is read."""


def signs_of_old(table: Path) -> tuple[str, ...]:
    """What shows that a folder without a marker is a batch's of version 0.1: its table.

    A user's own table of that name shows nothing: its columns are others.
    """
    try:
        with table.open(encoding="utf-8", errors="replace") as file:
            columns = file.readline(1000).strip().split(",")
    except OSError:
        return ()
    return (table.name,) if {"city", "landcover"} <= set(columns) else ()


def read_table(path: Path) -> list[Row]:
    """The rows an earlier batch wrote; none of a table that a spreadsheet has rewritten."""
    if not path.is_file():
        return []
    columns = {field.name for field in dataclasses.fields(CityResult)}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return [row for row in csv.DictReader(file) if row.keys() == columns]


def write_table(path: Path, rows: Iterable[CityResult], before: Sequence[Row] = ()) -> None:
    """Writes the rows, and after them those of before whose city is not among them."""
    cells = _cells(rows)
    cities = {row["city"] for row in cells}
    _write(path, [*cells, *(row for row in before if row["city"] not in cities)])


def update_table(path: Path, rows: Iterable[CityResult], names: Sequence[str]) -> None:
    """Puts rows in the place of those of the same cities; the others stay as they are.

    Args:
        path: The table.
        rows: New rows.
        names: Names of all configuration files of the batch, in the order of the rows; rows of
            cities of other names go.
    """
    new = {row["city"]: row for row in _cells(rows)}
    there = {row["city"]: row for row in read_table(path)} | new
    order = {str(as_cell(name)): place for place, name in enumerate(names)}
    placed = [(place, row) for row in there.values() if (place := _place(row, order)) is not None]
    _write(path, [row for _, row in sorted(placed, key=lambda pair: pair[0])])


def _place(row: Row, order: dict[str, int]) -> int | None:
    """Place of a row's configuration; a city of several zones has its name and a CRS behind it."""
    whose = [name for name in order if row["city"] in (name,) or row["city"].startswith(f"{name}-")]
    return order[max(whose, key=len)] if whose else None


def _cells(rows: Iterable[CityResult]) -> list[Row]:
    return [{k: as_cell(v) for k, v in dataclasses.asdict(row).items()} for row in rows]


def _write(path: Path, cells: Sequence[Row]) -> None:
    with completed(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(CityResult)])
        writer.writeheader()
        writer.writerows(cells)
