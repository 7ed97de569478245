"""Fetching from servers that fail, catalogues that reach for what they should not, odd requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from counting_server import counting_server
from fetched import bytes_sent, contents, fetch, half_written, served_place
from file_server import Fault, FileServer
from stac_place import bbox

from landcover_pnp.cli import main
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.policy import allowed


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    with served_place(tmp_path_factory.mktemp("served") / "place") as server:
        yield server


@pytest.fixture
def server(running: FileServer) -> FileServer:
    running.faults, running.token, running.redirects = [], None, {}
    running.forget()
    return running


@pytest.fixture(scope="module")
def whole(running: FileServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is fetched when nothing fails."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert fetch(running, out) == 0
    return contents(out)


FILES = ("catalog.json", "m_0_2022.json", "m_0_2022.tif", "nlcd.tif", "city.osm.pbf")

PASSING = {
    "drop": {},
    "cut": {},
    "short": {},
    "wrong": {},
    "429": {"headers": {"Retry-After": "1"}},
    "503": {},
    "500": {},
}


def healed(kind: str, file: str, server: FileServer, out: Path, whole: dict[str, str]) -> None:
    server.faults = [Fault(kind, times=2, path=file, **PASSING[kind])]
    assert fetch(server, out) == 0
    assert contents(out) == whole
    assert half_written(out) == []
    assert server.faults[0].times < 2, "it befell something"


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("drop", "m_0_2022.tif"),
        ("cut", "city.osm.pbf"),
        ("short", "m_0_2022.json"),
        ("429", "catalog.json"),
        ("503", "nlcd.tif"),
    ],
)
def test_faults_that_pass_heal(
    kind: str, file: str, server: FileServer, tmp_path: Path, whole: dict[str, str]
) -> None:
    healed(kind, file, server, tmp_path / "out", whole)


def test_a_server_that_is_too_slow_is_asked_again(
    server: FileServer, tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", client.Patience(slow_s=0.1))
    server.faults = [Fault("slow", times=1, path=file) for file in ("nlcd.tif", "city.osm.pbf")]
    assert fetch(server, tmp_path / "out") == 0
    assert contents(tmp_path / "out") == whole
    assert half_written(tmp_path / "out") == [] and not any(f.times for f in server.faults)


@pytest.mark.laws
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", PASSING)
def test_every_fault_of_every_file_heals(
    kind: str, file: str, server: FileServer, tmp_path: Path, whole: dict[str, str]
) -> None:
    if kind == "wrong" and not file.endswith(".tif"):
        return  # a part of a file alone can be a wrong one
    healed(kind, file, server, tmp_path / "out", whole)


def stays(
    fault: Fault,
    server: FileServer,
    out: Path,
    whole: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.faults = [fault]
    capsys.readouterr()
    assert fetch(server, out) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("found:") == 1, said
    assert fault.path.rpartition("/")[2] in said
    assert "Traceback" not in said
    assert half_written(out) == []
    if out.exists():
        kept = {name: digest for name, digest in contents(out).items() if "download" not in name}
        assert kept.items() <= whole.items(), "nothing under a name but what is whole"
    server.faults = []
    server.forget()
    assert fetch(server, out) == 0
    assert contents(out) == whole
    assert half_written(out) == []


@pytest.mark.parametrize(
    ("kind", "file"),
    [("503", "m_0_2022.tif"), ("404", "nlcd.tif"), ("cut", "catalog.json"), ("403", "city.osm")],
)
def test_faults_that_stay_are_one_message_and_the_next_call_goes_on(
    kind: str,
    file: str,
    server: FileServer,
    tmp_path: Path,
    whole: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stays(Fault(kind, 10_000, file), server, tmp_path / "out", whole, capsys)


@pytest.mark.laws
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["drop", "429", "503", "404", "403", "400"])
@pytest.mark.parametrize("skip", [0, 1])
def test_every_fault_that_stays(
    kind: str,
    file: str,
    skip: int,
    server: FileServer,
    tmp_path: Path,
    whole: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if skip and file.endswith(".json"):
        return  # asked for once
    fault = Fault(kind, 10_000, file, skip=skip)
    stays(fault, server, tmp_path / "out", whole, capsys)


def test_what_was_fetched_before_a_fault_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with served_place(tmp_path / "place") as server:
        # The header tells what is there; then the second image fails.
        server.faults = [Fault("503", 10_000, "m_0_2022.tif", skip=3)]
        assert fetch(server, out) == 1
        assert (out / "images" / "m_1_2022.tif").is_file()
        server.faults = []
        server.forget()
        assert fetch(server, out) == 0
        assert server.sent.get("naip/m_1_2022.tif", 0) <= 2**15


FIRST, SECOND = "first", "second"


class SigningServer:
    """A service that signs addresses with a token that changes."""

    def __init__(self) -> None:
        self.token, self.asked, self.broken = FIRST, 0, False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                href = parse_qs(urlsplit(self.path).query)["href"][0]
                answer = {
                    "href": f"{href}?sig={outer.token}",
                    "msft:expiry": "2099-01-01T00:00:00Z",
                }
                text = b"<html>" if outer.broken else json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def signing() -> Iterator[SigningServer]:
    service = SigningServer()
    with allowed(service.host):
        yield service
    service.server.shutdown()
    service.server.server_close()


def test_a_token_that_expires_is_renewed(
    server: FileServer,
    signing: SigningServer,
    tmp_path: Path,
    whole: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The images lie on a server that wants a signature; it becomes another one half-way."""
    with served_place(tmp_path / "images") as closed:
        closed.token = FIRST
        naip = closed.folder / "naip"
        for path in naip.glob("m_*.json"):
            content = json.loads(path.read_text())
            content["assets"]["image"]["href"] = closed.url(f"naip/{path.stem}.tif")
            path.write_text(json.dumps(content))
        words = ("--images.sign", f"http://{signing.host}/sign")
        catalogue = ("--images.catalogue", str(closed.folder / "catalog.json"))
        out = tmp_path / "out"
        assert fetch(server, out, *catalogue, "--images.sign", "null") == 2
        assert "403" in capsys.readouterr().err
        ask = closed.fault

        def fault(path: str) -> Any:
            if sum("m_0_2022.tif" in asked[1] for asked in closed.asked) == 2:
                closed.token = signing.token = SECOND
            return ask(path)

        monkeypatch.setattr(closed, "fault", fault)
        assert fetch(server, out, *catalogue, *words) == 0
        assert contents(out) == whole
        assert closed.token == SECOND
        assert all("sig=" not in path.read_text(errors="replace") for path in out.rglob("*.json"))
        signing.broken = True
        assert fetch(server, tmp_path / "other", *catalogue, *words) == 1
        assert "does not sign" in capsys.readouterr().err


