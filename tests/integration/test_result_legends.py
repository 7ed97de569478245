"""The synthetic city in three legends: every product follows, and inference is done once."""

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from inputs import colours, two_halves, write_scene, write_tif
from legend_files import COARSE, LEGENDS, as_values, write_legend
from pystac.extensions.classification import ClassificationExtension

import landcover_pnp as lc
from landcover_pnp.cli.main import main
from landcover_pnp.config import load_settings
from landcover_pnp.errors import LegendError
from landcover_pnp.legend import WORKING
from landcover_pnp.legends.result_legend import BUILDINGS_APART, ResultLegend
from landcover_pnp.pipeline.doubt_stage import write_doubtful
from landcover_pnp.pipeline.plan import plan_map
from landcover_pnp.pipeline.settings import MapSettings
from landcover_pnp.products.comparison import compare_maps
from landcover_pnp.products.publishing import publish_run
from landcover_pnp.products.settings import DoubtfulSettings, PublishSettings
from landcover_pnp.products.zonal import zonal
from landcover_pnp.scenes.scene import Scene
from landcover_pnp.storage.probabilities import decode

WIDTH = 160


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("city") / "scene"
    return lc.synthetic_scene("piedmont", seed=2, width_m=WIDTH, folder=folder)


@pytest.fixture(scope="module")
def runs(city: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A published run of each legend; all but the first go on from a copy of the first."""
    folder = tmp_path_factory.mktemp("runs")
    write_legend(folder / "own.yaml")
    found = {}
    for name, word in {
        "five": "five",
        "buildings": "buildings",
        "own": folder / "own.yaml",
    }.items():
        found[name] = folder / f"run-{name}"
        if name != "five":
            shutil.copytree(folder / "run-five", found[name])
        keys = {"inference.evidence.spectral_indices": False, "weak_labels.refinement": None}
        lc.map_scene(city, student=False, run=found[name], legend=word, keys=keys)
        publish_run(found[name], PublishSettings(second_class=True, probabilities=True))
        write_doubtful(found[name], DoubtfulSettings(count=3))
    return found


@pytest.fixture(params=LEGENDS)
def each(request: pytest.FixtureRequest, runs: dict[str, Path]) -> tuple[ResultLegend, Path]:
    return LEGENDS[request.param], runs[request.param]


def pixels(path: Path) -> Any:
    with rasterio.open(path) as source:
        return source.read().squeeze()


def expected(legend: ResultLegend, run: Path, method: str) -> Any:
    """Probabilities in a legend, counted here once more."""
    with rasterio.open(run / "probabilities" / f"{method}.tif") as source:
        parts = dict(zip(WORKING.names, decode(source.read()), strict=True))
    if legend.needs_buildings:
        roof = pixels(run / "scene" / "buildings.tif") > 127.5
        parts["buildings"] = np.where(roof, parts["impervious"], 0)
        parts["impervious"] = np.where(roof, 0, parts["impervious"])
    ordered = sorted(legend.classes, key=lambda c: c.code)
    return np.array([sum(parts[n] for n in c.of if n in parts) for c in ordered])


def test_every_raster_has_codes_names_and_colours_of_its_legend(
    each: tuple[ResultLegend, Path],
) -> None:
    legend, run = each
    codes = np.array(legend.legend.codes)
    for folder in (run, run / "products"):
        for stem, method in (("landcover", "map"), ("evidence", "evidence"), ("weak_labels",) * 2):
            p = expected(legend, run, method)
            np.testing.assert_array_equal(
                pixels(folder / f"{stem}.tif"), np.where(p.any(0), codes[p.argmax(0)], 0)
            )
            with rasterio.open(folder / f"{stem}.tif") as source:
                table = source.colormap(1)
                assert {c: table[c] for c in codes} == {
                    c.code: (*c.colour, 255) for c in legend.legend.classes
                }
                for overview in source.overviews(1):
                    shape = tuple(-(-side // overview) for side in source.shape)
                    assert set(np.unique(source.read(1, out_shape=shape))) <= {0, *codes}
            categories = ET.parse(folder / f"{stem}.tif.aux.xml").findall(".//Category")  # noqa: S314
            assert [categories[code].text for code in codes] == list(legend.legend.names)
            qml = ET.parse(folder / f"{stem}.qml").findall(".//paletteEntry")  # noqa: S314
            assert [(int(e.get("value", 0)), e.get("label")) for e in qml] == list(
                zip(codes, legend.legend.names, strict=True)
            )
    p = expected(legend, run, "map")
    np.testing.assert_allclose(pixels(run / "confidence.tif"), 100 * p.max(0), atol=0.51)
    with rasterio.open(run / "products" / "probabilities.tif") as source:
        np.testing.assert_allclose(source.read(), 100 * p, atol=0.51)
        assert source.descriptions == legend.legend.names
    second = np.where(np.arange(len(p))[:, None, None] == p.argmax(0), 0, p)
    np.testing.assert_array_equal(
        pixels(run / "products" / "second_class.tif"),
        np.where(second.any(0), codes[second.argmax(0)], 0),
    )


def test_the_maps_agree_with_each_other(runs: dict[str, Path]) -> None:
    maps = {name: pixels(run / "landcover.tif") for name, run in runs.items()}
    roof = pixels(runs["five"] / "scene" / "buildings.tif") > 127.5
    np.testing.assert_array_equal(maps["buildings"] == 6, (maps["five"] == 2) & roof)
    assert ((maps["buildings"] == 6).sum()) > 20
    np.testing.assert_array_equal(
        np.where(maps["buildings"] == 6, 2, maps["buildings"]), maps["five"]
    )
    # A union may be likeliest where no class of it is: that is as it should be.
    table = dict(zip(WORKING.codes, COARSE.working_codes, strict=True))
    coarsened = np.vectorize({0: 0, **table}.get)(maps["five"])
    assert 0.9 < np.mean(coarsened == maps["own"]) <= 1


def test_another_legend_makes_no_tile_again(runs: dict[str, Path]) -> None:
    for name in ("buildings", "own"):
        journal = (runs[name] / "journal.jsonl").read_text()
        assert "products made again, changed since the last run: legend" in journal
        for part in ("scene", "tiles", "probabilities"):
            for path in (runs["five"] / part).rglob("*"):
                if path.is_file():
                    same = runs[name] / path.relative_to(runs["five"])
                    assert same.stat().st_mtime_ns == path.stat().st_mtime_ns, same


def test_vectors_projects_reports_and_catalogues_follow(each: tuple[ResultLegend, Path]) -> None:
    legend, run = each
    names = dict(zip(legend.legend.codes, legend.legend.names, strict=True))
    folder = run / "products"
    polygons = gpd.read_file(folder / "landcover.gpkg", layer="landcover")
    assert set(zip(polygons["code"], polygons["name"], strict=True)) <= set(names.items())
    with closing(sqlite3.connect(folder / "landcover.gpkg")) as base:
        ((style,),) = base.execute("SELECT styleQML FROM layer_styles").fetchall()
    labels = [e.get("label") for e in ET.fromstring(style).iter("category")]  # noqa: S314
    assert labels == list(names.values())
    with ZipFile(folder / "landcover.qgz") as archive:
        project = ET.fromstring(archive.read("landcover.qgs"))  # noqa: S314
    entries = {e.get("label") for e in project.iter("paletteEntry")}
    assert set(names.values()) <= entries
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "<b>V" not in report
    assert ("&lt;b&gt;V" in report) == (legend is COARSE)
    item = pystac.Item.from_file(str(folder / "item.json"))
    assert item.properties["landcover:legend"] == legend.name
    for key in ("landcover", "evidence", "second_class"):
        told = ClassificationExtension.ext(item.assets[key]).classes
        assert [(c.value, c.description) for c in told or ()][1:] == list(names.items())
    preview = ET.parse(run / "preview.vrt")  # noqa: S314
    assert [e.text for e in preview.iter("Category") if e.text][1:] == [
        names[code] for code in sorted(names)
    ]
    assert set(np.unique(pixels(run / "preview.vrt"))) <= {0, *names}


def test_the_dataset_has_the_legend_s_flags(each: tuple[ResultLegend, Path]) -> None:
    legend, run = each
    opened = lc.open_run(run)
    assert opened.landcover.attrs["flag_values"].tolist() == list(legend.legend.codes)
    assert len(opened.landcover.attrs["flag_meanings"].split(" ")) == len(legend.classes)
    assert list(opened["class"].values) == list(legend.legend.names)
    p = expected(legend, run, "map")
    np.testing.assert_allclose(opened.probabilities.values, p, atol=1e-6)
    np.testing.assert_allclose(
        opened.probabilities[0, 3:9, ::-2].values, p[0, 3:9, ::-2], atol=1e-6
    )
    shown = opened._repr_html_()
    assert "<b>V" not in shown and ("&lt;b&gt;V" in shown) == (legend is COARSE)


def test_areas_by_zone_and_doubt_follow(each: tuple[ResultLegend, Path], tmp_path: Path) -> None:
    legend, first = each
    run = Path(shutil.copytree(first, tmp_path / "run"))
    with rasterio.open(run / "landcover.tif") as source:
        zone, crs = shapely.box(*source.bounds), source.crs.to_string()
        pixel_ha = source.res[0] ** 2 / 1e4
    gpd.GeoDataFrame({"id": [1]}, geometry=[zone], crs=crs).to_file(tmp_path / "zones.gpkg")
    with zonal(run, tmp_path / "zones.gpkg").table.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    mapped = pixels(run / "landcover.tif")
    keys = [key.removesuffix("_ha") for key in row if key.endswith("_ha") and key != "mapped_ha"]
    for key, code in zip(keys, legend.legend.codes, strict=True):
        assert float(row[f"{key}_ha"]) == pytest.approx((mapped == code).sum() * pixel_ha)
    assert ("tree_canopy_low_pct" in row) == (legend is not COARSE)
    impervious = [row[f"impervious_{end}pct"] for end in ("low_", "", "high_")]
    assert list(map(float, impervious)) == sorted(map(float, impervious))
    summary = json.loads((run / "summary.json").read_text())
    assert summary["legend"] == legend.name
    assert list(summary["doubt"]["by_class"]) == list(legend.legend.names)
    places = gpd.read_file(run / "doubtful" / "places.gpkg")
    assert len(places) and set(places["mapped_class"]) <= set(legend.legend.names)


def test_impervious_by_zone_is_the_same_with_buildings_apart(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    rows = []
    for name in ("five", "buildings"):
        run = Path(shutil.copytree(runs[name], tmp_path / name))
        with rasterio.open(run / "landcover.tif") as source:
            zone, crs = shapely.box(*source.bounds), source.crs.to_string()
        gpd.GeoDataFrame({"id": [1]}, geometry=[zone], crs=crs).to_file(tmp_path / "zones.gpkg")
        with zonal(run, tmp_path / "zones.gpkg").table.open(newline="") as file:
            rows += list(csv.DictReader(file))
    for end in ("low_", "", "high_"):
        assert rows[0][f"impervious_{end}pct"] == rows[1][f"impervious_{end}pct"]


def test_samples_offer_and_take_the_legend_s_classes(
    each: tuple[ResultLegend, Path], tmp_path: Path
) -> None:
    legend, first = each
    run = Path(shutil.copytree(first, tmp_path / "run"))
    n = len(np.unique(pixels(run / "landcover.tif")))
    drawn = lc.sample(run, n=8 * n, seed=1)
    assert drawn.classes == legend.legend.names
    offered = [e.get("value") for e in ET.parse(drawn.sample.with_suffix(".qml")).iter("Option")]  # noqa: S314
    assert set(legend.legend.names) <= set(offered)
    points = gpd.read_file(drawn.sample)
    codes = pixels(run / "landcover.tif")[points["pixel_y"], points["pixel_x"]]
    names = dict(zip(legend.legend.codes, legend.legend.names, strict=True))
    for labels in ([names[code].upper() for code in codes], [str(code) for code in codes]):
        points["class"] = labels
        points.to_file(drawn.sample, layer=drawn.sample.stem)
        found = lc.assess(run, drawn.sample)
        assert found.overall_accuracy.value == pytest.approx(1)
        assert found.classes == legend.legend.names
    points["class"] = "lawn"
    points.to_file(drawn.sample, layer=drawn.sample.stem)
    with pytest.raises(LegendError, match=", ".join(map(str, legend.legend.codes))):
        lc.assess(run, drawn.sample)


def test_evaluation_says_what_is_scored_together(
    city: Scene, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert city.files is not None and city.files.truth is not None
    truth = city.files.truth.path
    scores = {name: lc.evaluate(run, truth) for name, run in runs.items()}
    np.testing.assert_array_equal(scores["buildings"].confusion, scores["five"].confusion)
    assert scores["own"].classes == COARSE.legend.names
    assert main(["evaluate", str(runs["buildings"]), "--truth", str(truth)]) == 0
    together = (
        "scored together, as the truth does not tell them apart: other impervious + buildings"
    )
    assert together in capsys.readouterr().out
    notes = json.loads((runs["buildings"] / "summary.json").read_text())["notes"]
    assert together in notes
    assert together in (runs["buildings"] / "products" / "report.html").read_text()
    own = pixels(runs["own"] / "products" / "errors.tif")
    assert set(np.unique(own)) <= {0, 1, 2}
    confusion = scores["own"].confusion[1:, 1:]
    assert np.mean(own[own > 0] == 1) == pytest.approx(
        np.trace(confusion) / confusion.sum(), abs=0.08
    )  # at 4 m, and at the truth's 1 m
    array = lc.open_run(runs["own"]).landcover
    assert lc.evaluate(array, truth).confusion.tolist() == scores["own"].confusion.tolist()
    moved = runs["own"] / "products" / "landcover.tif"
    assert lc.evaluate(moved, truth).confusion.tolist() == scores["own"].confusion.tolist()


def test_a_map_is_the_truth_of_another_in_its_own_legend(runs: dict[str, Path]) -> None:
    buildings = runs["buildings"] / "landcover.tif"
    told = lc.evaluate(runs["buildings"], buildings, legend="buildings")
    assert told.accuracy == 1 and told.classes == BUILDINGS_APART.legend.names
    own = lc.evaluate(
        runs["five"], runs["own"] / "landcover.tif", legend=runs["own"].parent / "own.yaml"
    )
    assert set(own.classes) == {
        *("water", "impervious", "soil and barren", "<b>Végétation</b> & $x$")
    }
    assert own.pixels and own.merged == ("trees and forest + grass and herbaceous",)


def test_maps_of_two_legends_are_compared_in_the_classes_of_both(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare_maps(runs["buildings"], runs["five"], tmp_path / "a")
    assert found.changed == 0 and [c.name for c in found.classes] == list(WORKING.names)
    (note,) = found.notes
    assert (
        "legends buildings (A) and five (B): compared in the classes that both tell apart" in note
    )
    same = compare_maps(runs["own"], runs["own"] / "products" / "landcover.tif", tmp_path / "b")
    assert same.changed == 0 and same.notes == ()
    assert len(same.transitions) == len(COARSE.classes)
    assert main(["compare", str(runs["own"]), str(runs["five"]), "--out", str(tmp_path / "c")]) == 0
    report = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    assert "compared in the classes" in report and "&lt;b&gt;V" in report and "<b>V" not in report
    assert "compared in the classes" in capsys.readouterr().out


def roofs_or_not(folder: Path) -> Path:
    """A legend that has no border in common with the working classes."""
    classes = [
        {"code": 1, "name": "paved", "colour": [1, 1, 1], "of": ["impervious"]},
        {
            "code": 2,
            "name": "the rest",
            "colour": [2, 2, 2],
            "of": [*(n for n in WORKING.names if n != "impervious"), "buildings"],
        },
    ]
    return write_legend(folder / "odd.yaml", {"name": "odd", "classes": classes})


# ---- what is refused --------------------------------------------------------------------------


def test_wrong_legends_are_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_scene(tmp_path / "city")
    left_out = as_values(COARSE)
    left_out["classes"] = left_out["classes"][1:]
    cases = {
        "buildings": "the scene no layer of them",
        "building": "did you mean 'buildings'?",
        str(write_legend(tmp_path / "out.yaml", left_out)): "no class of the legend",
        str(roofs_or_not(tmp_path)): "the scene no layer of them",
    }
    for word, said in cases.items():
        words = ["map", str(config), "--legend", word, "--run", str(tmp_path / "run")]
        assert main(words) == 2
        told = capsys.readouterr().err
        assert said in told and "Traceback" not in told
        assert main(["check", str(config), "--legend", word]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_truth_that_could_not_score_a_single_class_is_refused(tmp_path: Path) -> None:
    config = write_scene(tmp_path / "city")
    write_tif(tmp_path / "city" / "roofs.tif", two_halves(0, 1))
    with_roofs = config.read_text().replace("truth:", "buildings: {path: roofs.tif}, truth:")
    config.write_text(with_roofs)
    settings = load_settings(MapSettings, config, ["--legend", str(roofs_or_not(tmp_path))])
    with pytest.raises(LegendError, match="no two classes that both can tell apart"):
        plan_map(settings)
    settings = load_settings(MapSettings, config, ["--legend", "buildings"])
    assert "buildings" in str(plan_map(settings))


def test_a_batch_of_mixed_legends_says_each(tmp_path: Path) -> None:
    words = []
    for name, legend in (("a", "five"), ("b", str(write_legend(tmp_path / "own.yaml")))):
        layers = {"nlcd": two_halves(41, 24, 64), "truth": two_halves(40, 20, 64)}
        config = write_scene(tmp_path / name, image=colours(3, 64), **layers)
        moved = config.with_name(f"{name}.yaml")
        moved.write_text(config.read_text().replace("workers: 1", f"workers: 0\nlegend: {legend}"))
        words.append(str(moved))
    (tmp_path / "batch.yaml").write_text(
        json.dumps({"cities": words, "out": str(tmp_path / "out")})
    )
    assert main(["batch", str(tmp_path / "batch.yaml")]) == 0
    with (tmp_path / "out" / "cities.csv").open(newline="") as file:
        assert [row["legend"] for row in csv.DictReader(file)] == ["five", "sealing"]
