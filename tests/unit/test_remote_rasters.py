"""Rasters at addresses: as local ones, by parts, and every fault heals or is said."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from file_server import Fault, FileServer, file_server
from inputs import colours, two_halves, write_tif
from rasterio.enums import Resampling

from landcover_pnp.config.addresses import as_path
from landcover_pnp.errors import AddressError, DamagedError, NetworkError, RasterError
from landcover_pnp.grid import Box
from landcover_pnp.storage.images import open_image
from landcover_pnp.storage.raster import name_of, on_grid, open_raster, read, read_mask
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.policy import allowed
from landcover_pnp.storage.remote.ranges import look_again, remote_file
from landcover_pnp.storage.sidecars import part_hashes

CANARY = "canary1sig"
WINDOW = Box(700, 820, 300, 420)
COG = {"driver": "COG", "blocksize": 128, "compress": "deflate"}


def write_cog(path: Path, size: int = 1024, bands: int = 4) -> Path:
    """An image of incompressible noise with overviews."""
    plain = write_tif(path.with_name("plain.tif"), colours(bands, size))
    with rasterio.open(plain) as source:
        rasterio.shutil.copy(source, path, **COG)
    plain.unlink()
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_cog(folder / "a.tif")
    (folder / "bucket").mkdir()
    shutil.copy(folder / "a.tif", folder / "bucket")
    write_tif(folder / "nlcd.tif", two_halves(41, 24))
    (folder / "a.vrt").write_text("<VRTDataset/>")
    return folder


@pytest.fixture
def server(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(client, "sleep", lambda _: None)
    with file_server(served) as running, allowed(running.host):
        yield running


def seen(path: Path) -> np.ndarray:
    """A window as the pipeline reads it, warped onto a grid."""
    with open_image(path) as source, on_grid(source, _grid(), Resampling.average) as view:
        return np.concatenate([read(view, [1, 2, 3, 4], WINDOW), read_mask(view, WINDOW)[None]])


def _grid() -> object:
    from odc.geo.geobox import GeoBox

    return GeoBox.from_bbox((586_000, 4_474_976, 587_024, 4_476_000), "EPSG:26917", resolution=1)


def test_a_window_costs_its_part_and_nothing_beside_the_file_is_asked_for(
    server: FileServer, served: Path
) -> None:
    path = as_path(server.url(f"a.tif?sig={CANARY}"))
    assert np.array_equal(seen(path), seen(served / "a.tif"))
    assert {request[1] for request in server.asked} == {f"/a.tif?sig={CANARY}"}
    assert all(request[2] for request in server.asked), "only parts"
    assert server.bytes_sent < (served / "a.tif").stat().st_size / 3
    server.forget()
    seen(path)
    assert not server.asked, "what was read stays"
    with open_image(path) as source:
        assert CANARY not in f"{source.name}{name_of(source)}{source.files}"


@pytest.mark.parametrize("kind", ["drop", "429", "500", "503", "cut", "short", "wrong", "408"])
def test_faults_that_pass_heal(kind: str, server: FileServer, served: Path) -> None:
    server.faults = [Fault(kind, times=2), Fault(kind, times=2, skip=1)]
    assert np.array_equal(seen(as_path(server.url("a.tif"))), seen(served / "a.tif"))
    assert sum(fault.times for fault in server.faults) == 0


@pytest.mark.parametrize("skip", [0, 2])
@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("drop", NetworkError, "times in a row"),
        ("503", NetworkError, "503 Service Unavailable, 6 times in a row"),
        ("429", NetworkError, "429 Too Many Requests"),
        ("cut", NetworkError, "6 times in a row"),
        ("short", NetworkError, "bytes came instead of"),
        ("wrong", NetworkError, "another part than it was asked for"),
        ("401", AddressError, "may not be read, or no longer"),
        ("403", AddressError, "may not be read, or no longer"),
        ("404", AddressError, "nothing is there"),
        ("whole", AddressError, "no parts of files"),
    ],
)
def test_faults_that_stay_are_said_wherever_they_come(
    kind: str, error: type[Exception], said: str, skip: int, server: FileServer
) -> None:
    server.faults = [Fault(kind, times=99, skip=skip)]
    path = as_path(server.url(f"a.tif?sig={CANARY}"))
    with pytest.raises(error, match=said) as raised:
        seen(path)
    assert not isinstance(raised.value, DamagedError), "no part of the map is lost to it"
    assert CANARY not in str(raised.value)
    server.faults.clear()
    seen(path)


def test_a_token_that_expires_is_said_and_a_new_one_goes_on(
    server: FileServer, served: Path
) -> None:
    server.token = "new"  # noqa: S105
    with pytest.raises(AddressError, match="sign the address anew"):
        seen(as_path(server.url("a.tif?sig=old")))
    assert np.array_equal(seen(as_path(server.url("a.tif?sig=new"))), seen(served / "a.tif"))


def test_a_file_that_changes_while_it_is_read_is_said(server: FileServer, tmp_path: Path) -> None:
    server.folder = tmp_path
    write_cog(tmp_path / "a.tif")
    path = as_path(server.url("a.tif"))
    with open_image(path) as source:
        content = (tmp_path / "a.tif").read_bytes()
        (tmp_path / "a.tif").write_bytes(content[:-1] + b"x")
        with pytest.raises(NetworkError, match="has been changed while it was read"):
            read(source, [1, 2, 3], WINDOW)


@pytest.mark.parametrize("etags", [True, False])
def test_another_version_has_another_hash(etags: bool, server: FileServer, tmp_path: Path) -> None:
    server.folder, server.etags = tmp_path, etags
    path = as_path(server.url(f"a.tif?sig={CANARY}"))
    write_tif(tmp_path / "a.tif", two_halves(1, 2))

    def hashed() -> dict[str, str]:
        look_again()
        return part_hashes(path, lambda _: "a file's")

    first = hashed()
    assert first == hashed()
    assert list(first) == [""]
    assert first == part_hashes(as_path(server.url("a.tif?sig=other")), lambda _: "")
    write_tif(tmp_path / "a.tif", two_halves(1, 3))
    assert hashed() != first


STORES = {
    "s3": {
        "AWS_S3_ENDPOINT": "HOST",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": CANARY,
    },
    "gs": {"CPL_GS_ENDPOINT": "http://HOST/", "GS_NO_SIGN_REQUEST": "YES"},
    "az": {
        "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=me;"
        "AccountKey=Y2FuYXJ5;BlobEndpoint=http://HOST",
    },
}


@pytest.mark.parametrize("scheme", STORES)
def test_object_stores_are_read_by_gdal_with_its_variables(
    scheme: str, server: FileServer, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in STORES[scheme].items():
        monkeypatch.setenv(key, value.replace("HOST", server.host))
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    server.faults = [Fault("503", times=1)]
    path = as_path(f"{scheme}://bucket/a.tif")
    assert np.array_equal(seen(path), seen(served / "a.tif"))
    assert server.bytes_sent < (served / "a.tif").stat().st_size / 3
    assert remote_file(path).state.etag
    assert {request[1].partition("?")[0] for request in server.asked} == {"/bucket/a.tif"}
    for kind, said in {"404": "404", "403": "set the credentials"}.items():
        server.faults = [Fault(kind, times=99)]
        with pytest.raises(AddressError, match=said) as raised:
            seen(as_path(f"{scheme}://bucket/{kind}.tif"))
        assert CANARY not in str(raised.value)


def test_what_would_lead_elsewhere_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.folder = tmp_path
    with file_server(tmp_path) as other:  # it is not allowed
        vrt = f"<VRTDataset><SourceFilename>/vsicurl/{other.address}/x.tif</SourceFilename>"
        (tmp_path / "vrt.tif").write_text(vrt)
        write_tif(tmp_path / "ovr.tif", two_halves(1, 2))
        with rasterio.open(tmp_path / "ovr.tif", "r+") as target:
            named = f"/vsicurl/{other.address}/o.tif"
            target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=named)
        server.redirects = {"/sent.tif": other.url("ovr.tif"), "/file.tif": "file:///etc/passwd"}
        for name in ("vrt.tif", "ovr.tif", "sent.tif", "file.tif"):
            with pytest.raises(RasterError), open_raster(as_path(server.url(name)), "NLCD"):
                pass
        with pytest.raises(AddressError), open_raster(as_path(other.url("ovr.tif")), "NLCD"):
            pass
        assert not other.asked
