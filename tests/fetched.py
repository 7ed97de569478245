"""A drawn place on a server, and the words of a command that fetches it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from file_server import FileServer, file_server
from stac_place import bbox, write_place

from landcover_pnp.cli import main
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.policy import allowed

AREA = bbox(20, 20, 300, 140)


@contextmanager
def served_place(folder: Path) -> Iterator[FileServer]:
    """The place of ``stac_place``, on a server that may be asked; faults cost no time."""
    slept = client.sleep
    client.sleep = lambda _: None
    try:
        with file_server(write_place(folder)) as server, allowed(server.host):
            yield server
    finally:
        client.sleep = slept


def words_of(server: FileServer, out: Path, *more: str, area: Sequence[str] = ()) -> list[str]:
    """The words of ``landcover fetch place``; later ones win."""
    return [
        "fetch",
        "place",
        *(area or (f"--bbox={AREA}",)),
        *("--out", str(out), "--profile", "fast"),
        *("--images.catalogue", server.url("catalog.json")),
        *("--coarse.file", server.url("nlcd.tif")),
        *("--objects.osm", server.url("city.osm.pbf")),
        *more,
    ]


def fetch(server: FileServer, out: Path, *more: str, area: Sequence[str] = ()) -> int:
    """Fetches; returns the exit code."""
    return main(words_of(server, out, *more, area=area))


def bytes_sent(server: FileServer) -> dict[str, int]:
    """Bytes sent of everything but the catalogue, by name."""
    return {name: sent for name, sent in server.sent.items() if not name.endswith(".json")}


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file that holds what was fetched, by name; records tell the time."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".json", ".gpkg")
    }


def half_written(folder: Path) -> list[str]:
    """Names of files that are not complete, but for the beginning of a download."""
    return [
        path.name
        for path in folder.rglob(".partial-*")
        if not path.name.startswith(".partial-download-")
    ]
