"""A server on this machine with files, ranges and, on request, every fault that servers have."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Fault:
    """What goes wrong with an answer.

    Attributes:
        kind: ``drop`` (no answer), ``cut`` (half the bytes, then the end), ``short`` (as ``cut``,
            but the length says so too), ``wrong`` (bytes of another place), ``slow`` (a byte at a
            time), ``whole`` (no ranges), ``cut whole``, or the number of a status such as ``503``.
        times: Requests that it befalls; then all is well.
        path: Part of the paths that it befalls.
        headers: Further headers of a status.
        skip: Requests that are well before it begins.
    """

    kind: str
    times: int = 1
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    skip: int = 0


@dataclass
class FileServer:
    """Files of a folder by HTTP.

    Attributes:
        folder: The folder; its files may be changed at any time.
        address: Where the server is.
        host: Host and port, as ``policy.allowed`` takes them.
        asked: Method, path and range of each request.
        sent: Bytes of bodies sent, by path.
        faults: What is to go wrong, in order.
        redirects: Addresses by the paths that are sent on to them.
        token: What ``?sig=`` must say, if anything.
        etags: Whether answers have an ETag and a date.
        heard: Headers of each request.
    """

    folder: Path
    address: str = ""
    host: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    etags: bool = True
    heard: list[dict[str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    log: Path | None = None

    def url(self, name: str) -> str:
        """Address of a file."""
        return f"{self.address}/{name}"

    def fault(self, path: str) -> Fault | None:
        """The fault of a request for a path, used up by it."""
        with self.lock:
            for fault in self.faults:
                if fault.path in path and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        return None
                    fault.times -= 1
                    return fault
        return None

    def note(self, *request: object) -> None:
        """Writes a request down, for another process."""
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(json.dumps(request) + "\n")

    @property
    def bytes_sent(self) -> int:
        """Bytes of all bodies."""
        return sum(self.sent.values())

    def forget(self) -> None:
        """Forgets what was asked and sent."""
        with self.lock:
            self.asked.clear()
            self.sent.clear()
            self.heard.clear()


@dataclass
class ApartServer:
    """The same in a process of its own: OGR waits for an answer with the interpreter locked.

    Attributes:
        address: Where the server is.
        host: Host and port.
    """

    address: str
    host: str
    log: Path

    def url(self, name: str) -> str:
        """Address of a file."""
        return f"{self.address}/{name}"

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        """Method, path and range of each request."""
        return [tuple(json.loads(line)[:3]) for line in self.log.read_text().splitlines()]

    @property
    def bytes_sent(self) -> int:
        """Bytes of all bodies."""
        return sum(json.loads(line)[3] for line in self.log.read_text().splitlines())

    def forget(self) -> None:
        """Forgets what was asked and sent."""
        self.log.write_text("")


@contextmanager
def apart_server(folder: Path, log: Path, faults: Sequence[Fault] = ()) -> Iterator[ApartServer]:
    """Serves a folder from another process, which notes requests in a file."""
    log.write_text("")
    given = json.dumps([asdict(fault) for fault in faults])
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), str(log), given], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        host = process.stdout.readline().strip()
        yield ApartServer(f"http://{host}", host, log)
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def file_server(folder: Path) -> Iterator[FileServer]:
    """Serves a folder on a port of its own."""
    told = FileServer(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = unquote(parts.path).lstrip("/")
            with told.lock:
                told.asked.append((self.command, self.path, self.headers.get("Range", "")))
                told.heard.append(dict(self.headers))
            fault = told.fault(self.path)
            if fault is not None and fault.kind == "drop":
                self.close_connection = True
                self.connection.close()
                return
            if fault is not None and fault.kind.isdigit():
                self._status(int(fault.kind), fault.headers)
            elif f"/{name}" in told.redirects:
                self._status(302, {"Location": told.redirects[f"/{name}"]})
            elif told.token is not None and parse_qs(parts.query).get("sig") != [told.token]:
                self._status(403)
            elif not (told.folder / name).is_file():
                self._status(404)
            else:
                self._file(told.folder / name, name, fault)

        do_HEAD = do_GET  # noqa: N815

        def _status(self, code: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _file(self, file: Path, name: str, fault: Fault | None) -> None:
            content, kind = file.read_bytes(), fault.kind if fault else ""
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = 0, len(content)
            if match and "whole" not in kind:
                start = int(match[1])
                end = min(int(match[2] or len(content)) + 1, len(content))
                if start >= len(content):
                    self._status(416, {"Content-Range": f"bytes */{len(content)}"})
                    return
                self.send_response(206)
                said = start + 1 if kind == "wrong" else start
                self.send_header("Content-Range", f"bytes {said}-{end - 1}/{len(content)}")
            else:
                self.send_response(200)
            if "whole" not in kind:
                self.send_header("Accept-Ranges", "bytes")
            body = content[start:end]
            sent = body[: len(body) // 2] if kind.partition(" ")[0] in ("cut", "short") else body
            if told.etags:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
                self.send_header("Last-Modified", self.date_time_string(int(file.stat().st_mtime)))
            self.send_header("Content-Length", str(len(sent if kind == "short" else body)))
            self.end_headers()
            if self.command == "HEAD":
                told.note("HEAD", self.path, "", 0)
                return
            with told.lock:
                told.sent[name] = told.sent.get(name, 0) + len(sent)
                told.note(self.command, self.path, self.headers.get("Range", ""), len(sent))
            try:
                if kind == "slow":
                    for i in range(len(sent)):
                        self.wfile.write(sent[i : i + 1])
                        time.sleep(0.02)
                else:
                    self.wfile.write(sent)
            except OSError:  # whoever asked has gone
                self.close_connection = True
            if kind.startswith("cut"):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Says nothing of those that went away."""

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    told.host = f"127.0.0.1:{server.server_port}"
    told.address = f"http://{told.host}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with file_server(Path(sys.argv[1])) as alone:
        alone.faults = [Fault(**fault) for fault in json.loads(sys.argv[3])]
        alone.log = Path(sys.argv[2])
        sys.stdout.write(f"{alone.host}\n")
        sys.stdout.flush()
        while True:
            time.sleep(60)
