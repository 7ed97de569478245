"""Many cities: each on its own, one table, the same command resumes."""

import csv
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
from inputs import ORIGIN, colours, two_halves, write_scene, write_tif

from landcover_pnp.cli import main
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.storage.failpoints import PATTERN

# Processes of this kind start with everything imported.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["landcover_pnp.pipeline.batch"])


def write_batch(folder: Path, *cities: Path) -> Path:
    config = folder / "batch.yaml"
    listed = "\n".join(f"  - {city.relative_to(folder)}" for city in cities)
    config.write_text(f"cities:\n{listed}\nout: runs\nworkers: 0\n")
    return config


def named(config: Path, name: str) -> Path:
    return config.rename(config.with_name(f"{name}.yaml"))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs" / "cities.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_nobody_expected_of_a_city_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("as expected")

    monkeypatch.setattr("landcover_pnp.pipeline.batch_plan.image_systems", breaks)
    cities = [named(write_scene(tmp_path / name), name) for name in ("a", "b")]
    assert main(["batch", str(write_batch(tmp_path, *cities))]) == 1
    reasons = [row["reason"] for row in rows(tmp_path)]
    assert reasons == ["unexpected ZeroDivisionError: as expected"] * 2


@pytest.mark.parametrize("sign", [",", ";"])
def test_a_table_that_a_spreadsheet_rewrote_does_not_stop_a_batch(
    tmp_path: Path, sign: str
) -> None:
    cities = [named(write_scene(tmp_path / name), name) for name in ("a", "b")]
    right = cities[1].read_text()
    cities[1].write_text("scenes: {}")
    config = write_batch(tmp_path, *cities)
    assert main(["batch", str(config)]) == 3
    table = tmp_path / "runs" / "cities.csv"
    table.write_text(table.read_text().replace(",", sign), encoding="utf-8-sig")
    cities[1].write_text(right)
    assert main(["batch", str(config)]) == 0
    assert [row["exit_code"] for row in rows(tmp_path)] == ["0", "0"]


def test_a_city_whose_name_is_a_formula_is_text_in_the_table(tmp_path: Path) -> None:
    cities = [named(write_scene(tmp_path / "a"), "=1+1"), named(write_scene(tmp_path / "b"), "b")]
    (tmp_path / "a" / "nlcd.tif").unlink()
    for _ in range(2):  # the second time the first one's rows are there
        assert main(["batch", str(write_batch(tmp_path, *cities))]) == 3
        assert [row["city"] for row in rows(tmp_path)] == ["'=1+1", "b"]


