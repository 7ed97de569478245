"""Samples labelled by hand: drawn, kept, read back, refused where they are not as drawn."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from finished_runs import vouch_for
from inputs import write_tif

import landcover_pnp as lc
from landcover_pnp.cli import main
from landcover_pnp.errors import LandcoverError, LegendError, RequestError, SampleError
from landcover_pnp.legend import WORKING
from landcover_pnp.products.assessment import assess_run
from landcover_pnp.products.sample import write_sample
from landcover_pnp.products.sample_design import draw_sample
from landcover_pnp.products.settings import SampleSettings

FEW = SampleSettings(n=40)


def changed(path: Path, change: Any) -> None:
    """Rewrites the points, as an editor saves them; the other tables stay as they are."""
    points = change(gpd.read_file(path))
    points.to_file(path)


def filled(path: Path, values: list[Any]) -> None:
    """Fills in the column."""
    changed(path, lambda points: points.assign(**{"class": values}))


def truth_at(run: Path, path: Path, wrong: float = 0.3) -> list[str]:
    """Labels of the points: the mapped class, at some of them another one."""
    rng = np.random.default_rng(0)
    points = gpd.read_file(path)
    with rasterio.open(run / "landcover.tif") as source:
        codes = [int(v[0]) for v in source.sample([(p.x, p.y) for p in points.geometry])]
    others = [code if rng.random() > wrong else int(rng.integers(1, 6)) for code in codes]
    return [WORKING.names[code - 1] for code in others]


def test_a_sample_is_drawn_labelled_and_assessed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(run), "--n", "40", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    path = Path(answer["sample"])
    assert path.parent == run / "samples"
    assert sum(answer["points"].values()) == 40
    points = gpd.read_file(path)
    assert list(points.columns)[:2] == ["point", "class"]
    assert points["class"].isna().all()
    assert points["point"].tolist() == list(range(1, 41))
    labels = truth_at(run, path)
    filled(path, labels)
    assert main(["assess", str(run), str(path), "--json", "--csv", str(run.parent / "t.csv")]) == 0
    answer = json.loads(capsys.readouterr().out)
    counts = np.array(answer["counts"])
    assert counts.sum() == answer["points"] == 40
    overall = answer["overall_accuracy"]
    assert 0 <= overall["low"] < overall["value"] < overall["high"] <= 1
    with rasterio.open(run / "landcover.tif") as source:
        mapped = np.bincount(source.read(1).ravel(), minlength=6)[1:]
        pixel_ha = source.res[0] ** 2 / 1e4
    expected = [
        n / mapped.sum() * row[i] / row.sum()
        for i, (n, row) in enumerate(zip(mapped, counts, strict=True))
        if n
    ]
    assert overall["value"] == pytest.approx(sum(expected))
    areas = [area["value"] for area in answer["area_ha"].values()]
    assert sum(areas) == pytest.approx(mapped.sum() * pixel_ha)
    assert (run.parent / "t.csv").read_text().count("\n") == 6
    assert main(["assess", str(run), str(path)]) == 0
    assert f"overall accuracy {overall['value']:.3f}" in capsys.readouterr().out


def test_codes_and_names_in_any_case_are_labels(run: Path) -> None:
    path = lc.sample(lc.open_run(run), n=40).sample
    labels = truth_at(run, path)
    filled(path, labels)
    by_name = lc.assess(run, path)
    filled(path, [f" {name.upper()} " for name in labels])
    assert (lc.assess(run, path).counts == by_name.counts).all()
    filled(path, [str(WORKING.code(name)) for name in labels])
    assert (lc.assess(lc.open_run(run), path).counts == by_name.counts).all()


def test_the_same_sample_is_drawn_once_and_labels_are_never_lost(run: Path) -> None:
    first = write_sample(run, FEW)
    filled(first.sample, ["water"] * 40)
    before = first.sample.read_bytes()
    assert write_sample(run, FEW) == first
    assert first.sample.read_bytes() == before
    other = write_sample(run, SampleSettings(n=40, seed=1))
    assert other.sample != first.sample
    shutil.copy(other.sample, first.sample)
    with pytest.raises(RequestError, match=r"drawn otherwise[\s\S]* never overwritten"):
        write_sample(run, FEW)
    other.sample.write_text("of mine")
    with pytest.raises(RequestError, match="is there already"):
        write_sample(run, SampleSettings(n=40, seed=1))
    assert other.sample.read_text() == "of mine"


def test_a_fresh_sample_has_the_same_bytes(run: Path) -> None:
    path = write_sample(run, FEW).sample
    first = path.read_bytes()
    path.unlink()
    assert write_sample(run, FEW).sample.read_bytes() == first


def _moved_one(points: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    points.loc[3, "geometry"] = shapely.affinity.translate(points.geometry[3], 12, 0)
    return points


def _outside(points: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    points.loc[3, "geometry"] = shapely.affinity.translate(points.geometry[3], 1e5, 0)
    return points


def _added(points: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    added = points.iloc[[0]].copy()
    added["point"] = 41
    return gpd.GeoDataFrame(gpd.pd.concat([points, added], ignore_index=True), crs=points.crs)


def _digitised(points: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    added = gpd.GeoDataFrame(geometry=[points.geometry[0]], crs=points.crs)
    return gpd.GeoDataFrame(gpd.pd.concat([points, added], ignore_index=True), crs=points.crs)


def _twice(points: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    both = gpd.pd.concat([points, points.iloc[[0]]], ignore_index=True)
    return gpd.GeoDataFrame(both, crs=points.crs)


CHANGES: dict[str, tuple[Any, type[LandcoverError], str]] = {
    "moved": (_moved_one, SampleError, "1 points .* have been moved"),
    "outside": (_outside, SampleError, "1 points .* or lie outside of the map"),
    "added": (_added, SampleError, "1 points .* were not drawn: 41"),
    "twice": (_twice, SampleError, "2 points .* more than once: 1, 1"),
    "deleted": (lambda p: p.iloc[5:], SampleError, "5 are gone: 1, 2, 3, 4, 5"),
    "no numbers": (lambda p: p.drop(columns="point"), SampleError, "no column 'point'"),
    "digitised": (_digitised, SampleError, "several samples, or without their record"),
    "areas": (lambda p: p.set_geometry(p.buffer(1)), SampleError, "Polygon"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_points_that_are_not_those_drawn_are_refused(run: Path, change: str) -> None:
    path = write_sample(run, FEW).sample
    filled(path, truth_at(run, path))
    assess_run(run, path)
    what, error, says = CHANGES[change]
    changed(path, what)
    with pytest.raises(error, match=says):
        assess_run(run, path)


def test_a_sample_in_another_crs_is_the_same_sample(run: Path) -> None:
    path = write_sample(run, FEW).sample
    filled(path, truth_at(run, path))
    before = assess_run(run, path)
    changed(path, lambda points: points.to_crs(4326))
    assert (assess_run(run, path).counts == before.counts).all()


def test_missing_and_unknown_labels_are_named(run: Path) -> None:
    path = write_sample(run, FEW).sample
    with pytest.raises(SampleError, match=r"40 have no class; .* of impervious, .* of trees"):
        assess_run(run, path)
    labels = truth_at(run, path)
    filled(path, [*labels[:-2], "tree and forest", "lawn"])
    with pytest.raises(LegendError, match=r"2 labels .* 'tree and forest', 'lawn'") as told:
        assess_run(run, path)
    assert "did you mean 'trees and forest'?" in told.value.fix
    filled(path, [*labels[:-2], None, " "])
    with pytest.raises(SampleError, match=r"of 40 points .*, 2 have no class"):
        assess_run(run, path)


def test_a_sample_of_another_map_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sample(run, FEW).sample
    filled(path, truth_at(run, path))
    shutil.copy(run / "evidence.tif", run / "landcover.tif")
    vouch_for(run)
    assert main(["assess", str(run), str(path)]) == 2
    assert "was drawn of another map" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["table", "raster", "no file", "two layers", "other points"])
def test_files_that_are_no_samples_are_refused(run: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "sample.gpkg"
    drawn = gpd.read_file(write_sample(run, FEW).sample)
    if what == "raster":
        write_tif(path, np.ones((4, 4), np.uint8))
    elif what == "table":
        path.write_text("point,class\n1,water\n")
    elif what == "two layers":
        drawn.to_file(path, layer="a")
        drawn.to_file(path, layer="b")
    elif what == "other points":
        drawn[["geometry"]].to_file(path)
    with pytest.raises(RequestError):
        assess_run(run, path)


@pytest.mark.parametrize("ending", ["geojson", "fgb", "gpkg"])
def test_a_sample_saved_in_another_format_is_the_same_sample(
    run: Path, tmp_path: Path, ending: str
) -> None:
    path = write_sample(run, FEW).sample
    filled(path, truth_at(run, path))
    gpd.read_file(path).to_crs(4326).to_file(tmp_path / f"mine.{ending}")
    other = assess_run(run, tmp_path / f"mine.{ending}")
    assert (other.counts == assess_run(run, path).counts).all()


def test_a_table_is_not_written_over_another_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_sample(run, FEW).sample
    filled(path, truth_at(run, path))
    (tmp_path / "notes.csv").write_text("mine")
    assert main(["assess", str(run), str(path), "--csv", str(tmp_path / "notes.csv")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "notes.csv").read_text() == "mine"


@pytest.mark.parametrize(("side", "draws"), [(70, 200), (600, 3)])
def test_every_pixel_of_a_class_is_drawn_as_often(tmp_path: Path, side: int, draws: int) -> None:
    labels = np.full((side, side), 4, np.uint8)
    labels[:10, -10:] = 2
    labels[5:, 3] = 0
    path = write_tif(tmp_path / "map.tif", labels)
    hits = np.zeros(labels.shape, int)
    for seed in range(draws):
        drawn = draw_sample(path, SampleSettings(n=60, per_class=20, seed=seed))
        assert drawn.points.tolist() == [0, 20, 0, 40, 0]
        assert (labels[drawn.rows, drawn.columns] == drawn.strata + 1).all()
        assert len(set(zip(drawn.rows, drawn.columns, strict=True))) == 60
        hits[drawn.rows, drawn.columns] += 1
    if draws > 100:
        rare, trees = hits[labels == 2] / draws, hits.sum(axis=1)[10:]  # 20 of 100 pixels each
        assert rare.min() > 0.2 * 0.5
        assert rare.max() < 0.2 * 1.6
        assert trees[:30].mean() == pytest.approx(trees[30:].mean(), rel=0.1)


def test_who_labels_is_not_led(run: Path) -> None:
    path = write_sample(run, FEW).sample
    qml = path.with_suffix(".qml").read_text()
    for name in WORKING.names:
        assert f'name="{name}" value="{name}"' in qml
    strata = draw_sample(run / "landcover.tif", FEW).strata
    runs = 1 + np.count_nonzero(np.diff(strata))  # neighbours of one class: 20 in a random order
    assert runs > 8


def test_the_python_of_the_document_runs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "accuracy.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    before, after = program.replace("runs/my_city", str(run)).split("# ... the points are labelled")
    names: dict[str, Any] = {}
    exec(compile(before, "accuracy.md", "exec"), names)  # noqa: S102
    filled(names["path"], truth_at(run, names["path"]))
    exec(compile("#" + after, "accuracy.md", "exec"), names)  # noqa: S102
    assert 0 < names["found"].overall_accuracy.value <= 1
