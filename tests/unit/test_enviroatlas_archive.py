"""The data set's archive: what is asked for is unpacked, and nothing of a hostile one."""

import hashlib
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from enviroatlas_zip import CITY, data_set
from file_server import Fault, FileServer, file_server

from landcover_pnp.config.addresses import as_path
from landcover_pnp.errors import LandcoverError, NetworkError, RequestError
from landcover_pnp.fetch.enviroatlas import fetch_enviroatlas
from landcover_pnp.fetch.enviroatlas_settings import EnviroAtlasSettings
from landcover_pnp.scenes.enviroatlas import EnviroAtlasTile, tile_files
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.storage.archives import Archive, HostileError
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.policy import allowed


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("served"))


@pytest.fixture
def server(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(client, "sleep", lambda _: None)
    with file_server(archive.parent) as running, allowed(running.host):
        yield running


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324


def files_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*.*") if p.is_file()}


def test_it_is_fetched_checked_unpacked_and_read(
    server: FileServer, archive: Path, tmp_path: Path
) -> None:
    server.faults = [Fault("cut", 2), Fault("503"), Fault("drop")]
    there = as_path(server.url(archive.name))
    settings = EnviroAtlasSettings(tmp_path, "durham_nc", "test", there, md5(archive))
    said: list[str] = []
    summary = fetch_enviroatlas(settings, said.append)
    assert summary.tiles == {f"{CITY}-test": 2}
    assert (tmp_path / archive.name).read_bytes() == archive.read_bytes()
    folders = {p.name for p in summary.root.iterdir() if p.is_dir()}
    assert folders == {f"{CITY}-test_tiles-debuffered"}, "no more than was asked for"
    assert not list(summary.root.rglob("README*"))
    files = tile_files(EnviroAtlasTile(summary.root, CITY, "test", "3607807_ne"))
    assert plan_scene(files, 4.0).geobox.shape == (24, 24)

    server.forget()
    (tmp_path / archive.name).unlink()
    again = fetch_enviroatlas(settings)
    assert (again.unpacked, again.tiles) == (0, summary.tiles)
    assert not server.asked, "what stands needs no archive"
    damaged = next(summary.root.rglob("*_a_naip.tif"))
    damaged.write_bytes(b"")
    whole = fetch_enviroatlas(EnviroAtlasSettings(tmp_path, archive=there, checksum=md5(archive)))
    assert damaged.stat().st_size > 0
    assert whole.tiles == dict.fromkeys(
        (f"{c}-{s}" for c in (CITY, "austin_tx-2012_1m") for s in ("test", "val5")), 2
    )


def test_an_archive_or_a_folder_from_elsewhere_is_taken(archive: Path, tmp_path: Path) -> None:
    local = EnviroAtlasSettings(tmp_path / "a", CITY, "val5", archive, md5(archive))
    summary = fetch_enviroatlas(local)
    for folder in (summary.root, summary.root.parent):
        there = fetch_enviroatlas(EnviroAtlasSettings(tmp_path / "b", CITY, None, folder))
        assert (there.root, there.tiles) == (summary.root, summary.tiles)
    assert not (tmp_path / "b").exists()
    put = tmp_path / "c"
    put.mkdir()
    (put / archive.name).write_bytes(archive.read_bytes())  # as a message says
    nowhere = as_path("http://127.0.0.1:1/enviroatlas_lotp.zip")
    settings = EnviroAtlasSettings(put, CITY, "test", nowhere, md5(archive))
    assert fetch_enviroatlas(settings).tiles == {f"{CITY}-test": 2}


@pytest.mark.parametrize("kind", ["503", "404", "403", "cut short for ever"])
def test_a_fetch_that_fails_says_where_to_put_the_file(
    kind: str, server: FileServer, archive: Path, tmp_path: Path
) -> None:
    server.faults = [Fault(kind.partition(" ")[0], 3 if "cut" in kind else 99)]
    if "cut" in kind:
        server.faults.append(Fault("drop", 99))
    there = as_path(server.url(archive.name))
    with pytest.raises(LandcoverError, match=r"zenodo\.org/records/5778193") as raised:
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path, archive=there, checksum=md5(archive)))
    assert f"put it there: {tmp_path / archive.name}" in str(raised.value)
    assert not files_in(tmp_path / "enviroatlas_lotp") - {".landcover.json"}
    assert not (tmp_path / archive.name).exists()


