"""Doubt of a whole map: where sources contradict each other, shown, listed, kept."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from inputs import ORIGIN, colours, two_halves, write_scene
from PIL import Image

import landcover_pnp as lc
from landcover_pnp.cli import main
from landcover_pnp.pipeline.doubtful_places import _peaks
from landcover_pnp.products.publishing import publish_run

POND = shapely.box(ORIGIN[0] + 168, ORIGIN[1] - 132, ORIGIN[0] + 196, ORIGIN[1] - 104)
"""Water in the developed half of the scene, of which no layer knows."""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a scene with a pond that the coarse map calls developed; not to be changed."""
    folder = tmp_path_factory.mktemp("pond")
    image = colours()
    rng = np.random.default_rng(1)
    water = np.array([40, 62, 80])[:, None, None] + rng.normal(0, 2, (3, 28, 28))
    image[:, 104:132, 168:196] = water.round()
    config = write_scene(folder / "city", image=image, nlcd=two_halves(41, 23))
    words = ["--run", str(folder / "run"), "--workers", "0", "--tiles.core_px", "30"]
    assert main(["map", str(config), *words, "--tiles.halo_px", "8"]) == 0
    return folder / "run"


@pytest.fixture
def run(mapped: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(mapped, tmp_path / "run"))


def test_a_pond_that_the_map_calls_pavement_is_the_first_place(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rasterio.open(run / "landcover.tif") as source:
        middle = next(source.sample([POND.centroid.coords[0]]))
        assert middle.item() != 1  # or there is nothing to find
    with rasterio.open(run / "doubt.tif") as source:
        doubt = source.read(1).astype(float)
        row, column = source.index(*POND.centroid.coords[0])
    assert doubt[row - 2 : row + 3, column - 2 : column + 3].min() >= 50
    assert np.median(doubt[doubt != 255]) < 30
    capsys.readouterr()
    assert main(["doubt", str(run), "--count", "5", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    places = gpd.read_file(answer["layer"])
    assert len(places) == answer["places"] == 5
    assert POND.contains(places.geometry.iloc[0])
    assert places["reason"].iloc[0] == "new look"


def test_places_come_with_pictures_far_apart_and_most_doubtful_first(run: Path) -> None:
    summary = lc.doubtful_places(run, count=12, apart_m=30)
    places = gpd.read_file(summary.layer)
    assert places["rank"].tolist() == list(range(1, len(places) + 1))
    assert places["doubt"].is_monotonic_decreasing
    for number, place in enumerate(places.geometry):
        others = places.geometry.drop(index=number)
        assert others.distance(place).min() >= 30 - 1e-6
    for chip in places["chip"]:
        with Image.open(summary.layer.parent / chip) as picture:
            assert picture.size == (512, 256)
            assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 10
    moved = run.parent / "moved"
    shutil.move(summary.layer.parent, moved)
    assert (moved / places["chip"].iloc[0]).is_file()  # relative to the layer


def test_the_same_places_have_the_same_bytes_and_foreign_files_stay(run: Path) -> None:
    def bytes_of(folder: Path) -> dict[str, bytes]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    folder = lc.doubtful_places(run, count=4).layer.parent
    first, stamp = bytes_of(folder), (folder / "places.gpkg").stat().st_mtime_ns
    lc.doubtful_places(run, count=4)
    assert (folder / "places.gpkg").stat().st_mtime_ns == stamp
    assert main(["verify", str(run)]) == 0
    (folder / "notes.txt").write_text("mine")
    lc.doubtful_places(run, count=2)
    assert len(list((folder / "chips").iterdir())) == 2
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    (folder / "chips" / "0001.png").write_bytes(b"")
    assert main(["verify", str(run)]) == 1
    lc.doubtful_places(run, count=4)
    assert bytes_of(folder) == first
    shutil.rmtree(folder)
    (run / "doubtful.json").unlink()
    assert main(["verify", str(run)]) == 1


def test_a_file_of_the_user_s_is_in_the_way(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "doubtful").mkdir()
    (run / "doubtful" / "places.gpkg").write_text("mine")
    assert main(["doubt", str(run)]) == 2
    assert "free name" in capsys.readouterr().err
    assert (run / "doubtful" / "places.gpkg").read_text() == "mine"


def test_pictures_do_without_the_image_s_own_pixels(
    run: Path, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = json.loads((run / "settings.json").read_text())
    image = Path(settings["scene"]["rasters"]["image"])
    shutil.move(image, image.with_suffix(".away"))
    try:
        summary = lc.doubtful_places(run, count=2)
    finally:
        shutil.move(image.with_suffix(".away"), image)
    assert "the image is not there" in summary.notes[0]
    assert (summary.layer.parent / "chips" / "0002.png").is_file()


def test_summary_report_project_and_catalogue_show_the_doubt(run: Path) -> None:
    with rasterio.open(run / "doubt.tif") as source, rasterio.open(run / "landcover.tif") as other:
        doubt, classes = source.read(1), other.read(1)
    told = json.loads((run / "summary.json").read_text())["doubt"]
    doubtful = (doubt >= 50) & (doubt != 255) & (classes > 0)
    assert told["share"] == pytest.approx(doubtful.sum() / (classes > 0).sum(), abs=1e-4)
    assert told["hectares"] == pytest.approx(doubtful.sum() * 16 / 1e4, abs=0.01)
    assert sum(told["by_reason"].values()) == pytest.approx(1, abs=1e-3)
    impervious = (doubtful & (classes == 2)).sum() / (classes == 2).sum()
    assert told["by_class"]["impervious"] == pytest.approx(impervious, abs=1e-4)
    folder = publish_run(run).folder
    report = (folder / "report.html").read_text()
    assert f"{100 * told['share']:.1f} % of the map" in report
    assert "Doubtful ground" in report
    with ZipFile(folder / "landcover.qgz") as zipped:
        project = ET.fromstring(zipped.read("landcover.qgs"))  # noqa: S314
    sources = [layer.findtext("datasource") for layer in project.iter("maplayer")]
    assert "./doubt.tif" in sources
    first = told["places"][0]
    assert POND.contains(shapely.Point(first["x"], first["y"]))
    assert len(told["places"]) == 10
    names = [bookmark.get("name") for bookmark in project.iter("Bookmark")]
    assert names == [f"doubtful {p['rank']}: {p['reason']}" for p in told["places"]]
    assert f"x {first['x']:.0f}, y {first['y']:.0f}<" in report
    item = json.loads((folder / "item.json").read_text())
    assert item["assets"]["doubt"]["bands"][0]["name"] == "doubt, percent"
    assert lc.open_run(run).doubt.shape == classes.shape


def test_runs_without_a_doubt_open_and_say_how_to_get_one(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("doubt.json", "doubt.tif"):
        (run / "probabilities" / name).unlink()
    assert "landcover" in lc.open_run(run)
    assert main(["doubt", str(run)]) == 2
    assert f"landcover resume {run}" in capsys.readouterr().err
    assert main(["resume", str(run)]) == 0
    assert main(["doubt", str(run), "--count", "1"]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_places_are_the_highest_that_are_far_enough_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 12, (23, 31)).astype(np.float32)
    count, apart = int(rng.integers(1, 60)), float(rng.uniform(1, 9))
    expected: list[tuple[int, int]] = []
    for index in np.argsort(-score.ravel(), kind="stable"):  # all pixels, as slowly as can be
        y, x = divmod(int(index), 31)
        near = any((y - a) ** 2 + (x - b) ** 2 < apart**2 for a, b in expected)
        if score[y, x] > 0 and not near and len(expected) < count:
            expected.append((y, x))
    assert _peaks(score, count, apart) == expected
