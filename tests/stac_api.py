"""A STAC API with pages, as far as searching it goes; the files lie elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import shapely

CONFORMS = [
    f"https://api.stacspec.org/v1.0.0/{part}" for part in ("core", "collections", "item-search")
]


@dataclass
class StacApi:
    """The API.

    Attributes:
        items: Its items, by collection as each says.
        collections: Its collections.
        page: Most items of a page.
        next_method: Method by which the next page is to be asked for.
        endless: Whether there is always a next page.
        address: Where it is.
        host: Host and port.
        asked: Method and path of each request.
    """

    items: Sequence[dict[str, Any]]
    collections: Sequence[dict[str, Any]]
    page: int = 1
    next_method: str = "GET"
    endless: bool = False
    address: str = ""
    host: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        """The answer to a request; None where there is none."""
        if path == "/":
            links = [
                {"rel": rel, "href": self.address + href, "type": "application/json"}
                for rel, href in (("self", "/"), ("root", "/"), ("data", "/collections"))
            ]
            links += [
                {
                    "rel": "search",
                    "href": f"{self.address}/search",
                    "method": method,
                    "type": "application/geo+json",
                }
                for method in ("GET", "POST")
            ]
            about = {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "API"}
            return {**about, "conformsTo": CONFORMS, "links": links}
        if path == "/collections":
            return {"collections": list(self.collections), "links": []}
        if path.startswith("/collections/"):
            name = path.rpartition("/")[2]
            return next((c for c in self.collections if c["id"] == name), None)
        return self._page(query) if path == "/search" else None

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        wanted = shapely.box(*map(float, query["bbox"][0].split(",")))
        fitting = [
            item
            for item in self.items
            if item["collection"] in query["collections"][0].split(",")
            and shapely.geometry.shape(item["geometry"]).intersects(wanted)
        ]
        start = int(query.get("token", ["0"])[0])
        more = {**{k: v[0] for k, v in query.items()}, "token": str(start + self.page)}
        there = self.endless or start + self.page < len(fitting)
        href = f"{self.address}/search?{urlencode(more)}"
        link = {"rel": "next", "href": href, "method": self.next_method}
        page = fitting[:1] if self.endless else fitting[start : start + self.page]
        if self.endless:
            page = [{**item, "id": f"{item['id']}-{start}"} for item in page]
        return {"type": "FeatureCollection", "features": page, "links": [link] if there else []}


@contextmanager
def stac_api(api: StacApi) -> Iterator[StacApi]:
    """Serves an API on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            api.asked.append((self.command, self.path))
            parts = urlsplit(self.path)
            found = api.answer(parts.path or "/", parse_qs(parts.query))
            body = json.dumps(found or {}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.host = f"127.0.0.1:{server.server_port}"
    api.address = f"http://{api.host}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
