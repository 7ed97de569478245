"""A user's mistake: one clear message, exit code 2, and nothing under a final name."""

import re
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_scene, write_tif
from rasterio.control import GroundControlPoint

from landcover_pnp.cli import main


def map_fails(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Runs `landcover map`; returns its message after checking what every mistake must give.

    `landcover check` must say the same.
    """
    run = config.parent / "run"
    capsys.readouterr()
    code = main(["map", str(config), "--run", str(run), *words])
    message = capsys.readouterr().err
    assert code == 2, message
    assert message.count("found:") == message.count("expected:") == message.count("fix:") == 1
    assert "Traceback" not in message
    assert not run.exists()
    assert main(["check", str(config), *words]) == 2
    assert capsys.readouterr().err == message.replace("landcover map:", "landcover check:")
    return message


def change(config: Path, before: str, after: str) -> None:
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))


def image(**kwargs: object) -> Callable[[Path], object]:
    """Replaces the scene's image."""
    pixels = kwargs.pop("pixels", None)

    def write(folder: Path) -> object:
        return write_tif(folder / "image.tif", colours() if pixels is None else pixels, **kwargs)

    return write


def placed_by_points(folder: Path) -> None:
    """An image as it comes from a scanner: three of its pixels are known on the ground."""
    pixels = colours()
    points = [
        GroundControlPoint(row, column, ORIGIN[0] + column, ORIGIN[1] - row)
        for row, column in ((0, 0), (0, 9), (9, 0))
    ]
    with rasterio.open(
        folder / "image.tif",
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        crs=UTM,
        gcps=points,
    ) as target:
        target.write(pixels)


ALL_BLACK = np.zeros((3, 240, 240), np.uint8)

WRONG_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing file": (lambda f: (f / "image.tif").unlink(), "no file .*image.tif"),
    "not a raster": (lambda f: (f / "image.tif").write_text("no"), "not a raster"),
    "no CRS": (image(crs=None), "no coordinate reference system"),
    "control points": (placed_by_points, "placed by 3 ground control points"),
    "geographic CRS": (
        image(crs="EPSG:4326", resolution_m=1e-5, origin=(-80, 40)),
        "not in metres",
    ),
    "feet": (image(crs="EPSG:2272"), "not in metres"),
    "1 band": (image(pixels=colours(1)), "1 colour bands of uint8"),
    "2 bands": (image(pixels=colours(2)), "2 colour bands of uint8"),
    "5 bands": (image(pixels=colours(5)), "5 colour bands of uint8"),
    "float imagery": (image(pixels=colours().astype("float32")), "3 colour bands of float32"),
    "float imagery with alpha": (
        image(pixels=colours(4).astype("float32"), photometric="RGB", alpha="YES"),
        "3 colour bands of float32",
    ),
    "coarse imagery": (image(resolution_m=30.0), "at least as coarse as the imagery"),
    "all no data": (image(pixels=ALL_BLACK, nodata=0), "no data in the whole working area"),
    "all black": (image(pixels=ALL_BLACK), "every pixel is 0"),
    "NLCD elsewhere": (
        lambda f: write_tif(f / "nlcd.tif", two_halves(41, 24), origin=(1e5, 5e6)),
        "do not overlap",
    ),
    "NLCD without data": (
        lambda f: write_tif(f / "nlcd.tif", two_halves(0, 0)),
        "no data anywhere on the imagery",
    ),
    "NLCD without CRS": (
        lambda f: write_tif(f / "nlcd.tif", two_halves(41, 24), crs=None),
        "no coordinate reference system",
    ),
    "NLCD of several bands": (lambda f: write_tif(f / "nlcd.tif", colours()), "3 bands of uint8"),
    "unknown NLCD code": (
        lambda f: write_tif(f / "nlcd.tif", two_halves(41, 99)),
        r"99 \(1800 px\)",
    ),
    "unknown truth code": (
        lambda f: write_tif(f / "truth.tif", two_halves(40, 21)),
        r"21 \(1800 px\)",
    ),
    "truth of another size": (
        lambda f: write_tif(f / "truth.tif", two_halves(40, 20, 120)),
        "the same ground as the map",
    ),
}


