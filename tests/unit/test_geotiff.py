import dataclasses
import resource
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landcover_pnp.errors import DiskFullError, RasterError, RequestError, RunError
from landcover_pnp.grid import Box, blocks
from landcover_pnp.legend import WORKING, LandClass
from landcover_pnp.storage.atomic import completed
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster
from landcover_pnp.storage.raster import on_grid, open_raster, read

GEOBOX = GeoBox.from_bbox((0, 0, 4 * 700, 4 * 600), "EPSG:26917", resolution=4)
EXTENT = Box(0, 600, 0, 700)
AWKWARD = 'Gewässer & <"Eis">\'s'
LEGEND = dataclasses.replace(
    WORKING, classes=(LandClass(1, AWKWARD, (0, 197, 255)), *WORKING.classes[1:])
)
CLASSES = Band(
    "uint8",
    ("land cover",),
    nodata=0,
    legend=LEGEND,
    tags={"software": "x"},
)


def labels() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 6, (1, 600, 700), dtype=np.uint8)


def write(path: Path, pixels: np.ndarray, band: Band = CLASSES) -> None:
    parts = ((b, pixels[:, *b.within(EXTENT)]) for b in blocks(EXTENT, 256))
    write_raster(path, GEOBOX, band, parts)


def test_a_cog_keeps_pixels_colours_and_category_names(tmp_path: Path) -> None:
    write(tmp_path / "plain.tif", labels())
    write_cog(tmp_path / "map.tif", tmp_path / "plain.tif", "mode")
    with rasterio.open(tmp_path / "map.tif") as source:
        np.testing.assert_array_equal(source.read(), labels())
        assert source.colormap(1)[1] == (0, 197, 255, 255)
        assert source.descriptions == ("land cover",)
        assert source.nodata == 0
        assert source.crs.to_epsg() == 26917
        assert source.overviews(1) == [2]
        overview = source.read(out_shape=(1, 300, 350))
    assert set(np.unique(overview)) <= set(range(6))
    attributes = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314
    assert [c.text for c in attributes.iter("Category")][:3] == ["no data", AWKWARD, "impervious"]
    rows = [[f.text for f in row.iter("F")] for row in attributes.iter("Row")]
    for row, c in zip(rows, LEGEND.classes, strict=True):
        count = int((labels() == c.code).sum())
        assert row[:6] == [str(c.code), str(count), c.name, *map(str, c.colour)][:6]
        assert float(row[-1] or 0) == pytest.approx(count * 16 / 1e4)
    assert not list(tmp_path.glob(".partial-*"))


def test_mode_overviews_never_invent_a_class(tmp_path: Path) -> None:
    pixels = np.where(np.indices((600, 700)).sum(axis=0) % 2, 1, 5).astype(np.uint8)[None]
    write(tmp_path / "plain.tif", pixels)
    write_cog(tmp_path / "map.tif", tmp_path / "plain.tif", "mode")
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        assert set(np.unique(overview.read())) <= {1, 5}


def test_a_failing_writer_leaves_the_old_file_and_no_partial(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    write(path, labels())
    before = path.read_bytes()

    def broken() -> object:
        yield Box(0, 256, 0, 256), labels()[:, :256, :256]
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError, match="the source failed"):
        write_raster(path, GEOBOX, CLASSES, broken())
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml"]


@pytest.mark.parametrize("free", [0, 4_000, 40_000, 90_000])
def test_a_copy_without_room_names_the_disk_and_leaves_nothing(tmp_path: Path, free: int) -> None:
    write(tmp_path / "plain.tif", labels())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
    try:
        with pytest.raises(DiskFullError, match=r"no room for .*map\.tif"):
            write_cog(tmp_path / "map.tif", tmp_path / "plain.tif", "mode")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.tif", "plain.tif.aux.xml"]


def test_pixels_that_change_on_disk_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a disk that returns something else than was written
    checksums = iter(range(100))
    monkeypatch.setattr("landcover_pnp.storage.geotiff.zlib.crc32", lambda _: next(checksums))
    with pytest.raises(RunError, match="differ"):
        write(tmp_path / "map.tif", labels())
    assert not list(tmp_path.iterdir())


