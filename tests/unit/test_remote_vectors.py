"""Vector files at addresses: the same features as local ones, by parts."""

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from file_server import ApartServer, Fault, apart_server, file_server
from inputs import ORIGIN, UTM
from odc.geo.geobox import GeoBox

from landcover_pnp.config.addresses import as_path
from landcover_pnp.errors import AddressError, DamagedError, RasterError
from landcover_pnp.scenes.vector_files import (
    count_features,
    layer_bounds,
    read_attribute,
    read_layer,
    vector_layers,
)
from landcover_pnp.storage.remote import client
from landcover_pnp.storage.remote.policy import allowed

CANARY = "canary2sig"
GRID = GeoBox.from_bbox(
    (ORIGIN[0], ORIGIN[1] - 1000, ORIGIN[0] + 1000, ORIGIN[1]), UTM, resolution=4
)
WRITTEN = {
    "roads.fgb": {"driver": "FlatGeobuf"},
    "roads.gpkg": {"driver": "GPKG"},
    "roads.parquet": {"write_covering_bbox": True, "row_group_size": 500},
    "plain.parquet": {},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    rng = np.random.default_rng(0)
    x, y = (ORIGIN[i] + rng.uniform(-20_000, 20_000, 20_000) for i in (0, 1))
    frame = gpd.GeoDataFrame(
        {"width_m": rng.uniform(3, 9, len(x)), "name": [f"Straße {i:060}" for i in range(len(x))]},
        geometry=shapely.box(x, y, x + 10, y + 10)[np.argsort(x)],
        crs=UTM,
    )
    for name, options in WRITTEN.items():
        if name.endswith("parquet"):
            frame.to_parquet(folder / name, **options)
        else:
            frame.to_file(folder / name, **options)
    frame.head(3).to_crs(4326).to_file(folder / "roads.geojson", driver="GeoJSON")
    frame.drop(columns="geometry").head(3).to_parquet(folder / "table.parquet")
    (folder / "cut.parquet").write_bytes((folder / "roads.parquet").read_bytes()[:9999])
    (folder / "vrt.gpkg").write_text("<OGRVRTDataSource/>")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApartServer]:
    log = tmp_path_factory.mktemp("log") / "asked"
    with apart_server(folder, log) as running, allowed(running.host):
        yield running


@pytest.mark.parametrize("name", WRITTEN)
def test_features_are_those_of_the_local_file(name: str, folder: Path, server: ApartServer) -> None:
    server.forget()
    path, local = as_path(server.url(f"{name}?sig={CANARY}")), folder / name
    assert vector_layers(path, "roads") == vector_layers(local, "roads")
    assert layer_bounds(path, None, "roads") == layer_bounds(local, None, "roads")
    assert count_features(path) == count_features(local) == 20_000
    found, wanted = (read_layer(p, None, "roads", GRID) for p in (path, local))
    assert 5 < len(found) < 100
    assert sorted(found["name"]) == sorted(wanted["name"])
    assert found.crs == wanted.crs
    widths = read_attribute(path, None, "width_m", "roads", GRID)
    assert sorted(widths or []) == sorted(read_attribute(local, None, "width_m", "roads", GRID))
    assert read_attribute(path, None, "lanes", "roads", GRID) is None
    if name != "plain.parquet":  # which does not say where its rows lie
        assert server.bytes_sent < local.stat().st_size / 4
    assert {request[1] for request in server.asked} == {f"/{name}?sig={CANARY}"}


@pytest.mark.parametrize("name", ["roads.geojson", "vrt.gpkg"])
def test_what_is_not_read_by_parts_is_refused(name: str, server: ApartServer) -> None:
    with pytest.raises(AddressError, match="no format that is read by parts"):
        vector_layers(as_path(server.url(name)), "roads")


@pytest.mark.parametrize("name", ["table.parquet", "cut.parquet"])
@pytest.mark.parametrize("local", [True, False])
def test_damage_is_said(name: str, local: bool, folder: Path, server: ApartServer) -> None:
    path = folder / name if local else as_path(server.url(f"{name}?sig={CANARY}"))
    with pytest.raises(DamagedError, match="cannot be read") as raised:
        vector_layers(path, "roads")
    assert CANARY not in str(raised.value)


def test_a_file_that_vanishes_or_must_not_be_asked_for_is_said(
    folder: Path, server: ApartServer
) -> None:
    with pytest.raises(AddressError, match="nothing is there"):
        vector_layers(as_path(server.url("none.fgb")), "roads")
    with file_server(folder) as other, pytest.raises(AddressError, match="local network"):
        vector_layers(as_path(other.url("roads.fgb")), "roads")


@pytest.mark.parametrize("name", ["roads.fgb", "roads.gpkg", "roads.parquet"])
def test_faults_heal_or_are_said_without_secrets(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "sleep", lambda _: None)
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "2")
    faults = [Fault("503", 1), Fault("503", 1, skip=2), Fault("403", 99, skip=12, path="x=1")]
    with apart_server(folder, tmp_path / "log", faults) as flaky, allowed(flaky.host):
        assert len(read_layer(as_path(flaky.url(name)), None, "roads", GRID)) > 5
        path = as_path(flaky.url(f"{name}?sig={CANARY}&x=1"))
        for _ in range(9):
            try:
                read_layer(path, None, "roads", GRID.pad(1000))
                read_layer(path, None, "roads")
            except RasterError as error:
                assert CANARY not in str(error)
                break
        else:
            pytest.fail("nothing went wrong")
