"""The map as tiles for a web page: each pixel has its class' colour, at every zoom."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from pmtiles.reader import MemorySource, Reader, all_tiles
from pmtiles.tile import TileType
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import from_origin

from landcover_pnp.errors import GridError, RequestError
from landcover_pnp.legend import WORKING
from landcover_pnp.legends.palettes import coloured
from landcover_pnp.legends.result_legend import FIVE
from landcover_pnp.products import packages
from landcover_pnp.products.web_tiles import TILE_PX, Zooms, require_web_tiles, write_web_tiles
from landcover_pnp.storage.geotiff import write_cog

PLACES = {"EPSG:26917": (586_000, 4_476_000), "EPSG:32719": (350_000, 6_300_000)}
"""Left and top of a map north and south of the equator."""


def published(folder: Path, crs: str, size: int, pixel_m: float) -> tuple[Path, np.ndarray]:
    """A class map with overviews, as products have it: blocks of classes, and no data."""
    rng = np.random.default_rng(1)
    codes = np.kron(rng.integers(0, 6, (size // 8, size // 8)), np.ones((8, 8))).astype(np.uint8)
    grid = {"crs": crs, "transform": from_origin(*PLACES[crs], pixel_m, pixel_m)}
    shape = {"width": size, "height": size, "count": 1, "dtype": "uint8", "nodata": 0}
    with rasterio.open(folder / "plain.tif", "w", driver="GTiff", **grid, **shape) as target:
        target.write(codes, 1)
    write_cog(folder / "map.tif", folder / "plain.tif", "mode")
    return folder / "map.tif", codes


def degrees(path: Path) -> tuple[float, float, float, float]:
    with rasterio.open(path) as source:
        return tuple(
            rasterio.warp.transform_bounds(source.crs, CRS.from_epsg(4326), *source.bounds)
        )


def tile_at(longitude: float, latitude: float, zoom: int) -> tuple[int, int, int, int]:
    """Column and row of a tile, and of a pixel in it, by the formulas of the specification."""
    n = 2**zoom * TILE_PX
    x = n * (longitude + 180) / 360
    y = n * (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2
    return int(x) // TILE_PX, int(y) // TILE_PX, int(x) % TILE_PX, int(y) % TILE_PX


def opened(archive: Path) -> Reader:
    return Reader(MemorySource(archive.read_bytes()))


def pixel(reader: Reader, longitude: float, latitude: float, zoom: int) -> tuple[int, ...] | None:
    x, y, column, row = tile_at(longitude, latitude, zoom)
    data = reader.get(zoom, x, y)
    if data is None:
        return None
    found = Image.open(io.BytesIO(data)).convert("RGBA").getpixel((column, row))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(
    ("crs", "palette"), [*zip(PLACES, ("standard", "colour_blind"), strict=True)]
)
def test_tiles_have_the_class_colour_at_a_known_place(
    tmp_path: Path, crs: str, palette: str
) -> None:
    path, codes = published(tmp_path, crs, 512, 1.36)
    legend = coloured(FIVE, palette).legend  # type: ignore[arg-type]
    bbox = degrees(path)
    reader = opened(
        write_web_tiles(tmp_path / "a.pmtiles", path, legend, "T", ("<b>A & Z", "B"), bbox)
    )
    header, told = reader.header(), reader.metadata()
    assert header["tile_type"] == TileType.PNG
    assert header["clustered"]
    assert told["attribution"] == "&lt;b>A & Z; B", "a text, where it is shown as HTML"
    assert told["legend"]["water"] == "#{:02x}{:02x}{:02x}".format(*legend.classes[0].colour)
    corners = ("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7")
    np.testing.assert_allclose([header[c] / 1e7 for c in corners], bbox, atol=1e-6)
    last = header["max_zoom"]
    _, south, _, north = bbox
    metres = 156_543.034 * math.cos(math.radians((south + north) / 2)) / 2**last
    assert metres <= 1.36 < 2 * metres, "the pixels of the deepest zoom fit the map's"
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    left, top = PLACES[crs]
    rows, columns = np.indices((64, 64)).reshape(2, -1) * 8 + 4
    where = to_degrees.transform(left + 1.36 * columns, top - 1.36 * rows)
    for row, column, *place in zip(rows[::7], columns[::7], *(v[::7] for v in where), strict=True):
        expected = legend.colormap[codes[row, column]]
        found = pixel(reader, *place, last)
        assert found is None if expected[3] == 0 and found is None else found is not None
        if found is not None:
            assert (found[3], found[:3] if found[3] else ()) == (
                expected[3],
                expected[:3] if expected[3] else (),
            )


def test_all_levels_show_the_whole_map_in_the_legend_s_colours(tmp_path: Path) -> None:
    path, _ = published(tmp_path, "EPSG:26917", 1024, 1.0)
    archive = write_web_tiles(tmp_path / "a.pmtiles", path, WORKING, "T", (), degrees(path))
    again = write_web_tiles(tmp_path / "b.pmtiles", path, WORKING, "T", (), degrees(path))
    assert archive.read_bytes() == again.read_bytes()
    covered: dict[int, float] = {}
    colours = {c.colour for c in WORKING.classes}
    for (zoom, _, _), data in all_tiles(MemorySource(archive.read_bytes())):
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        known = picture[picture[..., 3] == 255][:, :3]
        assert {tuple(c) for c in np.unique(known, axis=0).tolist()} <= colours
        covered[zoom] = covered.get(zoom, 0) + len(known) / 4**zoom
    header = opened(archive).header()
    assert list(covered) == list(range(header["min_zoom"], header["max_zoom"] + 1))
    assert len(covered) >= 3
    # The same ground at each level; of coarse ones less of the eighth that has no data is seen.
    areas = np.array(list(covered.values())) / covered[header["max_zoom"]]
    np.testing.assert_allclose(areas, 1, atol=0.08)


@pytest.mark.parametrize("latitude", [-60, 0, 40, 70])
@pytest.mark.parametrize("pixel_m", [0.3, 1, 4.08, 30])
def test_zooms_fit_the_pixel_and_the_map(latitude: float, pixel_m: float) -> None:
    ground_m = 156_543.034 * math.cos(math.radians(latitude))
    for extent_m in (200, 5e3, 1e5):
        zooms = Zooms.of(pixel_m, latitude, extent_m)
        assert ground_m / 2**zooms.last <= pixel_m * 1.001
        assert ground_m / 2 ** (zooms.last - 1) > pixel_m
        assert 0 <= zooms.first <= zooms.last
        assert extent_m <= 40_075_017 / 2**zooms.first


def test_a_map_without_data_is_one_transparent_tile(tmp_path: Path) -> None:
    path, _ = published(tmp_path, "EPSG:26917", 64, 1.0)
    with rasterio.open(path) as source:
        profile, empty = source.profile, np.zeros((1, 64, 64), np.uint8)
    with rasterio.open(tmp_path / "empty.tif", "w", **profile) as target:
        target.write(empty)
    archive = write_web_tiles(
        tmp_path / "a.pmtiles", tmp_path / "empty.tif", WORKING, "T", (), degrees(path)
    )
    ((_, data),) = all_tiles(MemorySource(archive.read_bytes()))
    assert not np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3].any()
    assert json.loads(json.dumps(opened(archive).metadata()))["name"] == "T"


@pytest.mark.parametrize("bbox", [(179.9, 50, -179.9, 51), (20, 84, 21, 86), (20, -89, 21, -84)])
def test_a_map_off_the_web_s_grid_is_refused(bbox: tuple[float, float, float, float]) -> None:
    with pytest.raises(GridError, match="without --web_tiles"):
        require_web_tiles(bbox)


def test_without_the_packages_it_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"landcover-pnp\[web\]"):
        require_web_tiles((0, 0, 1, 1))
