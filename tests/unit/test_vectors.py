"""Vector files as they come: odd shapes are drawn, files that say nothing true are refused."""

import json
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_tif
from odc.geo.geobox import GeoBox

from landcover_pnp.errors import DamagedError, GridError, RasterError
from landcover_pnp.grid import Box
from landcover_pnp.scenes.checks import read_layers
from landcover_pnp.scenes.image_lists import image_files
from landcover_pnp.scenes.rasters import plan_scene
from landcover_pnp.scenes.settings import LayerFile, RasterFiles
from landcover_pnp.scenes.vector_files import count_features
from landcover_pnp.scenes.vectors import read_area, read_objects, require_overlap, shares_beyond

X, Y = ORIGIN
GRID = GeoBox.from_bbox((X, Y - 240, X + 240, Y), UTM, resolution=4)
HOUSE = shapely.box(X + 61, Y - 101, X + 161, Y - 61)
"""100 m x 40 m."""

LOCAL = 'LOCAL_CS["a building mapped scene",UNIT["metre",1]]'


def write(path: Path, shapes: list[Any], crs: str | None = UTM, **kwargs: Any) -> Path:
    gpd.GeoDataFrame(geometry=shapes, crs=crs).to_file(path, **kwargs)
    return path


def area_m2(path: Path) -> float:
    """Ground that the objects of a file cover, square metres."""
    require_overlap(path, None, "roads", GRID)
    objects = read_objects(path, None, 8.0, GRID, "roads")
    return float(objects.coverage(GRID, Box(0, 60, 0, 60), 4).sum()) * 16


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([shapely.force_3d(HOUSE, 5.0)], 4000),
        ([HOUSE, None, shapely.Polygon()], 4000),
        ([None], 0),
        ([], 0),
        ([shapely.Polygon([(X, Y), (X + 100, Y - 100), (X + 100, Y), (X, Y - 100)])], 5000),
        ([shapely.GeometryCollection([shapely.LineString([(X, Y - 200), (X + 240, Y - 200)])])],
         1920),
        ([shapely.Point(X + 101, Y - 101)], 50),
    ],
    ids=["heights", "gaps", "no shape", "empty", "bow tie", "collection", "one point"],
)  # fmt: skip
def test_odd_shapes_are_drawn(shapes: list[Any], expected: float, tmp_path: Path) -> None:
    assert area_m2(write(tmp_path / "a.gpkg", shapes)) == pytest.approx(expected, rel=0.05)


def test_curves_are_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [HOUSE], SPATIAL_INDEX="NO", geometry_type="Unknown")
    around = ((-40, 0), (0, 40), (40, 0), (0, -40), (-40, 0))
    ring = [v for dx, dy in around for v in (X + 100 + dx, Y - 100 + dy)]
    circle = struct.pack("<BIIBII10d", 1, 10, 1, 1, 8, 5, *ring)  # CURVEPOLYGON(CIRCULARSTRING)
    with closing(sqlite3.connect(path)) as database, database:
        header = struct.pack("<2sBBi", b"GP", 0, 1, 26917)
        database.execute("UPDATE a SET geom = ?", (header + circle,))
    assert area_m2(path) == pytest.approx(3.1416 * 40**2, rel=0.01)


@pytest.mark.parametrize("away_m", [300.0, 5e4, 5e6])
def test_objects_that_all_lie_elsewhere_are_refused(away_m: float, tmp_path: Path) -> None:
    away = write(tmp_path / "a.gpkg", [shapely.transform(HOUSE, lambda c: c + away_m)])
    files = RasterFiles(
        write_tif(tmp_path / "image.tif", colours()),
        write_tif(tmp_path / "nlcd.tif", two_halves(41, 24)),
        roads=LayerFile(away),
    )
    with pytest.raises(GridError, match=r"a\.gpkg \(roads\) covers .* do not overlap"):
        plan_scene(files, 4.0)


def test_metres_written_as_geojson_are_refused(tmp_path: Path) -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(HOUSE)}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(GridError, match=r"covers \(586061, .*both in EPSG:4326") as refused:
        area_m2(path)
    assert "always degrees" in refused.value.fix
    with pytest.raises(GridError, match="does not touch the imagery"):
        read_area(path, GRID)


@pytest.mark.parametrize(
    ("crs", "message"),
    [(LOCAL, "which is nowhere on the earth"), (None, "has no coordinate reference system")],
)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_file_that_lies_nowhere_is_refused(crs: str | None, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [HOUSE], crs)
    with pytest.raises(RasterError, match=message):
        area_m2(path)
    with pytest.raises(RasterError, match=message):
        read_area(path, GRID)


