"""Products for the web: tiles and GeoParquet of a published run, listed and right."""

import json
import re
from pathlib import Path

import geopandas
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from pmtiles.reader import MemorySource, Reader

from landcover_pnp.cli import main
from landcover_pnp.products import packages, vectors
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.settings import PublishSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "web.md"
BOTH = PublishSettings(geoparquet=True, web_tiles=True, title="<Stadt>")


def test_both_are_listed_whole_and_the_same_every_time(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "WINDOW_PX", 32)  # several row groups
    folder = publish_run(run, BOTH).folder
    names = ("landcover.parquet", "landcover.pmtiles")
    first = [(folder / name).read_bytes() for name in names]
    item = pystac.Item.from_file(folder / "item.json")
    assert [item.assets[name].media_type for name in names] == [
        pystac.MediaType.PARQUET,
        "application/vnd.pmtiles",
    ]
    assert Reader(MemorySource(first[1])).metadata()["name"] == "<Stadt>"
    # The polygons are those of the GeoPackage, and the metadata those of the specification.
    polygons = geopandas.read_file(folder / "landcover.gpkg", layer="landcover")
    found = geopandas.read_parquet(folder / names[0])
    assert_geodataframe_equal(
        found, polygons, check_dtype=False, check_less_precise=True, normalize=True
    )
    file = pq.ParquetFile(folder / names[0])
    geo = json.loads(file.metadata.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 26917}
    assert column["bbox"] == pytest.approx(polygons.total_bounds.tolist())
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert file.metadata.num_row_groups > 1
    box = shapely.box(586_000, 4_475_900, 586_100, 4_476_000)
    part = geopandas.read_parquet(folder / names[0], bbox=box.bounds)
    assert len(part) == shapely.intersects(polygons.geometry.array, box).sum() < len(polygons)
    # The example of the documentation.
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(folder)
    exec(program, {})  # noqa: S102
    (folder / "landcover.qml").unlink()
    publish_run(run, BOTH)
    assert [(folder / name).read_bytes() for name in names] == first


@pytest.mark.parametrize("option", ["--geoparquet", "--web_tiles"])
def test_a_missing_package_costs_nothing(
    run: Path,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = publish_run(run)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    # Also before the ground under trees is inferred, which takes minutes.
    words = ["--ground_under_trees", str(option == "--web_tiles").lower()]
    assert main(["publish", str(run), option, "true", *words]) == 2
    said = capsys.readouterr().err
    assert "landcover-pnp[web]" in said
    assert "Traceback" not in said
    assert sorted(before.files) == sorted(p.name for p in before.folder.iterdir())