HOSTILE = [
    "file:///etc/passwd",
    "/etc/passwd",
    "../../../secret.tif",
    "..%2f..%2f..%2fsecret.tif",
    "/vsicurl/http://COUNTING/a.tif",
    "/vsizip/secret.zip/a.tif",
    "ftp://COUNTING/a.tif",
    "http://COUNTING/a.tif",
    "http://user:canary7@SERVER/naip/m_0_2022.tif",
    "http://SERVER/naip/../../secret.tif",
    "http://[::1/a.tif",
    "http://SERVER/a b.tif",
    "http://SERVER/\u0007.tif",
    "javascript:alert(1)",
    "",
    "GTIFF_DIR:1:/etc/passwd",
]


@pytest.mark.parametrize("where", [pytest.param("server", marks=pytest.mark.laws), "disk"])
def test_hostile_paths_in_a_catalogue_are_refused(
    where: str, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret.tif").write_bytes((server.folder / "naip" / "m_0_2022.tif").read_bytes())
    with counting_server() as counting, served_place(tmp_path / "deep" / "place") as other:
        path = other.folder / "naip" / "m_0_2022.json"
        content = json.loads(path.read_text())
        for number, href in enumerate(HOSTILE):
            if where == "server" and "%2f" in href:
                continue  # an address like others: what a server makes of it is its own
            filled = href.replace("COUNTING", counting.address.removeprefix("http://"))
            content["assets"]["image"]["href"] = filled.replace("SERVER", other.host)
            path.write_text(json.dumps(content))
            out = tmp_path / f"out{number}"
            catalogue = {
                "server": other.url("catalog.json"),
                "disk": f"{other.folder}/catalog.json",
            }
            capsys.readouterr()
            code = fetch(server, out, "--images.catalogue", catalogue[where])
            said = capsys.readouterr().err
            assert code in (1, 2), f"{href}: {said}"
            assert said.count("found:") == 1, said
            assert "Traceback" not in said
            assert "canary7" not in said
            assert not out.exists(), href
        assert counting.asked == []


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", "", "x" * 300, "CON:", "a\\b", "é"])
def test_odd_names_of_items_are_names_of_files_in_the_folder(
    name: str, server: FileServer, tmp_path: Path
) -> None:
    from landcover_pnp.fetch.steps import plain_names

    found = plain_names([name, name, name.upper()])
    assert len({plain.casefold() for plain in found}) == 3
    for plain in found:
        assert (tmp_path / f"{plain}.tif").resolve().parent == tmp_path.resolve()
        (tmp_path / f"{plain}.tif").write_text("")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"type": "Catalog"}', "<html>", '{"links": 3}', '{"type": 7, "links": []}',
     '{"type": "Collection", "id": "naip", "links": [{"rel": "item"}]}', "null"],
)  # fmt: skip
def test_what_is_no_catalogue_is_refused(
    text: str, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.json").write_text(text)
    catalogue = ("--images.catalogue", str(tmp_path / "c.json"))
    assert fetch(server, tmp_path / "out", *catalogue) in (1, 2)
    said = capsys.readouterr().err
    assert "c.json" in said
    assert said.count("found:") == 1
    assert not (tmp_path / "out").exists()


def test_an_area_outside_the_catalogue_a_collection_and_an_asset_that_are_not_there(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert fetch(server, out, area=("--bbox=10,50,10.1,50.1",)) == 2
    said = capsys.readouterr().err
    assert "has no imagery (naip) of 10,50,10.1,50.1" in said
    assert fetch(server, out, "--images.collection", "niap") == 2
    assert "did you mean 'naip'?" in capsys.readouterr().err
    assert fetch(server, out, "--images.asset", "picture") == 2
    assert "has the assets image" in capsys.readouterr().err
    assert fetch(server, out, "--year", "2021") == 2
    assert "there are 2022 (100% of the area), 2020" in capsys.readouterr().err
    assert not out.exists()


def test_no_place_and_two_places_are_refused(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "place", "--out", str(tmp_path / "o")]) == 2
    assert "found: no place" in capsys.readouterr().err
    assert main(["fetch", "place", "Durham", "--bbox=0,0,1,1", "--out", str(tmp_path / "o")]) == 2
    assert "found: 2 places" in capsys.readouterr().err


def place(name: str, west: float, outline: bool = True) -> dict[str, Any]:
    south, east, north = 35.98, west + 0.003, 35.981
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    return {
        "display_name": name,
        "boundingbox": [str(south), str(north), str(west), str(east)],
        "geojson": shape if outline else {"type": "Point", "coordinates": [west, south]},
    }


@pytest.mark.parametrize("hits", [0, 1, 3])
def test_names_of_places(
    hits: int, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    west, *_ = map(float, bbox(20, 20, 300, 140).split(","))
    names = [f"Durham, state {n}" for n in range(hits)]
    content = [place(name, west - n) for n, name in enumerate(names)]
    content += [place("a bus stop", west, outline=False)] * bool(hits)
    (server.folder / "search").write_text(json.dumps(content))
    out, words = tmp_path / "out", ("--geocoder", server.url("search"))
    area = ("Durham, NC",)
    code = fetch(server, out, *words, area=area)
    said = capsys.readouterr()
    assert any("q=Durham%2C+NC" in asked[1] for asked in server.asked)
    if hits == 0:
        assert code == 2
        assert "no place 'Durham, NC'" in said.err
    elif hits == 1:
        assert code == 0
        assert (out / "area.gpkg").is_file()
        assert "Durham, state 0" in (out / "scene.yaml").read_text()
    else:
        assert code == 2
        assert "3 places 'Durham, NC': 1 Durham, state 0; 2 Durham, state 1; 3" in said.err
        assert not out.exists()
        assert fetch(server, out, *words, "--hit", "1", area=area) == 0
        assert fetch(server, out, *words, "--hit", "4", area=area) == 2
    (server.folder / "search").write_text('{"error": 1}')
    assert fetch(server, tmp_path / "other", *words, area=area) == 1
    assert "no list of places" in capsys.readouterr().err


def test_another_folder_and_inputs_in_it_are_refused(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert fetch(server, tmp_path / "out") == 2
    assert "mine.txt" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    extract = tmp_path / "city" / "city.osm.pbf"
    extract.parent.mkdir()
    extract.write_bytes((server.folder / "city.osm.pbf").read_bytes())
    assert fetch(server, tmp_path / "city", "--objects.osm", str(extract)) == 2
    assert bytes_sent(server) is not None
    assert extract.is_file()
