"""Products of a finished run: complete, right, the same every time, replaced as a whole."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from finished_runs import emptied, without_a_tile
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rio_cogeo.cogeo import cog_validate

from landcover_pnp.cli import main
from landcover_pnp.errors import RasterError
from landcover_pnp.legend import WORKING
from landcover_pnp.products import EXTRAS, PRODUCTS
from landcover_pnp.publish.catalog import write_collection
from landcover_pnp.publish.model import write_prior_item
from landcover_pnp.publish.publishing import publish_run
from landcover_pnp.settings import PublishSettings


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_every_raster_is_a_valid_cog_with_style_and_provenance(run: Path) -> None:
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
    assert (first != second).all()
    assert (np.abs(percent.astype(int).sum(axis=0) - 100) <= 3).all()
    ranked = np.sort(percent, axis=0)
    for labels, rank in ((first, -1), (second, -2)):
        known = labels > 0
        chosen = np.take_along_axis(percent, np.maximum(labels, 1)[None].astype(int) - 1, axis=0)
        np.testing.assert_array_equal(chosen[0][known], ranked[rank][known])


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
    with sqlite3.connect(summary.folder / "landcover.gpkg") as base:
        styles = base.execute("SELECT f_table_name, styleQML FROM layer_styles").fetchall()
    assert [name for name, _ in styles] == ["landcover"]
    assert all(name in styles[0][1] for name in WORKING.names)


def test_publishing_again_gives_the_same_bytes(run: Path) -> None:
    first = hashes(publish_run(run).folder)
    (run / "products" / "landcover.qml").write_text("changed by hand")
    assert hashes(publish_run(run).folder) == first


@pytest.mark.parametrize(
    "failpoint",
    ["part-written:entropy.tif", "complete:*", "moved-away:*"],
)
def test_a_killed_publish_leaves_the_products_whole(run: Path, failpoint: str) -> None:
    before = hashes(publish_run(run, PublishSettings(title="old")).folder)
    command = [sys.executable, "-m", "landcover_pnp", "publish", str(run), "--title", "new"]
    env = {**os.environ, "LANDCOVER_FAILPOINT": failpoint}
    assert subprocess.run(command, env=env).returncode == -signal.SIGKILL
    moved = failpoint.startswith("moved-away")
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
    assert "no &lt;result&gt; &amp; &quot;no&quot; map" in report
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
    from landcover_pnp.publish.zonal import zonal

    with pytest.raises(RasterError, match=says):
        zonal(run, path)
    assert not (run / "zonal").exists()
