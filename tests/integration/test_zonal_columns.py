"""The zones' own columns: ids keep their digits, and no cell is a formula."""

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
import shapely.affinity
from inputs import ORIGIN, UTM

from landcover_pnp.cli import main
from landcover_pnp.products.settings import CatalogSettings, PublishSettings, ReportSettings
from landcover_pnp.products.tables import write_csv
from landcover_pnp.products.zonal import ZonalSummary, zonal
from landcover_pnp.scenes.vector_tables import read_table

ZONE = shapely.box(ORIGIN[0], ORIGIN[1] - 240, ORIGIN[0] + 80, ORIGIN[1])
ZONES = [shapely.affinity.translate(ZONE, 80 * i) for i in range(3)]
LARGE = 2**60 + 1

COLUMNS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "large ids with gaps": (pd.array([LARGE, None, 3], "Int64"), (str(LARGE), "", "3")),
    "small ids with gaps": (pd.array([7, None, -3], "Int32"), ("7", "", "-3")),
    "tiny ids with gaps": (pd.array([7, None, -3], "Int16"), ("7", "", "-3")),
    "large ids": (np.array([LARGE, 2, 3]), (str(LARGE), "2", "3")),
    "nothing but gaps": (pd.array([None, None, None], "Int64"), ("", "", "")),
    "yes, no and unknown": (pd.array([True, None, False], "boolean"), ("True", "", "False")),
    "yes and no": (np.array([True, False, True]), ("True", "False", "True")),
    "numbers with gaps": (np.array([1.5, np.nan, 0.1]), ("1.5", "", "0.1")),
    "codes": (["007", None, "010"], ("007", "", "010")),
    'q"uoted': (pd.array([1, None, 2], "Int64"), ("1", "", "2")),
}


def summed(run: Path, folder: Path, columns: dict[str, Any], ending: str) -> ZonalSummary:
    frame = gpd.GeoDataFrame(columns, geometry=ZONES, crs=UTM)
    frame = frame.to_crs(4326) if ending == "geojson" else frame
    in_order = {"SPATIAL_INDEX": "NO"} if ending == "fgb" else {}
    frame.to_file(folder / f"zones.{ending}", **in_order)
    return zonal(run, folder / f"zones.{ending}")


def cells(path: Path, name: str) -> tuple[str, ...]:
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(row[name] for row in csv.DictReader(file))


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb"])
def test_columns_stay_what_they_are(run: Path, tmp_path: Path, ending: str) -> None:
    summary = summed(run, tmp_path, {n: values for n, (values, _) in COLUMNS.items()}, ending)
    read = pyogrio.read_info(tmp_path / f"zones.{ending}")
    written = pyogrio.read_info(summary.layer)
    kinds = [dict(zip(i["fields"], i["dtypes"], strict=True)) for i in (read, written)]
    for name, (_, expected) in COLUMNS.items():
        assert cells(summary.table, name) == expected
        assert kinds[0][name] == kinds[1][name]
        again = read_table(summary.layer, "zones")[name]
        before = read_table(tmp_path / f"zones.{ending}", "zones")[name]
        pd.testing.assert_series_equal(again, before)