def test_another_archive_is_refused_and_stays(
    server: FileServer, archive: Path, tmp_path: Path
) -> None:
    there = as_path(server.url(archive.name))
    with pytest.raises(NetworkError, match="has the checksum"):
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path, archive=there))
    assert not (tmp_path / archive.name).exists()
    (tmp_path / archive.name).write_text("mine")
    with pytest.raises(RequestError, match="move it away"):
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path, archive=there))
    assert (tmp_path / archive.name).read_text() == "mine"


@pytest.mark.parametrize(
    ("city", "split", "said"),
    [("durham", "test", f"did you mean '{CITY}-test'"), (CITY, "train", f"{CITY}-val5")],
)
def test_a_city_that_is_not_there_is_said(
    city: str, split: str, said: str, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=said):
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path, city, split, archive, md5(archive)))


def test_more_than_is_expected_or_fits_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="raise most_gb"):
        fetch_enviroatlas(
            EnviroAtlasSettings(tmp_path, archive=archive, checksum=None, most_gb=1e-6)
        )
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(RequestError, match="free on the disk"):
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path, archive=archive, checksum=None))
    assert not list(tmp_path.rglob("*.tif"))


def member(name: str, mode: int = 0, content: bytes = b"x") -> Callable[[Path], None]:
    """An archive with one good tile and another member."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"enviroatlas_lotp/{CITY}-test_tiles-debuffered/a_a_naip.tif", b"tile")
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name
            info.external_attr = mode << 16
            archive.writestr(info, content)

    return write


def overlapping(path: Path) -> None:
    """Two members that share their bytes, as bombs have them."""
    member("enviroatlas_lotp/b.tif", content=b"y" * 4)(path)
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\1\2")
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(content)


def encrypted(path: Path) -> None:
    member("enviroatlas_lotp/b.tif")(path)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


TILE = f"enviroatlas_lotp/{CITY}-test_tiles-debuffered/a_a_naip.tif"
HOSTILE = {
    "escaping": member("../out.tif"),
    "escaping from within": member("enviroatlas_lotp/../../out.tif"),
    "absolute": member("/var/out.tif"),
    "a drive": member("C:/out.tif"),
    "backslashes": member("enviroatlas_lotp\\..\\out.tif"),
    "a dot": member("./out.tif"),
    "an empty part": member("enviroatlas_lotp//out.tif"),
    "a control character": member("enviroatlas_lotp/\x1b[2J.tif"),
    "a link": member(TILE.replace("a_a", "b_a"), stat.S_IFLNK | 0o777, b"/etc/passwd"),
    "a device": member(TILE.replace("a_a", "b_a"), stat.S_IFCHR | 0o666),
    "a pipe": member(TILE.replace("a_a", "b_a"), stat.S_IFIFO | 0o666),
    "twice the same": member(TILE),
    "the same in capitals": member(TILE.upper()),
    "a file below a file": member(f"{TILE}/b.tif"),
    "bytes of another": overlapping,
    "encrypted": encrypted,
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_of_a_hostile_archive_nothing_is_unpacked(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    HOSTILE[kind](path)
    with pytest.raises(HostileError, match="nothing was unpacked"):
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path / "out", archive=path, checksum=None))
    assert not list(tmp_path.rglob("*.tif"))
    assert not list(tmp_path.parent.glob("*.tif"))


def test_a_bomb_is_refused_by_its_size_and_a_lie_about_it_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TILE, bytes(20 * 2**20))
    settings = EnviroAtlasSettings(tmp_path / "out", archive=path, checksum=None, most_gb=0.01)
    with pytest.raises(RequestError, match="most_gb"):
        fetch_enviroatlas(settings)
    content = bytearray(path.read_bytes())
    for at in (22, content.rindex(b"PK\1\2") + 24):
        content[at : at + 4] = struct.pack("<I", 1000)
    path.write_bytes(content)
    with pytest.raises(LandcoverError, match="cannot be unpacked"):
        fetch_enviroatlas(settings)
    assert not list(tmp_path.rglob("*.tif"))


@pytest.mark.parametrize("cut", [0, 10, -1, -30, "middle"])
def test_a_damaged_archive_is_said(cut: int | str, archive: Path, tmp_path: Path) -> None:
    content = bytearray(archive.read_bytes())
    if cut == "middle":
        content[2000] ^= 255
    else:
        content = content[: int(cut)]
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(LandcoverError, match="cannot be unpacked") as raised:
        fetch_enviroatlas(EnviroAtlasSettings(tmp_path / "out", archive=path, checksum=None))
    assert raised.value.exit_code == 2
    assert not any(p.name.startswith(".partial") for p in tmp_path.rglob("*"))


def test_members_are_what_an_honest_archive_has(archive: Path) -> None:
    with Archive.opened(archive) as opened:
        assert len(opened.members) == 2 + 4 * 2 * 10
