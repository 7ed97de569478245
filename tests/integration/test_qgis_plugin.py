"""The plugin's algorithms in QGIS itself; skipped where there is none."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import rasterio
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_scene
from rasterio.features import geometry_mask

from landcover_pnp.cli import main
from landcover_pnp.legend import WORKING

PROCESS = Path(__file__).parents[1] / "qgis_process.py"

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def algorithm(qgis_python: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs an algorithm."""
    plugins = tmp_path_factory.mktemp("plugins")
    assert main(["qgis-plugin", "--out", str(plugins)]) == 0

    def run(name: str, *, cancel_at: str = "", **parameters: Any) -> dict[str, Any]:
        words = [qgis_python, str(PROCESS), str(plugins), f"landcover:{name}"]
        words += [json.dumps(parameters), *([cancel_at] if cancel_at else [])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


@pytest.mark.slow
def test_a_city_is_mapped_and_loaded(algorithm: Run, tmp_path: Path) -> None:
    write_scene(tmp_path)
    given = {
        "IMAGE": str(tmp_path / "image.tif"),
        "COARSE": str(tmp_path / "nlcd.tif"),
        "LEGEND": 0,
        "PROFILE": 1,
        "RUN": str(tmp_path / "run"),
    }
    answer = algorithm("map", cancel_at="tiles:", **given)
    assert answer["error"].startswith("Cancelled")
    assert not answer["loaded"]
    left = [path.name for path in (tmp_path / "run").rglob("*")]
    assert not [name for name in left if name.startswith(".partial")]
    answer = algorithm("map", **given)
    assert answer["error"] == ""
    output = tmp_path / "run" / "products" / "landcover.tif"
    assert answer["results"]["OUTPUT"] == str(output)
    assert answer["loaded"] == {str(output): "Land cover"}
    assert answer["percents"][-1] == 100
    assert output.with_suffix(".qml").is_file(), "its style, which QGIS applies by itself"


@pytest.mark.slow
def test_wrong_inputs_are_told_in_the_command_s_words(algorithm: Run, tmp_path: Path) -> None:
    write_scene(tmp_path)
    answer = algorithm(
        "map",
        IMAGE=str(tmp_path / "nlcd.tif"),
        COARSE=str(tmp_path / "nlcd.tif"),
        RUN=str(tmp_path / "run"),
    )
    assert "found:" in answer["error"]
    assert "fix:" in answer["error"]
    assert "Traceback" not in answer["error"]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_holes_are_filled_and_the_rest_stays(algorithm: Run, run: Path, tmp_path: Path) -> None:
    hole = shapely.box(ORIGIN[0] + 40, ORIGIN[1] - 80, ORIGIN[0] + 72, ORIGIN[1] - 48)
    gpd.GeoDataFrame(geometry=[hole], crs=UTM).to_file(tmp_path / "clouds.gpkg")
    answer = algorithm(
        "fill",
        MAP=str(run / "landcover.tif"),
        MASK=str(tmp_path / "clouds.gpkg"),
        FOLDER=str(tmp_path / "filled"),
    )
    assert answer["error"] == ""
    output = Path(answer["results"]["OUTPUT"])
    assert answer["loaded"] == {str(output): "Filled map"}
    assert output.parent == tmp_path / "filled"
    with rasterio.open(run / "landcover.tif") as before, rasterio.open(output) as after:
        hidden = geometry_mask([hole], before.shape, before.transform, invert=True)
        assert hidden.any()
        assert (before.read(1)[~hidden] == after.read(1)[~hidden]).all()
        assert (after.read(1)[hidden] > 0).all()


@pytest.mark.slow
def test_zones_are_summed_up_and_loaded(algorithm: Run, run: Path, tmp_path: Path) -> None:
    zone = shapely.box(ORIGIN[0], ORIGIN[1] - 100, ORIGIN[0] + 100, ORIGIN[1])
    zones = gpd.GeoDataFrame({"name": ["a"]}, geometry=[zone], crs=UTM)
    zones.to_file(tmp_path / "zones.gpkg", layer="districts")
    zones.to_file(tmp_path / "zones.gpkg", layer="others")
    source = f"{tmp_path / 'zones.gpkg'}|layername=districts"
    answer = algorithm("zonal", RUN=str(run), ZONES=source)
    assert answer["error"] == ""
    assert Path(answer["results"]["TABLE"]).is_file()
    assert len(gpd.read_file(answer["results"]["OUTPUT"])) == 1
    assert list(answer["loaded"]) == [answer["results"]["OUTPUT"]]


@pytest.mark.slow
def test_two_runs_are_compared(algorithm: Run, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "comparison"
    answer = algorithm("compare", BEFORE=str(run), AFTER=str(run), FOLDER=str(folder))
    assert answer["error"] == ""
    with rasterio.open(answer["results"]["OUTPUT"]) as changes:
        assert changes.count == 1
    assert Path(answer["results"]["REPORT"]).is_file()
    assert len(WORKING.classes) == 5


def drawn_by_a_student(folder: Path) -> Path:
    """A run that can be corrected."""
    labels = {"nlcd": two_halves(41, 24, 128), "truth": two_halves(40, 20, 128)}
    config = write_scene(folder, image=colours(size=128), **labels)
    words = ["--student.rounds", "1", "--student.forest.trees", "3", "--workers", "0"]
    words += ["--student.forest.sample_px", "800"]
    assert main(["map", str(config), "--run", str(folder / "run"), *words]) == 0
    return folder / "run"


POOL = shapely.box(ORIGIN[0] + 40, ORIGIN[1] - 80, ORIGIN[0] + 72, ORIGIN[1] - 48)


def drawn_pool(path: Path) -> str:
    """A layer of edits, one of two in its file."""
    edits = gpd.GeoDataFrame({"kind": ["water"], "note": ["pool"]}, geometry=[POOL], crs=UTM)
    for layer in ("mine", "others"):
        edits.to_file(path, layer=layer)
    return f"{path}|layername=mine"


@pytest.mark.slow
def test_a_map_is_corrected_by_what_is_drawn(algorithm: Run, tmp_path: Path) -> None:
    run, edits = drawn_by_a_student(tmp_path), drawn_pool(tmp_path / "edits.gpkg")
    answer = algorithm("correct", RUN=str(run), EDITS=edits, CLASS_COLUMN="kind")
    assert answer["error"] == ""
    output = run / "products" / "landcover.tif"
    assert answer["loaded"] == {str(output): "Corrected land cover"}
    with rasterio.open(run / "landcover.tif") as before, rasterio.open(output) as after:
        held = geometry_mask([POOL], before.shape, before.transform, invert=True)
        assert held.any()
        assert (before.read(1)[held] != WORKING.code("water")).any()
        assert (after.read(1)[held] == WORKING.code("water")).all()


@pytest.mark.laws
def test_a_corrected_map_is_its_own_again_and_refusals_are_told(
    algorithm: Run, tmp_path: Path
) -> None:
    run, edits = drawn_by_a_student(tmp_path), drawn_pool(tmp_path / "edits.gpkg")
    assert algorithm("correct", RUN=str(run), EDITS=edits, CLASS_COLUMN="kind")["error"] == ""
    assert algorithm("correct", RUN=str(run))["error"] == ""
    own = run / "landcover.tif", run / "products" / "landcover.tif"
    with rasterio.open(own[0]) as before, rasterio.open(own[1]) as again:
        assert (again.read(1) == before.read(1)).all()
    answer = algorithm("correct", RUN=str(run), EDITS=edits, CLASS_COLUMN="note")
    assert "found:" in answer["error"]
    assert "Traceback" not in answer["error"]