def test_a_cut_file_is_refused_and_found_by_check(tmp_path: Path) -> None:
    houses = [shapely.transform(HOUSE, lambda c, i=i: c + i / 100) for i in range(300)]
    path = write(tmp_path / "a.shp", houses)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedError, match=r"a\.shp cannot be read"):
        area_m2(path)
    files = RasterFiles(
        write_tif(tmp_path / "image.tif", colours()),
        write_tif(tmp_path / "nlcd.tif", two_halves(41, 24)),
        roads=LayerFile(path),
    )
    reports = {report.layer: report for report in read_layers(files)}
    assert isinstance(reports["roads"].error, DamagedError)


def test_an_area_of_several_layers_cannot_be_chosen_from(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [HOUSE])
    write(path, [HOUSE], layer="more")
    with pytest.raises(RasterError, match="has the layers a, more") as refused:
        read_area(path, GRID)
    assert "a file of their own" in refused.value.fix
    with pytest.raises(RasterError, match="has the layers a, more") as refused:
        area_m2(path)
    assert "`layer`" in refused.value.fix


def test_a_vector_file_that_cannot_be_opened_is_not_called_a_raster(tmp_path: Path) -> None:
    shapefile = write(tmp_path / "a.shp", [HOUSE])
    shapefile.with_suffix(".shx").unlink()
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": [{')
    image = write_tif(tmp_path / "image.tif", colours())
    nlcd = write_tif(tmp_path / "nlcd.tif", two_halves(41, 24))
    for name, reason in (("a.shp", "SHAPE_RESTORE_SHX"), ("a.geojson", "Failed to read GeoJSON")):
        files = RasterFiles(image, nlcd, roads=LayerFile(tmp_path / name))
        with pytest.raises(DamagedError, match=reason):
            plan_scene(files, 4.0)
        reports = {report.layer: report for report in read_layers(files)}
        assert reason in str(reports["roads"].error)


def test_a_shape_of_too_few_points_costs_itself_alone(tmp_path: Path) -> None:
    house = gpd.GeoSeries([HOUSE], crs=UTM).to_crs(4326).iloc[0]
    corner = house.exterior.coords[0]
    rings = [[corner, corner], [*house.exterior.coords]]
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for ring in rings
    ]
    path = tmp_path / "houses.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert count_features(path) == 2
    assert area_m2(path) == pytest.approx(4000, rel=0.05)
    assert read_area(path, GRID).area == pytest.approx(4000, rel=0.05)


def test_a_ring_there_and_back_again_can_be_cut(tmp_path: Path) -> None:
    house = gpd.GeoSeries([HOUSE], crs=UTM).to_crs(4326).iloc[0]
    corner = house.exterior.coords[0]
    away = (corner[0] + 1, corner[1])
    shapes = {
        "type": "MultiPolygon",
        "coordinates": [[[corner, away, corner]], [[*house.exterior.coords]]],
    }
    (tmp_path / "a.geojson").write_text(json.dumps(shapes))
    assert area_m2(tmp_path / "a.geojson") == pytest.approx(4000, rel=0.05)


def test_nothing_of_a_shape_without_area_lies_beyond() -> None:
    nothing = shapely.GeometryCollection([shapely.Polygon()])
    shapes = gpd.GeoSeries([nothing, None, HOUSE, shapely.box(X, Y, X + 9, Y + 9)], crs=UTM)
    np.testing.assert_array_equal(shares_beyond(shapes, GRID), [np.nan, np.nan, 0, 1])


def test_a_table_without_shapes_is_no_layer(tmp_path: Path) -> None:
    (tmp_path / "roads.csv").write_text("name,length\nWest,1\n")
    with pytest.raises(RasterError, match="no layer of shapes"):
        require_overlap(tmp_path / "roads.csv", None, "roads", GRID)


def test_styles_that_qgis_stores_are_no_layer_to_choose_from(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [HOUSE])
    pyogrio.write_dataframe(pd.DataFrame({"styleName": ["a"]}), path, layer="layer_styles")
    assert read_area(path, GRID).equals(HOUSE)
    assert area_m2(path) == pytest.approx(4000, rel=0.05)


def test_a_file_geodatabase_is_a_layer_like_any_other(tmp_path: Path) -> None:
    path = write(tmp_path / "roads.gdb", [HOUSE], driver="OpenFileGDB")
    files = RasterFiles(
        image=write_tif(tmp_path / "image.tif", colours()),
        coarse=write_tif(tmp_path / "nlcd.tif", two_halves(41, 24)),
        roads=LayerFile(path),
    )
    made_of = plan_scene(files, 4.0).made_of()
    (path / "_gdb.host.1.2.sr.lock").touch()
    assert plan_scene(files, 4.0).made_of() == made_of
    write(path, [HOUSE, HOUSE], driver="OpenFileGDB")
    assert plan_scene(files, 4.0).made_of() != made_of


def test_an_index_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    item = {"type": "Feature", "assets": {"image": {"href": "a.tif"}}}
    text = json.dumps({"type": "FeatureCollection", "features": [item]})
    (tmp_path / "items.json").write_text(text, encoding="utf-8-sig")
    assert image_files(tmp_path / "items.json") == (tmp_path / "a.tif",)
