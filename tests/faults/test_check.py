"""`landcover check` says what `landcover map` will say, and with the same words."""

import json
import os
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_scene, write_tif

from landcover_pnp.cli import main

LEFT, UP = ORIGIN


def both(
    config: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[tuple[int, str], tuple[int, str]]:
    """Exit code and message of `check`, and of `map` into a folder that goes again."""
    said = []
    run = config.parent / "run"
    for command in (["check", str(config)], ["map", str(config), "--run", str(run)]):
        capsys.readouterr()
        code = main([*command, "--workers", "0", *words])
        said.append((code, capsys.readouterr().err.replace(f"landcover {command[0]}:", "")))
    shutil.rmtree(run, ignore_errors=True)
    return said[0], said[1]


def refused(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The message of both, after checking that it is one."""
    check, made = both(config, capsys, *words)
    assert check == made
    assert check[0] == 2
    return check[1]


def test_truth_that_says_nothing_of_nlcd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = two_halves(0, 20)
    config = write_scene(tmp_path / "city", truth=truth, nlcd=two_halves(41, 0))
    words = ["--weak_labels.matrix_source", "target"]
    assert "in the scene itself" in refused(config, capsys, *words)
    mapped = write_scene(tmp_path / "other")
    words = ["--weak_labels.matrix_source", "source", "--weak_labels.source_scenes"]
    assert "at once, in scene" in refused(mapped, capsys, *words, f"[{config}]")
    write_tif(tmp_path / "city" / "truth.tif", two_halves(20, 0))
    assert both(mapped, capsys, *words, f"[{config}]")[0][0] == 0


def test_fewer_pixels_than_clusters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path, image=colours(size=8))
    config.write_text(config.read_text().replace(", truth: {path: truth.tif}", ""))
    assert "a working grid of 2 x 2 px" in refused(config, capsys)
    assert both(config, capsys, "--clusters.clusters", "4")[0][0] == 0
    black = colours()
    black[:, 8:] = black[:, :, 8:] = 0  # what is left, the pixels alone can tell
    write_tif(tmp_path / "image.tif", black, nodata=0)
    assert "found: 4 valid pixels" in refused(config, capsys)
    assert both(config, capsys, "--clusters.clusters", "4")[0][0] == 0


def test_codes_that_are_not_mapped_do_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A national NLCD may hold anything elsewhere."""
    nlcd = two_halves(41, 24)
    nlcd[:60] = 250
    config = write_scene(tmp_path, nlcd=nlcd)
    assert "250 (900 px)" in refused(config, capsys)
    outline = shapely.box(LEFT, UP - 240, LEFT + 240, UP - 80)
    gpd.GeoDataFrame(geometry=[outline], crs=UTM).to_file(tmp_path / "area.gpkg")
    config.write_text(config.read_text().replace("nlcd.tif,", "nlcd.tif, area: area.gpkg,"))
    check, made = both(config, capsys)
    assert check == (0, "")
    assert made[0] == 0


def test_of_several_images_one_that_is_damaged_costs_its_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    config.write_text(config.read_text().replace("image.tif", "images"))
    (tmp_path / "images").mkdir()
    pixels = colours()
    left = write_tif(tmp_path / "images" / "left.tif", pixels[:, :, :120])
    write_tif(tmp_path / "images" / "right.tif", pixels[:, :, 120:], origin=(LEFT + 120, UP))
    os.truncate(left, left.stat().st_size // 2)
    words = ["--tiles.core_px", "30", "--tiles.halo_px", "8"]
    check, made = both(config, capsys, *words)
    assert check[0] == made[0] == 3
    main(["check", str(config)])
    said = capsys.readouterr().out
    assert "left.tif cannot be read at rows" in said
    assert said.endswith("not usable: image left.tif\nthe rest can be mapped\n")


def test_warnings_of_a_map_are_warnings_of_its_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    write_tif(tmp_path / "nlcd.tif", two_halves(41, 24), origin=(LEFT + 0.3, UP))
    assert "image pixels off" in refused(config, capsys, "--strict")
    check, made = both(config, capsys)
    assert check[0] == made[0] == 0
    assert "image pixels off" in check[1]


def test_indices_that_do_not_count_are_said_by_check_map_and_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = colours(4)
    image[1, :, :120] += 30  # the forest is green
    image[3] = 7
    config = write_scene(tmp_path, image=image)
    words = ["--student.forest.trees", "1", "--student.rounds", "1", "--workers", "0"]
    assert main(["check", str(config), *words]) == 0
    check = capsys.readouterr()
    assert main(["map", str(config), "--run", str(tmp_path / "run"), *words]) == 0
    made = capsys.readouterr()
    notes = json.loads((tmp_path / "run" / "summary.json").read_text())["notes"]
    said = [note for note in notes if "indices" in note or "does not tell" in note]
    assert said[0].startswith("the near infrared band is constant")
    assert "not all spectral indices count" in check.err
    assert "not all spectral indices count" in made.err
    lines = [line.strip() for line in check.out.splitlines()]
    for note in said:
        assert note in lines
        assert note in " ".join(check.err.split())
        assert note in " ".join(made.err.split())
    assert main(["check", str(config)]) == 0  # without a student nothing asks for indices
    assert "near infrared band is constant" not in capsys.readouterr().out


def test_a_check_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_scene(tmp_path / "city")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["check", str(config)]) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_black_imagery_is_found_by_its_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path, image=np.zeros((3, 240, 240), np.uint8))
    assert "every pixel is 0" in refused(config, capsys)
