"""Files of ours: what is wrong with one is seen, what somebody changed is never lost."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioDeprecationWarning

from landcover_pnp.grid import Box
from landcover_pnp.legend import WORKING
from landcover_pnp.storage.files import content_hash, file_fault, file_state, set_aside
from landcover_pnp.storage.geotiff import Band, write_cog, write_raster


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def flip_and_set_its_time_back(file: Path) -> None:
    before = file.stat()
    flip(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def empty(file: Path) -> None:
    file.write_bytes(b"")


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(file.stat().st_size))


def other_file(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes()[::-1])
    other.replace(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


DAMAGES: dict[Callable[[Path], None], str] = {
    cut: "has been changed since it was written",
    flip: "has been changed since it was written",
    flip_and_set_its_time_back: "has been changed since it was written",
    empty: "is empty",
    garbage: "has been changed since it was written",
    other_file: "has been changed since it was written",
    Path.unlink: "is missing",
    nowhere: "is missing",
    folder: "is no regular file",
    pipe: "is no regular file",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "map.tif"
    path.write_bytes(bytes(range(256)))
    return path


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_is_seen(damage: Callable[[Path], None], remembered: bool, file: Path) -> None:
    expected, state = content_hash(file), file_state(file) if remembered else None
    assert file_fault(file, expected, state) is None
    damage(file)
    fault = file_fault(file, expected, state)
    assert fault is not None
    assert fault.startswith(DAMAGES[damage])


def test_a_file_in_its_state_is_not_read_again(file: Path) -> None:
    state = file_state(file)
    assert file_fault(file, "another hash", state) is None
    assert file_fault(file, "another hash") is not None
    os.utime(file, (0, 0))
    assert file_fault(file, "another hash", state) is not None


def test_where_time_is_counted_in_seconds_a_file_is_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(path: Path) -> list[int]:
        *rest, change = file_state(path)
        return [*rest, change // 1_000_000_000 * 1_000_000_000]

    monkeypatch.setattr("landcover_pnp.storage.files.file_state", coarse)
    assert file_fault(file, "another hash", coarse(file)) is not None


def test_what_somebody_changed_is_moved_to_a_free_name(file: Path) -> None:
    contents = []
    for number in range(3):
        file.write_text(f"edited {number}")
        contents.append(file.read_text())
        aside = set_aside(file)
        assert aside is not None
        assert not file.exists()
    names = ["map.tif.changed", "map.tif.changed-2", "map.tif.changed-3"]
    assert [file.with_name(name).read_text() for name in names] == contents


def test_nothing_is_kept_of_nothing(file: Path) -> None:
    empty(file)
    assert set_aside(file) is None
    assert set_aside(file) is None
    assert list(file.parent.iterdir()) == []


def test_statistics_that_qgis_adds_are_no_damage(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.tif", tmp_path / "map.tif"
    band, box = Band("uint8", ("land cover",), nodata=0, legend=WORKING), Box(0, 8, 0, 8)
    geobox = GeoBox((8, 8), Affine(4, 0, 500_000, 0, -4, 4_000_000), "EPSG:26917")
    write_raster(plain, geobox, band, [(box, np.ones((1, 8, 8), np.uint8))])
    write_cog(path, plain, "mode")
    aux = tmp_path / "map.tif.aux.xml"
    before, expected = aux.read_bytes(), content_hash(aux)
    with rasterio.open(path) as source, pytest.warns(RasterioDeprecationWarning):
        source.statistics(1)  # as QGIS does: GDAL keeps them beside the raster
    assert b"STATISTICS_MEAN" in aux.read_bytes()
    assert aux.read_bytes() != before
    assert file_fault(aux, expected) is None
    aux.write_bytes(aux.read_bytes().replace(b"water", b"wader"))
    assert file_fault(aux, expected) is not None


def test_a_geopackage_that_qgis_has_opened_is_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "map.gpkg"
    geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=26917).to_file(path)
    before, expected = path.read_bytes(), content_hash(path)
    for mode in ("wal", "delete"):  # what QGIS sets when it opens and when it closes one
        with closing(sqlite3.connect(path)) as database:
            assert database.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
        assert path.read_bytes() != before
        assert file_fault(path, expected) is None
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE gpkg_contents SET description = 'mine'")
    assert file_fault(path, expected) is not None
    path.write_bytes(before)
    flip(path)
    assert file_fault(path, expected) is not None
