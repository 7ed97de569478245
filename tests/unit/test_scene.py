"""Scenes from a user's own rasters and vectors: one grid, nothing shifted, nothing invented."""

import dataclasses
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from inputs import ORIGIN, UTM, codes_of, colours, two_halves, write_tif
from pyproj import Transformer

from landcover_pnp.errors import AlignmentWarning, ScaleWarning, WeakLabelsWarning
from landcover_pnp.grid import Box
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import LayerFile, RasterFiles, TruthFile


@pytest.fixture
def files(tmp_path: Path) -> RasterFiles:
    return RasterFiles(
        image=write_tif(tmp_path / "image.tif", colours()),
        coarse=write_tif(tmp_path / "nlcd.tif", two_halves(41, 24)),
    )


def scene_of(files: RasterFiles, folder: Path, resolution_m: float = 4.0) -> Scene:
    return prepare_scene(plan_scene(files, resolution_m), folder / "scene")


def centres(scene: Scene, crs: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres of a scene in another CRS, x and y as (y, x)."""
    height, width = scene.geobox.shape
    x, y = scene.geobox.transform * np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return Transformer.from_crs(UTM, crs, always_xy=True).transform(x, y)


def test_the_image_is_averaged_over_each_working_pixel(files: RasterFiles, tmp_path: Path) -> None:
    scene = scene_of(files, tmp_path)
    expected = colours().reshape(3, 60, 4, 60, 4).mean(axis=(2, 4)) / 255
    assert scene.geobox.shape == (60, 60)
    np.testing.assert_allclose(scene.image(scene.extent), expected, atol=0.51 / 255)
    assert scene.valid(scene.extent).all()
    assert scene.valid_px == 3600


def test_windows_agree_with_the_whole(files: RasterFiles, tmp_path: Path) -> None:
    scene = scene_of(files, tmp_path)
    box = Box(7, 31, 11, 52)
    np.testing.assert_array_equal(
        scene.image(box), scene.image(scene.extent)[:, *box.within(scene.extent)]
    )


def test_the_grid_holds_all_pixels_of_the_image(tmp_path: Path) -> None:
    files = RasterFiles(
        image=write_tif(tmp_path / "image.tif", colours(size=365), resolution_m=1.36),
        coarse=write_tif(tmp_path / "nlcd.tif", two_halves(41, 24, 365), resolution_m=1.36),
    )
    scene = scene_of(files, tmp_path)
    assert scene.geobox.shape == (122, 122)  # of 4.08 m, three pixels of the image; the last of two
    assert scene.valid(scene.extent).all()
    assert (codes_of(scene) > 0).all()


def test_nlcd_in_another_crs_lies_right_to_a_tenth_of_a_pixel(tmp_path: Path) -> None:
    # A synthetic edge in Albers: forest west of it, developed east of it.
    albers = "EPSG:5070"
    x, y = Transformer.from_crs(UTM, albers, always_xy=True).transform(*ORIGIN)
    west, north = 30 * (x // 30) - 780, 30 * (y // 30) + 600
    nlcd = two_halves(41, 24, 60)
    files = RasterFiles(
        image=write_tif(tmp_path / "image.tif", colours()),
        coarse=write_tif(tmp_path / "nlcd.tif", nlcd, 30.0, albers, (west, north)),
    )
    edge = west + 30 * 30
    scene = scene_of(files, tmp_path)
    x, _ = centres(scene, albers)
    assert (x < edge).any()
    assert (x > edge).any()
    expected = np.where(x < edge, 41, 24)
    wrong = codes_of(scene) != expected
    assert (np.abs(x - edge)[wrong] < 0.1 * scene.resolution_m).all()
    assert any("warped from EPSG:5070" in note for note in scene.notes)


def test_vectors_in_degrees_lie_right(files: RasterFiles, tmp_path: Path) -> None:
    # 100 m x 40 m, off the pixel grid by 1 m
    footprint = shapely.box(ORIGIN[0] + 61, ORIGIN[1] - 101, ORIGIN[0] + 161, ORIGIN[1] - 61)
    frame = gpd.GeoDataFrame(geometry=[footprint], crs=UTM).to_crs(4326)
    frame.to_file(tmp_path / "buildings.gpkg")
    scene = scene_of(
        RasterFiles(files.image, files.coarse, buildings=LayerFile(tmp_path / "buildings.gpkg")),
        tmp_path,
    )
    covered = scene.coverage("buildings", scene.extent)
    assert covered is not None
    assert covered.sum() * 16 == pytest.approx(4000, rel=0.01)
    rows, columns = np.indices(covered.shape)
    centre_m = [4 * ((axis + 0.5) * covered).sum() / covered.sum() for axis in (columns, rows)]
    assert centre_m == pytest.approx([111, 81], abs=0.2)
    assert scene.coverage("roads", scene.extent) is None


def test_lines_get_their_width(files: RasterFiles, tmp_path: Path) -> None:
    line = shapely.LineString([(ORIGIN[0], ORIGIN[1] - 120), (ORIGIN[0] + 240, ORIGIN[1] - 120)])
    for name, columns in {"plain": {}, "given": {"width_m": [20.0]}}.items():
        gpd.GeoDataFrame(columns, geometry=[line], crs=UTM).to_file(tmp_path / f"{name}.gpkg")
        roads = LayerFile(tmp_path / f"{name}.gpkg", width_m=10.0)
        scene = scene_of(RasterFiles(files.image, files.coarse, roads=roads), tmp_path / name)
        covered = scene.coverage("roads", scene.extent)
        assert covered is not None
        width_m = 10.0 if name == "plain" else 20.0
        assert covered.sum() * 16 == pytest.approx(240 * width_m, rel=0.02)


def test_objects_are_drawn_the_same_part_by_part(
    files: RasterFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = ORIGIN
    shapes = [shapely.LineString([(x, y - 3), (x + 240, y - 211)]), shapely.Point(x + 81, y - 80)]
    gpd.GeoDataFrame(geometry=shapes, crs=UTM).to_crs(4326).to_file(tmp_path / "roads.gpkg")
    roads = LayerFile(tmp_path / "roads.gpkg", width_m=30.0)
    whole = scene_of(RasterFiles(files.image, files.coarse, roads=roads), tmp_path / "whole")
    monkeypatch.setattr("landcover_pnp.scenes.object_shares.OBJECTS_PX", 20)
    parts = scene_of(RasterFiles(files.image, files.coarse, roads=roads), tmp_path / "parts")
    before, after = whole.coverage("roads", whole.extent), parts.coverage("roads", whole.extent)
    assert before is not None
    assert after is not None
    assert before.any()
    np.testing.assert_array_equal(before, after)


def test_a_raster_layer_counts_only_the_codes_named(files: RasterFiles, tmp_path: Path) -> None:
    osm = write_tif(tmp_path / "osm.tif", two_halves(11, 2))
    scene = scene_of(
        RasterFiles(files.image, files.coarse, roads=LayerFile(osm, codes=[11])), tmp_path
    )
    covered = scene.coverage("roads", scene.extent)
    assert covered is not None
    np.testing.assert_array_equal(covered, np.tile(np.arange(60) < 30, (60, 1)))


def test_no_data_in_is_no_data_out(tmp_path: Path, files: RasterFiles) -> None:
    pixels = colours()
    pixels[:, :, 200:] = 0
    image = write_tif(tmp_path / "holes.tif", pixels, nodata=0)
    scene = scene_of(RasterFiles(image, files.coarse), tmp_path)
    np.testing.assert_array_equal(scene.valid(scene.extent), np.tile(np.arange(60) < 50, (60, 1)))


@pytest.mark.parametrize("asked", [True, False])
def test_a_black_border_is_no_data_only_if_asked(
    tmp_path: Path, files: RasterFiles, asked: bool
) -> None:
    pixels = colours()
    pixels[:, :40] = 0
    image = write_tif(tmp_path / "border.tif", pixels)
    scene = scene_of(RasterFiles(image, files.coarse, black_is_no_data=asked), tmp_path)
    assert scene.valid(scene.extent).mean() == (50 / 60 if asked else 1)


def test_near_infrared_tagged_alpha_is_a_colour(tmp_path: Path, files: RasterFiles) -> None:
    pixels = colours(bands=4)
    pixels[3, :, :120] = 0  # as over dark water
    image = write_tif(tmp_path / "naip.tif", pixels, photometric="rgb")
    scene = scene_of(RasterFiles(image, files.coarse), tmp_path)
    assert scene.image_bands == 4
    assert scene.valid(scene.extent).all()
    assert scene.image(scene.extent)[0, :, :30].min() > 0.1


def test_a_true_alpha_band_masks(tmp_path: Path, files: RasterFiles) -> None:
    pixels = colours(bands=4)
    pixels[3] = np.where(np.arange(240) < 40, 0, 255)
    image = write_tif(tmp_path / "rgba.tif", pixels, photometric="rgb", alpha="yes")
    scene = scene_of(RasterFiles(image, files.coarse), tmp_path)
    assert scene.image_bands == 3
    assert scene.valid(scene.extent).mean() == 50 / 60


def test_sixteen_bit_images_are_scaled_by_what_they_hold(
    tmp_path: Path, files: RasterFiles
) -> None:
    image = write_tif(tmp_path / "uint16.tif", colours(dtype="uint16") // 16)  # a 12 bit sensor
    scene = scene_of(RasterFiles(image, files.coarse), tmp_path)
    seen = scene.image(scene.extent)
    assert 0.9 < np.quantile(seen, 0.99) <= 1
    assert (
        np.corrcoef(seen.ravel(), scene_of(files, tmp_path / "b").image(scene.extent).ravel())[0, 1]
        > 0.99
    )


def test_truth_takes_the_most_frequent_class(tmp_path: Path, files: RasterFiles) -> None:
    truth = two_halves(40, 92)
    truth[::2, ::2] = 10  # a quarter of every working pixel
    path = write_tif(tmp_path / "truth.tif", truth)
    scene = scene_of(RasterFiles(files.image, files.coarse, truth=TruthFile(path)), tmp_path)
    labels = scene.truth(scene.extent)
    assert labels is not None
    assert (labels == 4).all()  # 92, emergent wetlands, counts as trees


def test_an_area_cuts_grid_and_map(tmp_path: Path, files: RasterFiles) -> None:
    area = shapely.Point(ORIGIN[0] + 120, ORIGIN[1] - 120).buffer(60)
    gpd.GeoDataFrame(geometry=[area], crs=UTM).to_crs(4326).to_file(tmp_path / "area.geojson")
    scene = scene_of(
        RasterFiles(files.image, files.coarse, area=tmp_path / "area.geojson"), tmp_path
    )
    assert scene.geobox.shape == (30, 30)
    assert scene.valid_px * 16 == pytest.approx(area.area, rel=0.03)


def test_a_grid_off_by_a_fraction_is_said(tmp_path: Path, files: RasterFiles) -> None:
    shifted = (ORIGIN[0] + 0.3, ORIGIN[1])
    nlcd = write_tif(tmp_path / "shifted.tif", two_halves(41, 24), origin=shifted)
    with pytest.warns(AlignmentWarning, match=r"0\.30, 0\.00 image pixels off"):
        plan_scene(RasterFiles(files.image, nlcd), 4.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AlignmentWarning)
        plan_scene(files, 4.0)


@pytest.mark.parametrize(
    ("crs", "origin", "times"),
    [
        ("EPSG:3857", (-8_904_000, 4_930_000), 1.73),  # Pittsburgh in Web Mercator
        ("EPSG:5070", (1_400_000, 2_000_000), 1),
        ("EPSG:32717", (586_000, 9_900_000), 1),
        ("EPSG:26917", (1e9, 1e9), 1),  # nowhere: a geotransform that is wrong
    ],
)
def test_metres_that_are_none_on_the_ground_are_said(
    crs: str, origin: tuple[float, float], times: float, tmp_path: Path
) -> None:
    place = {"crs": crs, "origin": origin}
    image = write_tif(tmp_path / "image.tif", colours(), **place)
    nlcd = write_tif(tmp_path / "nlcd.tif", two_halves(41, 24), **place)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ScaleWarning)
        plan_scene(RasterFiles(image, nlcd), 4.0)
    assert len(said) == (times != 1)
    assert all(f"{times:.2f} times" in str(warning.message) for warning in said)


def test_a_prepared_scene_is_kept_until_an_input_changes(
    tmp_path: Path, files: RasterFiles
) -> None:
    first = scene_of(files, tmp_path)
    stamp = (first.folder / "image.tif").stat().st_mtime_ns
    assert scene_of(files, tmp_path) == first
    assert (first.folder / "image.tif").stat().st_mtime_ns == stamp
    write_tif(files.image, colours(seed=1))
    assert scene_of(files, tmp_path).fingerprint != first.fingerprint


def test_a_sample_is_spread_over_the_scene_and_repeatable(
    tmp_path: Path, files: RasterFiles
) -> None:
    scene = scene_of(files, tmp_path)
    sample = scene.sample(500, seed=3)
    assert sample.shape == (500, 3)
    assert 0.4 < (sample[:, 0] > 0.45).mean() < 0.6
    np.testing.assert_array_equal(sample, scene.sample(500, seed=3))
    assert not np.array_equal(sample, scene.sample(500, seed=4))


def test_real_naip_and_nlcd(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "chesapeake-cvpr-wv"
    name = "m_3907833_nw_17_1"
    files = RasterFiles(folder / f"{name}_naip-new.tif", folder / f"{name}_nlcd.tif")
    scene = scene_of(files, tmp_path, resolution_m=24.0)
    assert scene.image_bands == 4
    assert scene.valid(scene.extent).mean() > 0.9
    assert set(np.unique(codes_of(scene))) > {21, 22, 41}


@pytest.mark.parametrize("reach", [179.0, 60.0, 1.0])
def test_a_sea_as_large_as_the_earth_covers_the_ground(
    files: RasterFiles, tmp_path: Path, reach: float
) -> None:
    west, north = Transformer.from_crs(UTM, 4326, always_xy=True).transform(*ORIGIN)
    sea = shapely.box(max(west - reach, -180), max(north - reach, -90), west + reach, 85)
    gpd.GeoDataFrame(geometry=[sea], crs=4326).to_file(tmp_path / "sea.gpkg")
    layer = LayerFile(tmp_path / "sea.gpkg")
    scene = scene_of(dataclasses.replace(files, water=layer), tmp_path)
    assert (scene.coverage("water", scene.extent) == 1).all()


def test_widths_are_read_with_their_units(files: RasterFiles, tmp_path: Path) -> None:
    x, y = ORIGIN
    roads = [shapely.LineString([(x, y - d), (x + 240, y - d)]) for d in (60, 120, 180)]
    frame = gpd.GeoDataFrame({"width_m": ["8 m", None, "8"]}, geometry=roads, crs=UTM)
    frame.to_file(tmp_path / "roads.gpkg")
    layer = LayerFile(tmp_path / "roads.gpkg", width_m=4.0)
    scene = scene_of(dataclasses.replace(files, roads=layer), tmp_path)
    cover = scene.coverage("roads", scene.extent).sum(axis=0) * 4
    np.testing.assert_allclose(cover, 8 + 4 + 8, rtol=0.01)
    assert any("roads: 2 of 3 objects have a width_m (8 to 8 m)" in note for note in scene.notes)


def test_widths_that_cannot_be_read_are_counted_and_said(
    files: RasterFiles, tmp_path: Path
) -> None:
    x, y = ORIGIN
    widths = ["24 ft", "wide", "3-4", None, "", "-2", "0"]
    roads = [shapely.LineString([(x, y - 30 * i), (x + 240, y - 30 * i)]) for i in range(1, 8)]
    frame = gpd.GeoDataFrame({"width_m": widths}, geometry=roads, crs=UTM).to_crs(4326)
    frame.to_file(tmp_path / "roads.geojson")
    wanted = dataclasses.replace(files, roads=LayerFile(tmp_path / "roads.geojson"))
    message = r"width_m of 4 of 7 objects is no width \('wide', '3-4', '-2', '0'\).* 8 m wide"
    with pytest.warns(WeakLabelsWarning, match=message):
        plan = plan_scene(wanted, 4.0)
    assert any("roads: 1 of 7 objects have a width_m (7.3152 to 7.3152 m)" in n for n in plan.notes)
