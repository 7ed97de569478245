"""The image's own grid: a map has exactly its pixels, whatever the working grid."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import ORIGIN, UTM, two_halves, write_tif
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landcover_pnp.arrays import block_mean
from landcover_pnp.errors import ResolutionError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.scenes.fine_image import FineImage
from landcover_pnp.scenes.image_grid import ADAPTS, own_grid, whole_multiple, working_grid
from landcover_pnp.scenes.object_shares import object_shares
from landcover_pnp.scenes.overlay import Overlay
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import LayerFile, RasterFiles
from landcover_pnp.student.mapped_scene import MappedScene

HEIGHT, WIDTH = 101, 119
"""Sides of an image, pixels: no multiples of anything."""

WORKING_M = {0.3: 3.9, 0.5: 4.0, 0.6: 4.2, 1.0: 4.0, 1.36: 4.08, 1.5: 4.0, 2.5: 4.0}
"""Working pixels that 4 m become by the image's; of 1.5 and 2.5 m none are within a tenth."""


def places(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """(band, y, x): an image that says in each pixel its column, then its row."""
    rows, columns = np.indices((height, width))
    return np.stack([columns + 1, rows + 1, np.full_like(rows, 9)]).astype(np.uint8)


def write_files(folder: Path, pixel_m: float, image: NDArray[np.uint8], **profile: object) -> Path:
    """An image and an NLCD of the same ground, whose pixels are others."""
    folder.mkdir(exist_ok=True)
    write_tif(folder / "image.tif", image, pixel_m, **profile)  # type: ignore[arg-type]
    across = round(max(image.shape[1:]) * pixel_m / 10) + 1
    write_tif(folder / "nlcd.tif", two_halves(41, 24, across), 10.0)
    return folder / "image.tif"


def opened(folder: Path, **files: object) -> MappedScene:
    wanted = RasterFiles(folder / "image.tif", folder / "nlcd.tif", **files)  # type: ignore[arg-type]
    scene = prepare_scene(plan_scene(wanted, 4.0), folder / "scene")
    return MappedScene(folder, scene, FineImage.of(wanted, scene))


def say_place(image: NDArray[np.float32], _: Box) -> NDArray[np.float32]:
    """A model that sees its place in the image: shares of the first two classes, of the rest."""
    column, row = image[:2]
    return np.stack([column, row, 1 - column - row, 0 * row, 0 * row])


def map_of(mapped: MappedScene, side: int = 11) -> NDArray[np.float32]:
    """(class, y, x) of the whole map, drawn in windows."""
    overlay = mapped.fine.overlay
    found = np.full((5, *overlay.geobox.shape), np.nan, np.float32)
    for box in blocks(mapped.scene.extent, side):
        whole = Box(0, found.shape[1], 0, found.shape[2])
        found[:, *overlay.box(box).within(whole)] = mapped.drawn(say_place, box, 0)
    return found


@pytest.mark.parametrize("pixel_m", WORKING_M)
def test_a_map_lies_on_the_image_to_half_a_pixel(pixel_m: float, tmp_path: Path) -> None:
    image = write_files(tmp_path, pixel_m, places())
    mapped = opened(tmp_path)
    assert mapped.scene.resolution_m == pytest.approx(WORKING_M[pixel_m])
    with rasterio.open(image) as source:
        geobox = mapped.fine.overlay.geobox
        assert geobox.shape == source.shape
        np.testing.assert_allclose(geobox.transform, source.transform, rtol=1e-12)
    found = map_of(mapped)
    assert not np.isnan(found).any()  # the windows partition the map
    rows, columns = np.indices((HEIGHT, WIDTH))
    exact = whole_multiple(geobox, 4.0) is not None
    # Interpolated, the outermost pixel may be a neighbour's.
    inner = np.s_[:, :] if exact else np.s_[2:-2, 2:-2]
    limit = 1e-3 if exact else 0.5
    assert abs(found[0] * 255 - columns - 1)[inner].max() < limit
    assert abs(found[1] * 255 - rows - 1)[inner].max() < limit
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("pixel_m", [0.3, 1.36, 1.5])
def test_an_area_of_interest_cuts_whole_pixels_of_the_image(pixel_m: float, tmp_path: Path) -> None:
    write_files(tmp_path, pixel_m, places())
    left, top = ORIGIN
    side = 60 * pixel_m
    outline = shapely.box(left + 20.3 * pixel_m, top - 33.7 * pixel_m - side, left + side, top - 9)
    gpd.GeoDataFrame(geometry=[outline], crs=UTM).to_file(tmp_path / "area.gpkg")
    mapped = opened(tmp_path, area=tmp_path / "area.gpkg")
    geobox = mapped.fine.overlay.geobox
    offset = ~Affine(pixel_m, 0, left, 0, -pixel_m, top) * (geobox.transform.c, geobox.transform.f)
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-6)
    assert geobox.resolution.x == pixel_m
    reach = mapped.scene.resolution_m / 2 + pixel_m
    for here, there in zip(geobox.extent.boundingbox.bbox, outline.bounds, strict=True):
        assert abs(here - there) <= reach
    found = map_of(mapped)
    mapped_px = found.any(axis=0)
    first_column, first_row = (round(v) for v in offset)
    rows, columns = np.indices(mapped_px.shape)
    off = [found[0] * 255 - columns - first_column - 1, found[1] * 255 - rows - first_row - 1]
    inner = mapped_px.copy()
    inner[:3], inner[-3:], inner[:, :3], inner[:, -3:] = False, False, False, False
    assert max(abs(v)[inner].max() for v in off) < 0.5


