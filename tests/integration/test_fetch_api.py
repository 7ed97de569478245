"""A place fetched from a STAC API that answers in pages, and with several coarse maps."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from fetched import contents, fetch, half_written, served_place
from file_server import FileServer
from stac_api import StacApi, stac_api
from stac_place import LEFT, TOP, item, write_coarse, write_cog, write_collection

from landcover_pnp.config import load_settings
from landcover_pnp.fetch import catalogue
from landcover_pnp.pipeline.plan import files_of, plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.storage.remote.policy import allowed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    with served_place(tmp_path_factory.mktemp("served") / "place") as running:
        yield running


@pytest.fixture(scope="module")
def whole(server: FileServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the static catalogue gives."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert fetch(server, out) == 0
    return contents(out)


@pytest.fixture
def api(server: FileServer) -> Iterator[StacApi]:
    """An API of the place's images, and of two more that are no images of it."""
    folder = server.folder / "naip"
    items: list[dict[str, Any]] = []
    for path in sorted(folder.glob("m_*.json")):
        content = json.loads(path.read_text())
        content["assets"]["image"]["href"] = server.url(f"naip/{path.stem}.tif")
        items.append({**content, "collection": "naip"})
    items.append({**items[0], "id": "of another collection", "collection": "other"})
    away = {"type": "Point", "coordinates": [10.0, 50.0]}
    items.append({**items[0], "id": "elsewhere", "geometry": away, "bbox": [10.0, 50.0] * 2})
    collection = json.loads((folder / "collection.json").read_text())
    collections = [{**collection, "links": []}, {**collection, "id": "other", "links": []}]
    with stac_api(StacApi(items, collections)) as running, allowed(running.host):
        yield running


def test_every_page_of_a_search_is_read(
    api: StacApi, server: FileServer, whole: dict[str, str], tmp_path: Path
) -> None:
    assert fetch(server, tmp_path / "out", "--images.catalogue", api.address) == 0
    assert contents(tmp_path / "out") == whole
    searches = [path for _, path in api.asked if path.startswith("/search")]
    assert len(searches) == 4, "two years of two images, one a page"
    assert all("collections=naip" in path and "bbox=" in path for path in searches)
    assert {method for method, _ in api.asked} == {"GET"}
    api.asked.clear()
    assert fetch(server, tmp_path / "out", "--images.catalogue", api.address, "--year", "2020") == 0
    names = (tmp_path / "out" / "images.txt").read_text()
    assert "2020" in names and "2022" not in names


REFUSED = {
    "a page to be asked for by POST": ({"next_method": "POST"}, (), 1, "by POST"),
    "pages without end": ({"endless": True}, (), 1, "more than 12 items"),
    "a collection that is not there": (
        {},
        ("--images.collection", "naips"),
        2,
        "has no collection 'naips'",
    ),
    "no collection of this area": ({"items": []}, (), 2, "has no imagery (naip) of"),
    "an asset that is not there": ({}, ("--images.asset", "pixels"), 2, "the assets image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_searches_that_lead_nowhere_are_refused(
    name: str,
    api: StacApi,
    server: FileServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes, words, code, said = REFUSED[name]
    for key, value in changes.items():
        setattr(api, key, value)
    monkeypatch.setattr(catalogue, "MOST_ITEMS", 12)
    out = tmp_path / "out"
    assert fetch(server, out, "--images.catalogue", api.address, *words) == code
    told = capsys.readouterr().err
    assert said in told and told.count("found:") == 1 and "Traceback" not in told
    assert not out.exists() or half_written(out) == []


def test_several_coarse_maps_are_fetched_and_combined(server: FileServer, tmp_path: Path) -> None:
    folder = server.folder / "worldcover"
    folder.mkdir(exist_ok=True)
    pixels = np.full((400, 400), 10, np.uint8)
    where = {"resolution_m": 10.0, "crs": "EPSG:26917", "origin": (LEFT - 2000, TOP + 2000)}
    write_cog(folder / "wc.tif", pixels, nodata=0, **where)
    item(folder / "wc.json", "map", "wc.tif", "2021-01-01")
    write_collection(folder, "esa-worldcover", "ESA WorldCover", [folder / "wc.json"])
    write_coarse(server.folder / "other.tif", (42, 23))
    more = [
        {"catalogue": server.url("worldcover/collection.json"), "sign": None},
        {"file": server.url("other.tif"), "legend": "nlcd", "attribution": "a map of ours"},
    ]
    out = tmp_path / "out"
    assert fetch(server, out, "--more_coarse", json.dumps(more)) == 0
    content = yaml.safe_load((out / "scene.yaml").read_text())["scene"]
    assert content["rasters"]["more_coarse"] == [
        {"path": "coarse-2.tif", "legend": "worldcover"},
        {"path": "coarse-3.tif", "legend": "nlcd"},
    ]
    assert "a map of ours" in content["attribution"]
    assert any("ESA WorldCover" in said for said in content["attribution"])
    settings = load_settings(MapSettings, out / "scene.yaml")
    plan_map(settings)
    assert [c.legend for c in files_of(settings).coarse_maps] == ["nlcd", "worldcover", "nlcd"]
    for name, codes in (("coarse-2", {0, 10}), ("coarse-3", {0, 23, 42})):
        with rasterio.open(out / f"{name}.tif") as source:
            assert set(np.unique(source.read(1))) <= codes
    assert fetch(server, out) == 0, "without them"
    assert not list(out.glob("coarse-*")), "what is no longer asked for goes"
