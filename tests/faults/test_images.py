"""Many images as one area: mapped as one file would be; what is damaged is no data, and said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from inputs import ORIGIN, colours, two_halves, write_scene, write_tif

from landcover_pnp.config import load_settings
from landcover_pnp.errors import GridError, RasterError, RequestError, SuspiciouslyEmptyWarning
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.summary import MapSummary
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.imagery import plan_imagery
from landcover_pnp.scenes.inputs import input_files
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.raster import unwritten_share

WHOLE = colours()


def quarters(folder: Path, overlap: int = 40) -> list[Path]:
    """The standard image in 2 x 2 files that overlap, as NAIP quarter quads do."""
    folder.mkdir()
    paths = []
    for name, y, x in (("nw", 0, 0), ("ne", 0, 120), ("sw", 120, 0), ("se", 120, 120)):
        y0, x0 = max(y - overlap, 0), max(x - overlap, 0)
        part = WHOLE[:, y0 : y + 120 + overlap, x0 : x + 120 + overlap]
        at = (ORIGIN[0] + x0, ORIGIN[1] - y0)
        paths.append(
            write_tif(
                folder / f"{name}.tif", part, origin=at, tiled=True, blockxsize=16, blockysize=16
            )
        )
    return paths


def nlcd(folder: Path) -> Path:
    return write_tif(folder / "nlcd.tif", two_halves(41, 24))


def scene_of(image: Path, folder: Path) -> Scene:
    files = RasterFiles(image, nlcd(folder))
    return prepare_scene(plan_scene(files, 4.0), folder / f"scene-{image.stem}")


def mapped(folder: Path, image: str) -> MapSummary:
    config = write_scene(folder)
    config.write_text(config.read_text().replace("image.tif", image))
    words = ["--tiles.core_px", "30", "--tiles.halo_px", "0", "--workers", "0"]
    return map_city(load_settings(MapSettings, config, words), folder / "run")


def test_several_images_are_seen_as_one(tmp_path: Path) -> None:
    quarters(tmp_path / "tiles")
    one = scene_of(write_tif(tmp_path / "whole.tif", WHOLE), tmp_path)
    several = scene_of(tmp_path / "tiles", tmp_path)
    assert several.geobox == one.geobox
    np.testing.assert_array_equal(several.image(one.extent), one.image(one.extent))
    assert several.valid(one.extent).all()
    assert "4 images averaged" in several.notes[0]


def test_hidden_files_in_a_folder_are_no_images(tmp_path: Path) -> None:
    paths = quarters(tmp_path / "tiles")
    (tmp_path / "tiles" / "._nw.tif").write_bytes(b"\0\5\x16\7")
    assert image_files(tmp_path / "tiles") == tuple(sorted(paths))


def test_a_gap_in_one_image_is_filled_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    folder.mkdir()
    hole = WHOLE.copy()
    hole[:, 40:80, 40:80] = 0
    write_tif(folder / "a.tif", hole, nodata=0)
    write_tif(folder / "b.tif", 255 - WHOLE)
    seen = scene_of(folder, tmp_path).image
    box = scene_of(folder, tmp_path).extent
    averaged = WHOLE.reshape(3, 60, 4, 60, 4).mean(axis=(2, 4)) / 255
    expected = averaged.copy()
    expected[:, 10:20, 10:20] = 1 - averaged[:, 10:20, 10:20]
    np.testing.assert_allclose(seen(box), expected, atol=0.51 / 255)


def test_lists_and_indexes_name_the_same_files(tmp_path: Path) -> None:
    paths = quarters(tmp_path / "tiles")
    names = [f"tiles/{path.name}" for path in paths]
    shapes = [shapely.box(0, 0, 1, 1)] * 4
    frame = gpd.GeoDataFrame({"location": names}, geometry=shapes, crs=4326)
    frame.to_file(tmp_path / "index.gpkg")
    frame.to_file(tmp_path / "index.geojson")
    items = [
        {"type": "Feature", "assets": {"image": {"href": f"./{name}"}, "metadata": {"href": "x"}}}
        for name in names
    ]
    stac = {"type": "FeatureCollection", "features": items}
    (tmp_path / "items.json").write_text(json.dumps(stac))
    (tmp_path / "list.txt").write_text("# NAIP\n" + "\n".join(names) + "\n\n")
    for index in ("index.gpkg", "index.geojson", "items.json", "list.txt"):
        assert image_files(tmp_path / index) == tuple(paths)
    assert image_files(tmp_path / "tiles") == tuple(sorted(paths))
    assert image_files(paths[0]) == (paths[0],)


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": null, '
        '"properties": {"name": "a.tif"}}]}'
    )
    (tmp_path / "stac.json").write_text('{"features": [{"assets": {"thumbnail": {}}}]}')
    messages = {
        "empty": "names no image",
        "broken.json": "is no JSON",
        "other.geojson": "has the attributes name",
        "stac.json": "the assets thumbnail",
    }
    for name, message in messages.items():
        with pytest.raises(RasterError, match=message):
            image_files(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"features": [{"assets": {"image": "a.tif"}}]}, "whose asset image has no href"),
        ({"features": [{"assets": {"image": {"href": None}}}]}, "whose asset image has no href"),
        ({"features": [{"assets": ["image"]}]}, "the assets none"),
        ({"features": [{"assets": {"image": {"href": "a.tif"}}}, {}]}, "the assets none"),
        ({"features": [None, 1]}, "neither an image nor a vector file"),
        ([1], "neither an image nor a vector file"),
    ],
)
def test_an_index_of_another_kind_is_refused(content: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text(json.dumps(content))
    with pytest.raises(RasterError, match=message):
        image_files(tmp_path / "items.json")


def test_lists_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "windows.txt").write_bytes("bäume 1.tif\r\n\r\n".encode("utf-8-sig"))
    assert image_files(tmp_path / "windows.txt") == (tmp_path / "bäume 1.tif",)
    (tmp_path / "old.txt").write_bytes("bäume.tif\n".encode("latin-1"))
    with pytest.raises(RasterError, match="no UTF-8 text"):
        image_files(tmp_path / "old.txt")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("circle", 5000 * "x"):
        (tmp_path / "list.txt").write_text(name)
        with pytest.raises(RasterError, match="no file below"):
            image_files(tmp_path / "list.txt")
    gap = gpd.GeoDataFrame(
        {"location": ["a.tif", None]}, geometry=[shapely.Point(0, 0)] * 2, crs=4326
    )
    gap.to_file(tmp_path / "index.gpkg")
    with pytest.raises(RasterError, match="without a value of location"):
        image_files(tmp_path / "index.gpkg")


def test_images_of_one_name_in_several_folders_are_all_known(tmp_path: Path) -> None:
    for i, folder in enumerate(("east", "west")):
        (tmp_path / folder).mkdir()
        pixels = WHOLE[:, :, 120 * i : 120 * (i + 1)]
        write_tif(tmp_path / folder / "x.tif", pixels, origin=(ORIGIN[0] + 120 * i, ORIGIN[1]))
    (tmp_path / "all.txt").write_text("east/x.tif\nwest/x.tif\n")
    files = RasterFiles(tmp_path / "all.txt", nlcd(tmp_path))
    assert list(input_files(files)) == ["image east/x.tif", "image west/x.tif", "coarse"]
    before = plan_scene(files, 4.0).made_of()
    write_tif(tmp_path / "east" / "x.tif", 255 - WHOLE[:, :, :120])
    assert plan_scene(files, 4.0).made_of() != before


OUTSIDE = st.sampled_from(
    ["../x.tif", "/etc/passwd", "a/../../x.tif", "https://e.org/x.tif", "/vsicurl/http://e/x",
     "/vsizip/a.zip/x.tif", "file:///etc/passwd", "s3://b/k.tif", "", ".", "a\0b", "link/x.tif"]
)  # fmt: skip


@given(st.one_of(OUTSIDE, st.text(max_size=30), st.from_regex(r"(\.\./|/|a/|\.){1,6}x")))
def test_an_index_reaches_nothing_outside_its_root(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "root"
    root.mkdir(exist_ok=True)
    if not (root / "link").is_symlink():
        (root / "link").symlink_to("/")
    item = {"type": "Feature", "assets": {"image": {"href": name}}}
    (root / "items.json").write_text(json.dumps({"features": [item]}))
    try:
        (path,) = image_files(root / "items.json")
    except RequestError as error:
        assert "no file below" in error.found
    else:
        assert path.resolve().is_relative_to(root.resolve())
        assert path.resolve() != root.resolve()


def test_a_root_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "all.txt").write_text("a.tif")
    assert image_files(tmp_path / "lists" / "all.txt", tmp_path) == (tmp_path / "a.tif",)


@pytest.mark.parametrize("driver", ["PNG", "VRT"])
def test_other_formats_are_not_opened(driver: str, tmp_path: Path) -> None:
    source = write_tif(tmp_path / "a.tif", WHOLE)
    disguised = tmp_path / "b.tif"  # a VRT may point to any file of the machine, or to a server
    rasterio.shutil.copy(source, disguised, driver=driver)
    with pytest.raises(RasterError, match="not a raster that can be opened"):
        plan_imagery([disguised])


def test_two_zones_are_refused_unless_one_is_chosen(tmp_path: Path) -> None:
    a = write_tif(tmp_path / "a.tif", WHOLE)
    b = write_tif(tmp_path / "b.tif", WHOLE, crs="EPSG:26918")
    with pytest.raises(GridError, match="EPSG:26917, EPSG:26918") as refused:
        plan_imagery([a, b])
    assert "image_crs" in refused.value.fix
    assert [image.path for image in plan_imagery([a, b], "EPSG:26918").images] == [b]
    with pytest.raises(RasterError, match="they are in EPSG:26917, EPSG:26918"):
        plan_imagery([a, b], "EPSG:26919")


def test_images_of_two_kinds_are_refused(tmp_path: Path) -> None:
    a = write_tif(tmp_path / "a.tif", WHOLE)
    b = write_tif(tmp_path / "b.tif", colours(4))
    with pytest.raises(RasterError, match=r"3 bands of uint8 in .*a\.tif; 4 bands"):
        plan_imagery([a, b])


def test_an_image_cut_in_half_costs_its_part_alone(tmp_path: Path) -> None:
    paths = quarters(tmp_path / "tiles", overlap=0)
    content = paths[3].read_bytes()
    paths[3].write_bytes(content[: len(content) // 2])
    summary = mapped(tmp_path, "tiles")
    assert summary.exit_code == 3
    assert list(summary.reasons) == ["r0001c0001"]
    reason = summary.reasons["r0001c0001"]
    assert "se.tif cannot be read at rows" in reason
    with rasterio.open(summary.products[0]) as source:
        missing = source.read(1) == 0
    assert missing[30:, 30:].all()
    assert missing.sum() == 900
    # refined, the same run becomes whole
    paths[3].write_bytes(content)
    again = mapped(tmp_path, "tiles")
    assert again.exit_code == 0
    with rasterio.open(again.products[0]) as source:
        assert (source.read(1) > 0).all()


def write_and_die(path: Path) -> None:
    """A GeoTIFF whose writer is killed before it could write a pixel."""
    program = (
        "import os, rasterio; s = rasterio.open(r'{0}', 'w', driver='GTiff', width=120, height=120,"
        "count=3, dtype='uint8', crs='EPSG:26917', tiled=True, blockxsize=16, blockysize=16,"
        "sparse_ok=True, transform=rasterio.Affine(1, 0, {1}, 0, -1, {2})); s.close(); os._exit(1)"
    )
    words = program.format(path, ORIGIN[0] + 120, ORIGIN[1] - 120)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", words], env=environment, timeout=120)


def test_an_image_that_reads_as_nothing_is_found(tmp_path: Path) -> None:
    paths = quarters(tmp_path / "tiles", overlap=0)
    paths[3].unlink()
    write_and_die(paths[3])
    with rasterio.open(paths[3]) as source:
        assert not source.read().any()
        assert source.dataset_mask().all(), "GDAL takes the missing pixels for black ones"
        assert unwritten_share(source) == 1
    with pytest.warns(SuspiciouslyEmptyWarning, match="100% of its blocks were never written"):
        summary = mapped(tmp_path, "tiles")
    assert summary.exit_code == 3
    assert "its writer was interrupted" in summary.reasons["r0001c0001"]
    assert summary.progress.done == 3


def test_an_image_far_emptier_than_the_others_is_said(tmp_path: Path) -> None:
    paths = quarters(tmp_path / "tiles", overlap=0)
    black = np.zeros((3, 120, 120), np.uint8)
    write_tif(paths[1], black, origin=(ORIGIN[0] + 120, ORIGIN[1]))
    with pytest.warns(SuspiciouslyEmptyWarning, match=r"ne\.tif: 0\.0% of its pixels have data"):
        scene_of(tmp_path / "tiles", tmp_path)


def test_an_image_that_cannot_be_opened_is_left_out_and_said(tmp_path: Path) -> None:
    paths = quarters(tmp_path / "tiles", overlap=0)
    paths[1].write_bytes(b"II*\0")
    with pytest.warns(SuspiciouslyEmptyWarning, match="left out"):
        summary = mapped(tmp_path, "tiles")
    assert summary.exit_code == 3
    assert list(summary.unusable) == ["ne.tif"]
    assert summary.progress.failed == 0


def write_area(
    folder: Path, left: float, bottom: float, right: float, top: float, crs: str
) -> Path:
    frame = gpd.GeoDataFrame(geometry=[shapely.box(left, bottom, right, top)], crs=crs)
    frame.to_file(folder / "area.gpkg")
    return folder / "area.gpkg"


def test_an_area_across_the_antimeridian_is_refused(tmp_path: Path) -> None:
    area = write_area(tmp_path, -179, 40, 179, 41, "EPSG:4326")
    files = RasterFiles(write_tif(tmp_path / "a.tif", WHOLE), nlcd(tmp_path), area=area)
    with pytest.raises(GridError, match="spans 358 degrees of longitude"):
        plan_scene(files, 4.0)


def test_an_area_beyond_the_imagery_is_said(tmp_path: Path) -> None:
    x, y = ORIGIN
    area = write_area(tmp_path, x + 120, y - 240, x + 360, y, "EPSG:26917")
    files = RasterFiles(write_tif(tmp_path / "a.tif", WHOLE), nlcd(tmp_path), area=area)
    plan = plan_scene(files, 4.0)
    assert "50.0% of the area of interest lies beyond the imagery" in plan.notes
    assert plan.geobox.shape == (60, 30)


def test_links_that_an_index_names_are_followed_before_they_are_judged(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    write_tif(elsewhere / "secret.tif", WHOLE)
    write_tif(root / "own.tif", WHOLE)
    (root / "folder").symlink_to(elsewhere)
    (root / "file.tif").symlink_to(elsewhere / "secret.tif")
    (root / "inside.tif").symlink_to(root / "own.tif")
    for name in ("folder/secret.tif", "file.tif"):
        (root / "list.txt").write_text(name)
        with pytest.raises(RequestError, match="no file below"):
            image_files(root / "list.txt")
    (root / "list.txt").write_text("inside.tif")
    assert image_files(root / "list.txt") == (root / "own.tif",)
