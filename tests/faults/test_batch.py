"""Many cities: each on its own, one table, the same command resumes."""

import csv
from pathlib import Path

import pytest
from inputs import colours, write_scene, write_tif

from landcover_pnp.cli import main
from landcover_pnp.settings import MapSettings


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


def test_two_cities_cannot_share_a_run_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cities = [write_scene(tmp_path / name) for name in ("a", "b")]
    assert main(["batch", str(write_batch(tmp_path, *cities))]) == 2
    assert "cities of the same name: scene" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_unexpected_error_concerns_one_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: MapSettings, run: Path, report: object) -> None:
        raise ZeroDivisionError("as expected")

    monkeypatch.setattr("landcover_pnp.batch.map_city", broken)
    config = write_batch(tmp_path, named(write_scene(tmp_path / "a"), "a"))
    assert main(["batch", str(config)]) == 1
    assert rows(tmp_path)[0]["reason"] == "unexpected ZeroDivisionError: as expected"
