"""Downloads from servers with every fault: whole and right, or nothing under the final name."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Fault, FileServer, file_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landcover_pnp.config.addresses import address_of, as_path, hidden, is_address, shown
from landcover_pnp.errors import AddressError, NetworkError, RequestError, SettingsError
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.download import Expected, download
from landcover_pnp.storage.remote.policy import allowed, is_allowed, is_public

CONTENT = bytes(range(256)) * 2000
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324
CANARY = "canary0sig"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(client, "sleep", waited.append)
    return waited


@pytest.fixture
def server(tmp_path: Path, waits: list[float]) -> Iterator[FileServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.bin").write_bytes(CONTENT)
    with file_server(folder) as running, allowed(running.host):
        yield running


HEALED = {
    "drop": Fault("drop", times=3),
    "429": Fault("429", headers={"Retry-After": "7"}),
    "503": Fault("503", times=5),
    "cut": Fault("cut", times=9),
    "short": Fault("short", times=3),
    "wrong": Fault("wrong", times=2),
}


@pytest.mark.parametrize("kind", HEALED)
def test_faults_that_pass_heal(
    kind: str, server: FileServer, tmp_path: Path, waits: list[float]
) -> None:
    server.faults = [HEALED[kind]]
    if kind in ("wrong", "short"):  # of a part
        server.faults.insert(0, Fault("cut"))
    seen: list[int] = []
    download(server.url("a.bin"), tmp_path / "a.bin", Expected(MD5), lambda n, _: seen.append(n))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.bin"]
    assert seen[-1] == len(CONTENT)
    assert waits, "it was asked again"
    if kind == "429":
        assert waits == [7.0], "as the server asked"
    if kind == "cut":  # each time half of what was missing: no byte came twice
        assert server.bytes_sent == len(CONTENT)


ENDED = {
    "drop": (Fault("drop", 99), NetworkError),
    "503": (Fault("503", 99), NetworkError),
    "429": (Fault("429", 99), NetworkError),
    "404": (Fault("404", 99), AddressError),
    "cut": (Fault("cut whole", 99), NetworkError),
    "403": (Fault("403", 99), AddressError),
    "400": (Fault("400", 99), AddressError),
}


@pytest.mark.parametrize("kind", ENDED)
def test_faults_that_stay_end_in_one_message_and_the_next_call_resumes(
    kind: str, server: FileServer, tmp_path: Path, waits: list[float]
) -> None:
    fault, error = ENDED[kind]
    server.faults = [Fault("cut"), fault]
    with pytest.raises(error) as raised:
        download(server.url(f"a.bin?sig={CANARY}"), tmp_path / "a.bin", Expected(MD5))
    assert raised.value.exit_code == (1 if error is NetworkError else 2)
    assert CANARY not in str(raised.value)
    assert not (tmp_path / "a.bin").exists()
    assert sum(waits) < 600
    server.faults.clear()
    server.forget()
    download(server.url(f"a.bin?sig={CANARY}"), tmp_path / "a.bin", Expected(MD5))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.bytes_sent < len(CONTENT), "it was resumed"


def test_a_file_that_changes_meanwhile_is_begun_anew(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault("cut"), Fault("503", 99)]
    with pytest.raises(NetworkError):
        download(server.url("a.bin"), tmp_path / "a.bin")
    server.faults.clear()
    (server.folder / "a.bin").write_bytes(CONTENT[::-1])
    download(server.url("a.bin"), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_another_file_is_refused_and_the_old_one_stays(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_text("mine")
    for wrong in (Expected("0" * 32), Expected(size=3), Expected(most_bytes=1000)):
        with pytest.raises((AddressError, NetworkError)):
            download(server.url("a.bin"), tmp_path / "a.bin", wrong)
        assert (tmp_path / "a.bin").read_text() == "mine"
        assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.bin"]


def test_a_server_that_trickles_is_given_up(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = [Fault("slow", 9)]
    monkeypatch.setattr(client, "PATIENCE", client.Patience(slow_s=0.1, tries=2))
    download(server.url("a.bin"), tmp_path / "a.bin", Expected(MD5))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert len(server.asked) > 9


def test_no_room_is_said_before_a_byte_is_written(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(RequestError, match="free on the disk"):
        download(server.url("a.bin"), tmp_path / "a.bin")
    assert [p.name for p in tmp_path.iterdir()] == ["served"]


def test_private_machines_are_refused_however_they_are_reached(
    server: FileServer, tmp_path: Path
) -> None:
    port = server.host.partition(":")[2]
    with file_server(tmp_path / "served") as other:
        server.redirects = {
            "/there": other.url("a.bin"),
            "/local": f"http://localhost:{port}/a.bin",
            "/file": "file:///etc/passwd",
            "/ftp": "ftp://example.org/a",
            "/round": "/round",
            "/port": "http://example.org:99999/a",
            "/host": "http:///a",
            "/hop": "/there",
        }
        names = [server.url(name[1:]) for name in server.redirects]
        plain = [f"http://{h}:{port}/a.bin" for h in ("localhost", "2130706433", "127.1")]
        for address in [*names, *plain]:
            with pytest.raises(AddressError):
                download(address, tmp_path / "a.bin")
        assert not other.asked
    assert not (tmp_path / "a.bin").exists()
    server.redirects = {"/to": "/a.bin"}
    download(server.url("to"), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::1]", "localhost", "a.localhost.", "10.1.1.1"]
)
def test_no_proxy_is_asked_for_a_private_machine(
    host: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(AddressError, match="local network"):
        download(f"http://{host}/a.bin", tmp_path / "a.bin")
    assert not server.asked
    download("http://example.org/a.bin", tmp_path / "a.bin")  # which the proxy has
    assert server.asked


@pytest.mark.parametrize(
    ("ip", "public"),
    [
        *((ip, True) for ip in ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808")),
        *(
            (ip, False)
            for ip in (
                *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
                *("100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::"),  # noqa: S104
                *("fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
                *("2002:7f00:1::", "2002:a9fe:a9fe::"),
            )
        ),
    ],
)
def test_public_addresses(ip: str, public: bool) -> None:
    assert is_public(ip) is public


def test_hosts_are_allowed_by_name_and_port() -> None:
    with allowed("a.local", "b:80", "[::1]:8000"):
        assert is_allowed("A.local", 1)
        assert is_allowed("b", 80)
        assert not is_allowed("b", 81)
        assert is_allowed("::1", 8000)
        assert not is_allowed("", 80)
    assert not is_allowed("a.local", 1)


PARTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["https://", "http://", "s3://", "gs://", "az://", "HTTPS://"]),
    st.one_of(PARTS, st.just("host"), st.just("[::1]:80")),
    st.lists(st.one_of(PARTS, st.just("a.tif")), max_size=3),
    st.one_of(st.just(""), PARTS.map("?{}".format)),
)
def test_an_address_comes_back_as_it_was_or_is_refused(
    scheme: str, host: str, names: list[str], query: str
) -> None:
    text = scheme + "/".join([host, *names]) + query
    try:
        path = as_path(text)
    except SettingsError as error:
        assert len(query) < 6 or query not in str(error)
        return
    assert is_address(path)
    scheme, _, rest = text.partition("://")
    if not query:
        rest = rest.removesuffix("/")
    assert address_of(path) == f"{scheme.lower()}://{rest}"
    assert as_path(shown(path) or "") == path


def test_queries_and_passwords_are_hidden() -> None:
    path = as_path(f"https://example.org/a.tif?sig={CANARY}")
    assert CANARY not in f"{path} {shown(path)} {path!r}"
    text = f"HTTP 403 on '/vsicurl/https://u:{CANARY}@h/a.tif?x={CANARY}&y={CANARY}': no"
    assert hidden(text) == "HTTP 403 on '/vsicurl/https://h/a.tif?***': no"
    with pytest.raises(SettingsError, match="GDAL_HTTP_USERPWD") as raised:
        as_path(f"https://me:{CANARY}@example.org/a.tif")
    assert CANARY not in str(raised.value)
    with pytest.raises(SettingsError, match="not stored"):
        address_of("https:/example.org/a.tif?query-0123456789abcdef")
