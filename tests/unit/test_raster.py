"""Rasters as they come: odd ones read right, impossible ones refused with their own name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from inputs import ORIGIN, UTM, codes_of, colours, two_halves, write_tif
from numpy.typing import NDArray
from odc.geo.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from landcover_pnp.errors import (
    DamagedError,
    GridError,
    LegendError,
    RasterError,
    SuspiciouslyEmptyWarning,
)
from landcover_pnp.grid import Box
from landcover_pnp.scenes.checks import read_layers
from landcover_pnp.scenes.imagery import plan_imagery
from landcover_pnp.scenes.preparation import prepare_scene
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.georeference import system_name
from landcover_pnp.storage.geotiff import write_cog
from landcover_pnp.storage.images import RGB, image_bands, open_image
from landcover_pnp.storage.raster import open_raster, read

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
TAGGED = {"photometric": "rgb", "alpha": "yes"}
LOCAL = 'LOCAL_CS["a building mapped scene",UNIT["metre",1]]'


def scene_of(folder: Path, image: Path | None = None, nlcd: Path | None = None) -> Scene:
    files = RasterFiles(
        image or write_tif(folder / "image.tif", colours()),
        nlcd or write_tif(folder / "nlcd.tif", two_halves(41, 24)),
    )
    return prepare_scene(plan_scene(files, 4.0), folder / "scene")


def write_south_up(path: Path, pixels: NDArray[Any]) -> Path:
    """The pixels of ``write_tif``, stored from the lower left corner upwards."""
    upright = write_tif(path.with_suffix(".upright.tif"), pixels)
    with rasterio.open(upright) as source:
        profile = {**source.profile, "transform": Affine(1, 0, ORIGIN[0], 0, 1, ORIGIN[1] - 240)}
        with rasterio.open(path, "w", **profile) as target:
            target.write(source.read()[:, ::-1])
    return path


def damage(path: Path, column: int, row: int) -> None:
    """Spoils one block of a compressed file."""
    with rasterio.open(path) as source:
        start = int(source.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[start : start + 100] = b"\xff" * 100
    path.write_bytes(content)


def test_what_is_stored_south_up_lies_as_north_up(tmp_path: Path) -> None:
    usual = scene_of(tmp_path / "usual", *_pair(tmp_path, write_tif))
    other = scene_of(tmp_path / "other", *_pair(tmp_path, write_south_up))
    assert other.geobox == usual.geobox
    both = (other.image(other.extent), usual.image(usual.extent))
    np.testing.assert_allclose(*both, atol=1.01 / 255)  # means that end in .5 round either way
    np.testing.assert_array_equal(codes_of(other), codes_of(usual))


def _pair(folder: Path, write: Any) -> tuple[Path, Path]:
    pixels, nlcd = colours(), two_halves(41, 24)
    pixels[:, :60] //= 2
    nlcd[:60] = 11
    return write(folder / f"{write.__name__}.tif", pixels), write(
        folder / f"{write.__name__}-nlcd.tif", nlcd[None]
    )


@pytest.mark.parametrize("tags", [{}, TAGGED, {"photometric": "minisblack"}])
@pytest.mark.parametrize("bands", [3, 4])
def test_a_turned_image_is_data_inside_its_outline_only(
    bands: int, tags: dict[str, str], tmp_path: Path
) -> None:
    turned = Affine.translation(*ORIGIN) @ Affine.rotation(-45) @ Affine.scale(1, -1)
    with rasterio.open(
        tmp_path / "turned.tif", "w", driver="GTiff", count=bands, height=240, width=240,
        dtype="uint8", crs=UTM, transform=turned, **(tags if bands == 4 else {}),
    ) as target:  # fmt: skip
        target.write(colours(bands))
    scene = scene_of(tmp_path, tmp_path / "turned.tif", _wide_nlcd(tmp_path))
    assert scene.valid(scene.extent).mean() == pytest.approx(0.5, abs=0.02)


def _wide_nlcd(folder: Path) -> Path:
    origin = (ORIGIN[0] - 600, ORIGIN[1] + 600)
    return write_tif(folder / "wide.tif", np.full((60, 60), 41, np.uint8), 30.0, origin=origin)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32"])
def test_classes_of_any_integer_type_are_read(dtype: str, tmp_path: Path) -> None:
    nlcd = two_halves(41, 24).astype(dtype)
    nlcd[:40] = 127
    path = write_tif(tmp_path / "nlcd.tif", nlcd, nodata=127)
    scene = scene_of(tmp_path, nlcd=path)
    codes = codes_of(scene)
    assert (codes[:10] == 0).all()
    assert (codes[10:, :30] == 41).all()


def test_check_knows_declared_no_data(tmp_path: Path) -> None:
    nlcd = two_halves(41, 24)
    nlcd[:60] = 127
    files = RasterFiles(
        write_tif(tmp_path / "image.tif", colours()),
        write_tif(tmp_path / "nlcd.tif", nlcd, nodata=127),
    )
    reports = {report.layer: report for report in read_layers(files)}
    assert reports["coarse"].error is None
    assert "0 no data 25.0%" in reports["coarse"].found


def test_a_list_of_unknown_codes_stays_short(tmp_path: Path) -> None:
    heights = np.arange(240 * 240, dtype=np.uint16).reshape(240, 240)
    heights[:20] = 700
    with pytest.raises(LegendError, match=r"700 \(300 px\).* and \d+ other values") as refused:
        scene_of(tmp_path, nlcd=write_tif(tmp_path / "heights.tif", heights))
    assert len(refused.value.found) < 1000


@pytest.mark.parametrize(
    ("crs", "error", "message"),
    [
        ("EPSG:4326", GridError, "in EPSG:4326, which has no place in EPSG:26917"),
        (LOCAL, RasterError, "which is nowhere on the earth"),
        (None, RasterError, "has no coordinate reference system"),
    ],
)
def test_a_layer_that_lies_nowhere_is_refused(
    crs: str | None, error: type[Exception], message: str, tmp_path: Path
) -> None:
    nlcd = write_tif(tmp_path / "nlcd.tif", two_halves(41, 24), crs=crs)
    with pytest.raises(error, match=message):
        scene_of(tmp_path, nlcd=nlcd)


@pytest.mark.parametrize("size", [(1, 1), (1, 240), (3, 3)])
def test_an_image_smaller_than_a_pixel_of_the_map_is_refused(
    size: tuple[int, int], tmp_path: Path
) -> None:
    image = write_tif(tmp_path / "small.tif", colours()[:, : size[0], : size[1]])
    if size == (3, 3):  # its centre lies in a pixel of the map
        assert scene_of(tmp_path, image).geobox.shape == (1, 1)
        return
    with pytest.raises(GridError, match="room for pixels"):
        scene_of(tmp_path, image)


def test_a_crs_may_be_named_in_any_way(tmp_path: Path) -> None:
    paths = [
        write_tif(tmp_path / f"{zone}.tif", colours(), crs=f"EPSG:269{zone}") for zone in (17, 18)
    ]
    for name in ("EPSG:26918", "epsg:26918", "+proj=utm +zone=18 +datum=NAD83"):
        assert [image.path for image in plan_imagery(paths, name).images] == paths[1:]
    with pytest.raises(RasterError, match="image_crs is 'zone 18'"):
        plan_imagery(paths, "zone 18")


ALBERS = (
    'PROJCS["AEA        WGS84",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,'
    '298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION['
    '"Albers_Conic_Equal_Area"],PARAMETER["latitude_of_center",23],PARAMETER["longitude_of_center"'
    ',-96],PARAMETER["standard_parallel_1",29.5],PARAMETER["standard_parallel_2",45.5],UNIT["metre"'
    ",1]]"
)
"""The CRS of NLCD as it is published; it has no code."""


def test_a_crs_without_a_code_is_called_by_its_name(tmp_path: Path) -> None:
    pixels = np.full((20, 20), 41, np.uint8)
    pixels[0] = 250
    place = {"crs": ALBERS, "origin": (1_335_000, 2_054_000), "resolution_m": 500.0}
    nlcd = write_tif(tmp_path / "nlcd.tif", pixels, nodata=250, **place)
    files = RasterFiles(write_tif(tmp_path / "image.tif", colours()), nlcd)
    assert "NLCD warped from 'AEA WGS84' at 500 m" in plan_scene(files, 4.0).notes
    [_, report] = read_layers(files)
    assert report.found.endswith("legend nlcd: 0 no data 5.0%, 41 deciduous forest 95.0%")
    assert system_name(CRS(UTM)) == system_name(rasterio.CRS.from_string(UTM)) == UTM


def test_no_data_that_is_not_declared_is_said_to_be_possible(tmp_path: Path) -> None:
    nlcd = write_tif(tmp_path / "nlcd.tif", two_halves(41, 250))
    with pytest.raises(LegendError, match="250") as refused:
        scene_of(tmp_path, nlcd=nlcd)
    assert "-a_nodata" in refused.value.fix


@pytest.mark.parametrize("kind", [{"compress": "jpeg", "photometric": "ycbcr"}, {"bands": 4}])
def test_an_internal_mask_is_no_data(kind: dict[str, Any], tmp_path: Path) -> None:
    pixels = colours(kind.pop("bands", 3))
    image = write_tif(tmp_path / "image.tif", pixels, **(kind or {"photometric": "minisblack"}))
    mask = np.full((240, 240), 255, np.uint8)
    mask[:, :40] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(image, "r+") as target:
        target.write_mask(mask)
    scene = scene_of(tmp_path, image)
    np.testing.assert_array_equal(scene.valid(scene.extent), np.tile(np.arange(60) >= 10, (60, 1)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_beside_near_infrared_is_no_data(dtype: str, tmp_path: Path) -> None:
    pixels = colours(5, dtype=dtype)
    pixels[4] = np.where(np.arange(240) < 40, 0, np.iinfo(dtype).max)
    image = write_tif(tmp_path / "image.tif", pixels, photometric="minisblack")
    tag(image, *RGB, ColorInterp.undefined, ColorInterp.alpha)
    scene = scene_of(tmp_path, image)
    assert scene.image_bands == 4
    np.testing.assert_array_equal(scene.valid(scene.extent), np.tile(np.arange(60) >= 10, (60, 1)))


def test_bands_are_taken_as_they_are_tagged(tmp_path: Path) -> None:
    image = write_tif(tmp_path / "image.tif", colours(4), photometric="minisblack")
    with open_image(image) as source:
        assert image_bands(source) == [1, 2, 3, 4]
    tag(image, ColorInterp.undefined, *RGB[::-1])
    with open_image(image) as source:
        assert image_bands(source) == [4, 3, 2, 1]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_near_infrared_is_not_written_as_alpha(dtype: str, tmp_path: Path) -> None:
    image = write_tif(tmp_path / "image.tif", colours(4, dtype=dtype), **TAGGED)
    scene = scene_of(tmp_path, image)
    write_cog(tmp_path / "cog.tif", scene.folder / "image.tif", "average")
    with rasterio.open(tmp_path / "cog.tif") as source:
        assert source.colorinterp == (*RGB, ColorInterp.undefined)
        assert source.descriptions == ("red", "green", "blue", "near infrared")


def tag(path: Path, *colours: ColorInterp) -> None:
    """Says what the bands of a file are."""
    with rasterio.open(path, "r+") as target:
        target.colorinterp = colours


def test_an_alpha_band_with_soft_edges_masks(tmp_path: Path) -> None:
    pixels = colours(bands=4)
    pixels[3] = np.clip((np.arange(240) - 38) * 60, 0, 255)
    with open_image(write_tif(tmp_path / "soft.tif", pixels, **TAGGED)) as source:
        assert image_bands(source) == [1, 2, 3]


@pytest.mark.parametrize("full", [255, 65535])
def test_alpha_of_16_bits_masks_whatever_its_end(full: int, tmp_path: Path) -> None:
    pixels = colours(bands=4, dtype="uint16")
    pixels[3] = np.where(np.arange(240) < 40, 0, full)
    scene = scene_of(tmp_path, write_tif(tmp_path / "image.tif", pixels, **TAGGED))
    assert scene.image_bands == 3
    np.testing.assert_array_equal(scene.valid(scene.extent), np.tile(np.arange(60) >= 10, (60, 1)))
    means = pixels[:3].reshape(3, 60, 4, 60, 4).mean(axis=(2, 4)) / scene.image_scale
    seen = scene.image(Box(0, 60, 10, 60))
    np.testing.assert_allclose(seen, np.minimum(means, 1)[:, :, 10:], atol=1e-4)


def test_near_infrared_of_a_lake_in_the_middle_is_a_colour(tmp_path: Path) -> None:
    pixels = colours(bands=4, size=1400)
    pixels[3, 400:1000, 400:1000] = 0
    with open_image(write_tif(tmp_path / "lake.tif", pixels, **TAGGED)) as source:
        assert image_bands(source) == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["Gewässer & <b> 'c'.tif", "a b.tif"])
def test_a_view_is_called_by_its_file(name: str, tmp_path: Path) -> None:
    path = write_tif(tmp_path / name, colours(4, size=640), crs=None, **TAGGED, **TILED)
    with pytest.raises(RasterError, match="no coordinate reference system") as refused:
        plan_imagery([path])
    assert refused.value.found.startswith(str(path))
    damage(path, 0, 0)
    with open_image(path) as source, pytest.raises(DamagedError) as refused:
        read(source, [1, 2, 3, 4], Box(0, 64, 0, 64))
    assert refused.value.found.startswith(f"{path} cannot be read at rows 0 to 64")


def test_damage_in_the_middle_costs_its_part_alone(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    pixels = colours(bands=4, size=1024)
    for i in range(2):
        origin = (ORIGIN[0] + 1024 * i, ORIGIN[1])
        write_tif(tmp_path / "tiles" / f"{i}.tif", pixels, origin=origin, **TAGGED, **TILED)
    damage(tmp_path / "tiles" / "0.tif", 8, 8)  # rows and columns 512 to 576
    nlcd = write_tif(tmp_path / "nlcd.tif", np.full((40, 80), 41, np.uint8), 30.0)
    scene = scene_of(tmp_path, tmp_path / "tiles", nlcd)
    [(box, reason)] = scene.damaged
    assert box == (128, 192, 128, 192)
    assert "0.tif cannot be read at rows 128 to 192, columns 128 to 192" in reason
    assert "/vsimem" not in reason
    missing = ~scene.valid(scene.extent)
    assert missing[128:192, 128:192].all()
    assert missing.sum() == 64 * 64


def test_a_tagged_band_nothing_of_which_can_be_read_is_said(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "cut.tif", colours(4), **TAGGED, **TILED)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DamagedError, match="cannot be read at rows"), open_image(path):
        pass


def test_a_half_written_image_is_found_whatever_its_tags(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    for i, rows in enumerate((240, 128)):
        origin = (ORIGIN[0] + 120 * i, ORIGIN[1])
        with rasterio.open(
            tmp_path / "tiles" / f"{i}.tif", "w", driver="GTiff", width=120, height=240, count=4,
            dtype="uint8", crs=UTM, transform=Affine(1, 0, origin[0], 0, -1, origin[1]),
            sparse_ok=True, **TAGGED, **{**TILED, "blockxsize": 16, "blockysize": 16},
        ) as target:  # fmt: skip
            target.write(colours(4)[:, :rows, :120], window=Window(0, 0, 120, rows))
    with pytest.warns(SuspiciouslyEmptyWarning, match=r"1\.tif: 47% of its blocks"):
        plan_imagery([tmp_path / "tiles" / "0.tif", tmp_path / "tiles" / "1.tif"])


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    with (
        pytest.raises(DamagedError, match="not a raster that can be opened"),
        open_raster(tmp_path / "empty.tif", "NLCD"),
    ):
        pass
