"""Products of a finished run: complete, right, the same every time, replaced as a whole."""

import copy
import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pystac
import pytest
import rasterio
import shapely
from finished_runs import emptied, vouch_for, without_a_tile
from masked_priors import tiny_masked
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rio_cogeo.cogeo import cog_validate

from landcover_pnp.cli import main
from landcover_pnp.errors import PriorError, RasterError, ZonesWarning
from landcover_pnp.legend import WORKING
from landcover_pnp.products.catalog import write_collection
from landcover_pnp.products.model import write_prior_item
from landcover_pnp.products.original_image import OriginalImage
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.rasters import EXTRAS, PRODUCTS
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.products.zonal import zonal
from landcover_pnp.storage.images import RGB
from landcover_pnp.storage.records import Record


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_every_raster_is_a_valid_cog_with_style_and_provenance(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish_run(run, PublishSettings(second_class=True, probabilities=True)).folder
    stems = {path.stem for path in folder.glob("*.tif")}
    assert stems == {*PRODUCTS, *EXTRAS, "image", "truth", "errors"}
    for path in folder.glob("*.tif"):
        valid, errors, warnings = cog_validate(path, strict=True)
        assert valid, (path.name, errors, warnings)
        assert path.with_suffix(".qml").exists()
    for stem in (*PRODUCTS, *EXTRAS):
        with rasterio.open(folder / f"{stem}.tif") as source:
            tags = source.tags()
            assert {"LANDCOVER_INPUTS", "LANDCOVER_PRIOR", "LANDCOVER_COMMAND"} <= tags.keys()
            assert tags["TIFFTAG_SOFTWARE"].startswith("landcover-pnp ")
            assert all(source.descriptions)
    with rasterio.open(folder / "landcover.tif") as source:
        first = source.read(1)
    with rasterio.open(folder / "second_class.tif") as source:
        second = source.read(1)
    with rasterio.open(folder / "probabilities.tif") as source:
        percent = source.read()
        assert source.descriptions == WORKING.names
        assert source.scales == (0.01,) * 5, "makes percent probabilities"
    document = (Path(__file__).parents[2] / "docs" / "qgis.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(import rioxarray\n.*?)```", document, re.DOTALL)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102
    scores = names["scores"]
    assert names["classes"] == WORKING.names
    np.testing.assert_allclose(scores, percent / 100, atol=1e-6)
    with rasterio.open(folder / "landcover.tif") as source:
        assert scores.rio.transform() == source.transform
        assert scores.rio.shape == source.shape
    assert (first != second).all()
    assert (np.abs(percent.astype(int).sum(axis=0) - 100) <= 3).all()
    ranked = np.sort(percent, axis=0)
    for labels, rank in ((first, -1), (second, -2)):
        known = labels > 0
        chosen = np.take_along_axis(percent, np.maximum(labels, 1)[None].astype(int) - 1, axis=0)
        np.testing.assert_array_equal(chosen[0][known], ranked[rank][known])


def test_the_image_is_no_data_where_the_scene_is_and_nowhere_else(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OriginalImage, "of", lambda run: OriginalImage(run.scene, None, "gone"))
    for name, columns in (("valid", slice(0, 20)), ("image", slice(0, 30))):
        with rasterio.open(run / "scene" / f"{name}.tif", "r+") as target:
            pixels = target.read()
            pixels[:, :, columns] = 0
            target.write(pixels)
    vouch_for(run)
    with rasterio.open(publish_run(run).folder / "image.tif") as source:
        assert source.nodata == 0
        assert source.colorinterp[:3] == RGB
        masks, values = source.read_masks(), source.read()
    assert not masks[:, :, :20].any()
    assert masks[:, :, 20:].all()
    assert (values[:, :, 20:30] == 1).all()
    np.testing.assert_array_equal(values[:, :, 30:], pixels[:, :, 30:])


def test_the_attribute_table_counts_the_pixels(run: Path) -> None:
    folder = publish_run(run).folder
    with rasterio.open(folder / "landcover.tif") as source:
        labels = source.read(1)
    rows = ET.parse(folder / "landcover.tif.aux.xml").getroot().iter("Row")  # noqa: S314
    for c, row in zip(WORKING.classes, rows, strict=True):
        cells = [cell.text for cell in row.iter("F")]
        assert cells[:3] == [str(c.code), str((labels == c.code).sum()), c.name]
        assert float(cells[-1] or "nan") == pytest.approx((labels == c.code).sum() * 16 / 1e4)


def test_polygons_have_the_area_of_the_raster(run: Path) -> None:
    summary = publish_run(run, PublishSettings(min_area_m2=0))
    polygons = geopandas.read_file(summary.folder / "landcover.gpkg", layer="landcover")
    with rasterio.open(summary.folder / "landcover.tif") as source:
        labels = source.read(1)
    assert polygons.crs.to_epsg() == 26917
    areas = polygons.groupby("code")["area_m2"].sum()
    assert areas.sum() == pytest.approx((labels > 0).sum() * 16)
    assert areas.to_dict().keys() == set(np.unique(labels)) - {0}
    assert shapely.union_all(polygons.geometry.array).area == pytest.approx(areas.sum())
    assert polygons["confidence"].between(20, 100).all()
    with closing(sqlite3.connect(summary.folder / "landcover.gpkg")) as base:
        styles = base.execute("SELECT f_table_name, styleQML FROM layer_styles").fetchall()
    assert [name for name, _ in styles] == ["landcover"]
    assert all(name in styles[0][1] for name in WORKING.names)


def test_publishing_again_gives_the_same_bytes(run: Path) -> None:
    first = hashes(publish_run(run).folder)
    (run / "products" / "landcover.qml").write_text("changed by hand")
    again = hashes(publish_run(run).folder)
    assert again.pop("landcover.qml.changed") == hashlib.sha256(b"changed by hand").hexdigest()
    assert again == first


@pytest.mark.parametrize(
    "failpoint",
    ["part-written:*entropy.tif", "complete:*", "moved-away:*", "replaced:*"],
)
def test_a_killed_publish_leaves_the_products_whole(run: Path, failpoint: str) -> None:
    before = hashes(publish_run(run, PublishSettings(title="old")).folder)
    command = [sys.executable, "-m", "landcover_pnp", "publish", str(run), "--title", "new"]
    env = {**os.environ, "LANDCOVER_FAILPOINT": failpoint}
    assert subprocess.run(command, env=env).returncode == -signal.SIGKILL
    moved = failpoint.startswith(("moved-away", "replaced"))
    assert hashes(run / (".previous-products" if moved else "products")) == before
    publish_run(run, PublishSettings(title="new"))
    assert "<title>new</title>" in (run / "products" / "report.html").read_text()
    assert not [p for p in run.iterdir() if p.name.startswith((".partial", ".previous"))]


def test_a_failed_publish_leaves_the_products_whole(run: Path) -> None:
    before = hashes(publish_run(run).folder)
    (run / "probabilities" / "evidence.tif").write_bytes(b"no raster")
    with pytest.raises(RasterError):
        publish_run(run, PublishSettings(title="new"))
    assert hashes(run / "products") == before


def test_a_run_with_failed_tiles_says_so_everywhere(run: Path) -> None:
    without_a_tile(run)
    assert main(["publish", str(run)]) == 3
    folder = run / "products"
    tiles = geopandas.read_file(folder / "landcover.gpkg", layer="failed_tiles")
    assert tiles["tile"].tolist() == ["r0000c0001"]
    assert tiles["reason"].tolist() == ['no <result> & "no" map']
    assert tiles.total_bounds.tolist() == [586_120, 4_475_880, 586_240, 4_476_000]
    report = (folder / "report.html").read_text()
    assert '<p class="warning">1 of 4 tiles' in report
    assert "no &lt;result&gt; &amp; &#34;no&#34; map" in report
    assert "tiles without result" in (folder / "landcover.qlr").read_text()


def test_an_empty_map_is_published_empty(run: Path) -> None:
    emptied(run, slice(None), slice(None))
    summary = publish_run(run)
    assert summary.polygons.polygons == 0
    with rasterio.open(summary.folder / "landcover.tif") as source:
        assert not source.read(1).any()
    assert len(geopandas.read_file(summary.folder / "landcover.gpkg", layer="landcover")) == 0


def test_a_folder_without_a_map_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["publish", str(tmp_path)]) == 2
    assert "holds no finished map" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_map_that_is_being_made_anew_is_not_published(run: Path) -> None:
    publish_run(run)
    with (run / "journal.jsonl").open("a") as journal:
        journal.write('{"time": "2200-01-01T00:00:00+00:00", "event": "start"}\n')
    with pytest.raises(RasterError, match="began at 2200"):
        publish_run(run)
    assert (run / "products").is_dir()


