"""Synthetic cities: like real land cover, consistent across layers, not separable by colour."""

from functools import cache
from pathlib import Path
from typing import get_args

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import NLCD
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import uniform_filter
from sklearn.ensemble import RandomForestClassifier

from landcover_pnp.errors import SettingsError
from landcover_pnp.legend import ENVIROATLAS, count_values, to_working
from landcover_pnp.scenes.enviroatlas import tile_files
from landcover_pnp.scenes.settings import EnviroAtlasTile, Look, SyntheticSettings
from landcover_pnp.scenes.synthetic import SyntheticSummary, synthetic_label_map, write_city
from landcover_pnp.scenes.synthetic.look import photograph
from landcover_pnp.scenes.synthetic.nature import grow, smooth_noise
from landcover_pnp.scenes.synthetic.nlcd import class_shares, draw_nlcd, nlcd_geobox
from landcover_pnp.scenes.synthetic.plan import Plan, city_rng, draw_labels
from landcover_pnp.scenes.synthetic.survey import survey

LOOKS: tuple[Look, ...] = get_args(Look)
UTM = {"humid_east": 26917, "piedmont": 26917, "hill_country": 26914, "desert": 26912}


@cache
def plan(look: Look, seed: int = 3, side: int = 700) -> Plan:
    return draw_labels(look, (side, side), city_rng(look, seed))


def grid_of(plan: Plan) -> GeoBox:
    return GeoBox(plan.labels.shape, Affine(1, 0, 584_000, 0, -1, 4_478_000), "EPSG:26917")


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> dict[Look, SyntheticSummary]:
    root = tmp_path_factory.mktemp("cities")
    return {look: write_city(SyntheticSettings(look, 360, 2), root) for look in LOOKS}


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(LOOKS), st.integers(0, 10**6), st.integers(130, 300), st.integers(130, 300))
def test_every_city_is_drawn_whole_and_in_the_legend(
    look: Look, seed: int, height: int, width: int
) -> None:
    city = draw_labels(look, (height, width), city_rng(look, seed))
    counts = count_values(city.labels)
    assert city.labels.shape == (height, width) and city.labels.dtype == np.uint8
    assert 0 not in counts
    ENVIROATLAS.require_known(counts, "labels")


def test_a_seed_gives_the_same_map_and_another_seed_or_look_a_different_one() -> None:
    first = synthetic_label_map("piedmont", 240, 5)
    assert np.array_equal(first, synthetic_label_map("piedmont", 240, 5))
    assert (first != synthetic_label_map("piedmont", 240, 6)).mean() > 0.2
    assert (first != synthetic_label_map("humid_east", 240, 5)).mean() > 0.2


def test_a_seed_gives_the_same_bytes(cities: dict[Look, SyntheticSummary], tmp_path: Path) -> None:
    again = write_city(SyntheticSettings("desert", 360, 2), tmp_path)
    files = sorted(cities["desert"].folder.iterdir())
    assert [f.name for f in files] == [f.name for f in sorted(again.folder.iterdir())]
    for file in files:
        assert file.read_bytes() == (again.folder / file.name).read_bytes(), file.name


# Shares of water, impervious, soil, trees and shrubs, grass that cities of the look may have.
SHARES = {
    "humid_east": [(0, 0.12), (0.22, 0.5), (0, 0.08), (0.22, 0.55), (0.12, 0.42)],
    "piedmont": [(0, 0.12), (0.12, 0.42), (0, 0.08), (0.3, 0.7), (0.12, 0.42)],
    "hill_country": [(0, 0.12), (0.16, 0.48), (0, 0.1), (0.25, 0.62), (0.1, 0.42)],
    "desert": [(0, 0.05), (0.25, 0.6), (0.2, 0.65), (0.02, 0.2), (0.01, 0.3)],
}