def test_all_cities_are_planned_before_the_first_is_mapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, worse = (named(write_scene(tmp_path / n), n) for n in ("good", "bad", "worse"))
    (tmp_path / "bad" / "nlcd.tif").unlink()
    worse.write_text(worse.read_text().replace("engine: evidence", "engine: evidenc"))
    config = write_batch(tmp_path, good, bad, worse)

    def mapped(settings: MapSettings, run: Path, report: object) -> MapSummary:
        said.append(capsys.readouterr().out)
        return map_city(settings, run)

    said: list[str] = []
    monkeypatch.setattr("landcover_pnp.pipeline.batch.map_city", mapped)
    assert main(["batch", str(config)]) == 3
    [before] = said
    assert "2 of 3 cities cannot be mapped" in before
    table = [line for line in before.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[0] == ["city", "found", "fix"]
    assert [row[0] for row in cells[2:]] == ["bad", "worse"]
    assert "no file" in cells[2][1]
    assert "correct the path" in cells[2][2]
    assert "evidenc" in cells[3][1]
    assert [row["exit_code"] for row in rows(tmp_path)] == ["0", "2", "2"]


def test_nothing_is_written_where_no_city_can_be_mapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cities = [named(write_scene(tmp_path / name), name) for name in ("a", "b")]
    for city in cities:
        city.write_text(city.read_text().replace("image.tif", "none.tif"))
    assert main(["batch", str(write_batch(tmp_path, *cities))]) == 2
    said = capsys.readouterr().err
    assert "2 of 2 cities cannot be mapped" in said
    assert said.count("no file") == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("fault", ["a wrong city", "a warning"])
def test_strict_stops_a_batch(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (named(write_scene(tmp_path / name), name) for name in ("good", "bad"))
    origin = (ORIGIN[0] + 0.3, ORIGIN[1]) if fault == "a warning" else (1e5, 5e6)
    write_tif(tmp_path / "bad" / "nlcd.tif", two_halves(41, 24), origin=origin)
    config = write_batch(tmp_path, good, bad)
    assert main(["batch", str(config), "--strict"]) == 2
    said = capsys.readouterr().err
    assert "1 of 2 cities cannot be mapped" in said
    assert ("image pixels off" if fault == "a warning" else "do not overlap") in said
    assert not (tmp_path / "runs").exists()
    assert main(["batch", str(config)]) == (0 if fault == "a warning" else 3)
    said = capsys.readouterr().err
    assert said.count("image pixels off") == (fault == "a warning"), "once, by the map"


def test_cities_fail_each_for_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = named(write_scene(tmp_path / "a"), "good")
    bad = named(write_scene(tmp_path / "b"), "bad")
    (tmp_path / "b" / "nlcd.tif").unlink()
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text("scenes: {}")
    zones = named(write_scene(tmp_path / "c"), "zones")
    zones.write_text(zones.read_text().replace("image.tif", "images").replace(", truth:", " }#"))
    (tmp_path / "c" / "images").mkdir()
    for crs, east in (("EPSG:26917", 586_000.0), ("EPSG:26918", 74_900.0)):
        path = tmp_path / "c" / "images" / f"{crs[-5:]}.tif"
        write_tif(path, colours(), crs=crs, origin=(east, 4_476_000.0))
    config = write_batch(tmp_path, bad, unknown, good, zones)
    assert main(["batch", str(config)]) == 3
    said = capsys.readouterr().out
    assert "images in several zones, mapped as zones-epsg_26917, zones-epsg_26918" in said
    table = {row["city"]: row for row in rows(tmp_path)}
    assert list(table)[:3] == ["bad", "unknown", "good"]
    assert table["bad"]["exit_code"] == table["unknown"]["exit_code"] == "2"
    assert "no file" in table["bad"]["reason"]
    assert "unknown key" in table["unknown"]["reason"]
    assert table["good"]["exit_code"] == "0"
    assert float(table["good"]["accuracy"]) > 0.95
    assert Path(table["good"]["landcover"]).is_file()
    assert table["zones-epsg_26917"]["exit_code"] == "0"
    assert not (tmp_path / "runs" / "bad").exists()
    # the same command resumes
    assert main(["batch", str(config)]) == 3
    again = {row["city"]: row for row in rows(tmp_path)}
    assert again["good"]["kept"] == table["good"]["tiles"]
    assert again["good"]["done"] == "0"


def killed(config: Path, where: str) -> None:
    os.environ[PATTERN] = where
    main(["batch", str(config)])


@pytest.mark.parametrize("where", ["*:r0000c0000_map.tif", "after-rename:cities.csv"])
def test_a_killed_batch_goes_on_where_it_was(where: str, tmp_path: Path) -> None:
    cities = [named(write_scene(tmp_path / name), name) for name in ("a", "b")]
    config = write_batch(tmp_path, *cities)
    assert main(["batch", str(config)]) == 0
    whole = rows(tmp_path)
    maps = {row["city"]: Path(row["landcover"]).read_bytes() for row in whole}
    shutil.rmtree(tmp_path / "runs" / "a")  # so that there is something to be killed in

    child = FORKS.Process(target=killed, args=(config, where), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert [row["city"] for row in rows(tmp_path)] == ["a", "b"], "no row is lost on the way"

    assert main(["batch", str(config)]) == 0
    again = rows(tmp_path)
    for row in again:
        assert Path(row["landcover"]).read_bytes() == maps[row["city"]]
        assert int(row["kept"]) + int(row["done"]) == int(row["tiles"])
    unchanged = ("city", "exit_code", "area_km2", "tiles", "accuracy", "mean_iou", "landcover")
    assert [[row[k] for k in unchanged] for row in again] == [
        [row[k] for k in unchanged] for row in whole
    ]
    assert again[1]["done"] == "0"
    assert again[0]["done"] == ("0" if where.startswith("after") else "1")


def test_two_cities_cannot_share_a_run_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cities = [write_scene(tmp_path / name) for name in ("a", "b")]
    assert main(["batch", str(write_batch(tmp_path, *cities))]) == 2
    assert "cities of the same name: scene" in capsys.readouterr().err
    cities = [named(city, name) for city, name in zip(cities, ("Mesa", "mesa"), strict=True)]
    assert main(["batch", str(write_batch(tmp_path, *cities))]) == 2
    assert "cities of the same name: Mesa, mesa" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_unexpected_error_concerns_one_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: MapSettings, run: Path, report: object) -> None:
        raise ZeroDivisionError("as expected")

    monkeypatch.setattr("landcover_pnp.pipeline.batch.map_city", broken)
    config = write_batch(tmp_path, named(write_scene(tmp_path / "a"), "a"))
    assert main(["batch", str(config)]) == 1
    assert rows(tmp_path)[0]["reason"] == "unexpected ZeroDivisionError: as expected"


@pytest.mark.parametrize("name", ["cities.csv", "prior.json"])
def test_a_table_or_card_of_the_user_s_own_makes_no_folder_of_ours(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scene(tmp_path / "a")
    (tmp_path / "batch.yaml").write_text("cities: [a/scene.yaml]\nout: out\n")
    mine = tmp_path / "out" / name
    mine.parent.mkdir()
    mine.write_text("city,people\nDurham,1\n")
    batch = ["batch", str(tmp_path / "batch.yaml")]
    words = batch if name == "cities.csv" else ["export-prior", "--out", str(mine.parent)]
    assert main(words) == 2
    assert str(mine.parent) in capsys.readouterr().err
    assert mine.read_text() == "city,people\nDurham,1\n"
    assert [file.name for file in mine.parent.iterdir()] == [name]