class Offline(JsonSchemaSTACValidator):
    """Validates by the schemas that come with pystac; those of extensions are on the web."""

    def validate_extension(self, *args: object, **kwargs: object) -> None:
        return None


def test_the_catalogue_is_valid_stac_with_relative_links(run: Path, tmp_path: Path) -> None:
    publish_run(run, PublishSettings(title='Stadt "Köln" & <Umland>'))
    summary = write_collection(tmp_path, "Cities")
    assert summary.items == 1
    collection = pystac.Collection.from_file(summary.collection)
    item = next(iter(collection.get_items()))
    for thing in (collection, item):
        thing.validate(validator=Offline())
    assert item.properties["title"] == 'Stadt "Köln" & <Umland>'
    assert ProjectionExtension.ext(item).epsg == 26917
    for asset in item.assets.values():
        assert not urlparse(asset.href).scheme
        path = run / "products" / asset.href
        assert path.stat().st_size == asset.extra_fields["file:size"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert asset.extra_fields["file:checksum"] == "1220" + digest
    known = ClassificationExtension.ext(item.assets["landcover"]).classes or []
    assert [c.value for c in known] == [0, *WORKING.codes]
    assert [c.color_hint for c in known][1] == "00C5FF"
    west, south, east, north = item.bbox or []
    assert -81 < west < east < -79
    assert 40 < south < north < 41


def test_the_prior_is_a_model_for_stac(tmp_path: Path) -> None:
    import landcover_pnp

    shipped = Path(landcover_pnp.__file__).parent / "prior" / "shipped"
    item = pystac.Item.from_file(write_prior_item(shipped, tmp_path / "prior.json"))
    item.validate(validator=Offline())
    model = MLMExtension.ext(item)
    assert model.architecture == "UNet2DModel"
    assert [c.value for c in model.output[0].classes] == [0, *WORKING.codes]
    weights = item.assets["weights"]
    assert (tmp_path / weights.href).resolve() == (shipped / Path(weights.href).name).resolve()
    assert "mlm:model" in (weights.roles or [])


def test_a_masked_prior_is_a_model_for_stac_too(tmp_path: Path) -> None:
    tiny_masked().save(tmp_path / "prior")
    item = pystac.Item.from_file(write_prior_item(tmp_path / "prior", tmp_path / "item.json"))
    item.validate(validator=Offline())
    model = MLMExtension.ext(item)
    assert model.architecture == "MaskedUNet"
    assert model.output[0].result.shape == [-1, 5, 8, 8]
    assert [c.value for c in model.output[0].classes] == list(WORKING.codes)


def test_runs_of_one_title_have_their_own_items(finished: Path, tmp_path: Path) -> None:
    ids = set()
    for place, core in (("a", 20), ("b", 30)):
        run = Path(shutil.copytree(finished, tmp_path / place / "city"))
        for path in (run / "tiles").glob("r*c*.json"):
            record = Record.read(path)
            assert record is not None
            made_of = {**record.ingredients, "tiles.core_px": core}
            dataclasses.replace(record, ingredients=made_of).write(path)
        publish_run(run)
    collection = pystac.Collection.from_file(write_collection(tmp_path, "Cities").collection)
    ids = {item.id for item in collection.get_items()}
    assert len(ids) == 2
    assert all(name.startswith("city-") for name in ids)


def test_a_catalogue_of_damaged_things_is_refused(run: Path, tmp_path: Path) -> None:
    publish_run(run)
    with pytest.raises(PriorError, match="no prior in"):
        write_collection(tmp_path, "Cities", tmp_path / "nowhere")
    for text in ("{", "[]", '{"bbox": [1], "properties": {}}'):
        (run / "products" / "item.json").write_text(text)
        with pytest.raises(RasterError, match=r"item\.json is damaged"):
            write_collection(tmp_path, "Cities")
    assert not (tmp_path / "collection.json").exists()


def test_a_changed_item_is_refused_or_listed_in_a_valid_collection(
    run: Path, tmp_path: Path
) -> None:
    publish_run(run)
    path = run / "products" / "item.json"
    content = json.loads(path.read_text())
    places = [(key,) for key in content]
    places += [("properties", key) for key in ("title", "datetime", "created")]
    places += [("bbox", 0), ("bbox", 3), ("assets", "landcover"), ("geometry", "coordinates")]
    refused = 0
    values = [None, 5, -1e9, math.nan, 10**40, "", "x", "9" * 40, True, [], [1], {}, {"a": [1]}]
    for (*outer, last), value in itertools.product(places, values):
        changed = copy.deepcopy(content)
        place = changed
        for key in outer:
            place = place[key]
        place[last] = value
        path.write_text(json.dumps(changed))
        try:
            summary = write_collection(tmp_path, "Cities")
        except RasterError as error:
            assert "item.json is damaged: " in error.found, (outer, last, value)
            refused += 1
        else:
            listed = json.loads(summary.collection.read_text(), parse_constant=pytest.fail)
            pystac.Collection.from_dict(listed).validate(validator=Offline())
        path.write_text(json.dumps(content))
    assert refused > len(values) * 4


@pytest.mark.parametrize("file", ["summary.json", "settings.json"])
def test_a_run_whose_files_are_something_else_is_refused(run: Path, file: str) -> None:
    (run / file).write_text("[]")
    with pytest.raises(RasterError, match="holds no finished map"):
        publish_run(run)


def test_what_to_open_is_said_in_three_lines(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", str(run)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{run / 'products'}: ")
    opened = [Path(line.partition(":")[2].strip()) for line in lines]
    assert opened == [run / "products" / name for name in ("landcover.qgz", "report.html")]
    assert all(path.is_file() for path in opened)


def zoned(run: Path, path: Path, geometry: object, crs: int = 26917, **columns: list[object]):
    """The table of zones of one geometry each, whatever their columns."""
    count = len(next(iter(columns.values()), [0]))
    zones = geopandas.GeoDataFrame(columns, geometry=[geometry] * count, crs=crs)
    zones.to_file(path)
    return geopandas.read_file(zonal(run, path).layer)


WHOLE_MAP_HA = 5.76


@pytest.mark.parametrize(
    ("outline", "crs"),
    [
        (shapely.box(-180, -90, 180, 90), 4326),
        (shapely.box(-170, -80, 170, 85), 4326),
        (shapely.box(-120, 20, -60, 60), 4326),
        (shapely.box(-2e7, -2e7, 2e7, 2e7), 3857),
    ],
)
def test_zones_as_large_as_the_earth_hold_the_map(
    run: Path, tmp_path: Path, outline: shapely.Polygon, crs: int
) -> None:
    table = zoned(run, tmp_path / "zones.gpkg", outline, crs, name=["all"])
    assert table["mapped_ha"].tolist() == [WHOLE_MAP_HA]
    assert table["no_data_pct"].tolist() == [100]
    assert table.crs.to_epsg() == crs
    assert table.geometry[0].equals(outline)


@pytest.mark.parametrize("crs", [26917, 4326])
def test_ground_beyond_the_map_is_no_data_of_a_zone(run: Path, tmp_path: Path, crs: int) -> None:
    left, top = 586_000, 4_476_000
    emptied(run, slice(0, 60), slice(0, 15))
    path = tmp_path / "zones.gpkg"
    boxes = [
        shapely.box(left + 60, top - 240, left + 240, top),
        shapely.box(left + 120, top - 240, left + 360, top),  # half outside
        shapely.box(left - 120, top - 240, left + 120, top),  # half outside, a quarter emptied
        shapely.box(left + 400, top - 240, left + 500, top),  # wholly outside
    ]
    geopandas.GeoDataFrame(geometry=boxes, crs=26917).to_crs(crs).to_file(path)
    with pytest.warns(ZonesWarning, match="without a pixel of the map: 3"):
        summary = zonal(run, path)
    table = pd.read_csv(summary.table)
    assert table["no_data_pct"].tolist() == pytest.approx([0, 50, 75, 100], abs=0.1)
    assert table["mapped_ha"].tolist() == pytest.approx([4.32, 2.88, 1.44, 0], abs=0.05)
    assert table["confidence_pct"].isna().tolist() == [False, False, False, True]
    assert "beyond the map, where they count as no data: 1, 2 (" in summary.notes[-1]


def test_columns_of_zones_are_kept_whatever_their_names(run: Path, tmp_path: Path) -> None:
    ground = shapely.box(586_000, 4_475_760, 586_240, 4_476_000)
    names = ["fid", "geom", "Name", "name", "mapped_ha", "Water_HA", "größe <&>"]
    columns = {name: [f"{name} 1", f"{name} 2"] for name in names}
    table = zoned(run, tmp_path / "Zön en #1.geojson", ground, **columns)
    kept = ["fid_", "geom_", "Name", "name_", "mapped_ha_", "Water_HA_", "größe <&>"]
    for before, after in zip(names, kept, strict=True):
        assert table[after].tolist() == columns[before]
    assert table["mapped_ha"].tolist() == [WHOLE_MAP_HA] * 2


def test_zones_without_an_outline_are_named_once(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "zones.gpkg"
    outlines = [shapely.box(586_000, 4_475_760, 586_240, 4_476_000), None, shapely.Polygon()]
    geopandas.GeoDataFrame(geometry=outlines, crs=26917).to_file(path)
    assert main(["zonal", str(run), str(path)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == ["warning: zones without a pixel of the map: 1, 2 (rows of the file, from 0)"]


def test_a_zone_of_too_few_points_is_named(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "zone.geojson"
    path.write_text('{"type": "Polygon", "coordinates": [[[-80, 40.4], [-80, 40.4]]]}')
    with pytest.warns(ZonesWarning, match="without a pixel of the map: 0"):
        assert zonal(run, path).zones == 1


def test_zones_without_a_surface_have_no_area(run: Path, tmp_path: Path) -> None:
    left, top = 586_000, 4_476_000
    flat = shapely.Polygon([(left, top), (left + 80, top - 80), (left, top)])
    with (
        pytest.warns(ZonesWarning, match="outlines repaired of zones 0"),
        pytest.warns(ZonesWarning, match="without a pixel of the map: 0"),
    ):
        table = zoned(run, tmp_path / "zones.gpkg", flat, name=["flat"])
    assert table["mapped_ha"].tolist() == [0.0]


def test_layers_of_zones_must_be_named_and_there(run: Path, tmp_path: Path) -> None:
    ground = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=26917)
    (tmp_path / "folder").mkdir()
    for layer in ("a", "b"):
        ground.to_file(tmp_path / "zones.gpkg", layer=layer)
        ground.to_file(tmp_path / "folder" / f"{layer}.shp")
    pyogrio.write_dataframe(
        pd.DataFrame({"styleName": ["a"]}), tmp_path / "zones.gpkg", layer="layer_styles"
    )
    for path in (tmp_path / "zones.gpkg", tmp_path / "folder"):
        with pytest.raises(RasterError, match="several layers: a, b"):
            zonal(run, path)
        with pytest.raises(RasterError, match="cannot be read"):
            zonal(run, path, "c")


def test_zones_in_another_crs_are_reprojected_and_broken_ones_repaired(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    left, top = 586_000, 4_476_000
    bow = [(left, top), (left + 80, top - 80), (left + 80, top), (left, top - 80)]
    zones = geopandas.GeoDataFrame(
        {"name": ['"west" & <left>', "bow tie", "elsewhere"]},
        geometry=[
            shapely.box(left, top - 240, left + 120, top),
            shapely.Polygon(bow),
            shapely.box(0, 0, 10, 10),
        ],
        crs=26917,
    ).to_crs(4326)
    zones.to_file(tmp_path / "zones.gpkg")
    assert main(["zonal", str(run), str(tmp_path / "zones.gpkg")]) == 0
    said = capsys.readouterr()
    assert "reprojected from EPSG:4326 to EPSG:26917" in said.out
    assert "outlines repaired of zones 1" in said.err
    assert "without a pixel of the map: 2" in said.err
    table = geopandas.read_file(run / "zonal" / "zones.gpkg")
    assert table["name"].tolist() == zones["name"].tolist()
    assert table["mapped_ha"].tolist() == pytest.approx([2.88, 0.32, 0.0], abs=0.02)
    assert table.crs.to_epsg() == 4326
    assert table["tree_canopy_pct"][0] > 95
    low, high = table["tree_canopy_low_pct"][0], table["tree_canopy_high_pct"][0]
    assert low <= table["tree_canopy_pct"][0] <= high
    assert np.isnan(table["tree_canopy_pct"][2])


@pytest.mark.parametrize(
    ("geometry", "crs", "says"),
    [
        (shapely.Point(586_010, 4_475_990), 26917, "Point"),
        (shapely.box(0, 0, 1, 1), None, "no coordinate reference system"),
    ],
)
def test_unusable_zones_are_refused(
    run: Path, tmp_path: Path, geometry: object, crs: int | None, says: str
) -> None:
    path = tmp_path / "zones.shp"
    geopandas.GeoDataFrame({"a": [1]}, geometry=[geometry], crs=26917).to_file(path)
    if crs is None:
        path.with_suffix(".prj").unlink()
    with pytest.raises(RasterError, match=says):
        zonal(run, path)
    assert not (run / "zonal").exists()