@pytest.mark.parametrize("look", LOOKS)
def test_class_shares_are_those_of_real_cities(look: Look) -> None:
    both = np.concatenate([plan(look).labels, plan(look, 4).labels])
    counts = np.bincount(to_working(both, ENVIROATLAS).ravel(), minlength=6)
    for share, (low, high) in zip(counts[1:] / both.size, SHARES[look], strict=True):
        assert low <= share <= high


@pytest.mark.parametrize("look", LOOKS)
def test_labels_have_the_grain_of_real_labels_at_4_m(look: Look) -> None:
    # Neighbours differ at 0.04 (forest) to 0.31 (wooded suburb) of real EnviroAtlas patches.
    labels = to_working(plan(look).labels, ENVIROATLAS)[2::4, 2::4]
    edges = (np.diff(labels, axis=0) != 0).mean() / 2 + (np.diff(labels, axis=1) != 0).mean() / 2
    assert 0.1 < edges < 0.32


@pytest.mark.parametrize("look", LOOKS)
def test_streets_are_one_net(look: Look) -> None:
    pavement = shapely.union_all([r.line.buffer(r.width_m / 2) for r in plan(look).roads])
    parts = shapely.get_parts(pavement).tolist()
    view = shapely.box(0, 0, 700, 700)
    areas = sorted(part.intersection(view).area for part in parts)
    assert areas[-1] > 0.97 * sum(areas)


def test_buildings_keep_off_the_roads_and_the_water() -> None:
    for look in LOOKS:
        city = plan(look)
        paved = [road.line.buffer(road.width_m / 2 - 1.0) for road in city.roads]
        for kept_off in (shapely.union_all(paved), shapely.union_all(city.waters)):
            assert shapely.intersects(city.buildings, kept_off).mean() < 0.02


