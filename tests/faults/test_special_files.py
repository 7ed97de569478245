"""Files that are none: named pipes, sockets, devices, folders; refused, not waited for."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from inputs import ORIGIN, UTM, write_scene

from landcover_pnp.cli import main
from landcover_pnp.errors import RasterError
from landcover_pnp.storage.user_files import require_file

HOUSE = shapely.box(ORIGIN[0] + 61, ORIGIN[1] - 101, ORIGIN[0] + 161, ORIGIN[1] - 61)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Ends a test that waits, instead of the whole suite."""

    def late(*_: object) -> None:
        raise AssertionError("waited for a file that gives nothing")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def a_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket may not be long
        one.bind(path.name)
        os.chdir(here)


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "named pipe"),
    "link to a pipe": (lambda p: (os.mkfifo(f"{p}.fifo"), p.symlink_to(f"{p}.fifo")), "named pipe"),
    "socket": (a_socket, "socket"),
    "device": (lambda p: p.symlink_to("/dev/zero"), "device"),
    "folder": (Path.mkdir, "folder"),
}

ENTRIES = {
    "image": "image: x.tif, nlcd: nlcd.tif",
    "list of images": "image: x.txt, nlcd: nlcd.tif",
    "index of images": "image: x.gpkg, nlcd: nlcd.tif",
    "nlcd": "image: image.tif, nlcd: x.tif",
    "truth": "image: image.tif, nlcd: nlcd.tif, truth: {path: x.tif}",
    "roads": "image: image.tif, nlcd: nlcd.tif, roads: {path: x.gpkg}",
    "water": "image: image.tif, nlcd: nlcd.tif, water: {path: x.tif}",
    "labels": "image: image.tif, nlcd: nlcd.tif, labels: {path: x.gpkg}",
    "area": "image: image.tif, nlcd: nlcd.tif, area: x.geojson",
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("entry", ENTRIES)
def test_special_files_are_refused_whatever_they_are_named_for(
    entry: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    config.write_text(f"scene:\n  rasters: {{{ENTRIES[entry]}}}\nprofile: fast\n")
    name = next(word for word in ENTRIES[entry].replace("}", ",").split() if word.startswith("x."))
    make, word = SPECIAL[kind]
    make(tmp_path / name.strip(","))
    assert main(["check", str(config)]) == 2
    said = capsys.readouterr()
    if "of images" in entry and kind == "folder":
        word = "names no image"
    assert word in said.out + said.err
    assert "Traceback" not in said.err


BESIDE = {
    "image.tif": ("image.tif.aux.xml", "image.tif.ovr", "image.tif.msk", "image.tfw", "image.aux"),
    "roads.shp": ("roads.dbf", "roads.prj", "roads.cpg", "roads.qix"),
    "roads.gpkg": ("roads.gpkg-wal", "roads.gpkg-journal"),
    "roads.gdb": ("roads.gdb/a00000009.gdbtable", "roads.gdb/timestamps"),
}


@pytest.mark.parametrize(("file", "part"), [(f, p) for f, parts in BESIDE.items() for p in parts])
def test_parts_of_a_file_that_are_pipes_are_refused(
    file: str, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    if file != "image.tif":
        drivers = {".gdb": {"driver": "OpenFileGDB"}}
        frame = gpd.GeoDataFrame(geometry=[HOUSE], crs=UTM)
        frame.to_file(tmp_path / file, **drivers.get(Path(file).suffix, {}))
        config.write_text(config.read_text().replace("truth:", f"roads: {{path: {file}}}, truth:"))
    (tmp_path / part).unlink(missing_ok=True)
    os.mkfifo(tmp_path / part)
    assert main(["check", str(config)]) == 2
    said = capsys.readouterr()
    assert f"{part} is a named pipe" in said.out + said.err


@pytest.mark.parametrize("words", [["check"], ["map"], ["train-prior"], ["batch"], ["transfer"]])
def test_a_configuration_that_is_a_pipe(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    assert main([*words, str(tmp_path / "x.yaml")]) == 2
    assert "a folder or a special file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["config.json", "prior.json", "diffusion_pytorch_model.safetensors"]
)
def test_a_prior_of_pipes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("config.json", "prior.json", "diffusion_pytorch_model.safetensors"):
        (tmp_path / part).write_text("{}")
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert main(["judge-prior", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["import-prior", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    os.mkfifo(tmp_path / "x.pth")
    assert main(["import-prior", str(tmp_path / "x.pth"), "--out", str(tmp_path / "out")]) == 2


def test_what_has_nothing_to_do_with_a_file_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "roads.tif").touch()
    os.mkfifo(tmp_path / "other.fifo")
    (tmp_path / "roads.old").mkdir()
    (tmp_path / "roads.lost").symlink_to(tmp_path / "nothing")
    require_file(tmp_path / "roads.tif", "roads")


@pytest.mark.parametrize("name", [300 * "x", "a\0b", "circle", "nothing/x.tif", "roads.tif/x.tif"])
def test_paths_to_nothing_are_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "roads.tif").touch()
    with pytest.raises(RasterError, match=r"no file|cannot be read"):
        require_file(tmp_path / name, "roads")


@pytest.mark.parametrize(
    "path", ["ftp://example.org/x.tif", "file:///data/x.tif", "/vsizip/x.zip/x.tif"]
)
@pytest.mark.parametrize("entry", ENTRIES)
def test_addresses_are_said_to_be_addresses(
    entry: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    names = ("x.tif", "x.txt", "x.gpkg", "x.geojson")
    name = next(name for name in names if name in ENTRIES[entry])
    text = ENTRIES[entry].replace(name, path)
    config.write_text(f"scene:\n  rasters: {{{text}}}\nprofile: fast\n")
    assert main(["check", str(config)]) == 2
    said = capsys.readouterr().err
    assert f"{path}, an address or one of GDAL's virtual paths" in said
    assert "download or unpack" in said
    with pytest.raises(RasterError, match="is an address or one of GDAL's virtual paths"):
        require_file(Path(path), "imagery")  # a Path has eaten a slash


@pytest.mark.parametrize("words", [["check"], ["zonal", "RUN"], ["evaluate"], ["map"]])
def test_commands_take_no_addresses(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "https://example.org/x"]) == 2
    assert "https://example.org/x, an address" in capsys.readouterr().err