def test_images_of_several_grids_have_the_finest_pixels(tmp_path: Path) -> None:
    left, top = ORIGIN
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    write_tif(tiles / "a.tif", np.full((3, 40, 40), 90, np.uint8), 1.0)
    write_tif(tiles / "b.tif", np.full((3, 80, 80), 60, np.uint8), 0.5, origin=(left + 40, top))
    write_tif(tiles / "c.tif", np.full((3, 80, 80), 60, np.uint8), 0.5, origin=(left + 80, top + 8))
    write_tif(tmp_path / "nlcd.tif", two_halves(41, 24, 20), 10.0)
    plan = plan_scene(RasterFiles(tiles, tmp_path / "nlcd.tif"), 4.0)
    assert plan.own.shape == (96, 240)
    assert plan.own.transform[:6] == (0.5, 0, left, 0, -0.5, top + 8)
    assert any("1 of 3 images lie on other pixels than b.tif, the finest" in n for n in plan.notes)


def test_a_turned_image_has_a_map_that_is_north_up(tmp_path: Path) -> None:
    image = write_files(tmp_path, 1.0, np.full((3, 90, 90), 90, np.uint8))
    with rasterio.open(image, "r+") as target:
        target.transform = Affine.translation(*ORIGIN) * Affine.rotation(-30) * Affine.scale(1, -1)
    plan = plan_scene(RasterFiles(image, tmp_path / "nlcd.tif"), 4.0)
    assert any("the image is turned: resampled onto pixels of 1 m" in note for note in plan.notes)
    assert plan.own.transform.b == plan.own.transform.d == 0
    with rasterio.open(image) as source:
        assert abs(plan.own.shape.x - (source.bounds.right - source.bounds.left)) <= 1


