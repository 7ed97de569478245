"""Files that name other files or servers: refused before anything is read from there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from counting_server import CountingServer, counting_server
from inputs import ORIGIN, UTM, colours, two_halves, write_scene, write_tif

from landcover_pnp.cli import main
from landcover_pnp.errors import RasterError, RequestError
from landcover_pnp.scenes.checks import read_layers
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import (
    CoarseFile,
    LabelFile,
    LayerFile,
    RasterFiles,
    TruthFile,
)
from landcover_pnp.scenes.vector_formats import is_vector
from landcover_pnp.storage.raster import open_raster

HOUSE = shapely.box(ORIGIN[0] + 61, ORIGIN[1] - 101, ORIGIN[0] + 161, ORIGIN[1] - 61)


@pytest.fixture(scope="module")
def running() -> Iterator[CountingServer]:
    with counting_server() as server:
        yield server


@pytest.fixture
def server(running: CountingServer) -> CountingServer:
    running.asked.clear()
    return running


def ogr_vrt(address: str) -> str:
    return (
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/'
        f"{address}/roads.geojson</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )


def geojson(crs: object, key: str = "crs") -> str:
    point = {"type": "Point", "coordinates": list(HOUSE.centroid.coords[0])}
    feature = {"type": "Feature", "properties": {"a": 1}, "geometry": point}
    text = json.dumps({"type": "FeatureCollection", "features": [feature], "KEY": crs})
    return text.replace("KEY", key)


def wfs_features(address: str) -> str:
    schema = f"{address}/wfs?SERVICE=WFS&amp;REQUEST=DescribeFeatureType&amp;TYPENAME=a"
    return (
        '<?xml version="1.0"?><wfs:FeatureCollection xmlns:xsi="http://www.w3.org/2001/XMLSchema-'
        f'instance" xsi:schemaLocation="http://x {schema}" xmlns:wfs="http://www.opengis.net/wfs" '
        'xmlns:x="http://x" xmlns:gml="http://www.opengis.net/gml"><gml:featureMember><x:a gml:id='
        '"a.0"><x:g><gml:Point srsName="EPSG:4326"><gml:pos>0 0</gml:pos></gml:Point></x:g></x:a>'
        "</gml:featureMember></wfs:FeatureCollection>"
    )


VECTORS: dict[str, Callable[[str], str]] = {
    "virtual": ogr_vrt,
    "virtual, behind a space": lambda address: "\n \n" + ogr_vrt(address),
    "virtual, inside JSON": lambda address: (
        '{"type": "FeatureCollection", "x": "' + ogr_vrt(address).replace('"', "'") + '"}'
    ),
    "virtual, behind KML": lambda address: "<kml></kml>" + ogr_vrt(address),
    "a service": lambda address: f"<OGRWFSDataSource><URL>{address}/w</URL></OGRWFSDataSource>",
    "a service's features": wfs_features,
    "a recipe": lambda address: json.dumps(
        {"type": "gdal_streamed_alg", "command_line": f"gdal vector read {address}/r ! write x"}
    ),
    "a linked CRS": lambda address: geojson({"type": "link", "properties": {"href": address}}),
    "a linked CRS, in capitals": lambda address: geojson(
        {"Type": "LINK", "properties": {"href": address}}, "CRS"
    ),
    "a linked CRS, escaped": lambda address: geojson(
        {"type": "url", "properties": {"url": address}}, "\\u0063r\\u0073"
    ),
    "an address": lambda address: f"{address}/roads.geojson",
    "a map service": lambda address: f"<GDAL_WMS><ServerUrl>{address}</ServerUrl></GDAL_WMS>",
}


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "shp", "kml", "vrt", "xml", "tif", ""])
@pytest.mark.parametrize("kind", VECTORS)
def test_vectors_that_refer_elsewhere_are_refused_whatever_they_are_called(
    kind: str, ending: str, tmp_path: Path, server: CountingServer
) -> None:
    path = tmp_path / f"roads.{ending}"
    path.write_text(VECTORS[kind](server.address))
    try:
        taken = is_vector(path, "roads")
    except RasterError as error:
        assert "holds its features itself" in error.expected
    else:
        assert not taken
    assert not server.asked


ROLES: dict[str, Callable[[RasterFiles, Path], RasterFiles]] = {
    "roads": lambda f, p: RasterFiles(f.image, f.coarse, roads=LayerFile(p)),
    "buildings": lambda f, p: RasterFiles(f.image, f.coarse, buildings=LayerFile(p)),
    "water": lambda f, p: RasterFiles(f.image, f.coarse, water=LayerFile(p)),
    "clouds": lambda f, p: RasterFiles(f.image, f.coarse, clouds=LayerFile(p)),
    "labels": lambda f, p: RasterFiles(f.image, f.coarse, labels=LabelFile(p)),
    "area": lambda f, p: RasterFiles(f.image, f.coarse, area=p),
    "image": lambda f, p: RasterFiles(p, f.coarse),
    "coarse": lambda f, p: RasterFiles(f.image, p),
    "more_coarse": lambda f, p: RasterFiles(
        f.image, f.coarse, more_coarse=[CoarseFile(p, "worldcover")]
    ),
    "legend": lambda f, p: RasterFiles(f.image, f.coarse, legend=p),
    "canopy": lambda f, p: RasterFiles(f.image, f.coarse, canopy=p),
    "truth": lambda f, p: RasterFiles(f.image, f.coarse, truth=TruthFile(p)),
}


@pytest.fixture
def files(tmp_path: Path) -> RasterFiles:
    return RasterFiles(
        image=write_tif(tmp_path / "image.tif", colours()),
        coarse=write_tif(tmp_path / "nlcd.tif", two_halves(41, 24)),
    )


@pytest.mark.parametrize("name", ["x.gpkg", "x.tif", "x.json"])
@pytest.mark.parametrize("role", ROLES)
def test_whatever_a_file_is_named_for_check_and_map_ask_nobody(
    role: str, name: str, files: RasterFiles, tmp_path: Path, server: CountingServer
) -> None:
    for text in (ogr_vrt(server.address), raster_vrt(server.address), f"{server.address}/x"):
        (tmp_path / name).write_text(text)
        wanted = ROLES[role](files, tmp_path / name)
        with pytest.raises(RequestError):
            plan_scene(wanted, 4.0)
        assert any(report.error for report in read_layers(wanted))
    assert not server.asked


def raster_vrt(address: str) -> str:
    band = (
        '<VRTRasterBand dataType="Byte" band="{}"><SimpleSource><SourceFilename>/vsicurl/'
        + address
        + "/x.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
    )
    bands = "".join(band.format(number) for number in (1, 2, 3))
    return f'<VRTDataset rasterXSize="60" rasterYSize="60">{bands}</VRTDataset>'


def tagged(path: Path, **tags: str) -> None:
    with rasterio.open(path, "r+") as target:
        target.update_tags(ns="OVERVIEWS", **tags)


def told_beside(path: Path, address: str) -> None:
    path.with_name(f"{path.name}.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{address}/o'
        "</MDI></Metadata></PAMDataset>"
    )


def overviews_of_overviews(path: Path, address: str) -> None:
    beside = write_tif(path.with_name(f"{path.name}.ovr"), colours(size=120), 2.0)
    tagged(beside, OVERVIEW_FILE=f"/vsicurl/{address}/o.tif")


BESIDE_RASTERS: dict[str, Callable[[Path, str], object]] = {
    "virtual overviews": lambda p, a: p.with_name(f"{p.name}.ovr").write_text(raster_vrt(a)),
    "a virtual mask": lambda p, a: p.with_name(f"{p.name}.msk").write_text(raster_vrt(a)),
    "overviews named in the file": lambda p, a: tagged(p, OVERVIEW_FILE=f"/vsicurl/{a}/o.tif"),
    "overviews named beside it": told_beside,
    "overviews named by the overviews": overviews_of_overviews,
    "overviews elsewhere on this machine": lambda p, _: tagged(p, OVERVIEW_FILE="/etc/passwd"),
}


@pytest.mark.parametrize("kind", BESIDE_RASTERS)
@pytest.mark.parametrize("role", ["image", "coarse"])
def test_rasters_whose_overviews_or_masks_lie_elsewhere_are_refused(
    role: str, kind: str, files: RasterFiles, tmp_path: Path, server: CountingServer
) -> None:
    BESIDE_RASTERS[kind](getattr(files, role), server.address)
    with pytest.raises(RasterError, match=r"overviews lie in|not a raster that can be opened"):
        plan_scene(files, 4.0)
    assert any(report.error for report in read_layers(files))
    assert not server.asked


def test_overviews_and_masks_that_are_rasters_are_read(files: RasterFiles) -> None:
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(files.image, "r+") as target:
        target.build_overviews([2, 4])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(files.image, "r+") as target:
        target.write_mask(np.full((240, 240), 255, np.uint8))
    assert {path.name for path in files.image.parent.iterdir()} > {"image.tif.ovr", "image.tif.msk"}
    with open_raster(files.image, "imagery") as source:
        assert source.overviews(1) == [2, 4]


@pytest.mark.parametrize("command", ["check", "map"])
def test_a_command_says_what_it_does_not_follow(
    command: str, tmp_path: Path, server: CountingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path)
    config.write_text(config.read_text().replace("truth:", "roads: {path: r.gpkg}, truth:"))
    (tmp_path / "r.gpkg").write_text(ogr_vrt(server.address))
    words = ["--run", str(tmp_path / "run")] if command == "map" else []
    assert main([command, str(config), *words]) == 2
    assert "is a virtual format or a service" in capsys.readouterr().err
    assert not server.asked
    assert not (tmp_path / "run").exists()


READ = {
    "GPKG": "a.gpkg",
    "ESRI Shapefile": "a.shp",
    "GeoJSON": "a.geojson",
    "FlatGeobuf": "a.fgb",
    "KML": "a.kml",
    "OpenFileGDB": "a.gdb",
}


@pytest.mark.parametrize("driver", READ)
def test_files_that_hold_their_features_are_read(driver: str, tmp_path: Path) -> None:
    path = tmp_path / READ[driver]
    crs = 4326 if driver in ("GeoJSON", "KML") else UTM
    gpd.GeoDataFrame(geometry=[HOUSE], crs=UTM).to_crs(crs).to_file(path, driver=driver)
    assert is_vector(path, "roads")
    assert len(pyogrio.read_dataframe(path)) == 1
    if path.is_file():  # by content, not by name
        assert is_vector(path.rename(tmp_path / "a.bin"), "roads")


@pytest.mark.parametrize("crs", [{"type": "name", "properties": {"name": "EPSG:4326"}}, None])
def test_a_crs_that_is_named_is_taken(crs: object, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text("\ufeff" + geojson(crs))
    assert is_vector(path, "roads")