def test_completed_names_a_file_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with completed(path) as partial:
        partial.write_text("whole")
        assert partial.name.startswith(".partial-")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_a_cut_file_is_named_with_its_window(tmp_path: Path) -> None:
    write(tmp_path / "whole.tif", labels())
    cut = tmp_path / "cut.tif"
    cut.write_bytes((tmp_path / "whole.tif").read_bytes()[:60_000])
    with (
        pytest.raises(RasterError, match=r"cut\.tif cannot be read at rows \d+ to \d+"),
        open_raster(cut, "imagery") as source,
    ):
        for box in blocks(Box(0, source.height, 0, source.width)):
            read(source, 1, box)


def test_a_vrt_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
        "<SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with (
        pytest.raises(RasterError, match="not a raster that can be opened"),
        open_raster(tmp_path / "a.tif", "imagery"),
    ):
        pass


def test_the_view_on_a_grid_does_not_depend_on_the_window(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", labels())
    grid = GeoBox.from_bbox((-81.1, 0.001, -81.085, 0.02), "EPSG:4326", resolution=0.0001)
    extent = Box(0, grid.shape[0], 0, grid.shape[1])
    with (
        open_raster(tmp_path / "a.tif", "a") as source,
        on_grid(source, grid, rasterio.enums.Resampling.nearest) as view,
    ):
        whole = read(view, 1, extent)
        for box in blocks(extent, 37):
            np.testing.assert_array_equal(read(view, 1, box), whole[box.within(extent)])


def test_the_view_on_a_grid_is_exact_to_a_hundredth_of_a_pixel(tmp_path: Path) -> None:
    # Over 2.4 km a row of a grid in degrees is bent by a tenth of a pixel of 1 m.
    rows, columns, origin = 300, 2400, (400_000, 4_480_000)
    transform = rasterio.Affine(1, 0, origin[0], 0, -1, origin[1])
    there = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], (rows, columns))
    with rasterio.open(
        tmp_path / "rows.tif", "w", driver="GTiff", width=columns, height=rows, count=1,
        dtype="float32", crs="EPSG:26917", transform=transform, nodata=-1,
    ) as target:  # fmt: skip
        target.write(there, 1)
    to_degrees = Transformer.from_crs(26917, 4326, always_xy=True).transform
    to_metres = Transformer.from_crs(4326, 26917, always_xy=True).transform
    (west, east), (north, south) = zip(
        *(to_degrees(origin[0] + x, origin[1] - y) for x, y in ((10, 130), (2390, 170))),
        strict=True,
    )
    step = 8e-6
    top, shape = max(north, south) + 10 * step, (30, round((east - west) / step))
    grid = GeoBox(shape, rasterio.Affine(step, 0, west, 0, -step, top), "EPSG:4326")
    with (
        open_raster(tmp_path / "rows.tif", "rows") as source,
        on_grid(source, grid, rasterio.enums.Resampling.nearest) as view,
    ):
        seen = read(view, 1, Box(0, shape[0], 0, shape[1]))
    y, x = np.indices(shape) + 0.5
    _, northing = to_metres(west + step * x, top - step * y)
    row = origin[1] - np.asarray(northing)
    clear = np.abs(row - row.round()) > 0.01  # of the edge between two rows
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(seen[clear], np.floor(row[clear]))


def test_what_was_said_beside_the_older_file_goes_with_it(tmp_path: Path) -> None:
    path, beside = tmp_path / "a.tif", tmp_path / "a.tif.aux.xml"
    for said in ("classes", None):
        with completed(path) as partial:
            partial.write_text("pixels")
            if said:
                partial.with_name(partial.name + ".aux.xml").write_text(said)
        assert beside.exists() == (said is not None)


def test_a_folder_that_cannot_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("os.access", lambda folder, _: Path(folder).name != "read-only")
    for name in ("file", "file/below", "read-only"):
        with (
            pytest.raises(RequestError, match="cannot be written to"),
            completed(tmp_path / name / "a.txt"),
        ):
            pytest.fail("nothing is to be written")
