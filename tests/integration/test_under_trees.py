"""The ground under trees as a product: beside the map, named inferred, of the map as it is."""

import dataclasses
import json
import shutil
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from inputs import ORIGIN, UTM, colours, two_halves, write_scene, write_tif
from masked_priors import tiny_masked

import landcover_pnp as lc
from landcover_pnp.cli.main import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import PriorError, RequestError
from landcover_pnp.pipeline.map import map_city
from landcover_pnp.pipeline.publish import publish
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.pipeline.verification import verify_run
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.settings import PublishSettings
from landcover_pnp.products.under_trees import GROUND_LEGEND, GROUND_STEM
from landcover_pnp.products.zonal import zonal
from landcover_pnp.storage.published_names import ATTRIBUTION, published_names
from landcover_pnp.storage.records import Record, file_hashes
from landcover_pnp.storage.run_folder import RunFolder

SIZE = 128
ALL = {"ground_under_trees": True, "second_class": True, "probabilities": True}
ASKED = PublishSettings(**ALL)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run: the left half trees, the right half impervious, a road across both."""
    folder = tmp_path_factory.mktemp("ground")
    tiny_masked().save(folder / "prior")
    config = write_scene(folder, image=colours(size=SIZE), nlcd=two_halves(41, 24, SIZE),
                         truth=two_halves(40, 20, SIZE))  # fmt: skip
    words = ["--inference.prior", str(folder / "prior"), "--workers", "0"]
    words += ["--scene.attribution", '["a map of ours"]']
    map_city(load_settings(MapSettings, config, words), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def published(mapped: Path) -> Path:
    publish(mapped, ASKED)
    return mapped


def test_what_is_seen_is_as_in_the_map_and_what_is_not_is_called_inferred(published: Path) -> None:
    products = published / "products"
    with rasterio.open(products / "landcover.tif") as source:
        labels = source.read(1)
    with rasterio.open(products / f"{GROUND_STEM}.tif") as source:
        ground = source.read(1)
        assert source.colormap(1)[4] == (*GROUND_LEGEND.classes[3].colour, 255)
    assert ((ground >= 4) == (labels == 4)).all()
    assert ((ground == 2) == (labels == 2)).all()
    assert ((ground == 0) == (labels == 0)).all()
    with rasterio.open(published / "probabilities" / "ground.tif") as source:
        percent = source.read(2)
    assert ((percent == 255) == (labels != 4)).all()
    np.testing.assert_array_equal(ground[labels == 4] == 4, percent[labels == 4] >= 50)


def test_it_has_a_style_a_layer_and_an_asset(published: Path) -> None:
    products = published / "products"
    assert "impervious under trees (inferred)" in (products / f"{GROUND_STEM}.qml").read_text()
    assert f"./{GROUND_STEM}.tif" in (products / "landcover.qlr").read_text()
    asset = json.loads((products / "item.json").read_text())["assets"][GROUND_STEM]
    names = [c.get("title") or c["description"] for c in asset["classification:classes"]]
    assert names == ["no data", *GROUND_LEGEND.names]
    assert verify_run(published).faults == {}


def test_zones_have_its_areas(published: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(published, tmp_path / "run"))
    x, y = ORIGIN
    boxes = [shapely.box(x, y - SIZE, x + SIZE, y), shapely.box(x + 100, y - 30, x + SIZE, y)]
    zones = geopandas.GeoDataFrame({"name": ["all", "town"]}, geometry=boxes, crs=UTM)
    zones.to_file(tmp_path / "zones.gpkg")
    table = geopandas.read_file(zonal(run, tmp_path / "zones.gpkg").layer)
    with rasterio.open(run / "products" / f"{GROUND_STEM}.tif") as source:
        counts = np.bincount(source.read(1).ravel(), minlength=6) * source.res[0] ** 2 / 1e4
    assert table["impervious_under_trees_ha"][0] == pytest.approx(counts[4], abs=1e-3)
    assert table["other_under_trees_ha"][0] == pytest.approx(counts[5], abs=1e-3)
    assert table["other_under_trees_ha"][1] == 0


def test_a_second_time_nothing_is_done(published: Path) -> None:
    before = RunFolder(published).sampled.ground.stat().st_mtime_ns
    assert lc.publish(published, **ALL).notes == ()
    assert RunFolder(published).sampled.ground.stat().st_mtime_ns == before


def test_every_published_file_is_known_by_name(published: Path) -> None:
    names = {path.name for path in (published / "products").iterdir()}
    assert names <= set(published_names())
    assert {ATTRIBUTION, f"{GROUND_STEM}.tif", "probabilities.tif", "errors.qml"} <= names


def test_ground_inferred_anew_is_published_anew(published: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(published, tmp_path / "run"))
    sampled = RunFolder(run).sampled
    with rasterio.open(sampled.ground, "r+") as source:
        source.write(np.where(source.read(1) == 4, 5, source.read(1)).astype(np.uint8), 1)
    record = Record.read(sampled.ground_record)
    assert record is not None
    files = file_hashes(sampled.ground_record.parent, [sampled.ground])
    dataclasses.replace(record, files=files).write(sampled.ground_record)
    (said,) = publish_run(run, ASKED).notes
    assert "changed since: ground." in said
    with rasterio.open(run / "products" / f"{GROUND_STEM}.tif") as source:
        assert set(np.unique(source.read(1))) == {2, 5}
    assert publish_run(run, ASKED).notes == ()


def test_ground_of_an_earlier_map_is_not_taken(published: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(published, tmp_path / "run"))
    config = tmp_path / "scene.yaml"
    for name in ("image", "nlcd", "truth"):
        shutil.copy(published.parent / f"{name}.tif", tmp_path)
    shutil.copy(published.parent / "scene.yaml", config)
    write_tif(tmp_path / "image.tif", colours(size=SIZE, seed=1))
    words = ["--inference.prior", str(published.parent / "prior"), "--workers", "0"]
    map_city(load_settings(MapSettings, config, words), run)
    with pytest.raises(RequestError, match="no ground under trees of the map") as refused:
        publish_run(run, ASKED)
    assert f"--{GROUND_STEM} true" in str(refused.value)
    assert "impervious_under_trees_ha" not in zonal_columns(run, tmp_path)


def zonal_columns(run: Path, folder: Path) -> list[str]:
    x, y = ORIGIN
    zone = geopandas.GeoDataFrame(geometry=[shapely.box(x, y - 50, x + 50, y)], crs=UTM)
    zone.to_file(folder / "zone.gpkg")
    return list(geopandas.read_file(zonal(run, folder / "zone.gpkg").layer))


def test_a_run_that_no_masked_prior_serves_is_refused(
    mapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(mapped, tmp_path / "run", ignore=shutil.ignore_patterns("products")))
    other = tiny_masked()
    object.__setattr__(other, "resolution_m", 2.0)
    other.save(tmp_path / "prior")
    settings = json.loads((run / "settings.json").read_text())
    settings["inference"]["prior"] = str(tmp_path / "prior")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "landcover_pnp.pipeline.under_trees.load_settings",
            lambda *_: load_settings(
                MapSettings, mapped.parent / "scene.yaml",
                ["--inference.prior", str(tmp_path / "prior")],
            ),
        )  # fmt: skip
        with pytest.raises(PriorError, match="needed for the ground under trees"):
            publish(run, ASKED)
        assert main(["publish", str(run), f"--{GROUND_STEM}", "true"]) == 2
    assert "name a masked prior" in capsys.readouterr().err
    assert not (run / "products").exists() or not any((run / "products").iterdir())