def test_dates_times_and_nested_values(run: Path, tmp_path: Path) -> None:
    rows = (
        {"day": "2020-01-02", "at": "2020-01-02T03:04:05Z", "list": [1, 2], "object": {"a": "=1"}},
        {"day": None, "at": None, "list": None, "object": None},
        {"day": "1850-03-04", "at": "2021-01-01T00:00:00Z", "list": [3], "object": {"b": 2}},
    )
    shapes = gpd.GeoSeries(ZONES, crs=UTM).to_crs(4326)
    features = [
        {"type": "Feature", "properties": row, "geometry": shapely.geometry.mapping(shape)}
        for row, shape in zip(rows, shapes, strict=True)
    ]
    path = tmp_path / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    summary = zonal(run, path)
    assert cells(summary.table, "day") == ("2020-01-02", "", "1850-03-04")
    assert cells(summary.table, "at")[0].startswith("2020-01-02 03:04:05")
    assert cells(summary.table, "list") == ("[1, 2]", "", "[3]")
    assert cells(summary.table, "object") == ('{"a": "=1"}', "", '{"b": 2}')
    info = pyogrio.read_info(summary.layer)
    kinds = dict(zip(info["fields"], info["dtypes"], strict=True))
    assert kinds["day"] == "datetime64[D]"
    assert kinds["at"] == "datetime64[ms]"
    layer = read_table(summary.layer, "zones")
    assert layer["day"].tolist() == [dt.date(2020, 1, 2), None, dt.date(1850, 3, 4)]
    assert layer["at"][2] == pd.Timestamp("2021-01-01T00:00:00Z")


LEADS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def test_no_cell_of_a_table_is_a_formula(run: Path, tmp_path: Path) -> None:
    texts = [f"{lead}HYPERLINK(A1)" for lead in LEADS]
    frame = gpd.GeoDataFrame(
        {"name": texts, "=cmd()": texts, "n": range(len(texts))},
        geometry=[ZONE] * len(texts),
        crs=UTM,
    )
    frame.to_file(tmp_path / "zones.gpkg")
    summary = zonal(run, tmp_path / "zones.gpkg")
    with summary.table.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert not [cell for cell in head if cell.startswith(LEADS)]
    assert [row[0] for row in rows] == [f"'{text}" for text in texts]
    assert [row[1] for row in rows] == [f"'{text}" for text in texts]
    assert gpd.read_file(summary.layer)["name"].tolist() == texts, "a GeoPackage is no spreadsheet"


def test_numbers_below_zero_stay_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [-1, 2], "b": [-0.5, None], "c": ["-1", "x"]})
    write_csv(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "a,b,c\n-1,-0.5,'-1\n2,,x\n"


@pytest.mark.parametrize("name", ["a!b", "a;b", "a\nb"])
def test_paths_that_mean_something_else_are_refused(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpd.GeoDataFrame(geometry=ZONES, crs=UTM).to_file(tmp_path / "zones.gpkg")
    (tmp_path / "zones.gpkg").rename(tmp_path / f"{name}.gpkg")
    assert main(["zonal", str(run), str(tmp_path / f"{name}.gpkg")]) == 2
    assert "found:" in capsys.readouterr().err
    assert not (run / "zonal").exists()
    if name == "a;b":
        return  # a file's name would end there, a folder's does not
    there = run.rename(tmp_path / name)
    (tmp_path / f"{name}.gpkg").rename(tmp_path / "zones.gpkg")
    for words in (["publish", str(there)], ["zonal", str(there), str(tmp_path / "zones.gpkg")]):
        assert main(words) == 2
        assert "found:" in capsys.readouterr().err
    assert not (there / "products").exists()
    assert not (there / "zonal").exists()


@pytest.mark.parametrize("settings", [PublishSettings, ReportSettings, CatalogSettings])
def test_titles_are_text(settings: Any) -> None:
    with pytest.raises(Exception, match=r"title is .*control character U\+0007"):
        settings(title="Durham\a")
    assert settings(title="Zürich – 2012").title == "Zürich – 2012"


@pytest.mark.parametrize("command", ["publish", "report", "catalog"])
def test_titles_are_text_on_the_command_line(
    command: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(run.rglob("*"))
    assert main([command, str(run), "--title", "Durham\x1b[2J"]) == 2
    assert "control character U+001B" in capsys.readouterr().err
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize("command", ["publish", "report"])
def test_a_folder_whose_name_is_no_title_needs_one(
    command: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = run.rename(tmp_path / "a\x07b")
    before = sorted(there.rglob("*"))
    assert main([command, str(there)]) == 2
    assert "control character U+0007" in capsys.readouterr().err
    assert sorted(there.rglob("*")) == before
