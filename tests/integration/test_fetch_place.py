"""A place fetched: what is written, what is read, what is fetched again, and its map."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from fetched import AREA, bytes_sent, contents, fetch, half_written, served_place, words_of
from file_server import FileServer
from inputs import colours, write_tif
from PIL import Image
from rasterio.warp import transform, transform_bounds
from stac_place import (
    CRS,
    LEFT,
    SIDE,
    TOP,
    bbox,
    item,
    write_catalogue,
    write_coarse,
    write_cog,
    write_collection,
)

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.settings import MapSettings


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with served_place(tmp_path / "place") as running:
        yield running


def test_a_place_becomes_a_scene_that_can_be_mapped(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert fetch(server, out) == 0
    said = capsys.readouterr().out
    assert "2 images of 2022 cover 100.0% of the area" in said
    assert f"landcover map {out}/scene.yaml" in said
    plan = plan_map(load_settings(MapSettings, out / "scene.yaml"))
    assert plan.scene.imagery.bands == ("red", "green", "blue", "nir")
    for name in (out / "images.txt").read_text().split():
        with rasterio.open(out / name) as part:
            whole_name = Path(name).name
            with rasterio.open(server.folder / "naip" / whole_name) as whole:
                window = rasterio.windows.from_bounds(*part.bounds, whole.transform)
                assert np.array_equal(part.read(), whole.read(window=window)), "pixel by pixel"
            assert part.profile["tiled"]
            assert part.bounds.bottom > TOP - SIDE, "not more than the area"
    with rasterio.open(out / "coarse.tif") as coarse:
        assert set(np.unique(coarse.read())) == {24, 41}
        assert coarse.shape[0] < 40
    roads = gpd.read_file(out / "roads.gpkg")
    assert list(roads["class"]) == ["residential"]
    scene = yaml.safe_load((out / "scene.yaml").read_text())["scene"]
    assert [line.partition(":")[0] for line in scene["attribution"]] == [
        "imagery",
        "coarse map",
        "roads, buildings, water",
    ]
    assert "PDDL-1.0" in scene["attribution"][0]
    assert "OpenStreetMap" in scene["attribution"][2]
    with Image.open(out / "preview.png") as preview:
        assert preview.width > 2 * preview.height
    assert half_written(out) == []


def test_a_second_fetch_reads_nothing_and_changes_nothing(
    server: FileServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert fetch(server, out) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    server.forget()
    assert fetch(server, out) == 0
    assert bytes_sent(server) == {}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_what_changed_is_fetched_again_and_nothing_else(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert fetch(server, out) == 0
    naip = server.folder / "naip"
    origin = (LEFT + SIDE, TOP)
    write_cog(naip / "m_1_2022.tif", colours(4, SIDE, seed=9), crs=CRS, origin=origin)
    server.forget()
    assert fetch(server, out) == 0
    assert set(bytes_sent(server)) == {"naip/m_1_2022.tif"}
    assert "changed since: version" in capsys.readouterr().err
    fresh = tmp_path / "fresh"
    assert fetch(server, fresh) == 0
    assert contents(out) == contents(fresh)
    server.forget()
    assert fetch(server, out, "--year", "2020") == 0
    assert set(bytes_sent(server)) == {"naip/m_0_2020.tif", "naip/m_1_2020.tif"}
    assert sorted(path.name for path in (out / "images").glob("*.tif")) == [
        "m_0_2020.tif",
        "m_1_2020.tif",
    ]


def test_a_scene_that_was_changed_by_hand_is_kept(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert fetch(server, out) == 0
    (out / "scene.yaml").write_text("scene: mine\n")
    (out / "notes.txt").write_text("mine\n")
    assert fetch(server, out) == 0
    assert (out / "scene.yaml").read_text() == "scene: mine\n"
    assert "changed by hand" in capsys.readouterr().err
    assert fetch(server, out, "--year", "2020", "--resolution_m", "5") == 0
    assert yaml.safe_load((out / "scene.yaml").read_text())["scene"]["resolution_m"] == 5
    assert (out / "scene.yaml.changed").read_text() == "scene: mine\n"
    assert (out / "notes.txt").read_text() == "mine\n"


def test_only_what_shows_the_area_is_read(tmp_path: Path) -> None:
    side = 1500
    with served_place(tmp_path / "place") as server:
        naip = server.folder / "naip"
        write_cog(naip / "big.tif", colours(4, side), crs=CRS, origin=(LEFT, TOP))
        item(naip / "big.json", "image", "big.tif", "2023-06-01")
        write_collection(naip, "naip", "NAIP", [naip / "big.json"])
        area = ("--bbox", bbox(700, 700, 760, 760))
        assert fetch(server, tmp_path / "out", area=area) == 0
        whole = (naip / "big.tif").stat().st_size
        sent = server.sent["naip/big.tif"]
        assert sent < 0.07 * whole, f"{sent:,} of {whole:,} bytes read for 60 of {side} m"


def test_from_a_polygon_to_a_published_map_in_two_commands(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = LEFT + 60, TOP - 40
    triangle = shapely.Polygon([(x, y), (x + 150, y - 10), (x + 40, y - 100)])
    gpd.GeoDataFrame(geometry=[triangle], crs=CRS).to_file("area.gpkg")
    assert fetch(server, Path("city"), area=("--area", "area.gpkg")) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("next:    landcover map city/scene.yaml")
    _, _, command = last.partition("landcover ")
    assert main([*command.split(), "--workers", "0", "--inference.engine", "evidence"]) == 0
    products = tmp_path / "runs" / "city" / "products"
    with rasterio.open(products / "landcover.tif") as found:
        mapped = found.read(1) > 0
        share = mapped.sum() * 16 / triangle.area
        assert 0.9 < share < 1.1, "the polygon alone"
        assert "NAIP" in found.tags()["TIFFTAG_COPYRIGHT"]
    assert "OpenStreetMap contributors" in (products / "report.html").read_text(encoding="utf-8")
    assert (
        "OpenStreetMap contributors"
        in json.loads((products / "item.json").read_text())["properties"]["attribution"]
    )
    assert "PDDL" in (products / "attribution.txt").read_text(encoding="utf-8")


def write_two_zones(folder: Path, shared: Path | None) -> str:
    """Images in UTM zones 17 and 18, side by side, drawn or real; returns the box of both."""
    naip = folder / "naip"
    naip.mkdir(parents=True)
    names = ["m_3607824_se_17_1_20160620_subset", "m_3607717_sw_18_1_20160620_subset"]
    for name, zone, west in zip(names, (17, 18), (-78.0012, -78.0002), strict=True):
        if shared is not None:
            shutil.copy(shared / "data" / "naip-io-samples" / f"{name}.tif", naip)
        else:
            (x,), (y,) = transform("EPSG:4326", f"EPSG:269{zone}", [west], [36.0])
            crs, origin = f"EPSG:269{zone}", (round(x), round(y))
            write_cog(naip / f"{name}.tif", colours(4, 120), crs=crs, origin=origin)
    items = [item(naip / f"{name}.json", "image", f"{name}.tif", "2016-06-20") for name in names]
    paths = [naip / f"{name}.json" for name in names]
    write_catalogue(folder, [write_collection(naip, "naip", "NAIP", paths)])
    boxes = np.array([content["bbox"] for content in items])
    west, south, *_ = boxes.min(0)
    *_, east, north = boxes.max(0)
    left, bottom, right, top = transform_bounds("EPSG:4326", "EPSG:5070", west, south, east, north)
    cells = np.where(np.arange(200) < 100, 41, 24).astype(np.uint8)[None].repeat(200, 0)
    origin = ((left + right) / 2 - 3000, (bottom + top) / 2 + 3000)
    write_tif(folder / "nlcd.tif", cells, 30.0, "EPSG:5070", origin)
    inside = 1e-4
    return f"{west + inside},{south + inside},{east - inside},{north - inside}"


@pytest.mark.filterwarnings("ignore::landcover_pnp.errors.SuspiciouslyEmptyWarning")
@pytest.mark.parametrize("kind", ["drawn", "real"])
def test_an_area_across_two_zones_gives_two_grids_and_two_maps(
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "place"
    box = write_two_zones(folder, request.getfixturevalue("shared") if kind == "real" else None)
    words = ["fetch", "place", f"--bbox={box}", "--out", "city", "--profile", "fast"]
    words += ["--images.catalogue", str(folder / "catalog.json")]
    words += ["--coarse.file", str(folder / "nlcd.tif"), "--objects.overture", "null"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "2 grids, since pixels of two UTM zones lie on no common one" in said
    assert "2 grids, and so 2 maps" in said
    last = said.strip().splitlines()[-1]
    assert last == "next:    landcover batch city/batch.yaml --out runs/city --publish"
    assert main([*last.partition("landcover ")[2].split(), "--workers", "0"]) == 0
    for zone in (17, 18):
        products = tmp_path / "runs" / "city" / f"scene-epsg269{zone}" / "products"
        with rasterio.open(products / "landcover.tif") as found:
            assert found.crs == rasterio.crs.CRS.from_epsg(26900 + zone)
            assert (found.read(1) > 0).any()


def test_layers_that_end_inside_the_area_are_said(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    area = ("--bbox", bbox(-300, 20, 300, 140))
    assert fetch(server, tmp_path / "out", area=area) == 0
    said = capsys.readouterr().err
    assert "warning: the images cover 50.0% of" in said
    assert "warning: roads, buildings and water reach over" in said
    assert "coarse map has data on" not in said
    half = write_coarse(server.folder / "half.tif")
    with rasterio.open(half, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as target:
        pixels = target.read(1)
        pixels[:, : pixels.shape[1] // 2 + 6] = 0
        target.write(pixels, 1)
    assert fetch(server, tmp_path / "half", "--coarse.file", server.url("half.tif")) == 0
    share = re.search(r"the coarse map has data on (\d\d\.\d)%", capsys.readouterr().err)
    assert share
    assert 30 < float(share[1]) < 70


def test_a_coarse_map_of_a_catalogue_brings_its_legend(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """WorldCover in two files, whose border runs through the area."""
    folder = server.folder / "worldcover"
    folder.mkdir()
    for name, code, left in (("west", 10, LEFT - 2000), ("east", 50, LEFT + 160)):
        pixels = np.full((400, 216), code, np.uint8)
        origin = (left, TOP + 2000)
        write_cog(folder / f"{name}.tif", pixels, resolution_m=10.0, crs=CRS, origin=origin)
        item(folder / f"{name}.json", "map", f"{name}.tif", "2021-01-01")
    paths = [folder / "east.json", folder / "west.json"]
    naip = server.folder / "naip" / "collection.json"
    worldcover = write_collection(folder, "esa-worldcover", "WorldCover", paths)
    write_catalogue(server.folder, [naip, worldcover])
    words = ["fetch", "place", f"--bbox={AREA}", "--out", str(tmp_path / "out")]
    words += ["--images.catalogue", server.url("catalog.json"), "--objects.overture", "null"]
    words += ["--coarse.catalogue", server.url("catalog.json"), "--profile", "fast"]
    assert main(words) == 0
    assert "coarse map: WorldCover" in capsys.readouterr().out
    with rasterio.open(tmp_path / "out" / "coarse.tif") as coarse:
        values, counts = np.unique(coarse.read(), return_counts=True)
        assert list(values) == [10, 50]
        assert counts.min() > 100
    plan = plan_map(load_settings(MapSettings, tmp_path / "out" / "scene.yaml"))
    assert plan.scene.files.legend == "worldcover"
    other = ["--coarse.collection", "esa-other"]
    assert main([*words, *other]) == 2
    assert "--coarse.legend" in capsys.readouterr().err


def test_larger_areas_need_a_word(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, limit = tmp_path / "out", ("--limits.most_km2", "0.01")
    assert fetch(server, out, *limit) == 2
    said = capsys.readouterr().err
    assert "0 km2" in said
    assert "GB on disk" in said
    assert "--yes" in said
    assert not out.exists()
    assert fetch(server, out, *limit, "--yes") == 0


def test_other_commands_do_not_load_what_fetching_needs() -> None:
    program = (
        # pandas loads pyarrow where it is installed.
        "import sys, landcover_pnp.cli.main\n"
        "import landcover_pnp.products.publishing, landcover_pnp.pipeline.plan\n"
        "print(*{'pystac_client', 'osmium', 'landcover_pnp.fetch.plan'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr


def test_without_the_extra_the_command_says_how_to_install_it(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "osmium" else found(name, *a)
    )
    assert main(words_of(server, tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "osmium" in said
    assert "pip install 'landcover-pnp[fetch]'" in said