@pytest.mark.parametrize("words", ["codes", "indices"])
def test_values_that_fit_two_legends_are_not_guessed(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path, nlcd=two_halves(11, 12))
    assert "both codes and indices" in map_fails(config, capsys)
    assert main(["check", str(config)]) == 2
    assert "scene.rasters.nlcd_values" in capsys.readouterr().err
    assert main(["check", str(config), "--scene.rasters.nlcd_values", words]) == 0
    assert f"NLCD read as {words}" in capsys.readouterr().out


@pytest.mark.parametrize("mistake", WRONG_FILES)
def test_wrong_files(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    spoil, message = WRONG_FILES[mistake]
    spoil(tmp_path)
    assert re.search(message, map_fails(config, capsys))


UP, LEFT = ORIGIN[1], ORIGIN[0]
WRONG_AREAS = {
    "outside": (shapely.box(LEFT + 1e5, UP, LEFT + 2e5, UP + 1e5), "does not touch the imagery"),
    "touching only": (shapely.box(LEFT - 50, UP - 240, LEFT, UP), "does not touch the imagery"),
    "no surface": (shapely.box(LEFT + 9, UP - 9, LEFT + 9, UP), "not a valid polygon"),
    "inverted": (
        shapely.Polygon([(LEFT, UP), (LEFT + 99, UP - 99), (LEFT + 99, UP), (LEFT, UP - 99)]),
        "Self-intersection",
    ),
    "a line": (shapely.LineString([(LEFT, UP), (LEFT + 99, UP - 99)]), "LineString"),
    "smaller than a pixel": (shapely.box(LEFT + 5, UP - 6, LEFT + 5.5, UP - 5), "room for pixels"),
    "x and y swapped": (shapely.box(UP - 99, LEFT, UP, LEFT + 99), "x and y are swapped"),
}


@pytest.mark.parametrize("mistake", WRONG_AREAS)
def test_wrong_areas(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    shape, message = WRONG_AREAS[mistake]
    gpd.GeoDataFrame(geometry=[shape], crs=UTM).to_file(tmp_path / "area.gpkg")
    change(config, "nlcd.tif,", "nlcd.tif, area: area.gpkg,")
    assert message in map_fails(config, capsys)


def test_an_empty_area(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    (tmp_path / "area.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    change(config, "nlcd.tif,", "nlcd.tif, area: area.geojson,")
    assert "is empty" in map_fails(config, capsys)
    (tmp_path / "area.geojson").unlink()
    assert "missing or no vector file" in map_fails(config, capsys)


def test_an_area_may_have_rows_without_an_outline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    change(config, "nlcd.tif,", "nlcd.tif, area: area.gpkg,")
    outlines = [None, shapely.Polygon(), shapely.box(LEFT, UP - 100, LEFT + 100, UP)]
    gpd.GeoDataFrame(geometry=outlines, crs=UTM).to_file(tmp_path / "area.gpkg")
    assert main(["check", str(config)]) == 0
    assert "warning" not in capsys.readouterr().err


def test_an_area_on_ground_the_image_does_not_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    change(config, "nlcd.tif,", "nlcd.tif, area: area.gpkg,")
    pixels = colours()
    pixels[:, :, :120] = 0
    ground = shapely.box(LEFT + 8, UP - 100, LEFT + 100, UP - 8)

    def says(outline: shapely.Geometry, **profile: object) -> str:
        gpd.GeoDataFrame(geometry=[outline], crs=UTM).to_file(tmp_path / "area.gpkg")
        write_tif(tmp_path / "image.tif", pixels, **profile)
        return map_fails(config, capsys).replace("\n", " ")

    where = r"no data in the area of interest \S*area\.gpkg: every pixel is "
    assert re.search(where + "masked there", says(ground, nodata=0))
    assert re.search(where + "0 there", says(ground))
    strip = shapely.LineString([(LEFT + 40.5, UP - 40), (LEFT + 239.5, UP - 239)]).buffer(0.1)
    assert "holds no centre of a working pixel" in says(strip)
    change(config, "nlcd.tif,", "nlcd.tif, black_is_no_data: true,")
    assert re.search(where + r"masked or black \(scene\S*\) there", says(ground))


WRONG_SETTINGS = {
    "unknown key": ("workers: 1", "worker: 1", "did you mean 'workers'?"),
    "unknown engine": (
        "engine: evidence",
        "engine: evidenc",
        "did you mean 'evidence'?",
    ),
    "wrong type": ("workers: 1", "workers: many", "workers is many"),
    "no source": ("rasters:", "enviroatlas: null #", "a scene with no source"),
    "wide ring": ("workers: 1", "tiles: {core_px: 10, halo_px: 6}", "halo of 0 to half a core"),
    "truth wanted": (
        ", truth: {path: truth.tif}}\nprofile: fast\nweak_labels: {refinement: null}",
        "}\nweak_labels: {protocol: target}",
        "the scene has no truth",
    ),
    "no source scenes": (
        "weak_labels: {refinement: null}",
        "weak_labels: {protocol: source}",
        "source_scenes is empty",
    ),
    "source scenes of one name": (
        "weak_labels: {refinement: null}",
        "weak_labels: {protocol: source, source_scenes: [a/map.yaml, b/map.yaml]}",
        "source cities of the same name: map",
    ),
    "another resolution": (
        "inference: {engine: evidence, evidence: {spectral_indices: false}}",
        "inference: {engine: algorithm1}\n",
        "label maps at 4 m for a working grid of 2 m",
    ),
}


@pytest.mark.parametrize("mistake", WRONG_SETTINGS)
def test_wrong_settings(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    before, after, message = WRONG_SETTINGS[mistake]
    change(config, before, after)
    words = ["--scene.resolution_m", "2"] if mistake == "another resolution" else []
    assert message in map_fails(config, capsys, *words)


def test_a_configuration_that_does_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no configuration file" in map_fails(tmp_path / "none.yaml", capsys)


@pytest.mark.parametrize("command", ["map", "check", "evaluate", "train-prior"])
def test_a_command_without_its_argument(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2
    assert re.search("found: no (CONFIG|RUN)", capsys.readouterr().err)


def test_scores_of_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write_tif(tmp_path / "landcover.tif", two_halves(1, 4))
    for no_run in (truth, tmp_path / "none"):
        assert main(["evaluate", str(no_run), "--truth", str(truth)]) == 2
        assert f"no finished map in {no_run}" in capsys.readouterr().err


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mop"]) == 2
    assert "did you mean 'map'?" in capsys.readouterr().err


def test_check_finds_what_headers_hide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    assert main(["check", str(config)]) == 0
    assert "all inputs can be used" in capsys.readouterr().out
    whole = (tmp_path / "image.tif").read_bytes()
    (tmp_path / "image.tif").write_bytes(whole[: len(whole) // 2])
    write_tif(tmp_path / "truth.tif", two_halves(40, 21))
    assert main(["check", str(config)]) == 2
    report = capsys.readouterr().out
    assert "image.tif cannot be read at rows" in report
    assert "21 (28800 px)" in report
    assert "not usable: image, truth" in report


def test_a_cut_image_stops_the_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    whole = (tmp_path / "image.tif").read_bytes()
    (tmp_path / "image.tif").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read at rows" in map_fails(config, capsys)


def test_strict_makes_warnings_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_scene(tmp_path)
    write_tif(tmp_path / "nlcd.tif", two_halves(41, 24), origin=(ORIGIN[0] + 0.3, ORIGIN[1]))
    words = ["map", str(config), "--run", str(tmp_path / "run"), "--strict"]
    assert main(words) == 2
    assert "image pixels off" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
