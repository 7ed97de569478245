"""Catalogues checked by schemas of extensions, fetched from a server of this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import FileServer, file_server

from landcover_pnp.cli import main
from landcover_pnp.products import packages
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.storage.remote.policy import allowed

SITE = "https://stac-extensions.github.io"


@pytest.fixture(scope="module")
def published(finished: Path) -> Path:
    """Products of the run that is not to be changed; its folder is the catalogue's."""
    if not (finished / "products").is_dir():
        publish_run(finished)
    return finished.parent


@pytest.fixture
def served(published: Path, tmp_path: Path) -> Iterator[tuple[Path, FileServer]]:
    """A catalogue whose extensions are schemas of a server, each of which wants a title."""
    products = tmp_path / "cities" / "a" / "products"
    products.mkdir(parents=True)
    item = json.loads((published / "city" / "products" / "item.json").read_text())
    schemas = tmp_path / "site"
    schemas.mkdir()
    with file_server(schemas) as server, allowed(server.host):
        text = json.dumps(item).replace(SITE, server.address)
        (products / "item.json").write_text(text)
        for address in item["stac_extensions"]:
            path = schemas / address.removeprefix(f"{SITE}/")
            path.parent.mkdir(parents=True)
            shared = f"{server.address}/shared.json#/definitions/titled"
            path.write_text(schema(address.replace(SITE, server.address), shared))
        titled: dict[str, Any] = {"type": "object", "required": ["title"]}
        (schemas / "shared.json").write_text(json.dumps({"definitions": {"titled": titled}}))
        yield tmp_path / "cities", server


def schema(address: str, shared: str) -> str:
    properties = {"properties": {"$ref": shared}}
    draft = "http://json-schema.org/draft-07/schema#"
    return json.dumps({"$schema": draft, "$id": f"{address}#", "properties": properties})


def test_it_is_valid_by_every_schema_of_its_extensions(
    served: tuple[Path, FileServer], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, server = served
    assert main(["catalog", str(folder), "--validate", "true"]) == 0
    said = capsys.readouterr().out
    item = json.loads((folder / "a" / "products" / "item.json").read_text())
    assert len(item["stac_extensions"]) == 5
    assert all(address in said for address in item["stac_extensions"])
    asked = [path for _, path, _ in server.asked]
    assert len(asked) == len(set(asked)) == 6, "each schema once, and the one that all refer to"


def test_what_is_not_valid_is_named(
    served: tuple[Path, FileServer], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, server = served
    titled = {"type": "object", "required": ["a word of ours"]}
    (server.folder / "shared.json").write_text(json.dumps({"definitions": {"titled": titled}}))
    assert main(["catalog", str(folder), "--validate", "true"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "item.json is not valid: properties: 'a word of ours' is a required" in said
    assert f"the schema {server.address}/" in said


@pytest.mark.parametrize("gone", ["the server", "a schema", "an answer"])
def test_without_a_network_it_says_so(
    served: tuple[Path, FileServer], gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, server = served
    if gone == "an answer":
        (server.folder / "shared.json").write_text("<html>please log in</html>")
    elif gone == "a schema":
        (server.folder / "shared.json").unlink()
    else:
        path = folder / "a" / "products" / "item.json"
        path.write_text(path.read_text().replace(server.address, "http://127.0.0.1:9"))
    assert main(["catalog", str(folder), "--validate", "true"]) == 2
    said = capsys.readouterr().err
    assert "found:" in said
    assert "Traceback" not in said
    assert (folder / "collection.json").is_file()


def test_without_the_package_nothing_is_written(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert main(["catalog", str(published), "--validate", "true"]) == 2
    assert "landcover-pnp[web]" in capsys.readouterr().err
    assert not (published / "collection.json").exists()