@given(
    st.floats(0.05, 12), st.integers(1, 400), st.integers(1, 400), st.sampled_from([2.0, 4.0, 24.0])
)
@settings(deadline=None)
def test_a_working_grid_covers_the_image_and_little_more(
    pixel_m: float, height: int, width: int, asked_m: float
) -> None:
    own = GeoBox((height, width), Affine(pixel_m, 0, 1e5, 0, -pixel_m, 4e6), UTM)
    if min(height, width) * pixel_m < asked_m / 2:
        with pytest.raises(ResolutionError, match="room for pixels"):
            working_grid(own, asked_m)
        return
    grid = working_grid(own, asked_m)
    side_m = grid.resolution.x
    assert abs(side_m / asked_m - 1) <= ADAPTS
    assert grid.transform * (0, 0) == own.transform * (0, 0)
    for count, own_count in zip(grid.shape, own.shape, strict=True):
        # No pixel of the image has its centre beyond, and each working pixel has one.
        assert (own_count - 0.5) * pixel_m <= count * side_m * (1 + 1e-9)
        assert (count - 1) * side_m < own_count * pixel_m
    if abs(side_m / pixel_m - round(side_m / pixel_m)) > 1e-9:
        assert side_m == asked_m
        nearest_m = max(1, round(asked_m / pixel_m)) * pixel_m
        assert abs(nearest_m / asked_m - 1) > ADAPTS


@given(
    st.floats(0.1, 1).map(lambda share: share * 4),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 7),
)
@settings(deadline=None)
def test_boxes_that_partition_the_working_grid_partition_the_map(
    pixel_m: float, height: int, width: int, side: int
) -> None:
    own = GeoBox((height, width), Affine(pixel_m, 0, 1e5, 0, -pixel_m, 4e6), UTM)
    grid = GeoBox(
        tuple(int(np.ceil(count * pixel_m / 4)) for count in own.shape),
        Affine(4, 0, 1e5, 0, -4, 4e6),
        UTM,
    )
    overlay, seen = Overlay(grid, own), np.zeros(own.shape, int)
    extent, whole = Box(0, grid.shape[0], 0, grid.shape[1]), Box(0, height, 0, width)
    numbers = np.arange(grid.shape[0] * grid.shape[1], dtype=np.float32).reshape(grid.shape)
    for box in blocks(extent, side):
        part = overlay.box(box)
        seen[part.within(whole)] += 1
        spread = overlay.spread(numbers[box.within(extent)], box)
        assert spread.shape == part.shape
        there = overlay.mean(np.ones((2, *part.shape)), box)
        assert there.shape == (2, *box.shape)
        known = there[0] > 0
        mean = overlay.mean(spread, box)
        np.testing.assert_allclose(mean[known], numbers[box.within(extent)][known], rtol=1e-6)
    assert (seen == 1).all()


def test_the_own_grid_of_an_image_is_its_grid(tmp_path: Path) -> None:
    flipped = write_files(tmp_path, 0.6, places())
    with rasterio.open(flipped, "r+") as target:  # south up
        bottom = ORIGIN[1] - HEIGHT * 0.6
        target.transform = Affine(0.6, 0, ORIGIN[0], 0, 0.6, bottom)
    plan = plan_scene(RasterFiles(flipped, tmp_path / "nlcd.tif"), 4.0)
    own = own_grid(plan.imagery)
    assert own.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(own.transform[:6], (0.6, 0, ORIGIN[0], 0, -0.6, ORIGIN[1]))


@pytest.mark.parametrize("ratio", [1, 2, 3, 7, 13])
def test_each_pixel_of_a_raster_of_objects_counts_alike(ratio: int, tmp_path: Path) -> None:
    present = np.random.default_rng(ratio).random((ratio * 3, ratio * 3)) < 0.4
    pixel_m = 3.9 / ratio
    path = write_tif(tmp_path / "roads.tif", present.astype(np.uint8), pixel_m)
    grid = GeoBox((3, 3), Affine(3.9, 0, ORIGIN[0], 0, -3.9, ORIGIN[1]), UTM)
    ((_, shares),) = object_shares(LayerFile(path), "roads", grid, Box(0, 3, 0, 3))
    np.testing.assert_allclose(shares, block_mean(present, ratio), atol=1e-6)
