"""Maps of scenes at addresses: the same map, little is read, nothing secret is kept."""

import json
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from file_server import Fault, FileServer, file_server
from inputs import ORIGIN, UTM, colours, two_halves, write_scene, write_tif

from landcover_pnp.cli import main
from landcover_pnp.config import load_settings
from landcover_pnp.config.addresses import as_path
from landcover_pnp.errors import RasterError
from landcover_pnp.grid import Box
from landcover_pnp.pipeline.run_settings import changed_settings
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.scenes.image_windows import ImageryOnGrid
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import RasterFiles
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.policy import allowed
from landcover_pnp.storage.remote.ranges import BLOCK, HEAD_BLOCKS

CANARY = "canary3sig"
FILES = ("image.tif", "nlcd.tif", "truth.tif", "roads.parquet", "area.parquet")


def write_files(folder: Path) -> None:
    """The standard scene in an image of much more ground, with roads and an area."""
    folder.mkdir()
    write_scene(folder)
    write_tif(folder / "image.tif", colours(size=1024), tiled=True, blockxsize=256, blockysize=256)
    write_tif(folder / "nlcd.tif", two_halves(41, 24), tiled=True, blockxsize=256, blockysize=256)
    write_tif(folder / "truth.tif", two_halves(40, 20, 1024))
    x, y = ORIGIN
    street = shapely.LineString([(x, y - 120), (x + 240, y - 120)])
    gpd.GeoDataFrame(geometry=[street], crs=UTM).to_parquet(folder / "roads.parquet")
    square = shapely.box(x + 8, y - 232, x + 232, y - 8)
    gpd.GeoDataFrame(geometry=[square], crs=UTM).to_parquet(folder / "area.parquet")


def config(path: Path, at: str, query: str = "", more: str = "") -> Path:
    """A configuration whose files lie at an address, or in a folder."""
    image, nlcd, truth, roads, area = (f"'{at}/{name}{query}'" for name in FILES)
    path.write_text(
        f"scene:\n  rasters:\n    image: {image}\n    nlcd: {nlcd}\n    truth: {{path: {truth}}}\n"
        f"    roads: {{path: {roads}}}\n    area: {area}\n{more}"
        "inference: {engine: evidence}\nworkers: 0\n"
    )
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(client, "sleep", lambda _: None)
    write_files(tmp_path / "served")
    with file_server(tmp_path / "served") as running, allowed(running.host):
        yield running