@settings(deadline=None, max_examples=10)
@given(st.floats(1.3, 60.0), st.integers(0, 1000))
def test_noise_is_standard_normal_at_every_pixel(spacing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    draws = np.stack([smooth_noise((5, 7), {spacing: 1.0, 3.0: 0.5}, rng) for _ in range(150)])
    assert np.all(np.abs(draws.mean(axis=0)) < 0.4)
    assert np.all(np.abs(draws.std(axis=0) - 1) < 0.3)


def test_crowns_cover_their_stems_and_show_the_higher_one() -> None:
    stems = np.zeros((40, 60), bool)
    stems[20, [20, 24, 45]] = True
    canopy = grow(stems, 4.0, np.zeros(stems.shape, np.float32), np.random.default_rng(0))
    assert np.array_equal(canopy.height > 0, canopy.crown > 0)
    radius = canopy.height[20, 45]
    y, x = np.mgrid[:40, :60]
    alone = np.where(x > 35, radius - np.hypot(y - 20, x - 45), 0)
    np.testing.assert_allclose(canopy.height[:, 36:], np.maximum(alone, 0)[:, 36:], atol=1e-5)
    touching = np.unique(canopy.crown[20, 20:25])
    assert len(touching) == 2


# NLCD ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_nlcd_follows_the_labels_about_as_well_as_real_nlcd(look: Look) -> None:
    city, grid = plan(look), grid_of(plan(look))
    codes, cells = draw_nlcd(look, city.labels, grid, np.random.default_rng(0))
    assert codes.shape == cells.shape
    assert set(np.unique(codes)) <= {0, *NLCD.codes}
    share = class_shares(city.labels, [20], grid, cells)[0]
    developed = (codes >= 21) & (codes <= 24) & ~np.isnan(share)
    expected = 21 + np.digitize(share, [0.2, 0.5, 0.8])
    agreement = (codes == expected)[developed].mean()
    assert 0.75 < agreement < 0.95
    assert np.abs(codes.astype(int) - expected)[developed].max() <= 1
    assert share[~developed & (codes > 0) & ~np.isnan(share)].max() < 0.8


def test_nlcd_of_pure_cover_is_that_class_in_every_cell_but_few() -> None:
    rng = np.random.default_rng(1)
    for look, label, code in (
        ("humid_east", 20, 24),
        ("humid_east", 40, 41),
        ("desert", 30, 52),
        ("piedmont", 10, 11),
        ("piedmont", 91, 90),
    ):
        labels = np.full((600, 600), label, np.uint8)
        grid = GeoBox((600, 600), Affine(1, 0, 584_000, 0, -1, 4_478_000), "EPSG:26917")
        codes, _ = draw_nlcd(look, labels, grid, rng)
        assert (codes == code).mean() > 0.85


def test_nlcd_cells_hold_the_city_and_lie_on_multiples_of_30_m() -> None:
    grid = GeoBox((500, 700), Affine(1, 0, 401_007, 0, -1, 3_713_011), "EPSG:26912")
    cells = nlcd_geobox(grid)
    assert np.all(np.mod(cells.boundingbox.bbox, 30) == 0)
    turn = np.linspace(0, 1, 50)
    u, v = np.concatenate([[turn, 0 * turn], [turn, 1 + 0 * turn], [0 * turn, turn]], axis=1)
    east, north = grid.transform * (700 * u, 500 * v)
    rim = np.column_stack(rasterio.warp.transform("EPSG:26912", "EPSG:5070", east, north))
    left, bottom, right, top = cells.boundingbox.bbox
    assert np.all((rim >= [left, bottom]) & (rim <= [right, top]))
    assert np.all(rim.min(axis=0) - [left, bottom] < 60)


# Vectors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_vectors_miss_some_objects_and_are_a_little_off(look: Look) -> None:
    city, grid = plan(look, 4), grid_of(plan(look, 4))
    left, bottom, right, top = grid.boundingbox.bbox
    view = shapely.box(0, 0, 700, 700)
    truth = shapely.intersection(shapely.union_all(city.buildings), view)
    found = [survey(city, grid, np.random.default_rng(seed)) for seed in range(3)]
    mapped = [
        shapely.transform(each.buildings.union_all(), lambda xy: (xy - [left, top]) * [1, -1])
        for each in found
    ]
    assert all(shapely.box(left, bottom, right, top).covers(m.buildings.union_all()) for m in found)
    recall = np.mean([m.intersection(truth).area / truth.area for m in mapped])
    precision = np.mean([m.intersection(truth).area / m.area for m in mapped])
    assert 0.4 < recall < 0.8
    assert 0.75 < precision < 0.97
    roads = sum(r.line.intersection(view).length for r in city.roads)
    for each in found:
        assert 0.8 * roads < each.roads.length.sum() <= 1.02 * roads
        assert (each.roads["width_m"] > 5).all()


# Image -----------------------------------------------------------------------------------------


def test_shadows_and_crowns_texture_the_image_within_its_range() -> None:
    for look in LOOKS:
        image = photograph(plan(look, 2, 360), np.random.default_rng(0))
        assert image.shape == (4, 360, 360) and image.dtype == np.uint8
        assert image.min() > 0  # 0 in every band would read as no data
        assert (image == 255).mean() < 0.05
        assert all(band.std() > 12 for band in image)


def test_ground_in_shadow_keeps_its_label_but_is_darker() -> None:
    # North of a block of houses lies its shadow: the same lawn, half as bright.
    city = plan("humid_east")
    image = photograph(city, np.random.default_rng(0))[1]
    lawn = (city.labels == 70) & (city.roof_height_m == 0)
    near = np.roll(city.roof_height_m > 3, -3, axis=0)
    far = uniform_filter((city.roof_height_m + city.trees.height > 0).astype(float), 31) < 0.01
    assert (lawn & near).sum() > 500 and (lawn & far).sum() > 500
    assert np.median(image[lawn & near]) < 0.8 * np.median(image[lawn & far])


def features(look: Look, seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(pixel, feature) colour, local mean and deviation at 4 m, and (pixel,) working labels."""
    city = draw_labels(look, (440, 440), city_rng(look, seed))
    image = photograph(city, np.random.default_rng(seed)).astype(np.float32)
    coarse = image.reshape(4, 110, 4, 110, 4).mean(axis=(2, 4))
    mean = np.stack([uniform_filter(band, 5) for band in coarse])
    square = np.stack([uniform_filter(band**2, 5) for band in coarse])
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    labels = to_working(city.labels, ENVIROATLAS)[2::4, 2::4]
    return np.concatenate([coarse, mean, spread]).reshape(12, -1).T, labels.ravel()


def test_a_forest_trained_on_one_look_fails_on_the_others() -> None:
    train = {look: [features(look, seed) for seed in (11, 12)] for look in LOOKS}
    test = {look: [features(look, seed) for seed in (21, 22)] for look in LOOKS}
    accuracy = np.zeros((4, 4))
    for i, look in enumerate(LOOKS):
        x, y = (np.concatenate(part) for part in zip(*train[look], strict=True))
        forest = RandomForestClassifier(12, min_samples_leaf=4, max_samples=0.3, random_state=0)
        forest.fit(x, y)
        for j, other in enumerate(LOOKS):
            accuracy[i, j] = np.mean([forest.score(*city) for city in test[other]])
    own = np.diag(accuracy)
    assert np.all((own > 0.7) & (own < 0.95))
    transferred = accuracy[~np.eye(4, dtype=bool)].reshape(4, 3)
    assert np.all(transferred.max(axis=1) < own - 0.02)
    assert np.all(transferred.mean(axis=1) < own - 0.2)


# Files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_the_city_opens_as_a_tile_of_the_data_set(
    cities: dict[Look, SyntheticSummary], look: Look
) -> None:
    city = cities[look]
    files = tile_files(EnviroAtlasTile(city.folder.parent, city.city, "test"))
    assert files.truth is not None
    paths = [files.image, files.coarse, files.truth.path]
    paths += [layer.path for layer in (files.roads, files.buildings, files.water) if layer]
    for path in paths:
        with rasterio.open(path) as raster:
            assert raster.crs.to_epsg() == UTM[look]
            assert raster.shape == (360, 360) and raster.res == (1.0, 1.0)
            assert raster.dtypes[0] == "uint8" and raster.nodata is None
            assert raster.count == (4 if path == files.image else 1)
            assert raster.profile["tiled"] and raster.profile["compress"] == "deflate"
    assert sum(city.class_shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("look", LOOKS)
def test_weak_layers_are_the_same_as_rasters_and_as_a_user_has_them(
    cities: dict[Look, SyntheticSummary], look: Look
) -> None:
    city = cities[look]
    stem = f"{city.folder}/{city.tile}_"
    with rasterio.open(f"{stem}nlcd_30m.tif") as cells:
        assert cells.crs.to_epsg() == 5070 and cells.res == (30.0, 30.0)
        codes = cells.read(1)
        with rasterio.open(f"{stem}b_nlcd.tif") as raster:
            indices = raster.read(1)
            y, x = np.mgrid[3:360:29, 5:360:31]
            east, north = raster.transform * (x.ravel() + 0.5, y.ravel() + 0.5)
            there = rasterio.warp.transform(raster.crs, cells.crs, east, north)
        rows, columns = rasterio.transform.rowcol(cells.transform, *there)
    expected = np.array([0, *NLCD.codes])[indices[y.ravel(), x.ravel()]]
    assert (codes[rows, columns] == expected).mean() > 0.98  # a centre may lie on a cell's edge

    buildings = gpd.read_file(f"{stem}vectors.gpkg", layer="buildings")
    assert buildings.crs.to_epsg() == UTM[look]
    with rasterio.open(f"{stem}e_buildings.tif") as raster:
        covered = raster.read(1)
    assert set(np.unique(covered)) <= {0, 1}
    assert covered.sum() == pytest.approx(buildings.union_all().area, rel=0.05, abs=20)
    for layer in ("roads", "water"):
        assert len(gpd.read_file(f"{stem}vectors.gpkg", layer=layer)) == city.objects[layer]


def test_a_city_too_small_for_houses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least 120 m"):
        write_city(SyntheticSettings("desert", 40), tmp_path)
    assert not list(tmp_path.iterdir())
