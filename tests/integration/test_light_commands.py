"""What is done with a finished run loads nothing that only mapping needs."""

import json
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from inputs import ORIGIN, UTM, two_halves, write_scene, write_tif

from landcover_pnp.products.sample import write_sample

PROGRAM = """
import sys
from landcover_pnp.cli import main
code = main(sys.argv[1:])
print("loaded", *sorted({"torch", "diffusers", "distributed", "dask.array"} & set(sys.modules)))
sys.exit(code)
"""


def loaded(words: list[str]) -> tuple[int, list[str]]:
    """Exit code of a command in a process of its own, and what of the heavy it has loaded."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True)
    *_, last = done.stdout.splitlines()
    assert last.startswith("loaded"), done.stderr
    return done.returncode, last.split()[1:]


@pytest.mark.parametrize(
    "words",
    [
        ["publish", "RUN"],
        ["evaluate", "RUN", "--truth", "truth.tif"],
        ["status", "RUN"],
        ["verify", "RUN"],
        ["report", "RUN"],
        ["zonal", "RUN", "zones.gpkg"],
        ["compare", "RUN", "RUN", "--out", "comparison"],
        ["catalog", "."],
        ["doubt", "RUN", "--count", "3"],
        ["assess", "RUN", "sample.gpkg"],
    ],
    ids=lambda words: words[0],
)
def test_a_finished_run_needs_no_network_and_no_workers(
    words: list[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tif(tmp_path / "truth.tif", two_halves(40, 20))
    zone = shapely.box(ORIGIN[0], ORIGIN[1] - 99, ORIGIN[0] + 99, ORIGIN[1])
    gpd.GeoDataFrame({"name": ["a"]}, geometry=[zone], crs=UTM).to_file("zones.gpkg")
    if words[0] == "assess":
        points = gpd.read_file(write_sample(run).sample).assign(**{"class": "water"})
        points.to_file("sample.gpkg")
    if words[0] == "catalog":
        assert loaded(["publish", str(run)])[0] == 0
    assert loaded([str(run) if word == "RUN" else word for word in words]) == (0, [])


def test_the_default_map_loads_no_torch(tmp_path: Path) -> None:
    """It costs seconds in every process of a run, and so does Lightning."""
    config = write_scene(tmp_path)
    words = ["--student.forest.sample_px", "500", "--profile", "balanced", "--workers", "0"]
    code, heavy = loaded(["map", str(config), "--run", str(tmp_path / "run"), *words])
    assert code == 0
    assert (tmp_path / "run" / "student" / "model.safetensors").is_file()
    assert not {"torch", "diffusers"} & set(heavy)


@pytest.mark.parametrize("name", ["publish", "evaluate", "status", "verify", "report", "resume"])
def test_a_missing_run_is_said_at_once(name: str, tmp_path: Path) -> None:
    program = (
        "import sys; from landcover_pnp.cli import main; code = main(sys.argv[1:]); "
        "print(code, *{'torch', 'geopandas', 'pandas', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    words = [name, str(tmp_path / "none"), *(["--truth", "a.tif"] * (name == "evaluate"))]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.stdout == "2\n", done.stderr
    assert str(tmp_path / "none") in done.stderr


def test_json_of_a_finished_run(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from landcover_pnp.cli import main

    monkeypatch.chdir(tmp_path)
    write_tif(tmp_path / "truth.tif", two_halves(40, 20))
    answers = {}
    for words in (
        ["status", str(run)],
        ["verify", str(run)],
        ["evaluate", str(run), "--truth", "truth.tif"],
        ["compare", str(run), str(run)],
        ["report", str(run)],
        ["publish", str(run)],
        ["catalog", "."],
    ):
        capfd.readouterr()
        assert main([*words, "--json"]) == 0
        answers[words[0]] = json.loads(capfd.readouterr().out)  # one object and nothing else
        assert answers[words[0]]["command"] == words[0]
        assert answers[words[0]]["exit_code"] == 0
    assert answers["status"]["left"] == 0
    assert answers["verify"]["faults"] == {}
    assert 0 < answers["evaluate"]["scores"]["map"]["accuracy"] <= 1
    shapes = answers["evaluate"]["shapes"]
    assert set(shapes) == {"weak labels", "evidence", "map", "truth"}
    assert 0 <= shapes["map"]["mean_boundary_f1"] <= 1 == shapes["truth"]["mean_boundary_f1"]
    assert answers["compare"]["changed"] == 0
    assert Path(answers["report"]["report"]).is_file()
    assert "landcover.qgz" in answers["publish"]["files"]
    assert answers["catalog"]["items"] == 1