def test_the_map_is_that_of_local_files_and_nothing_secret_is_kept(
    server: FileServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.token = CANARY
    server.faults = [Fault(kind, 2, skip=i) for i, kind in enumerate(("503", "cut", "drop"))]
    there = config(tmp_path / "there.yaml", server.address, f"?sig={CANARY}")
    here = config(tmp_path / "here.yaml", str(server.folder))
    run, local = tmp_path / "run", tmp_path / "local"
    assert main(["check", str(there)]) == 0
    assert main(["map", str(here), "--run", str(local)]) == 0
    server.forget()
    assert main(["map", str(there), "--run", str(run)]) == 0
    with rasterio.open(run / "landcover.tif") as a, rasterio.open(local / "landcover.tif") as b:
        assert np.array_equal(a.read(), b.read())
    whole = sum((server.folder / name).stat().st_size for name in FILES)
    assert server.bytes_sent < whole / 2, "of the image the area alone"

    server.forget()
    made = (run / "landcover.tif").stat().st_mtime_ns
    assert main(["map", str(there), "--run", str(run)]) == 0
    heads = [(HEAD_BLOCKS * BLOCK, request) for request in server.asked]
    assert all(request[2] == f"bytes=0-{size - 1}" for size, request in heads), "headers alone"
    assert len({request[1] for request in server.asked}) == len(server.asked), "once"
    assert (run / "landcover.tif").stat().st_mtime_ns == made

    assert main(["publish", str(run)]) == 0
    truth = f"{server.url('truth.tif')}?sig={CANARY}"
    assert main(["evaluate", str(run), "--truth", truth, "--overlap", "true"]) == 0
    write_tif(server.folder / "nlcd.tif", two_halves(41, 23))
    assert main(["map", str(there), "--run", str(run)]) == 0
    assert (run / "landcover.tif").stat().st_mtime_ns != made
    said = capsys.readouterr()
    assert "nlcd.tif" in said.out + said.err, "what has changed is named"
    assert CANARY not in said.out + said.err
    again = config(tmp_path / "again.yaml", server.address, "?sig=renewed")
    assert changed_settings(run, load_settings(MapSettings, again)) == []
    monkeypatch.delenv("LANDCOVER_QUERIES")
    assert main(["resume", str(run)]) == 2
    assert "is not stored" in capsys.readouterr().err
    kept = [path for path in run.rglob("*") if path.is_file()]
    assert [path.name for path in kept if CANARY.encode() in path.read_bytes()] == []
    settings = json.loads((run / "settings.json").read_text())
    assert settings["scene"]["rasters"]["image"].startswith(f"{server.address}/image.tif?query-")


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (Fault("503", 999, path="nlcd"), 1, "503 Service Unavailable, 6 times in a row"),
        (Fault("503", 999, path="image", skip=1), 1, "503 Service Unavailable"),
        (Fault("403", 999, path="roads", skip=0), 2, "may not be read, or no longer"),
        (Fault("404", 999, path="truth"), 2, "nothing is there"),
    ],
)
def test_a_fault_that_stays_is_one_message_of_check_and_map_and_the_next_call_goes_on(
    fault: Fault,
    code: int,
    said: str,
    server: FileServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = config(tmp_path / "there.yaml", server.address, f"?sig={CANARY}")
    run = tmp_path / "run"
    for command in (["check", str(there)], ["map", str(there), "--run", str(run)]):
        server.faults = [Fault(fault.kind, fault.times, fault.path, skip=fault.skip)]
        assert main(command) == code
        told = capsys.readouterr().err
        assert said in told
        assert CANARY not in told
        assert "Traceback" not in told
    assert not list(run.rglob("landcover*"))
    assert not list(run.rglob("scene/*.tif"))


def stac(name: str) -> dict[str, object]:
    return {"type": "Feature", "properties": {}, "assets": {"image": {"href": name}}}


def test_a_stac_item_or_search_is_an_image(server: FileServer) -> None:
    half = colours(size=240)
    write_tif(server.folder / "west.tif", half[:, :, :120])
    x, y = ORIGIN
    write_tif(server.folder / "east.tif", half[:, :, 120:], origin=(x + 120, y))
    write_tif(server.folder / "both.tif", half)
    catalogue = {
        "both.json": stac("both.tif"),
        "one.json": {"features": [stac("./west.tif")], "links": [next_link("two.json?page=2")]},
        "two.json": {"features": [stac(server.url("east.tif"))], "links": []},
    }
    for name, content in catalogue.items():
        (server.folder / name).write_text(json.dumps(content))
    (server.folder / "list.txt").write_text(f"# both\nwest.tif\n{server.url('east.tif')}\n")
    local = RasterFiles(server.folder / "both.tif", server.folder / "nlcd.tif")
    wanted = pixels(local)
    for name, images in {
        "both.json": 1,
        "one.json?bbox=1,2,3,4": 2,
        "list.txt": 2,
        "both.tif?any=1": 1,
    }.items():
        files = RasterFiles(as_path(server.url(name)), as_path(server.url("nlcd.tif")))
        assert len(plan_scene(files, 4.0).imagery.images) == images
        assert np.array_equal(pixels(files), wanted)
    local_list = server.folder / "list.txt"  # of a folder at an address
    with pytest.raises(RasterError, match="image_root"):
        plan_scene(RasterFiles(local_list, local.coarse), 4.0)
    trusted = RasterFiles(local_list, local.coarse, image_root=as_path(server.address))
    assert np.array_equal(pixels(trusted), wanted)


def pixels(files: RasterFiles) -> np.ndarray:
    """The imagery on the working grid."""
    plan = plan_scene(files, 4.0)
    with ImageryOnGrid.opened(plan.imagery, plan.geobox) as view:
        return view.read(Box(0, 60, 0, 60))[0]


def next_link(href: str) -> dict[str, str]:
    return {"rel": "next", "href": href}


HOSTILE = (
    "file:///etc/passwd",
    "/etc/passwd",
    "../up.tif",
    "%2e%2e/up.tif",
    "/vsicurl/OTHER/x.tif",
    "OTHER/x.tif",
    "//OTHERHOST/x.tif",
    "s3://bucket/x.tif",
    "ftp://h/x.tif",
    "a b.tif",
    "http://u:p@HOST/served/x.tif",
    "",
)


@pytest.mark.parametrize("href", HOSTILE)
@pytest.mark.parametrize("kind", ["item.json", "list.txt", "next.json"])
def test_no_catalogue_chooses_who_is_asked(
    kind: str, href: str, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with file_server(server.folder) as other:
        href = href.replace("OTHERHOST", other.host).replace("OTHER", other.address)
        href = href.replace("HOST", server.host)
        (server.folder / "in").mkdir()
        onward = {"features": [stac("x.tif")], "links": [next_link(href)]}
        text = {"item.json": stac(href), "next.json": onward}.get(kind, {})
        (server.folder / "in" / kind).write_text(json.dumps(text) if text else f"{href}\n")
        path = tmp_path / "a.yaml"
        image, nlcd = server.url(f"in/{kind}"), server.url("nlcd.tif")
        path.write_text(f"scene: {{rasters: {{image: '{image}', nlcd: '{nlcd}'}}}}\n")
        assert main(["check", str(path)]) == 2
        assert not other.asked
    told = capsys.readouterr().err
    assert "found: " in told
    assert {request[1] for request in server.asked} <= {f"/in/{kind}", "/in/x.tif", "/nlcd.tif"}
